/**
 * The rules of Sudoku as equations of a board in one-hot form, [row, column, digit], for boxes of `box`×`box` cells and
 * boards of side box²: 2 for mini-Sudoku, 3 for the usual one.
 */

/** A matrix of zeros and ones, by rows: where the ones are. */
export type Equations = readonly (readonly number[])[];

/**
 * 4·side² equations Σz = 1: each cell has one digit; each row, each column and each box has each digit once. With z of
 * zeros and ones they are the rules; they depend on each other.
 */
export function ruleEquations(box: number): Equations {
  const side = box * box;
  const all = Array.from({ length: side }, (_, i) => i);
  const variable = (row: number, column: number, digit: number): number =>
    (row * side + column) * side + digit;
  const pairs = all.flatMap((i) => all.map((j) => [i, j] as const));
  return [
    ...pairs.map(([row, column]) => all.map((digit) => variable(row, column, digit))),
    ...pairs.map(([row, digit]) => all.map((column) => variable(row, column, digit))),
    ...pairs.map(([column, digit]) => all.map((row) => variable(row, column, digit))),
    ...pairs.map(([index, digit]) =>
      all.map((i) => {
        const row = Math.floor(index / box) * box + Math.floor(i / box);
        const column = (index % box) * box + (i % box);
        return variable(row, column, digit);
      }),
    ),
  ];
}

/**
 * The equations that do not follow from those before them: 40 of 64 for mini-Sudoku, 249 of 324 for Sudoku. By
 * elimination modulo a prime, without rounding: rows that are independent modulo a prime are independent.
 */
export function independentEquations(equations: Equations, variables: number): Equations {
  const reduced: { pivot: number; row: Int32Array }[] = [];
  return equations.filter((ones) => {
    const row = new Int32Array(variables);
    for (const j of ones) row[j] = 1;
    for (const { pivot, row: other } of reduced) subtract(row, other, row[pivot]!);
    const pivot = row.findIndex((value) => value !== 0);
    if (pivot < 0) return false;
    const scale = inverse(row[pivot]!);
    reduced.push({ pivot, row: row.map((value) => (value * scale) % PRIME) });
    return true;
  });
}

/** Row-major, [equations, variables]. */
export function denseMatrix(equations: Equations, variables: number): Float64Array {
  const matrix = new Float64Array(equations.length * variables);
  equations.forEach((ones, i) => {
    for (const j of ones) matrix[i * variables + j] = 1;
  });
  return matrix;
}

/** Products of two numbers below it fit into 31 bits. */
const PRIME = 46337;

function subtract(row: Int32Array, other: Int32Array, factor: number): void {
  if (factor === 0) return;
  for (let j = 0; j < row.length; j++) row[j] = (row[j]! + (PRIME - factor) * other[j]!) % PRIME;
}

/** By Fermat: xᵖ⁻². */
function inverse(x: number): number {
  let [result, power] = [1, x];
  for (let exponent = PRIME - 2; exponent > 0; exponent >>= 1) {
    if (exponent & 1) result = (result * power) % PRIME;
    power = (power * power) % PRIME;
  }
  return result;
}
