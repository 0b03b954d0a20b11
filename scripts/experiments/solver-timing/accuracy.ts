import { datumAt, dot, type Problems } from '../qp-problems.js';
import type { Answers } from './solver.js';

/** How good answers are, over all problems that were answered. */
export interface Accuracy {
  /** Problems that were answered, and those that there were. */
  solved: number;
  problems: number;
  /** How far answers are from optimal: the largest of {@link residualAt}. */
  residual: number;
  /** The largest difference to the z of another solver. */
  difference: number;
}

export function accuracyOf(problems: Problems, answers: Answers, reference: Answers): Accuracy {
  const accuracy = { solved: 0, problems: problems.batch, residual: 0, difference: 0 };
  for (let k = 0; k < problems.batch; k++) {
    const z = answers.z.subarray(k * problems.n, (k + 1) * problems.n);
    if (z.some(Number.isNaN)) continue;
    accuracy.solved++;
    accuracy.residual = Math.max(accuracy.residual, residualAt(problems, answers, k));
    z.forEach((value, j) => {
      const difference = Math.abs(value - reference.z[k * problems.n + j]!);
      accuracy.difference = Math.max(accuracy.difference, difference);
    });
  }
  return accuracy;
}

/**
 * How far the answer to problem k is from optimal, by the data as given: the largest entry of Qz + p + Gᵀλ, of Gz − h
 * where that is positive, and of λ ∘ (Gz − h).
 */
function residualAt(problems: Problems, answers: Answers, k: number): number {
  const { n, m } = problems;
  const z = answers.z.subarray(k * n, (k + 1) * n);
  const lambda = answers.lambda.subarray(k * m, (k + 1) * m);
  const Q = datumAt(problems, 'Q', k);
  const G = datumAt(problems, 'G', k);
  const h = datumAt(problems, 'h', k);
  const gradient = datumAt(problems, 'p', k).map((value, j) => value + dot(Q, j * n, z, 0, n));
  let worst = 0;
  for (let i = 0; i < m; i++) {
    const excess = dot(G, i * n, z, 0, n) - h[i]!;
    worst = Math.max(worst, excess, Math.abs(lambda[i]! * excess));
    for (let j = 0; j < n; j++) gradient[j] = gradient[j]! + lambda[i]! * G[i * n + j]!;
  }
  return gradient.reduce((most, value) => Math.max(most, Math.abs(value)), worst);
}
