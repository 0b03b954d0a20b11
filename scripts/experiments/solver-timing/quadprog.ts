import { solveQP } from 'quadprog';

import { datumAt, type Problems } from '../qp-problems.js';
import { joined } from './ours.js';
import type { Answers, Solver } from './solver.js';

/** npm's quadprog: a dual active set method in JavaScript, one problem a call. */
export const quadprog: Solver = {
  name: 'quadprog',
  description: 'npm quadprog 1.6.1, a dual active set method in JavaScript, one call a problem',
  prepare(problems) {
    const models = Array.from({ length: problems.batch }, (_, k) => modelAt(problems, k));
    return () => joined(models.map(solve));
  },
};

type Model = Parameters<typeof solveQP>;

function solve(model: Model): Answers {
  const { solution, Lagrangian, message } = solveQP(...model);
  if (message !== '') throw new Error(`quadprog: ${message}`);
  return { z: Float64Array.from(solution.slice(1)), lambda: Float64Array.from(Lagrangian.slice(1)) };
}

/** It takes −p for p, and Aᵀz ≥ b for Gz ≤ h: A = −Gᵀ, b = −h. */
function modelAt(problems: Problems, k: number): Model {
  const { n, m } = problems;
  const [Q, p, G, h] = (['Q', 'p', 'G', 'h'] as const).map((name) => datumAt(problems, name, k)) as [
    Float64Array,
    Float64Array,
    Float64Array,
    Float64Array,
  ];
  return [
    matrix(n, n, (i, j) => Q[i * n + j]!),
    vector(n, (j) => -p[j]!),
    matrix(n, m, (j, i) => -G[i * n + j]!),
    vector(m, (i) => -h[i]!),
  ];
}

function vector(length: number, value: (i: number) => number): number[] {
  const elements = [0];
  for (let i = 0; i < length; i++) elements.push(value(i));
  return elements;
}

function matrix(rows: number, columns: number, value: (i: number, j: number) => number): number[][] {
  const elements: number[][] = [[]];
  for (let i = 0; i < rows; i++) elements.push(vector(columns, (j) => value(i, j)));
  return elements;
}
