import type { Random } from '../random.js';
import { Parameters, tf } from '../tensorflow.js';
import { rounded, type Denoiser } from './task.js';
import { variationLayer, type LayerOptions } from './total-variation.js';

const LAMBDA = 13;
/** Standard deviation of what D starts with. */
const SPREAD = 0.3;

/** The quadratic program of total variation with λ = 13, whose D [n − 1, n] is learned from random numbers. */
export class LearnedDifferences implements Denoiser {
  readonly parameters: Parameters<'D'>;
  readonly solves = true;
  readonly #layer: ReturnType<typeof variationLayer>;
  readonly #weight: number;

  /** `weight` is that of ‖D‖₁ in the loss. */
  constructor(length: number, weight: number, random: Random, options: LayerOptions) {
    const data = Float32Array.from({ length: (length - 1) * length }, () => SPREAD * random.normal());
    this.parameters = new Parameters({ D: { shape: [length - 1, length], data } });
    this.#layer = variationLayer(length, LAMBDA, options);
    this.#weight = weight;
  }

  denoise(x: tf.Tensor2D): tf.Tensor2D {
    return this.#layer(this.parameters.tensors.D as tf.Tensor2D, x);
  }

  penalty(): tf.Scalar {
    return tf.mul(this.#weight, tf.sum(tf.abs(this.parameters.tensors.D)));
  }

  show(): { D: number[][] } {
    return { D: (this.parameters.tensors.D.arraySync() as number[][]).map((row) => row.map(rounded)) };
  }
}
