// Problems of every form, one at a time, and the rules that a solution, or a proof that there is none, must keep: written
// out from the data, independently of the solver.
import { tensor } from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';

import { largest, times, timesTransposed } from './kkt.js';

/** Data that a problem may have, each of which has a gradient. */
export const data = ['Q', 'p', 'G', 'h', 'A', 'b', 'gl', 'lb', 'ub'] as const;
export type Datum = (typeof data)[number];

/** Parts of a solution that an upstream gradient can be given for. */
export const parts = ['z', 'lambda', 'nu', 'lambdaGl', 'lambdaLb', 'lambdaUb'] as const;
export type Part = (typeof parts)[number];

/**
 * minimise ½zᵀQz + pᵀz subject to gl ≤ Gz ≤ h, Az = b, lb ≤ z ≤ ub; matrices row-major. What is undefined is absent; G and
 * A without rows are empty.
 */
export interface OneProblem {
  n: number;
  m: number;
  q: number;
  Q: Float64Array | undefined;
  p: Float64Array;
  G: Float64Array;
  h: Float64Array | undefined;
  gl: Float64Array | undefined;
  A: Float64Array;
  b: Float64Array;
  lb: Float64Array | undefined;
  ub: Float64Array | undefined;
}

/** z and multipliers; those of what is absent have length 0, or are 0. */
export type Point = Record<Part, Float64Array>;

export interface Sizes {
  n: number;
  m: number;
  q: number;
}

export const widthOf = (part: Part, { n, m, q }: Sizes): number =>
  ({ z: n, lambda: m, nu: q, lambdaGl: m, lambdaLb: n, lambdaUb: n })[part];

export const shapeOf = (name: Datum, { n, m, q }: Sizes): number[] =>
  ({ Q: [n, n], p: [n], G: [m, n], h: [m], A: [q, n], b: [q], gl: [m], lb: [n], ub: [n] })[name];

/** Whether the problem has this datum: matrices without rows count as absent. */
export const has = (problem: OneProblem, name: Datum): boolean =>
  problem[name] !== undefined && problem[name].length > 0;

/** Whether problems of this form have this part of a solution. */
export function hasPart(problem: OneProblem, part: Part): boolean {
  const datum = { z: 'p', lambda: 'h', nu: 'b', lambdaGl: 'gl', lambdaLb: 'lb', lambdaUb: 'ub' } as const;
  return has(problem, datum[part]);
}

export const product = (shape: readonly number[]): number => shape.reduce((count, size) => count * size, 1);

/** A batch that can be solved. */
export type Tensors = Partial<Record<Datum, Tensor<'float64'>>> & { p: Tensor<'float64'> };

/**
 * The batch of these problems, which have the same form, as a problem that can be solved. Of the data named in `shared`,
 * the first problem's serve all.
 */
export function batchOf(problems: readonly OneProblem[], shared: readonly Datum[] = []): Tensors {
  const first = problems[0]!;
  const entries = data
    .filter((name) => has(first, name))
    .map((name) => {
      const shape = shapeOf(name, first);
      if (shared.includes(name)) return [name, tensor(first[name]!.slice(), shape)];
      const size = product(shape);
      const all = new Float64Array(problems.length * size);
      problems.forEach((problem, k) => all.set(problem[name]!, k * size));
      return [name, tensor(all, [problems.length, ...shape])];
    });
  return Object.fromEntries(entries) as Tensors;
}

/** Problem k's part of a result, [batch, …]. */
export function rowOf(result: { readonly data: Float64Array }, batch: number, k: number): Float64Array {
  const size = result.data.length / batch;
  return result.data.slice(k * size, (k + 1) * size);
}

type Results = Record<Part, { readonly data: Float64Array }> & { readonly objective: Float64Array };

/** Problem k's solution. */
export function pointOf(solution: Results, k: number): Point {
  const batch = solution.objective.length;
  const entries = parts.map((part) => [part, rowOf(solution[part], batch, k)]);
  return Object.fromEntries(entries) as Point;
}

/** One finite side of a two-sided constraint: sign · (row · z − bound) ≤ 0. */
export interface Side {
  datum: 'h' | 'gl' | 'lb' | 'ub';
  /** Of its row in G, or of its variable. */
  index: number;
  sign: 1 | -1;
  bound: number;
}

