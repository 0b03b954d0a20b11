/** Puzzles of the usual Sudoku: 9×9 cells, digits 1–9 in reading order, 0 a blank. */
import type { Random } from '../random.js';

export const NINE = 9;
export const NINE_CELLS = NINE * NINE;
/** Length of a board in one-hot form: [row, column, digit]. */
export const NINE_VARIABLES = NINE_CELLS * NINE;

export interface NinePuzzle {
  puzzle: Uint8Array;
  solution: Uint8Array;
}

/** A complete board, and of it `givens` cells that determine it, or a few more where no others can be left out. */
export function makeNinePuzzle(givens: number, random: Random): NinePuzzle {
  const solution = shuffledBoard(random);
  const puzzle = solution.slice();
  const cells = random.shuffle(Array.from({ length: NINE_CELLS }, (_, cell) => cell));
  let left = NINE_CELLS;
  for (const cell of cells) {
    if (left === givens) break;
    const digit = puzzle[cell]!;
    puzzle[cell] = 0;
    if (countSolutions(puzzle, 2) === 1) left--;
    else puzzle[cell] = digit;
  }
  return { puzzle, solution };
}

/** Complete, and each row, column and box holds each digit once. */
export function isNineSolution(board: Uint8Array): boolean {
  return (
    GROUPS.every((group) => new Set(group.map((cell) => board[cell])).size === NINE) && !board.includes(0)
  );
}

/** The number of completions, counted up to `limit`: the cell with the fewest candidates first. */
export function countSolutions(puzzle: Uint8Array, limit: number): number {
  const board = puzzle.slice();
  const search = (wanted: number): number => {
    const next = fewestCandidates(board);
    if (next === undefined) return 1;
    let found = 0;
    for (let digit = 1; digit <= NINE && found < wanted; digit++) {
      if ((next.candidates & (1 << digit)) === 0) continue;
      board[next.cell] = digit;
      found += search(wanted - found);
      board[next.cell] = 0;
    }
    return found;
  };
  return search(limit);
}

/** The most likely digit of each cell. */
export function decodeNine(values: Float64Array): Uint8Array {
  return Uint8Array.from({ length: NINE_CELLS }, (_, cell) => {
    const digits = values.subarray(cell * NINE, (cell + 1) * NINE);
    return digits.indexOf(Math.max(...digits)) + 1;
  });
}

/** In one-hot form; blanks are zeros. */
export function encodeNine(board: Uint8Array): Float64Array {
  const values = new Float64Array(NINE_VARIABLES);
  board.forEach((digit, cell) => {
    if (digit > 0) values[cell * NINE + digit - 1] = 1;
  });
  return values;
}

const indices = Array.from({ length: NINE }, (_, i) => i);

const boxOf = (row: number, column: number): number => 3 * Math.floor(row / 3) + Math.floor(column / 3);

/** Cells of the 27 rows, columns and boxes. */
const GROUPS = [
  ...indices.map((row) => indices.map((column) => row * NINE + column)),
  ...indices.map((column) => indices.map((row) => row * NINE + column)),
  ...indices.map((box) =>
    indices.flatMap((row) =>
      indices.filter((column) => boxOf(row, column) === box).map((column) => row * NINE + column),
    ),
  ),
];

/** A board of shifted rows, and then digits, bands, stacks, and the lines in each of them in any order. */
function shuffledBoard(random: Random): Uint8Array {
  const lines = (): number[] =>
    random.shuffle([0, 1, 2]).flatMap((band) => random.shuffle([0, 1, 2]).map((line) => 3 * band + line));
  const [rows, columns, digits] = [lines(), lines(), random.shuffle([...indices])];
  const shifted = (row: number, column: number): number =>
    (3 * (row % 3) + Math.floor(row / 3) + column) % NINE;
  return Uint8Array.from(rows.flatMap((row) => columns.map((column) => digits[shifted(row, column)]! + 1)));
}

/** The blank cell with the fewest digits that the rules leave it, as bits 1–9; undefined when all are filled. */
function fewestCandidates(board: Uint8Array): { cell: number; candidates: number } | undefined {
  const [rows, columns, boxes] = [new Uint16Array(NINE), new Uint16Array(NINE), new Uint16Array(NINE)];
  board.forEach((digit, cell) => {
    const [row, column] = [Math.floor(cell / NINE), cell % NINE];
    const bit = 1 << digit;
    rows[row]! |= bit;
    columns[column]! |= bit;
    boxes[boxOf(row, column)]! |= bit;
  });
  let best: { cell: number; candidates: number } | undefined;
  let fewest = Infinity;
  for (let cell = 0; cell < NINE_CELLS; cell++) {
    if (board[cell] !== 0) continue;
    const [row, column] = [Math.floor(cell / NINE), cell % NINE];
    const candidates = 0b1111111110 & ~(rows[row]! | columns[column]! | boxes[boxOf(row, column)]!);
    const count = bits(candidates);
    if (count < fewest) [best, fewest] = [{ cell, candidates }, count];
  }
  return best;
}

function bits(x: number): number {
  let count = 0;
  for (; x > 0; x &= x - 1) count++;
  return count;
}
