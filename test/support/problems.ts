import { tensor } from '../../lib/index.js';
import type { Tensor } from '../../lib/index.js';

import { normal, uniform } from './random.js';

export interface Sizes {
  batch: number;
  n: number;
  m: number;
  q: number;
}

export interface TensorProblem {
  Q: Tensor<'float64'>;
  p: Tensor<'float64'>;
  G: Tensor<'float64'>;
  h: Tensor<'float64'>;
  A: Tensor<'float64'>;
  b: Tensor<'float64'>;
}

/**
 * Feasible problems with per-problem data: Q = I + LLᵀ/n, and slack and equalities that a random point satisfies.
 * `shared` gives Q, G and A once for the batch.
 */
export function randomProblem({ batch, n, m, q }: Sizes, seed: number, shared = false): TensorProblem {
  const gauss = normal(uniform(seed));
  const fill = (shape: number[]) => {
    const data = new Float64Array(shape.reduce((product, size) => product * size, 1));
    for (let i = 0; i < data.length; i++) data[i] = gauss();
    return tensor(data, shape);
  };
  const matrices = shared ? 1 : batch;
  const factor = fill([matrices, n, n]).data;
  const Q = new Float64Array(matrices * n * n);
  for (let k = 0; k < matrices; k++) {
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = i === j ? 1 : 0;
        for (let l = 0; l < n; l++) sum += (factor[(k * n + i) * n + l]! * factor[(k * n + j) * n + l]!) / n;
        Q[(k * n + i) * n + j] = Q[(k * n + j) * n + i] = sum;
      }
    }
  }
  const lead = shared ? [] : [batch];
  const p = fill([batch, n]);
  const G = fill([...lead, m, n]);
  const A = fill([...lead, q, n]);
  const point = fill([n]).data;
  const rows = (matrix: Float64Array, count: number, slack: number) => {
    const data = new Float64Array(batch * count);
    for (let i = 0; i < data.length; i++) {
      const row = shared ? i % count : i;
      data[i] = slack;
      for (let j = 0; j < n; j++) data[i]! += matrix[row * n + j]! * point[j]!;
    }
    return tensor(data, [batch, count]);
  };
  return { Q: tensor(Q, [...lead, n, n]), p, G, h: rows(G.data, m, 0.5), A, b: rows(A.data, q, 0) };
}