export const multiplierOf = { h: 'lambda', gl: 'lambdaGl', lb: 'lambdaLb', ub: 'lambdaUb' } as const;

/** The sides that bound anything. */
export function sidesOf(problem: OneProblem): Side[] {
  const sides: Side[] = [];
  for (const [datum, sign] of [
    ['h', 1],
    ['gl', -1],
    ['lb', -1],
    ['ub', 1],
  ] as const) {
    problem[datum]?.forEach((bound, index) => {
      if (Math.abs(bound) < Infinity) sides.push({ datum, index, sign, bound });
    });
  }
  return sides;
}

/** How far z is inside, from the rows' values Gz. */
export function slackOf({ datum, index, sign, bound }: Side, z: Float64Array, Gz: Float64Array): number {
  return sign * (bound - (datum === 'h' || datum === 'gl' ? Gz : z)[index]!);
}

/** Gᵀ(λ − λ_gl) + Aᵀν − λ_lb + λ_ub, and the largest of its terms, variable by variable. */
function normals(problem: OneProblem, point: Point) {
  const { n, G, A } = problem;
  const minus = (a: Float64Array, b: Float64Array) =>
    Float64Array.from({ length: Math.max(a.length, b.length) }, (_, i) => (a[i] ?? 0) - (b[i] ?? 0));
  const terms = [
    ...(G.length > 0 ? [timesTransposed(G, minus(point.lambda, point.lambdaGl), n)] : []),
    ...(A.length > 0 ? [timesTransposed(A, point.nu, n)] : []),
    minus(point.lambdaUb, point.lambdaLb),
  ].filter(({ length }) => length > 0);
  return terms;
}

export interface ScaledResiduals {
  /** The largest violation of a constraint. */
  primal: number;
  /** The largest entry of Qz + p + Gᵀ(λ − λ_gl) + Aᵀν − λ_lb + λ_ub. */
  dual: number;
  /** The mean of multiplier × slack over all sides. */
  gap: number;
  /** The most that a multiplier is below 0; not scaled. */
  sign: number;
}

/** The weight of the relative part of the tolerance. */
const relative = 0.1;

/**
 * What the tolerance bounds: each residual over its unit + 0.1 × the size of what it is the difference of. Units are
 * min(1, the row's largest entry) for a row of G or A, 1 for a bound, a variable's entry of the gradient, and the gap.
 */
export function scaledResiduals(problem: OneProblem, point: Point): ScaledResiduals {
  const { n, Q, p, G, A, b } = problem;
  const { z } = point;
  const terms = [p, ...(Q === undefined ? [] : [times(Q, z, n)]), ...normals(problem, point)];
  let dual = 0;
  for (let j = 0; j < n; j++) {
    let [sum, size] = [0, 0];
    for (const term of terms) {
      sum += term[j]!;
      size = worse(size, Math.abs(term[j]!));
    }
    dual = worse(dual, Math.abs(sum) / (1 + relative * size));
  }

  const unit = (M: Float64Array, i: number) => {
    const norm = largest(M.subarray(i * n, (i + 1) * n));
    return Math.min(1, norm > 0 ? norm : 1);
  };
  const Gz = times(G, z, n);
  let [primal, gap, gapSize, sign] = [0, 0, 0, 0];
  const sides = sidesOf(problem);
  for (const side of sides) {
    const slack = slackOf(side, z, Gz);
    const multiplier = point[multiplierOf[side.datum]][side.index]!;
    const rowUnit = side.datum === 'h' || side.datum === 'gl' ? unit(G, side.index) : 1;
    primal = worse(primal, worse(0, -slack) / (rowUnit + relative * Math.abs(side.bound)));
    gap += (multiplier * worse(0, slack)) / sides.length;
    gapSize += (Math.abs(side.bound) * multiplier) / sides.length;
    sign = worse(sign, -multiplier);
  }
  times(A, z, n).forEach((x, k) => {
    primal = worse(primal, Math.abs(x - b[k]!) / (unit(A, k) + relative * Math.abs(b[k]!)));
  });
  return { primal, dual, gap: gap / (1 + relative * gapSize), sign };
}

/** The larger; NaN if either is. */
const worse = (a: number, b: number): number => (a >= b ? a : b > a ? b : NaN);

