import { tensor, type Tensor } from 'optnet';

import type { Random } from './random.js';

/** A batch of quadratic programs: Q [batch, n, n], p [batch, n], G [batch, m, n], h [batch, m]. */
export interface Problems {
  batch: number;
  n: number;
  m: number;
  Q: Tensor<'float64'>;
  p: Tensor<'float64'>;
  G: Tensor<'float64'>;
  h: Tensor<'float64'>;
}

export interface ProblemSizes {
  batch: number;
  n: number;
  m: number;
  /** Only so many are drawn, and repeated until there is a batch of them. */
  distinct?: number;
}

/**
 * Problems as the paper's code draws them to measure times: Q = LLᵀ + 1e-3·I with all entries of L uniform in [0, 1);
 * p, G and z₀ normal; h = Gz₀ + s₀ with s₀ uniform in [0, 1), so that z₀ satisfies all inequalities.
 */
export function drawProblems({ batch, n, m, distinct = batch }: ProblemSizes, random: Random): Problems {
  const Q = new Float64Array(batch * n * n);
  const p = new Float64Array(batch * n);
  const G = new Float64Array(batch * m * n);
  const h = new Float64Array(batch * m);
  for (let k = 0; k < Math.min(batch, distinct); k++) {
    Q.set(drawCost(n, random), k * n * n);
    const rows = drawNormal(m * n, random);
    const z0 = drawNormal(n, random);
    p.set(drawNormal(n, random), k * n);
    G.set(rows, k * m * n);
    for (let i = 0; i < m; i++) h[k * m + i] = dot(rows, i * n, z0, 0, n) + random.uniform();
  }
  if (distinct < batch) for (const data of [Q, p, G, h]) repeat(data, (data.length / batch) * distinct);
  return {
    batch,
    n,
    m,
    Q: tensor(Q, [batch, n, n]),
    p: tensor(p, [batch, n]),
    G: tensor(G, [batch, m, n]),
    h: tensor(h, [batch, m]),
  };
}

/** The first `count` problems of a batch; their data are not copied. */
export function firstProblems(problems: Problems, count: number): Problems {
  const first = ({ shape, data }: Tensor<'float64'>): Tensor<'float64'> =>
    tensor(data.subarray(0, (data.length / shape[0]!) * count), [count, ...shape.slice(1)]);
  const { Q, p, G, h } = problems;
  return { ...problems, batch: count, Q: first(Q), p: first(p), G: first(G), h: first(h) };
}

/** Datum `name` of problem k, row-major; not a copy. */
export function datumAt(problems: Problems, name: 'Q' | 'p' | 'G' | 'h', k: number): Float64Array {
  const { data } = problems[name];
  const size = data.length / problems.batch;
  return data.subarray(k * size, (k + 1) * size);
}

export function dot(
  a: Float64Array,
  aStart: number,
  b: Float64Array,
  bStart: number,
  length: number,
): number {
  let sum = 0;
  for (let i = 0; i < length; i++) sum += a[aStart + i]! * b[bStart + i]!;
  return sum;
}

export const drawNormal = (length: number, random: Random): Float64Array =>
  Float64Array.from({ length }, () => random.normal());

function drawCost(n: number, random: Random): Float64Array {
  const L = Float64Array.from({ length: n * n }, () => random.uniform());
  const Q = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      const value = dot(L, i * n, L, j * n, n) + (i === j ? 1e-3 : 0);
      Q[i * n + j] = value;
      Q[j * n + i] = value;
    }
  }
  return Q;
}

/** Fills `data` with copies of its first `length` elements. */
function repeat(data: Float64Array, length: number): void {
  for (let start = length; start < data.length; start += length) {
    data.set(data.subarray(0, Math.min(length, data.length - start)), start);
  }
}
