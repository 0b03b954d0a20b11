import { diagonal, matrix, type LayerFunction } from './layer.js';

/** w·max(a·x + b, 0) */
export interface Hinge {
  a: number;
  b: number;
  w: number;
}

/** max(x, 0) for every element of x: the nearest point of the positive orthant (section 3.2 of the paper). */
export function relu(n: number): LayerFunction {
  return {
    inputs: n,
    outputs: n,
    constants: { Q: diagonal(n, 1), G: diagonal(n, -1), h: new Float64Array(n) },
    through: 'p',
    M: diagonal(n, -1),
    c: new Float64Array(n),
    value: indices(n),
    parameters: 3 * n,
  };
}

/**
 * Σ wᵢ·max(aᵢx + bᵢ, 0) for every element of x: any piecewise linear function, convex or not (theorem 2 of the paper).
 * For an element, with z of the length of the hinges,
 *
 *     minimise ½‖z‖² + ½(t − wᵀz)²   subject to   aᵢx + bᵢ ≤ zᵢ
 *
 * As t is free, the second term is 0 at the solution, and zᵢ = max(aᵢx + bᵢ, 0). The variables are those of the first
 * element (z, then t), those of the second and so on.
 */
export function piecewiseLinear(n: number, hinges: readonly Hinge[]): LayerFunction {
  const k = hinges.length;
  const width = k + 1;
  const Q = matrix(n * width, n * width, (row, column) => {
    if (Math.floor(row / width) !== Math.floor(column / width)) return 0;
    const [i, j] = [row % width, column % width];
    const w = (index: number): number => (index === k ? -1 : hinges[index]!.w); // (t − wᵀz)² = (−t + wᵀz)²
    return w(i) * w(j) + (i === j && i < k ? 1 : 0);
  });
  return {
    inputs: n,
    outputs: n,
    constants: {
      Q,
      p: new Float64Array(n * width),
      G: matrix(n * k, n * width, (row, column) =>
        column === Math.floor(row / k) * width + (row % k) ? -1 : 0,
      ),
    },
    through: 'h',
    M: matrix(n * k, n, (row, column) => (Math.floor(row / k) === column ? -hinges[row % k]!.a : 0)),
    c: Float64Array.from({ length: n * k }, (_, row) => -hinges[row % k]!.b),
    value: indices(n).map((element) => element * width + k),
    parameters: n * 3 * k,
  };
}

/** The same function, by its formula. */
export const sumOfHinges = (hinges: readonly Hinge[], x: number): number =>
  hinges.reduce((sum, { a, b, w }) => sum + w * Math.max(a * x + b, 0), 0);

export const slopeOfHinges = (hinges: readonly Hinge[], x: number): number =>
  hinges.reduce((sum, { a, b, w }) => sum + (a * x + b > 0 ? w * a : 0), 0);

/**
 * The hinges of the piecewise linear function through points (x, y), x ascending, which goes on straight beyond the first
 * and the last.
 */
export function hingesThrough(points: readonly (readonly [x: number, y: number])[]): Hinge[] {
  const slopes = points.slice(1).map(([x, y], i) => (y - points[i]![1]) / (x - points[i]![0]));
  const [x0, y0] = points[0]!;
  const start = y0 - slopes[0]! * x0;
  return [
    { a: 0, b: 1, w: start },
    { a: 1, b: 0, w: slopes[0]! },
    { a: -1, b: 0, w: -slopes[0]! },
    ...slopes.slice(1).map((slope, i) => ({ a: 1, b: -points[i + 1]![0], w: slope - slopes[i]! })),
  ].filter(({ w }) => w !== 0);
}

/**
 * max(a₁ᵀx, …, a_kᵀx), the rows of `slopes` [k, inputs]: minimise ½z² subject to aᵢᵀx ≤ z (theorem 3 of the paper). It is
 * the maximum where that is not negative; it never is if 0 is among the averages of the rows.
 */
export function maximum(slopes: readonly (readonly number[])[]): LayerFunction {
  const inputs = slopes[0]!.length;
  return {
    inputs,
    outputs: 1,
    constants: {
      Q: diagonal(1, 1),
      p: new Float64Array(1),
      G: matrix(slopes.length, 1, () => -1),
    },
    through: 'h',
    M: matrix(slopes.length, inputs, (i, j) => -slopes[i]![j]!),
    c: new Float64Array(slopes.length),
    value: [0],
    parameters: slopes.length * (inputs + 1) + 1,
  };
}

/** The same of any rows, as a linear program: minimise z subject to aᵢᵀx ≤ z. */
export function maximumAsLinearProgram(slopes: readonly (readonly number[])[]): LayerFunction {
  const { Q, ...constants } = maximum(slopes).constants;
  return { ...maximum(slopes), constants: { ...constants, p: new Float64Array(Q!.rows).fill(1) } };
}

/** The nearest point with z ≥ 0 and Σz = 1. */
export function simplexProjection(n: number): LayerFunction {
  const layer = relu(n);
  return {
    ...layer,
    constants: { ...layer.constants, A: matrix(1, n, () => 1), b: Float64Array.of(1) },
    parameters: layer.parameters + n + 1,
  };
}

/** What x is lowered by before it is cut off at 0, so that the rest sums up to 1: found by sorting. */
export function simplexThreshold(x: ArrayLike<number>): number {
  let [sum, threshold] = [0, 0];
  Array.from(x)
    .sort((a, b) => b - a)
    .forEach((value, i) => {
      sum += value;
      if (value > (sum - 1) / (i + 1)) threshold = (sum - 1) / (i + 1);
    });
  return threshold;
}

const indices = (length: number): number[] => Array.from({ length }, (_, i) => i);
