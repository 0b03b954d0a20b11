import { Random } from '../../scripts/experiments/random.js';
import {
  formatBoard,
  grids,
  keepsGivens,
  obeysRules,
  parseBoard,
  solutions,
} from '../../scripts/experiments/sudoku/board.js';
import { fingerprint, makeGames, splitGames } from '../../scripts/experiments/sudoku/games.js';

describe('boards', () => {
  test('there are 288 complete ones, all different, and all obey the rules', () => {
    const all = grids();
    expect(all).toHaveLength(288); // a known count
    expect(new Set(all.map(formatBoard)).size).toBe(288);
    expect(all.every(obeysRules)).toBe(true);
  });

  test.each([
    ['valid', '1234341221434321', true],
    ['a row with a digit twice', '1134341221434321', false],
    ['a column with a digit twice', '1234341212344321', false],
    ['a box with a digit twice', '1234214334124321', false],
    ['incomplete', '1234341221434320', false],
  ])('%s', (_, digits, valid) => {
    expect(obeysRules(parseBoard(digits))).toBe(valid);
  });

  test('a puzzle has the solutions that searching all complete boards finds', () => {
    const all = grids();
    const random = Random.seeded(3);
    for (let i = 0; i < 50; i++) {
      const puzzle = all[random.integer(all.length)]!.map((digit) => (random.uniform() < 0.3 ? digit : 0));
      const expected = all.filter((board) => keepsGivens(board, puzzle)).map(formatBoard);
      expect(solutions(puzzle).map(formatBoard).sort()).toEqual(expected.sort());
    }
  });
});

describe('games', () => {
  const { train, test: held } = makeGames(600, 100, Random.seeded(11));
  const games = [...train, ...held];

  test('are as many as asked for, with 4 to 8 givens, each number about as often', () => {
    expect([train.length, held.length]).toEqual([600, 100]);
    const counts = [0, 0, 0, 0, 0];
    for (const { puzzle } of games) counts[puzzle.filter((digit) => digit > 0).length - 4]!++;
    expect(counts.reduce((a, b) => a + b)).toBe(700);
    for (const count of counts) expect(Math.abs(count - 140)).toBeLessThan(50);
  });

  test('lead to one board each, which obeys the rules and keeps the givens', () => {
    for (const { puzzle, solution } of games) {
      expect(solutions(puzzle).map(formatBoard)).toEqual([formatBoard(solution)]);
      expect(obeysRules(solution)).toBe(true);
    }
  });

  test('are all different, so none of the test games is trained on', () => {
    expect(new Set(games.map(({ puzzle }) => formatBoard(puzzle))).size).toBe(700);
  });

  test('follow from the seed', () => {
    const again = makeGames(600, 100, Random.seeded(11));
    expect(fingerprint(again)).toBe(fingerprint({ train, test: held }));
    expect(fingerprint(makeGames(600, 100, Random.seeded(12)))).not.toBe(fingerprint(again));
  });

  test('from a file are split nine to one, a puzzle that occurs twice being used once', () => {
    const split = splitGames([...games, ...games], Random.seeded(1));
    expect([split.train.length, split.test.length]).toEqual([630, 70]);
    const puzzles = [...split.train, ...split.test].map(({ puzzle }) => formatBoard(puzzle));
    expect(new Set(puzzles).size).toBe(700);
  });
});
