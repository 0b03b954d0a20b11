import { qpLayer, type QpLayerData } from 'optnet/tfjs';

import { dense, Parameters, product, tf } from '../tensorflow.js';
import { GREATEST_HEIGHT, LEAST_HEIGHT, NOISE } from './signals.js';
import { rounded, type Denoiser } from './task.js';
import {
  blockDiagonal,
  constraintMatrix,
  differenceMatrix,
  EPSILON,
  inequalitiesFor,
  variablesFor,
  type LayerOptions,
} from './total-variation.js';

type Name = 'L' | 'G' | 'z0' | 's0' | 'W' | 'c';

/**
 * Where L's diagonal starts for u. Zero, which total variation has there, would stay zero: the gradient of LLᵀ in a
 * column of L is a multiple of that column.
 */
const TAIL = 1e-2;

/**
 * The layer works on (x − CENTRE) / UNIT, with the middle of the heights and the noise as its centre and unit. Total
 * variation is the same there. To learn is easier: a step of Adam moves all entries of W and G by about as much, and
 * they would all be multiplied by the mean of the signals.
 */
const CENTRE = (LEAST_HEIGHT + GREATEST_HEIGHT) / 2;
const UNIT = NOISE;

/**
 * The layer of section 3.2, in which everything is learned, started as total-variation denoising with λ: z is the
 * first part of the solution v of
 *
 *     minimise ½vᵀ(LLᵀ + εI)v + (xW + c)ᵀv   subject to   Gv ≤ Gz₀ + s₀
 *
 * with L lower triangular. z₀ is feasible as long as s₀ ≥ 0, whatever G is.
 */
export class FineTuned implements Denoiser {
  readonly parameters: Parameters<Name>;
  readonly solves = true;
  readonly #length: number;
  readonly #layer: (data: QpLayerData) => tf.Tensor2D;
  readonly #lower: tf.Tensor2D;
  readonly #epsilon: tf.Tensor2D;

  constructor(length: number, lambda: number, options: LayerOptions) {
    const n = variablesFor(length);
    this.#length = length;
    this.#layer = qpLayer(tf, options);
    this.#lower = tf.tidy(() => tf.linalg.bandPart(tf.ones<tf.Rank.R2>([n, n]), -1, 0));
    this.#epsilon = tf.tidy(() => tf.mul(EPSILON, tf.eye(n)));
    this.parameters = new Parameters(variationParameters(length, lambda / UNIT));
  }

  denoise(x: tf.Tensor2D): tf.Tensor2D {
    const { L, G, z0, s0, W, c } = this.parameters.tensors;
    const lower = tf.mul<tf.Tensor2D>(L, this.#lower);
    const Q = tf.add(product(lower, tf.transpose(lower)), this.#epsilon);
    const h = tf.add(tf.squeeze(product(G as tf.Tensor2D, z0 as tf.Tensor2D)), s0);
    const solution = this.#layer({ Q, p: dense(tf.div(tf.sub(x, CENTRE), UNIT), W, c), G, h });
    const z = tf.slice2d(solution, [0, 0], [x.shape[0], this.#length]);
    return tf.add(tf.mul(z, UNIT), CENTRE);
  }

  /** What stands in place of differences: the upper left block of G. */
  show(): { D: number[][] } {
    const { G } = this.parameters.values();
    const n = variablesFor(this.#length);
    return {
      D: Array.from({ length: this.#length - 1 }, (_, i) =>
        Array.from(G.subarray(i * n, i * n + this.#length), rounded),
      ),
    };
  }
}

/** Total variation with λ: z₀ = (0, 1) and s₀ = 1 make h = Gz₀ + s₀ = 0. */
function variationParameters(
  length: number,
  lambda: number,
): Record<Name, { shape: number[]; data: Float32Array }> {
  const n = variablesFor(length);
  const m = inequalitiesFor(length);
  const { shape, data } = differenceMatrix(length);
  // A copy, as a backend may take its memory back with the tensor.
  const G = tf.tidy(() => constraintMatrix(tf.tensor2d(data, shape)).dataSync<'float32'>().slice());
  const tail = (value: number) => (_: unknown, i: number) => (i < length ? 0 : value);
  const W = blockDiagonal(length, 0).data.subarray(0, length * n);
  return {
    L: blockDiagonal(length, TAIL),
    G: { shape: [m, n], data: G },
    z0: { shape: [n, 1], data: Float32Array.from({ length: n }, tail(1)) },
    s0: { shape: [m], data: new Float32Array(m).fill(1) },
    W: { shape: [length, n], data: W.map((value) => -value) },
    c: { shape: [n], data: Float32Array.from({ length: n }, tail(lambda)) },
  };
}
