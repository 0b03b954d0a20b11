import { createHash } from 'node:crypto';

import { Random } from '../random.js';
import { CELLS, formatBoard, grids, solutions, type Board } from './board.js';

/** A puzzle and the board it leads to. */
export interface Game {
  puzzle: Board;
  solution: Board;
}

export interface Games {
  train: Game[];
  test: Game[];
}

/** As many as the paper has. */
export const TRAIN_GAMES = 9000;
export const TEST_GAMES = 1000;

export const FEWEST_GIVENS = 4;
export const MOST_GIVENS = 8;

/**
 * Distinct puzzles, each with one solution, the number of givens uniform in 4–8. (Four is the fewest that can
 * determine a board.) Being distinct, no puzzle is both in the training and in the test set.
 */
export function makeGames(trainCount: number, testCount: number, random: Random): Games {
  const solved = grids();
  const seen = new Set<string>();
  const games: Game[] = [];
  while (games.length < trainCount + testCount) {
    const givens = FEWEST_GIVENS + random.integer(MOST_GIVENS - FEWEST_GIVENS + 1);
    const game = makeGame(solved, givens, random);
    const key = formatBoard(game.puzzle);
    if (seen.has(key)) continue;
    seen.add(key);
    games.push(game);
  }
  return { train: games.slice(0, trainCount), test: games.slice(trainCount) };
}

function makeGame(solved: readonly Board[], givens: number, random: Random): Game {
  for (;;) {
    const solution = solved[random.integer(solved.length)]!;
    const cells = random.shuffle(Array.from({ length: CELLS }, (_, cell) => cell)).slice(0, givens);
    const puzzle = new Uint8Array(CELLS);
    for (const cell of cells) puzzle[cell] = solution[cell]!;
    if (solutions(puzzle, 2).length === 1) return { puzzle, solution };
  }
}

/** Nine games in ten to train on, one to test on, drawn at random; a puzzle that occurs twice is used once. */
export function splitGames(games: readonly Game[], random: Random): Games {
  const distinct = [...new Map(games.map((game) => [formatBoard(game.puzzle), game])).values()];
  const shuffled = random.shuffle(distinct);
  const testCount = Math.max(1, Math.round(shuffled.length / 10));
  return { train: shuffled.slice(testCount), test: shuffled.slice(0, testCount) };
}

/** Tells whether a resumed run has the games that it was started with. */
export function fingerprint(games: Games): string {
  const hash = createHash('sha256');
  for (const game of [...games.train, ...games.test]) hash.update(game.puzzle).update(game.solution);
  return hash.digest('hex').slice(0, 16);
}
