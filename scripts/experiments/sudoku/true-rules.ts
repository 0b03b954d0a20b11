import { qpSolveBatch, tensor } from 'optnet';

import type { MeasuredPart, SolverOptions } from '../runner/experiment.js';
import { CELLS, decode, encode, keepsGivens, obeysRules, SIDE, VARIABLES } from './board.js';
import type { Game } from './games.js';
import { denseMatrix, independentEquations, ruleEquations } from './rules.js';

/** What the paper's layer makes of games when it has the rules, and need not learn them. */
export interface TrueRules {
  games: number;
  solved: number;
  /** As fractions of the games: the board of most likely digits breaks a rule; or it does, or it changes a given digit. */
  error: number;
  strictError: number;
  /** The board is not the game's. The same as `strictError` where each puzzle has one solution. */
  wrong: number;
  /** Some value is farther than 10⁻³ from 0 and 1: the rules as equations allow for more than boards. */
  fractional: number;
  /** The mean squared error over all values, as in training. */
  loss: number;
}

/** The 40 independent ones of mini-Sudoku's 64 equations. */
export const trueEquations = (): ReturnType<typeof ruleEquations> =>
  independentEquations(ruleEquations(Math.sqrt(SIDE)), VARIABLES);

/** How well the layer does with the true A, b = 1, and thus how well a learned one can do that has these rows. */
export function trueRules(games: readonly Game[], options: SolverOptions = {}): MeasuredPart {
  return {
    kind: 'measurement',
    name: 'true rules',
    measure: (_, tell) => {
      tell(`solving ${games.length} games by the true rules`);
      return solveByTrueRules(games, options);
    },
  };
}

export async function solveByTrueRules(
  games: readonly Game[],
  options: SolverOptions = {},
): Promise<TrueRules> {
  const equations = trueEquations();
  const puzzles = oneHot(games.map(({ puzzle }) => puzzle));
  const wanted = oneHot(games.map(({ solution }) => solution));
  const solution = await qpSolveBatch(
    {
      Q: tensor(diagonal(0.1), [VARIABLES, VARIABLES]),
      p: tensor(
        puzzles.map((given) => -given),
        [games.length, VARIABLES],
      ),
      G: tensor(diagonal(-1), [VARIABLES, VARIABLES]),
      h: tensor(new Float64Array(VARIABLES)),
      A: tensor(denseMatrix(equations, VARIABLES), [equations.length, VARIABLES]),
      b: tensor(new Float64Array(equations.length).fill(1)),
    },
    { ...options, differentiable: false },
  );
  const solved = solution.status.filter((status) => status === 'solved').length;
  const found = solution.z.data;
  solution.dispose();
  return { games: games.length, solved, ...measure(games, wanted, found) };
}

function measure(games: readonly Game[], wanted: Float64Array, found: Float64Array) {
  const counts = { error: 0, strictError: 0, wrong: 0, fractional: 0 };
  games.forEach((game, k) => {
    const values = found.subarray(k * VARIABLES, (k + 1) * VARIABLES);
    const board = decode(values, 0);
    const broken = !obeysRules(board);
    if (broken) counts.error++;
    if (broken || !keepsGivens(board, game.puzzle)) counts.strictError++;
    if (board.some((digit, cell) => digit !== game.solution[cell])) counts.wrong++;
    if (values.some((value) => Math.min(Math.abs(value), Math.abs(value - 1)) > 1e-3)) counts.fractional++;
  });
  const share = (count: number): number => count / games.length;
  return {
    error: share(counts.error),
    strictError: share(counts.strictError),
    wrong: share(counts.wrong),
    fractional: share(counts.fractional),
    loss: found.reduce((sum, value, i) => sum + (value - wanted[i]!) ** 2, 0) / found.length,
  };
}

function oneHot(boards: readonly Uint8Array[]): Float64Array {
  const values = new Float64Array(boards.length * CELLS * SIDE);
  boards.forEach((board, k) => encode(board, values, k * VARIABLES));
  return values;
}

function diagonal(value: number): Float64Array {
  const matrix = new Float64Array(VARIABLES * VARIABLES);
  for (let i = 0; i < VARIABLES; i++) matrix[i * VARIABLES + i] = value;
  return matrix;
}
