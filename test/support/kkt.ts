// The optimality conditions, written out from the data: what a solution is measured with, independently of the solver.
import type { TensorProblem } from './problems.js';

/** One problem, row-major, and what is claimed to solve it. */
export interface Claim {
  n: number;
  m: number;
  q: number;
  Q: Float64Array;
  p: Float64Array;
  G: Float64Array;
  h: Float64Array;
  A: Float64Array;
  b: Float64Array;
  z: ArrayLike<number>;
  lambda: ArrayLike<number>;
  nu: ArrayLike<number>;
  slack: ArrayLike<number>;
}

interface Solved {
  z: { data: ArrayLike<number> };
  lambda: { data: ArrayLike<number> };
  nu: { data: ArrayLike<number> };
  slack: { data: ArrayLike<number> };
}

type AnyProblem = { [Name in keyof TensorProblem]: { shape: readonly number[]; data: ArrayLike<number> } };

/** Problem k of a batch whose data may be shared, with its solution. */
export function claimAt(problem: AnyProblem, solution: Solved, k: number): Claim {
  const n = problem.Q.shape.at(-1)!;
  const m = problem.h.shape.at(-1)!;
  const q = problem.b.shape.at(-1)!;
  const ranks = { Q: 2, p: 1, G: 2, h: 1, A: 2, b: 1 };
  const datum = (name: keyof TensorProblem, size: number) => {
    const { shape, data } = problem[name];
    const start = shape.length > ranks[name] ? k * size : 0;
    return Float64Array.from({ length: size }, (_, i) => data[start + i]!);
  };
  const result = (name: keyof Solved, size: number) =>
    Float64Array.from({ length: size }, (_, i) => solution[name].data[k * size + i]!);
  return {
    n,
    m,
    q,
    Q: datum('Q', n * n),
    p: datum('p', n),
    G: datum('G', m * n),
    h: datum('h', m),
    A: datum('A', q * n),
    b: datum('b', q),
    z: result('z', n),
    lambda: result('lambda', m),
    nu: result('nu', q),
    slack: result('slack', m),
  };
}

export interface KktResiduals {
  /** ‖Qz + p + Gᵀλ + Aᵀν‖∞ */
  stationarity: number;
  /** ‖Az − b‖∞ */
  equality: number;
  /** ‖Gz + s − h‖∞ */
  inequality: number;
  /** The least of all λ and s; +∞ without any. */
  least: number;
  /** sᵀλ/m */
  gap: number;
  /** What the solver compares with the tolerance: the largest of the residuals, each over its unit + 0.1 × its size. */
  scaled: number;
}

/** Of the relative part of the tolerance. */
const relative = 0.1;

export function kktResiduals({ n, m, q, Q, p, G, h, A, b, z, lambda, nu, slack }: Claim): KktResiduals {
  const gradient = new Float64Array(n);
  const size = new Float64Array(n);
  const add = (term: Float64Array) => {
    for (let j = 0; j < n; j++) {
      gradient[j]! += term[j]!;
      size[j] = Math.max(size[j]!, Math.abs(term[j]!));
    }
  };
  add(times(Q, z, n));
  add(p);
  add(timesTransposed(G, lambda, n));
  add(timesTransposed(A, nu, n));
  let scaled = largest(gradient.map((x, j) => x / (1 + relative * size[j]!)));

  const Gz = times(G, z, n);
  const rows = Gz.map((x, i) => x + slack[i]! - h[i]!);
  const Az = times(A, z, n);
  const equalities = Az.map((x, k) => x - b[k]!);
  const rowUnit = (M: Float64Array, i: number) => {
    const norm = largest(M.subarray(i * n, (i + 1) * n));
    return Math.min(1, norm > 0 ? norm : 1);
  };
  rows.forEach((x, i) => {
    scaled = Math.max(
      scaled,
      Math.abs(x) / (rowUnit(G, i) + relative * Math.max(Math.abs(h[i]!), slack[i]!)),
    );
  });
  equalities.forEach((x, k) => {
    scaled = Math.max(scaled, Math.abs(x) / (rowUnit(A, k) + relative * Math.abs(b[k]!)));
  });
  let [gap, gapSize, least] = [0, 0, Infinity];
  for (let i = 0; i < m; i++) {
    gap += (lambda[i]! * slack[i]!) / m;
    gapSize += (Math.abs(h[i]!) * lambda[i]!) / m;
    least = Math.min(least, lambda[i]!, slack[i]!);
  }
  scaled = Math.max(scaled, gap / (1 + relative * gapSize));
  return {
    stationarity: largest(gradient),
    equality: q > 0 ? largest(equalities) : 0,
    inequality: m > 0 ? largest(rows) : 0,
    least,
    gap,
    scaled,
  };
}

/** Mv for M of n columns. */
export function times(M: ArrayLike<number>, v: ArrayLike<number>, n: number): Float64Array {
  const product = new Float64Array(M.length / n);
  for (let i = 0; i < product.length; i++) {
    let sum = 0;
    for (let j = 0; j < n; j++) sum += M[i * n + j]! * v[j]!;
    product[i] = sum;
  }
  return product;
}

/** Mᵀv for M of n columns. */
export function timesTransposed(M: ArrayLike<number>, v: ArrayLike<number>, n: number): Float64Array {
  const product = new Float64Array(n);
  for (let i = 0; i < M.length / n; i++) {
    for (let j = 0; j < n; j++) product[j]! += M[i * n + j]! * v[i]!;
  }
  return product;
}

// Looked up once: in jest's realms every use of a global is slow.
const { abs } = Math;

/** The largest magnitude; NaN if any element is. */
export function largest(values: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) {
    const size = abs(values[i]!);
    if (!(size <= most)) most = size;
    if (most !== most) return NaN;
  }
  return most;
}
