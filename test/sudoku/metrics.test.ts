import { decode, encode, parseBoard, VARIABLES } from '../../scripts/experiments/sudoku/board.js';
import { add, scores } from '../../scripts/experiments/runner/training.js';
import { tally } from '../../scripts/experiments/sudoku/metrics.js';
import type { Game } from '../../scripts/experiments/sudoku/games.js';

const oneHot = (...boards: string[]): Float64Array => {
  const values = new Float64Array(boards.length * VARIABLES);
  boards.forEach((board, i) => encode(parseBoard(board), values, i * VARIABLES));
  return values;
};

const SOLUTION = '1234341221434321';
const game: Game = { puzzle: parseBoard('1000040020000020'), solution: parseBoard(SOLUTION) };

test('a board survives its one-hot form; blanks are zeros', () => {
  const values = oneHot(SOLUTION, '1000000000000000');
  expect(decode(values, 0)).toEqual(parseBoard(SOLUTION));
  expect(values.subarray(64, 68)).toEqual(Float64Array.of(1, 0, 0, 0));
  expect(values.subarray(68).every((value) => value === 0)).toBe(true);
});

test.each([
  ['the solution', SOLUTION, 0, 0],
  ['a board that breaks a rule', '1134341221434321', 1, 1],
  ['a valid board that changes a given', '2143432112343412', 0, 1],
])('%s', (_, found, error, strictError) => {
  const result = scores(tally([game], oneHot(SOLUTION), oneHot(found)));
  expect(result.error).toBe(error);
  expect(result.strictError).toBe(strictError);
});

test('the loss is the mean square over boards and values', () => {
  const found = oneHot(SOLUTION, SOLUTION);
  found[3] = 0.5; // instead of 0
  found[64] = 0; // instead of 1
  expect(scores(tally([game, game], oneHot(SOLUTION, SOLUTION), found)).loss).toBeCloseTo(1.25 / 128, 15);
});

test('batches of different sizes count by their games', () => {
  const good = tally(
    [game, game, game],
    oneHot(SOLUTION, SOLUTION, SOLUTION),
    oneHot(SOLUTION, SOLUTION, SOLUTION),
  );
  const bad = tally([game], oneHot(SOLUTION), new Float64Array(VARIABLES));
  expect(scores(add(good, bad))).toEqual({ loss: 16 / 256, error: 0.25, strictError: 0.25 });
});

test('a board of NaN is an error, not a digit', () => {
  expect(scores(tally([game], oneHot(SOLUTION), new Float64Array(VARIABLES).fill(NaN))).error).toBe(1);
});
