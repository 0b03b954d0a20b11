// Whether a solution is one, and its gradients are gradients: from the data alone, and without the solver.
import type { BackwardResult, QpSolution } from '../index.js';

import { products } from './random-problems.js';
import type { RandomProblems, Sizes } from './random-problems.js';

/** How far residuals of what the solver calls solved, to 1e-8, may be from zero, relative to their terms. */
const tolerance = 1e-6;

/** Why the results cannot be right; undefined if they may be. */
export function verify(
  sizes: Sizes,
  problem: RandomProblems,
  solution: QpSolution<'float64'>,
  gradients: BackwardResult<'float64'>,
): string | undefined {
  const unsolved = solution.status.findIndex((status) => status !== 'solved');
  if (unsolved >= 0) return `problem ${unsolved} has a solution, and ended as ${solution.status[unsolved]!}`;
  const residual = largestResidual(sizes, problem, solution);
  if (!(residual <= tolerance)) {
    return `the optimality conditions are violated by ${residual.toExponential(1)}, relative to their terms`;
  }
  const deviation = largestDeviation(sizes, problem, gradients);
  if (!(deviation <= tolerance)) {
    return `the gradients violate an identity by ${deviation.toExponential(1)}, relative to their size`;
  }
  return undefined;
}

/**
 * The largest KKT residual: of Qz + p + Gᵀλ + Aᵀν = 0, Gz ≤ h, Az = b, λ ≥ 0 and λ ∘ (h − Gz) = 0, each relative to the largest
 * of its terms. NaN where something is not a number.
 */
export function largestResidual(
  sizes: Sizes,
  problem: RandomProblems,
  solution: QpSolution<'float64'>,
): number {
  const { n, m, q, batch } = sizes;
  const { Q, p, G, h, A, b } = problem;
  const [z, lambda, nu] = [solution.z.data, solution.lambda.data, solution.nu.data];
  const stationarity = products(Q.data, z, n, n, batch);
  const scale = largest(stationarity, p.data);
  stationarity.forEach((_, i) => (stationarity[i]! += p.data[i]!));
  addTransposed(stationarity, G.data, lambda, m, n, batch);
  if (A !== undefined) addTransposed(stationarity, A.data, nu, q, n, batch);
  const slack = products(G.data, z, m, n, batch).map((value, i) => h.data[i]! - value);
  const equalities =
    b === undefined ? [] : products(A!.data, z, q, n, batch).map((value, i) => value - b.data[i]!);
  const relative = (values: Iterable<number>, scaleOfTerms: number) => greatest(values) / (1 + scaleOfTerms);
  return greatest([
    relative(stationarity.map(Math.abs), scale),
    relative(
      slack.map((value) => -value),
      largest(h.data),
    ),
    relative(equalities.map(Math.abs), b === undefined ? 0 : largest(b.data)),
    relative(
      lambda.map((value) => -value),
      largest(lambda),
    ),
    relative(
      slack.map((value, i) => Math.abs(value * lambda[i]!)),
      largest(lambda),
    ),
  ]);
}

/** Data that leave z as it is when all of them are multiplied by a number. */
const scaled = [
  ['Q', 'p'],
  ['G', 'h'],
  ['A', 'b'],
] as const;

/**
 * Multiplied by a number, Q and p together do not change z, nor do G and h, nor A and b. So for a loss of z, 〈dQ, Q〉 + 〈dp, p〉 = 0
 * and likewise the others: the largest such sum of a problem, relative to the terms of all of its sums. (Where constraints alone
 * determine z, the terms of the first are nothing but rounding.)
 */
export function largestDeviation(
  { batch }: Sizes,
  problem: RandomProblems,
  gradients: BackwardResult<'float64'>,
): number {
  const sums = scaled
    .filter(([matrix]) => problem[matrix] !== undefined)
    .map((names) => (k: number) => {
      const total = { sum: 0, size: 0 };
      for (const name of names) addProduct(total, problem[name]!.data, gradients[`d${name}`]?.data, k, batch);
      return total;
    });
  const deviations = Array.from({ length: batch }, (_, k) => {
    const totals = sums.map((sum) => sum(k));
    const size = totals.reduce((all, total) => all + total.size, 0);
    return size === 0 ? 0 : greatest(totals.map(({ sum }) => Math.abs(sum))) / size;
  });
  return greatest(deviations);
}

/** Adds 〈gradient, datum〉 of problem k, and the size of its terms; NaN without a gradient. */
function addProduct(
  total: { sum: number; size: number },
  datum: Float64Array,
  gradient: Float64Array | undefined,
  k: number,
  batch: number,
): void {
  const length = datum.length / batch;
  for (let i = k * length; i < (k + 1) * length; i++) {
    const term = datum[i]! * (gradient?.[i] ?? NaN);
    total.sum += term;
    total.size += Math.abs(term);
  }
}

/** y ← y + Mᵀx of each problem, M [rows, columns]. */
function addTransposed(
  y: Float64Array,
  M: Float64Array,
  x: Float64Array,
  rows: number,
  columns: number,
  batch: number,
): void {
  for (let i = 0; i < batch * rows; i++) {
    const start = Math.floor(i / rows) * columns;
    for (let j = 0; j < columns; j++) y[start + j]! += M[i * columns + j]! * x[i]!;
  }
}

const largest = (...arrays: Float64Array[]): number =>
  greatest(arrays.map((data) => greatest(data.map(Math.abs))));

/** NaN where one is: Math.max takes too few arguments for large arrays. */
function greatest(values: Iterable<number>): number {
  let result = -Infinity;
  for (const value of values) {
    if (Number.isNaN(value)) return NaN;
    if (value > result) result = value;
  }
  return result;
}