export interface CertificateErrors {
  /** How far the certificate is from proving it, relative to the sizes of what is multiplied. */
  residual: number;
  /** The most that a sign is wrong: of a multiplier, absolute. */
  sign: number;
  /** How far from −1 the value is, relative to the sizes of its terms. */
  value: number;
}

/**
 * Of a proof that no z satisfies the constraints: multipliers ≥ 0 with Gᵀ(λ − λ_gl) + Aᵀν − λ_lb + λ_ub = 0 and
 * hᵀλ − glᵀλ_gl + bᵀν − lbᵀλ_lb + ubᵀλ_ub = −1. A side without a finite bound has no multiplier.
 */
export function primalCertificateErrors(
  problem: OneProblem,
  certificate: Omit<Point, 'z'>,
): CertificateErrors {
  const { n, m, q, G, A, b } = problem;
  const point = { ...certificate, z: new Float64Array(n) };
  const scale = Math.max(...parts.map((part) => largest(point[part])));
  const terms = normals(problem, point);
  let residual = 0;
  for (let j = 0; j < n; j++) {
    let [sum, norm] = [0, 0];
    for (const term of terms) sum += term[j]!;
    for (let i = 0; i < m; i++) norm = worse(norm, Math.abs(G[i * n + j]!));
    for (let k = 0; k < q; k++) norm = worse(norm, Math.abs(A[k * n + j]!));
    if (problem.lb !== undefined || problem.ub !== undefined) norm = worse(norm, 1);
    residual = worse(residual, Math.abs(sum) / (norm > 0 ? norm * scale : 1));
  }
  let [value, size, sign] = [0, 0, 0];
  const add = (term: number) => {
    value += term;
    size = worse(size, Math.abs(term));
  };
  for (const datum of ['h', 'gl', 'lb', 'ub'] as const) {
    const signOf = datum === 'h' || datum === 'ub' ? 1 : -1;
    problem[datum]?.forEach((bound, i) => {
      const multiplier = certificate[multiplierOf[datum]][i]!;
      sign = worse(sign, -multiplier);
      if (Math.abs(bound) < Infinity) add(signOf * bound * multiplier);
      else sign = worse(sign, Math.abs(multiplier));
    });
  }
  if (problem.h === undefined) sign = worse(sign, largest(certificate.lambda));
  b.forEach((x, k) => add(x * certificate.nu[k]!));
  return { residual, sign, value: Math.abs(value + 1) / worse(1, size) };
}

/**
 * Of a proof that the objective has no lower bound: a direction d with pᵀd = −1, Qd = 0, Ad = 0, Gd ≤ 0 where h is finite,
 * Gd ≥ 0 where gl is, d ≥ 0 where lb is, d ≤ 0 where ub is.
 */
export function dualCertificateErrors(problem: OneProblem, direction: Float64Array): CertificateErrors {
  const { n, Q, p, G, A } = problem;
  const scale = largest(direction);
  let residual = 0;
  const row = (M: Float64Array, i: number, error: number) => {
    const norm = largest(M.subarray(i * n, (i + 1) * n));
    residual = worse(residual, error / (norm > 0 ? norm * scale : 1));
  };
  if (Q !== undefined) times(Q, direction, n).forEach((x, i) => row(Q, i, Math.abs(x)));
  times(A, direction, n).forEach((x, k) => row(A, k, Math.abs(x)));
  const Gd = times(G, direction, n);
  for (const { datum, index, sign } of sidesOf(problem)) {
    if (datum === 'h' || datum === 'gl') row(G, index, worse(0, sign * Gd[index]!));
    else residual = worse(residual, worse(0, sign * direction[index]!) / scale);
  }
  let [value, size] = [0, 0];
  p.forEach((x, j) => {
    value += x * direction[j]!;
    size = worse(size, Math.abs(x * direction[j]!));
  });
  return { residual, sign: 0, value: Math.abs(value + 1) / worse(1, size) };
}

/** ½ zᵀQz + pᵀz */
export function objectiveOf({ n, Q, p }: OneProblem, z: Float64Array): number {
  const Qz = Q === undefined ? new Float64Array(n) : times(Q, z, n);
  return z.reduce((sum, x, j) => sum + x * (0.5 * Qz[j]! + p[j]!), 0);
}
