/** Mini-Sudoku: a 4×4 board of the digits 1–4, each once in every row, every column and every 2×2 box. */

export const SIDE = 4;
export const CELLS = SIDE * SIDE;
/** Length of a board in one-hot form: [row, column, digit]. */
export const VARIABLES = CELLS * SIDE;

/** Digits in reading order; 0 is a blank. */
export type Board = Uint8Array;

const indices = Array.from({ length: SIDE }, (_, i) => i);

/** The twelve groups of cells that hold each digit once. */
export const GROUPS: readonly (readonly number[])[] = [
  ...indices.map((row) => indices.map((i) => row * SIDE + i)),
  ...indices.map((column) => indices.map((i) => i * SIDE + column)),
  ...indices.map((box) => {
    const corner = (box >> 1) * 2 * SIDE + (box & 1) * 2;
    return indices.map((i) => corner + (i >> 1) * SIDE + (i & 1));
  }),
];

/** For each cell, the other cells that may not hold its digit. */
const PEERS = Array.from({ length: CELLS }, (_, cell) => [
  ...new Set(
    GROUPS.filter((group) => group.includes(cell))
      .flat()
      .filter((other) => other !== cell),
  ),
]);

/** Complete, and every row, column and box holds each digit once. */
export function obeysRules(board: Board): boolean {
  return GROUPS.every((group) => {
    let seen = 0;
    for (const cell of group) seen |= 1 << at(board, cell);
    return seen === 0b11110;
  });
}

/** The digits given in `puzzle` stand where they were. */
export function keepsGivens(board: Board, puzzle: Board): boolean {
  return puzzle.every((digit, cell) => digit === 0 || digit === board[cell]);
}

/** The completions of a puzzle, at most `limit` of them. Backtracking, cell by cell. */
export function solutions(puzzle: Board, limit = Infinity): Board[] {
  const found: Board[] = [];
  const board = Uint8Array.from(puzzle);
  const clashes = (cell: number, digit: number): boolean =>
    PEERS[cell]?.some((peer) => board[peer] === digit) ?? false;

  const fillFrom = (cell: number): void => {
    while (cell < CELLS && board[cell] !== 0) cell++;
    if (cell === CELLS) {
      if (obeysRules(board)) found.push(Uint8Array.from(board));
      return;
    }
    for (let digit = 1; digit <= SIDE && found.length < limit; digit++) {
      if (clashes(cell, digit)) continue;
      board[cell] = digit;
      fillFrom(cell + 1);
      board[cell] = 0;
    }
  };
  fillFrom(0);
  return found;
}

/** All 288 complete boards. */
export function grids(): Board[] {
  return solutions(new Uint8Array(CELLS));
}

export function parseBoard(text: string): Board {
  return Uint8Array.from(text, Number);
}

export function formatBoard(board: Board): string {
  return board.join('');
}

/** Writes a board in one-hot form, blanks as zeros, at `offset`. */
export function encode(board: Board, into: Float64Array, offset: number): void {
  for (let cell = 0; cell < CELLS; cell++) {
    for (let digit = 1; digit <= SIDE; digit++) {
      into[offset + cell * SIDE + digit - 1] = board[cell] === digit ? 1 : 0;
    }
  }
}

/** The most likely digit of each cell. NaN is never the most likely. */
export function decode(values: Float64Array, offset: number): Board {
  const board = new Uint8Array(CELLS);
  for (let cell = 0; cell < CELLS; cell++) {
    let best = -Infinity;
    for (let digit = 1; digit <= SIDE; digit++) {
      const value = values[offset + cell * SIDE + digit - 1] ?? NaN;
      if (value > best) {
        best = value;
        board[cell] = digit;
      }
    }
  }
  return board;
}

function at(board: Board, cell: number): number {
  return board[cell] ?? 0;
}
