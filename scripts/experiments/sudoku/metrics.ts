import type { Tally } from '../runner/training.js';
import { decode, keepsGivens, obeysRules, VARIABLES } from './board.js';
import type { Game } from './games.js';

/**
 * How well a batch was solved: `games`, their boards in one-hot form wanted and found, both count × 64. Per game,
 * loss: mean squared error over its 64 values; error, the paper's: the board of most likely digits breaks a rule;
 * strictError: it breaks a rule, or changes a digit that was given.
 */
export function tally(games: readonly Game[], wanted: Float64Array, found: Float64Array): Tally {
  let [error, strictError] = [0, 0];
  games.forEach((game, i) => {
    const board = decode(found, i * VARIABLES);
    const broken = !obeysRules(board);
    if (broken) error++;
    if (broken || !keepsGivens(board, game.puzzle)) strictError++;
  });
  const squares = found.reduce((total, value, i) => total + (value - wanted[i]!) ** 2, 0);
  return { examples: games.length, sums: { loss: squares / VARIABLES, error, strictError } };
}
