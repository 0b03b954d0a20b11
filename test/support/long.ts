import { tensor } from '../../lib/index.js';

import { randomProblem } from './problems.js';
import type { TensorProblem } from './problems.js';

const sizes = { n: 300, m: 300, q: 0 };

/**
 * A batch that takes a thread of the CPU long (some milliseconds a problem), with little to copy: its matrices
 * are shared.
 */
export function longProblem(batch: number): Pick<TensorProblem, 'Q' | 'p' | 'G' | 'h'> {
  const { Q, p, G, h } = randomProblem({ batch: 64, ...sizes }, 7, true);
  const repeat = (data: Float64Array, width: number) => {
    const repeated = new Float64Array(batch * width);
    for (let i = 0; i < repeated.length; i++) repeated[i] = data[i % data.length]!;
    return tensor(repeated, [batch, width]);
  };
  return { Q, p: repeat(p.data, sizes.n), G, h: repeat(h.data, sizes.m) };
}
