import { qpLayer } from 'optnet/tfjs';

import type { Random } from '../random.js';
import type { SolverOptions } from '../runner/experiment.js';
import type { Health } from '../runner/training.js';
import { tf } from '../tensorflow.js';

/** n, the size of z. */
export const VARIABLES = 10;
/** m, the rows of G. */
export const INEQUALITIES = 50;

/** Keeps Q positive definite, whatever L becomes. */
const EPSILON = 1e-4;

/** Of L, at the start. */
const DIAGONAL = 2;

/** [n, n]: 1 below the diagonal and on it. */
const LOWER_TRIANGLE = Float32Array.from({ length: VARIABLES * VARIABLES }, (_, i) =>
  i % VARIABLES <= Math.floor(i / VARIABLES) ? 1 : 0,
);

/** L [n, n], of which the lower triangle counts, G [m, n], z0 [n], s0 [m]. */
export type OptNetParameters = Readonly<Record<'L' | 'G' | 'z0' | 's0', tf.Tensor>>;

/**
 * The paper's layer in a classifier (section 4.3): z is the solution of
 *
 *     minimise ½ zᵀQz + pᵀz   subject to   Gz ≤ h
 *
 * where p is what comes in, and Q = LLᵀ + εI, G and h = G·z0 + s0 are learned. While s0 > 0, z0 is strictly feasible.
 */
export type OptNetLayer = (p: tf.Tensor2D, parameters: OptNetParameters) => tf.Tensor2D;

/** A layer that counts what it solves in `health`. p [batch, n] in, z [batch, n] out. */
export function optNetLayer(health: Health, solver: SolverOptions = {}): OptNetLayer {
  const solve = qpLayer(tf, {
    ...solver,
    onUnsolved: ({ status }) => {
      health.unsolved += status.filter((name) => name !== 'solved').length;
    },
  });
  return (p, { L, G, z0, s0 }) => {
    const lower = L.mul(tf.tensor2d(LOWER_TRIANGLE, [VARIABLES, VARIABLES]));
    const Q = tf.matMul(lower, lower, false, true).add(tf.eye(VARIABLES).mul(EPSILON));
    const h = tf.matMul(G as tf.Tensor2D, z0.reshape([VARIABLES, 1])).reshape([INEQUALITIES]);
    const z = solve({ Q, p, G, h: h.add(s0) });
    health.solves += p.shape[0];
    return z;
  };
}

/**
 * G starts uniform in ±1, z0 at 0, s0 at 1, and L below its diagonal uniform in [0, 1), all as the authors start them.
 * The diagonal of L starts at 2. They draw it from [0, 1) too; but then Q has eigenvalues so small that the solution
 * soon is a vertex of the polyhedron for many digits: there z does not move with p, and such a digit teaches the layers
 * below nothing.
 */
export function optNetInitial(random: Random) {
  const uniform = (length: number): Float32Array => Float32Array.from({ length }, () => random.uniform());
  const L = uniform(VARIABLES * VARIABLES).map((value, i) =>
    i % (VARIABLES + 1) === 0 ? DIAGONAL : value * LOWER_TRIANGLE[i]!,
  );
  const G = uniform(INEQUALITIES * VARIABLES).map((value) => 2 * value - 1);
  return {
    L: { shape: [VARIABLES, VARIABLES], data: L },
    G: { shape: [INEQUALITIES, VARIABLES], data: G },
    z0: { shape: [VARIABLES], data: new Float32Array(VARIABLES) },
    s0: { shape: [INEQUALITIES], data: new Float32Array(INEQUALITIES).fill(1) },
  };
}
