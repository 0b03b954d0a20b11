// Solutions and gradients at the default tolerance, against a reference that is exact to more digits than a double has.
import { qpSolveBatchSync, tensor } from '../lib/index.js';

import { isExact, solveExactly } from './support/exact.js';
import { batchOf, data, parts, pointOf, rowOf } from './support/general.js';
import type { OneProblem } from './support/general.js';
import { paperProblem } from './support/generators.js';
import { largest, times } from './support/kkt.js';
import type { Sizes } from './support/problems.js';
import { normal, uniform } from './support/random.js';
import { expectWithin } from './support/within.js';

interface Case extends Sizes {
  /** Makes of a problem of the paper's generator one with more constraints. */
  bounded?: (problem: OneProblem, seed: number) => OneProblem;
}

const shapes: [string, Case][] = [
  ['(10, 10, 0)', { batch: 256, n: 10, m: 10, q: 0 }],
  ['(32, 64, 8)', { batch: 128, n: 32, m: 64, q: 8 }],
  ['(64, 64, 40)', { batch: 32, n: 64, m: 64, q: 40 }],
  ['(100, 100, 0)', { batch: 24, n: 100, m: 100, q: 0 }],
  ['(100, 50, 50)', { batch: 24, n: 100, m: 50, q: 50 }],
  ['(500, 500, 0)', { batch: 8, n: 500, m: 500, q: 0 }],
  ['n = 50 in a box', { batch: 128, n: 50, m: 0, q: 0, bounded: inUnitBox }],
  ['(32, 64, 8), rows with two sides, in a box', { batch: 64, n: 32, m: 64, q: 8, bounded: onEverySide }],
  ['(160, 20, 8), rows with two sides, in a box', { batch: 4, n: 160, m: 20, q: 8, bounded: onEverySide }],
];

/** −1 ≤ z ≤ 1. */
function inUnitBox(problem: OneProblem): OneProblem {
  const ones = new Float64Array(problem.n).fill(1);
  return { ...problem, lb: ones.map(() => -1), ub: ones };
}

/** Around a point that is drawn, gl ≤ Gz ≤ h and lb ≤ z ≤ ub, where one side in five is not there. */
function onEverySide(problem: OneProblem, seed: number): OneProblem {
  const draw = uniform(seed);
  const z = Float64Array.from({ length: problem.n }, normal(draw));
  const Gz = times(problem.G, z, problem.n);
  const side = (from: Float64Array, sign: number) =>
    from.map((x, i) => (i % 5 === (sign > 0 ? 0 : 3) ? sign * Infinity : x + sign * draw()));
  return {
    ...problem,
    h: side(Gz, 1),
    gl: side(Gz, -1),
    b: times(problem.A, z, problem.n),
    lb: side(z, -1),
    ub: side(z, 1),
  };
}

/** Of problems nearer than this to a change of their active set nothing is asked. */
const leastMargin = 1e-6;

/** The largest error, relative to the largest number of the reference. */
function relativeError(actual: Float64Array, reference: Float64Array): number {
  const size = largest(reference);
  return largest(actual.map((x, i) => x - reference[i]!)) / (size > 0 ? size : 1);
}

function split({ batch, n, m, q, bounded }: Case, seed: number): OneProblem[] {
  const problem = paperProblem({ batch, n, m, q }, seed);
  return Array.from({ length: batch }, (_, k) => {
    const part = (name: keyof typeof problem) => rowOf(problem[name], batch, k);
    const one = {
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
    return bounded ? bounded(one, seed + k) : one;
  });
}

/** Every error of every problem whose active set is decided. */
function measure(sizes: Case, seed: number) {
  const problems = split(sizes, seed);
  const { batch } = sizes;
  using solution = qpSolveBatchSync(batchOf(problems));
  expect(solution.status.filter((status) => status !== 'solved')).toEqual([]);
  const gauss = normal(uniform(seed + 1000));
  const upstream = parts
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
      const ofGradients = data.flatMap((name) => {
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
