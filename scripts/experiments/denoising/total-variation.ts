import { qpLayer, type QpLayerOptions } from 'optnet/tfjs';

import { tf } from '../tensorflow.js';

/** Row-major, as tensors of either kind are made from. */
export interface Matrix {
  shape: [number, number];
  data: Float32Array;
}

export type LayerOptions = Omit<QpLayerOptions, 'multipliers'>;

/** Keeps Q positive definite: u has no quadratic cost of its own. */
export const EPSILON = 1e-4;

/**
 * Sizes of the quadratic program for total-variation denoising of signals x of length n (section 4.2):
 *
 *     minimise ½‖z − x‖² + λ Σu   subject to   −u ≤ Dz ≤ u
 *
 * with variables (z, u) [2n − 1], where D [n − 1, n] takes differences of neighbours, so that u = |Dz|.
 */
export const variablesFor = (length: number): number => 2 * length - 1;
export const inequalitiesFor = (length: number): number => 2 * length - 2;

/** D [n − 1, n], with (Dz)ᵢ = zᵢ − zᵢ₊₁. */
export function differenceMatrix(length: number): Matrix {
  const data = new Float32Array((length - 1) * length);
  for (let i = 0; i < length - 1; i++) {
    data[i * length + i] = 1;
    data[i * length + i + 1] = -1;
  }
  return { shape: [length - 1, length], data };
}

/** diag(1, …, 1, tail, …, tail) [2n − 1, 2n − 1], with as many ones as z has entries. */
export function blockDiagonal(length: number, tail: number): Matrix {
  const size = variablesFor(length);
  const data = new Float32Array(size * size);
  for (let i = 0; i < size; i++) data[i * size + i] = i < length ? 1 : tail;
  return { shape: [size, size], data };
}

/** G = [D −I; −D −I] [2n − 2, 2n − 1], for D [n − 1, n]. */
export function constraintMatrix(D: tf.Tensor2D): tf.Tensor2D {
  const minusIdentity = tf.neg(tf.eye(D.shape[0]));
  return tf.concat2d([tf.concat2d([D, minusIdentity], 1), tf.concat2d([tf.neg(D), minusIdentity], 1)], 0);
}

/** p = (−x, λ, …, λ) [batch, 2n − 1], for x [batch, n]. */
export function linearCosts(x: tf.Tensor2D, lambda: number): tf.Tensor2D {
  const [batch, length] = x.shape;
  return tf.concat2d([tf.neg(x), tf.fill([batch, length - 1], lambda)], 1);
}

/** A function of D [n − 1, n] and signals x [batch, n] that gives the z [batch, n] of the quadratic program. */
export function variationLayer(length: number, lambda: number, options: LayerOptions) {
  const layer = qpLayer(tf, options);
  const { shape, data } = blockDiagonal(length, 0);
  for (let i = 0; i < variablesFor(length); i++) data[i * variablesFor(length) + i]! += EPSILON;
  const h = new Float32Array(inequalitiesFor(length));
  return (D: tf.Tensor2D, x: tf.Tensor2D): tf.Tensor2D => {
    const solution = layer({ Q: { shape, data }, p: linearCosts(x, lambda), G: constraintMatrix(D), h });
    return tf.slice2d(solution, [0, 0], [x.shape[0], length]);
  };
}
