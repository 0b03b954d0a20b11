import { decode, keepsGivens, obeysRules, VARIABLES } from './board.js';
import type { Game } from './games.js';

/** How well a set of games was solved. Errors are fractions of the games. */
export interface Scores {
  /** Mean squared error over all 64 values of all boards. */
  loss: number;
  /** The paper's: the board of most likely digits breaks a rule. */
  error: number;
  /** Stricter: it breaks a rule, or changes a digit that was given. */
  strictError: number;
}

/** Sums up scores, batch by batch. Plain numbers, so that a checkpoint can hold it. */
export interface Tally {
  games: number;
  squares: number;
  broken: number;
  wrong: number;
}

export const emptyTally = (): Tally => ({ games: 0, squares: 0, broken: 0, wrong: 0 });

/** What became of one batch: `games`, their boards in one-hot form wanted and found, both count × 64. */
export function tally(games: readonly Game[], wanted: Float64Array, found: Float64Array): Tally {
  const sum = emptyTally();
  sum.games = games.length;
  games.forEach((game, i) => {
    const board = decode(found, i * VARIABLES);
    const broken = !obeysRules(board);
    if (broken) sum.broken++;
    if (broken || !keepsGivens(board, game.puzzle)) sum.wrong++;
  });
  sum.squares = found.reduce((total, value, i) => total + (value - wanted[i]!) ** 2, 0);
  return sum;
}

export function add(a: Tally, b: Tally): Tally {
  return {
    games: a.games + b.games,
    squares: a.squares + b.squares,
    broken: a.broken + b.broken,
    wrong: a.wrong + b.wrong,
  };
}

export function scores(sum: Tally): Scores {
  return {
    loss: sum.squares / (sum.games * VARIABLES),
    error: sum.broken / sum.games,
    strictError: sum.wrong / sum.games,
  };
}
