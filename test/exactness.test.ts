// Solutions and gradients at the default tolerance, against a reference that is exact to more digits than a double has.
import { qpSolveBatchSync, tensor } from '../lib/index.js';
import type { DatumName } from '../lib/index.js';

import { isExact, solveExactly } from './support/exact.js';
import { batchOf, pointOf, rowOf } from './support/general.js';
import type { OneProblem } from './support/general.js';
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
  ['(500, 500, 0)', { batch: 8, n: 500, m: 500, q: 0 }],
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
  using solution = qpSolveBatchSync(batchOf(problems));
  expect(solution.status.filter((status) => status !== 'solved')).toEqual([]);
  const gauss = normal(uniform(seed + 1000));
  const upstream = values
    .filter((part) => solution[part].data.length > 0)
    .map((part) => {
      const { data, shape } = solution[part];
      return { part, weights: tensor(Float64Array.from(data, gauss), shape) };
    });
  const gradients = solution.backwardSync(
    Object.fromEntries(upstream.map(({ part, weights }) => [`d${part}`, weights])),
  );

  const decided: { margin: number; solution: Record<string, number>; gradients: Record<string, number> }[] =
    [];
  const others: string[] = [];
  problems.forEach((problem, k) => {
    const point = pointOf(solution, k);
    const exact = solveExactly(problem, point);
    if (!isExact(exact)) {
      others.push(exact.reason);
    } else if (exact.margin <= leastMargin) {
      others.push(`margin ${exact.margin.toExponential(1)}`);
    } else {
      const reference = exact.gradients(
        Object.fromEntries(upstream.map(({ part, weights }) => [part, rowOf(weights, batch, k)])),
      );
      const ofSolution = upstream.map(({ part }) => [part, relativeError(point[part], exact.point[part])]);
      const ofGradients = names.flatMap((name) => {
        const expected = reference[`d${name}`];
        const actual = gradients[`d${name}`];
        return expected && actual ? [[`d${name}`, relativeError(rowOf(actual, batch, k), expected)]] : [];
      });
      decided.push({
        margin: exact.margin,
        solution: Object.fromEntries(ofSolution) as Record<string, number>,
        gradients: Object.fromEntries(ofGradients) as Record<string, number>,
      });
    }
  });
  return { decided, others };
}

/** The largest error of each kind. */
function worst(all: readonly Record<string, number>[]): Record<string, number> {
  const kinds = Object.keys(all[0]!);
  return Object.fromEntries(kinds.map((kind) => [kind, largest(all.map((errors) => errors[kind]!))]));
}

/** The middle one of each kind. */
function median(all: readonly Record<string, number>[]): Record<string, number> {
  const kinds = Object.keys(all[0]!);
  const middle = (kind: string) =>
    all.map((errors) => errors[kind]!).sort((a, b) => a - b)[Math.floor(all.length / 2)]!;
  return Object.fromEntries(kinds.map((kind) => [kind, middle(kind)]));
}

describe.each(shapes)('on the paper’s generator at the default tolerance, %s', (_, sizes) => {
  let measured: ReturnType<typeof measure>;
  beforeAll(() => {
    measured = measure(sizes, 31);
  });

  it('the active set of almost every problem is decided', () => {
    const { decided, others } = measured;
    expect(decided).toHaveLength(sizes.batch - others.length);
    expect({ others: others.slice(0, Math.floor(sizes.batch / 100)) }).toEqual({ others });
  });

  it('z, λ and ν are right to 1e-10', () => {
    expectWithin(worst(measured.decided.map(({ solution }) => solution)), 1e-10);
  });

  it('gradients are right to 1e-9, and in the middle to 1e-12', () => {
    const errors = measured.decided.map(({ gradients }) => gradients);
    expectWithin(worst(errors), 1e-9);
    expectWithin(median(errors), 1e-12);
  });
});
