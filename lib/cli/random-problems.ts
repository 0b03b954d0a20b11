// Random problems, for times.
import type { Tensor } from '../index.js';
import { tensor } from '../tensor.js';

/** The sizes of a batch: of each problem n variables, m inequalities and q equalities. */
export interface Sizes {
  readonly n: number;
  readonly m: number;
  readonly q: number;
  readonly batch: number;
}

/** Every problem has data of its own: Q [batch, n, n], p [batch, n], and so on. A and b are absent when q = 0. */
export interface RandomProblems {
  readonly Q: Tensor<'float64'>;
  readonly p: Tensor<'float64'>;
  readonly G: Tensor<'float64'>;
  readonly h: Tensor<'float64'>;
  readonly A?: Tensor<'float64'>;
  readonly b?: Tensor<'float64'>;
}

/**
 * Problems as the paper's code draws them to measure times: Q = LLᵀ + 1e-3·I with all entries of L uniform in [0, 1); p, G, A
 * and z₀ normal; h = Gz₀ + s₀ with s₀ uniform in [0, 1), and b = Az₀, so that z₀ satisfies all constraints. The same
 * each time.
 */
export function drawProblems({ n, m, q, batch }: Sizes): RandomProblems {
  const random = generator(n + 1000 * m);
  const draw = (length: number) => Float64Array.from({ length }, () => normal(random));
  const Q = new Float64Array(batch * n * n);
  for (let k = 0; k < batch; k++) Q.set(drawCost(n, random), k * n * n);
  const [G, A, z0] = [draw(batch * m * n), draw(batch * q * n), draw(batch * n)];
  const h = products(G, z0, m, n, batch).map((value) => value + random());
  const equalities = q > 0 && {
    A: tensor(A, [batch, q, n]),
    b: tensor(products(A, z0, q, n, batch), [batch, q]),
  };
  return {
    Q: tensor(Q, [batch, n, n]),
    p: tensor(draw(batch * n), [batch, n]),
    G: tensor(G, [batch, m, n]),
    h: tensor(h, [batch, m]),
    ...equalities,
  };
}

/** Mulberry32: numbers in [0, 1), good enough for problems whose answers are checked. */
function generator(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Of the standard normal distribution, by Box and Muller's transform. */
const normal = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

function drawCost(n: number, random: () => number): Float64Array {
  const L = Float64Array.from({ length: n * n }, random);
  const Q = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = i === j ? 1e-3 : 0;
      for (let k = 0; k < n; k++) sum += L[i * n + k]! * L[j * n + k]!;
      Q[i * n + j] = Q[j * n + i] = sum;
    }
  }
  return Q;
}

/** Mx of each problem, M [rows, columns]. */
export function products(
  M: Float64Array,
  x: Float64Array,
  rows: number,
  columns: number,
  batch: number,
): Float64Array {
  const result = new Float64Array(batch * rows);
  for (let i = 0; i < result.length; i++) {
    const start = Math.floor(i / rows) * columns;
    for (let j = 0; j < columns; j++) result[i]! += M[i * columns + j]! * x[start + j]!;
  }
  return result;
}
