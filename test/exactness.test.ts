// Solutions and gradients at the default tolerance, against a reference that is exact to more digits than a double has.
import { qpSolveBatchSync, tensor } from '../lib/index.js';
import type { DatumName } from '../lib/index.js';

import { isExact, solveExactly } from './support/exact.js';
import { asProblem, batchOf, parts, pointOf, rowOf } from './support/general.js';
import type { OneProblem, Part } from './support/general.js';
import { paperProblem } from './support/generators.js';
import { largest } from './support/kkt.js';
import type { Sizes } from './support/problems.js';
import { normal, uniform } from './support/random.js';
import { expectWithin } from './support/within.js';

const shapes: [string, Sizes][] = [
  ['(10, 10, 0)', { batch: 256, n: 10, m: 10, q: 0 }],
  ['(32, 64, 8)', { batch: 128, n: 32, m: 64, q: 8 }],
  ['(64, 64, 40)', { batch: 32, n: 64, m: 64, q: 40 }],
  ['(100, 100, 0)', { batch: 24, n: 100, m: 100, q: 0 }],
  ['(100, 50, 50)', { batch: 24, n: 100, m: 50, q: 50 }],
  ['(500, 500, 0)', { batch: 1, n: 500, m: 500, q: 0 }],
];

const names: readonly DatumName[] = ['Q', 'p', 'G', 'h', 'A', 'b'];
const values = ['z', 'lambda', 'nu'] as const;

/** Of problems nearer than this to a change of their active set nothing is asked. */
const leastMargin = 1e-6;

/** The largest error, relative to the largest number of the reference. */
function relativeError(actual: Float64Array, reference: Float64Array): number {
  const size = largest(reference);
  return largest(actual.map((x, i) => x - reference[i]!)) / (size > 0 ? size : 1);
}

function split(problem: ReturnType<typeof paperProblem>, { batch, n, m, q }: Sizes): OneProblem[] {
  return Array.from({ length: batch }, (_, k) => {
    const part = (name: keyof typeof problem) => rowOf(problem[name], batch, k);
    return {
      n,
      m,
      q,
      Q: part('Q'),
      p: part('p'),
      G: part('G'),
      h: part('h'),
      gl: undefined,
      A: part('A'),
      b: part('b'),
      lb: undefined,
      ub: undefined,
    };
  });
}

/** Every error of every problem whose active set is decided. */
function measure(sizes: Sizes, seed: number) {
  const problems = split(paperProblem(sizes, seed), sizes);
  const { batch } = sizes;
  using solution = qpSolveBatchSync(asProblem(batchOf(problems)));
  expect(solution.status.filter((status) => status !== 'solved')).toEqual([]);
  const gauss = normal(uniform(seed + 1000));
  const present = values.filter((part) => solution[part].data.length > 0);
  const upstream = Object.fromEntries(
    present.map((part) => {
      const { data, shape } = solution[part];
      return [part, tensor(Float64Array.from(data, gauss), shape)];
    }),
  ) as Partial<Record<Part, ReturnType<typeof tensor>>> & { z: ReturnType<typeof tensor> };
  const { z, lambda, nu } = upstream;
  const gradients = solution.backwardSync({
    dz: z,
    ...(lambda && { dlambda: lambda }),
    ...(nu && { dnu: nu }),
  });

  const errors: { k: number; margin: number; solution: Record<string, number>; gradients: number[] }[] = [];
  const undecided: string[] = [];
  problems.forEach((problem, k) => {
    const none = { lambdaGl: new Float64Array(0), lambdaLb: new Float64Array(0), lambdaUb: new Float64Array(0) };
    const point = { ...pointOf({ ...solution, ...emptyParts, objective: solution.objective }, k), ...none };
    const exact = solveExactly(problem, point);
    if (!isExact(exact)) {
      undecided.push(`problem ${k}: ${exact.reason}`);
      return;
    }
    if (exact.margin < leastMargin) return;
    const reference = exact.gradients(
      Object.fromEntries(present.map((part) => [part, rowOf(upstream[part]!, batch, k)])),
    );
    const ofGradients = names
      .filter((name) => reference[`d${name}`] !== undefined)
      .map((name) => relativeError(rowOf(gradients[`d${name}`]!, batch, k), reference[`d${name}`]!));
    errors.push({
      k,
      margin: exact.margin,
      solution: Object.fromEntries(present.map((part) => [part, relativeError(point[part], exact.point[part])])),
      gradients: ofGradients,
    });
  });
  return { errors, undecided };
}
