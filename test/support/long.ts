import { qpSolveBatchSync, tensor } from '../../lib/index.js';

import { randomProblem } from './problems.js';
import type { TensorProblem } from './problems.js';

const sizes = { n: 150, m: 150, q: 0 };

let perSecond: number | undefined;

/** A batch that takes the CPU about this long to solve here, with little to copy: its matrices are shared. */
export function longProblem(seconds: number): Pick<TensorProblem, 'Q' | 'p' | 'G' | 'h'> {
  perSecond ??= measure();
  return withBatch(Math.max(64, Math.ceil(perSecond * seconds)));
}

function measure(): number {
  for (let batch = 64; ; batch *= 4) {
    const sample = withBatch(batch);
    const start = performance.now();
    qpSolveBatchSync(sample, { device: 'cpu', differentiable: false }).dispose();
    const elapsed = (performance.now() - start) / 1000;
    if (elapsed > 0.25) return batch / elapsed;
  }
}

function withBatch(batch: number) {
  const { Q, p, G, h } = randomProblem({ batch: 64, ...sizes }, 7, true);
  const repeat = (data: Float64Array, width: number) => {
    const repeated = new Float64Array(batch * width);
    for (let i = 0; i < repeated.length; i++) repeated[i] = data[i % data.length]!;
    return tensor(repeated, [batch, width]);
  };
  return { Q, p: repeat(p.data, sizes.n), G, h: repeat(h.data, sizes.m) };
}
