// The rules of Sudoku as equations, and the layer that has them.
import { Random } from '../../scripts/experiments/random.js';
import { CELLS, encode, GROUPS, grids, SIDE, VARIABLES } from '../../scripts/experiments/sudoku/board.js';
import { makeGames } from '../../scripts/experiments/sudoku/games.js';
import { measureNineByNine } from '../../scripts/experiments/sudoku/nine-by-nine.js';
import {
  countSolutions,
  decodeNine,
  encodeNine,
  isNineSolution,
  makeNinePuzzle,
  NINE_VARIABLES,
} from '../../scripts/experiments/sudoku/nine-puzzles.js';
import {
  denseMatrix,
  independentEquations,
  ruleEquations,
  type Equations,
} from '../../scripts/experiments/sudoku/rules.js';
import { solveByTrueRules, trueEquations } from '../../scripts/experiments/sudoku/true-rules.js';

const holds = (equations: Equations, values: Float64Array): boolean =>
  equations.every((ones) => ones.reduce((sum, j) => sum + values[j]!, 0) === 1);

const oneHot = (board: Uint8Array): Float64Array => {
  const values = new Float64Array(VARIABLES);
  encode(board, values, 0);
  return values;
};

describe('the rules of mini-Sudoku', () => {
  const all = ruleEquations(2);

  it('are 64 equations, four ones each: every cell, row, column and box', () => {
    expect(all).toHaveLength(64);
    const cell = (j: number) => Math.floor(j / SIDE);
    const expected = [
      ...Array.from({ length: CELLS }, (_, i) => Array.from({ length: SIDE }, () => i)),
      ...GROUPS.flatMap((group) => Array.from({ length: SIDE }, () => [...group])),
    ];
    expect(all.map((ones) => ones.map(cell))).toEqual(expected);
    expect(new Set(all.map((ones) => ones.join())).size).toBe(64);
  });

  it('hold for all 288 boards, and for none with two cells exchanged in a row', () => {
    for (const board of grids()) {
      expect(holds(all, oneHot(board))).toBe(true);
      const changed = board.slice();
      [changed[0], changed[1]] = [board[1]!, board[0]!];
      expect(holds(all, oneHot(changed))).toBe(false);
    }
  });

  it('have rank 40, and the other 24 follow from the 40 that are kept', () => {
    const kept = trueEquations();
    expect(kept).toHaveLength(40);
    for (const other of all) {
      if (!kept.includes(other)) expect(independentEquations([...kept, other], VARIABLES)).toHaveLength(40);
    }
    // Any point that satisfies the kept ones, such as an average of boards, satisfies all.
    const boards = grids().map(oneHot);
    const random = Random.seeded(5);
    const [a, b] = [boards[random.integer(288)]!, boards[random.integer(288)]!];
    const between = a.map((value, j) => 0.25 * value + 0.75 * b[j]!);
    expect(holds(all, between)).toBe(true);
  });

  it('let the layer solve every puzzle with one solution', async () => {
    const { test: games } = makeGames(0, 300, Random.seeded(8));
    const result = await solveByTrueRules(games);
    expect(result).toMatchObject({ games: 300, solved: 300, error: 0, strictError: 0, wrong: 0 });
    expect(result.loss).toBeLessThan(0.01);
  });
});

describe('the rules of Sudoku', () => {
  it('are 324 equations of rank 249', () => {
    const all = ruleEquations(3);
    expect(all).toHaveLength(324);
    expect(all.every((ones) => new Set(ones).size === 9)).toBe(true);
    expect(independentEquations(all, NINE_VARIABLES)).toHaveLength(249);
  });

  it('hold for boards, and not for boards with two cells exchanged', () => {
    const { solution } = makeNinePuzzle(60, Random.seeded(2));
    expect(isNineSolution(solution)).toBe(true);
    expect(holds(ruleEquations(3), encodeNine(solution))).toBe(true);
    const changed = solution.slice();
    [changed[0], changed[1]] = [solution[1]!, solution[0]!];
    expect(isNineSolution(changed)).toBe(false);
    expect(holds(ruleEquations(3), encodeNine(changed))).toBe(false);
  });
});

test('a dense matrix has ones where the equations have them', () => {
  expect([...denseMatrix([[0, 2], [1]], 3)]).toEqual([1, 0, 1, 0, 1, 0]);
});

describe('a 9×9 puzzle', () => {
  const { puzzle, solution } = makeNinePuzzle(30, Random.seeded(4));

  it('has the givens that were asked for, and one solution', () => {
    expect(puzzle.filter((digit) => digit > 0)).toHaveLength(30);
    expect(puzzle.every((digit, cell) => digit === 0 || digit === solution[cell])).toBe(true);
    expect(countSolutions(puzzle, 2)).toBe(1);
    expect([...decodeNine(encodeNine(solution))]).toEqual([...solution]);
  });

  it('is solved by the layer, which can be differentiated', async () => {
    const { sharp, equations, derivative } = await measureNineByNine({ puzzles: 1, rounds: 1, seed: 4 });
    expect(equations).toBe(249);
    expect(sharp).toMatchObject({ solved: 1, right: 1, cells: 1 });
    expect(sharp.residual).toBeLessThan(1e-8);
    expect(sharp.difference).toBeLessThan(1e-8);
    expect(derivative).toBeLessThan(1e-5);
  });
});
