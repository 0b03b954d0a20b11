// Random problems: those of the paper, and those whose solution is known because it was drawn first.
import { tensor } from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';

import { times, timesTransposed } from './kkt.js';
import type { Sizes, TensorProblem } from './problems.js';
import { normal, uniform } from './random.js';

/**
 * Problems as the paper's code draws them: Q = LLᵀ + 1e-3·I with L uniform, p, G and A normal, h = Gz₀ + s₀ and b = Az₀
 * with z₀ normal and s₀ uniform, so that every problem is feasible.
 */
export function paperProblem({ batch, n, m, q }: Sizes, seed: number): TensorProblem {
  const random = uniform(seed);
  const gauss = normal(random);
  const problem = allocateProblem({ batch, n, m, q });
  for (let k = 0; k < batch; k++) {
    const part = partOf(problem, k);
    const L = Float64Array.from({ length: n * n }, random);
    part.Q.set(gram(L, n, 1e-3));
    fill(part.p, gauss);
    fill(part.G, gauss);
    fill(part.A, gauss);
    const z0 = Float64Array.from({ length: n }, gauss);
    part.h.set(times(part.G, z0, n).map((x) => x + random()));
    part.b.set(times(part.A, z0, n));
  }
  return problem;
}

export interface KnownProblem {
  problem: TensorProblem;
  z: Float64Array;
  lambda: Float64Array;
  nu: Float64Array;
  slack: Float64Array;
}

/**
 * Well-conditioned problems of which the solution is known: drawn first, with about half of the rows that fit active,
 * and every multiplier of an active row and every slack of another between 0.5 and 1.5.
 */
export function knownProblem({ batch, n, m, q }: Sizes, seed: number): KnownProblem {
  const random = uniform(seed);
  const gauss = normal(random);
  const problem = allocateProblem({ batch, n, m, q });
  const known = {
    problem,
    z: new Float64Array(batch * n),
    lambda: new Float64Array(batch * m),
    nu: new Float64Array(batch * q),
    slack: new Float64Array(batch * m),
  };
  const active = Math.min(m, Math.ceil((n - q) / 2));
  for (let k = 0; k < batch; k++) {
    const part = partOf(problem, k);
    const z = known.z.subarray(k * n, (k + 1) * n);
    const lambda = known.lambda.subarray(k * m, (k + 1) * m);
    const nu = known.nu.subarray(k * q, (k + 1) * q);
    const slack = known.slack.subarray(k * m, (k + 1) * m);
    part.Q.set(
      gram(
        Float64Array.from({ length: n * n }, () => gauss() / Math.sqrt(n)),
        n,
        1,
      ),
    );
    fillRows(part.G, n, gauss);
    fillRows(part.A, n, gauss);
    for (let k = 0; k < q; k++) part.A[k * n + k]! += 2; // far from dependent, also when there are n of them
    fill(z, gauss);
    fill(nu, gauss);
    const first = Math.floor(random() * m);
    for (let i = 0; i < m; i++) {
      const row = (first + i) % m;
      (i < active ? lambda : slack)[row] = 0.5 + random();
    }
    const [Qz, Gl, An] = [
      times(part.Q, z, n),
      timesTransposed(part.G, lambda, n),
      timesTransposed(part.A, nu, n),
    ];
    part.p.set(Qz.map((x, j) => -x - Gl[j]! - An[j]!));
    part.h.set(times(part.G, z, n).map((x, i) => x + slack[i]!));
    part.b.set(times(part.A, z, n));
  }
  return known;
}

/** The problem without the constraints that it has no rows of. */
export function given(problem: TensorProblem): Partial<TensorProblem> & Pick<TensorProblem, 'Q' | 'p'> {
  const { Q, p, G, h, A, b } = problem;
  const inequalities = h.data.length > 0 ? { G, h } : {};
  const equalities = b.data.length > 0 ? { A, b } : {};
  return { Q, p, ...inequalities, ...equalities };
}

/** Some problems of a batch whose data are all given per problem, in the order of `indices`. */
export function pick(problem: TensorProblem, indices: readonly number[]): TensorProblem {
  const entries = datumEntries(problem).map(([name, { shape, data }]) => {
    const size = shape.slice(1).reduce((product, length) => product * length, 1);
    const picked = new Float64Array(indices.length * size);
    indices.forEach((index, i) => picked.set(data.subarray(index * size, (index + 1) * size), i * size));
    return [name, tensor(picked, [indices.length, ...shape.slice(1)])];
  });
  return Object.fromEntries(entries) as TensorProblem;
}

function datumEntries(problem: TensorProblem) {
  return Object.entries(problem) as [keyof TensorProblem, Tensor<'float64'>][];
}

function allocateProblem({ batch, n, m, q }: Sizes): TensorProblem {
  const zeros = (...shape: number[]) =>
    tensor(new Float64Array(shape.reduce((product, size) => product * size, 1)), shape);
  return {
    Q: zeros(batch, n, n),
    p: zeros(batch, n),
    G: zeros(batch, m, n),
    h: zeros(batch, m),
    A: zeros(batch, q, n),
    b: zeros(batch, q),
  };
}

function partOf(problem: TensorProblem, k: number): Record<keyof TensorProblem, Float64Array> {
  const entries = datumEntries(problem).map(([name, { shape, data }]) => {
    const size = shape.slice(1).reduce((product, length) => product * length, 1);
    return [name, data.subarray(k * size, (k + 1) * size)];
  });
  return Object.fromEntries(entries) as Record<keyof TensorProblem, Float64Array>;
}

function fill(data: Float64Array, draw: () => number): void {
  for (let i = 0; i < data.length; i++) data[i] = draw();
}

/** Rows of length 1 in random directions. */
function fillRows(data: Float64Array, n: number, gauss: () => number): void {
  fill(data, gauss);
  for (let start = 0; start < data.length; start += n) {
    const norm = Math.hypot(...data.subarray(start, start + n));
    for (let j = 0; j < n; j++) data[start + j]! /= norm;
  }
}

/** LLᵀ + shift·I */
function gram(L: Float64Array, n: number, shift: number): Float64Array {
  const Q = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = i === j ? shift : 0;
      for (let k = 0; k < n; k++) sum += L[i * n + k]! * L[j * n + k]!;
      Q[i * n + j] = Q[j * n + i] = sum;
    }
  }
  return Q;
}
