import type { Random } from '../random.js';
import { dense, denseInitial, Parameters, tf } from '../tensorflow.js';
import type { Denoiser } from './task.js';

/** length → hidden → length with ReLU between. Knows nothing of constant pieces. */
export class FullyConnected implements Denoiser {
  readonly parameters: Parameters<'W1' | 'b1' | 'W2' | 'b2'>;
  readonly solves = false;

  constructor(length: number, hidden: number, random: Random) {
    const first = denseInitial(random, length, hidden);
    const second = denseInitial(random, hidden, length);
    this.parameters = new Parameters({
      W1: first.weights,
      b1: first.bias,
      W2: second.weights,
      b2: second.bias,
    });
  }

  denoise(x: tf.Tensor2D): tf.Tensor2D {
    const { W1, b1, W2, b2 } = this.parameters.tensors;
    return dense(tf.relu(dense(x, W1, b1)), W2, b2);
  }
}
