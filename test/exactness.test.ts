// Solutions and gradients at the default tolerance, against a reference that is exact to more digits than a double has.
import { qpSolveBatchSync, tensor } from '../lib/index.js';

import { isExact, solveExactly } from './support/exact.js';
import type { GradientValues } from './support/exact.js';
import { batchOf, data, parts, pointOf, rowOf } from './support/general.js';
import type { OneProblem, Point } from './support/general.js';
import { paperProblem } from './support/generators.js';
import { largest, times } from './support/kkt.js';
import type { Sizes } from './support/problems.js';
import { normal, uniform } from './support/random.js';
import { expectWithin } from './support/within.js';

interface Case extends Sizes {
  /** Of many of its problems elimination loses so much that their gradients must be refined. */
  refines?: boolean;
  /** Makes of a problem of the paper's generator one with more constraints. */
  bounded?: (problem: OneProblem, seed: number) => OneProblem;
}

const shapes: [string, Case][] = [
  ['(10, 10, 0)', { batch: 256, n: 10, m: 10, q: 0 }],
  ['(32, 64, 8)', { batch: 128, n: 32, m: 64, q: 8, refines: true }],
  ['(64, 64, 40)', { batch: 32, n: 64, m: 64, q: 40, refines: true }],
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

/** The same problem after every number of it has changed by a random part of itself, at most `change`. */
function disturbed(problem: OneProblem, draw: () => number): OneProblem {
  const { n } = problem;
  const present = data.flatMap((name) => (problem[name] ? [[name, scattered(problem[name], draw)]] : []));
  const changed = { ...problem, ...(Object.fromEntries(present) as Partial<OneProblem>) };
  // Symmetric, as the entries below the diagonal are.
  return { ...changed, Q: changed.Q?.map((_, at, Q) => Q[Math.max(at, (at % n) * n + Math.floor(at / n))]!) };
}

const scattered = (values: Float64Array, draw: () => number) =>
  values.map((x) => x * (1 + change * (2 * draw() - 1)));

/** Far more than what the reference is rounded to, and far less than what any of the problems would bend at. */
const change = 2 ** -44;
/** What a number loses when it is rounded to a double, at most. */
const roundoff = 2 ** -53;

/** By kind: an error, and what to compare it with. */
interface Errors {
  solution: Record<string, number>;
  gradients: Record<string, number>;
}

interface Measured {
  /** Of the solver. */
  errors: Errors;
  /** What rounding every number of the problem makes of the exact result. */
  rounding: Errors;
  /** Of gradients by plain elimination on the exact active set. */
  elimination: Record<string, number>;
}

/** Errors of every problem whose active set is decided. */
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

  const decided: Measured[] = [];
  const others: string[] = [];
  problems.forEach((problem, k) => {
    const point = pointOf(solution, k);
    const exact = solveExactly(problem, point);
    if (!isExact(exact)) {
      others.push(exact.reason);
      return;
    }
    if (exact.margin <= leastMargin) {
      others.push(`margin ${exact.margin.toExponential(1)}`);
      return;
    }
    const draw = uniform(seed + 2000 + k);
    const near = solveExactly(disturbed(problem, draw), exact.point);
    if (!isExact(near)) throw new Error(near.reason);

    const weights = upstream.map(({ part, weights }) => [part, rowOf(weights, batch, k)] as const);
    const loss = Object.fromEntries(weights);
    const nearLoss = Object.fromEntries(weights.map(([part, values]) => [part, scattered(values, draw)]));
    const reference = exact.gradients(loss);
    const ofPoint = (actual: Point) =>
      Object.fromEntries(weights.map(([part]) => [part, relativeError(actual[part], exact.point[part])]));
    const ofGradients = (actual: GradientValues) =>
      Object.fromEntries(
        Object.entries(reference).map(([name, expected]) => [
          name,
          relativeError(actual[name as keyof GradientValues]!, expected),
        ]),
      );
    const own = Object.entries(gradients).map(([name, values]) => [name, rowOf(values, batch, k)]);
    const rounded = (moved: Record<string, number>) =>
      Object.fromEntries(Object.entries(moved).map(([kind, error]) => [kind, (error / change) * roundoff]));
    decided.push({
      errors: { solution: ofPoint(point), gradients: ofGradients(Object.fromEntries(own) as GradientValues) },
      rounding: {
        solution: rounded(ofPoint(near.point)),
        gradients: rounded(ofGradients(near.gradients(nearLoss))),
      },
      elimination: ofGradients(exact.eliminated(loss)),
    });
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

/** How many times what it is compared with each error is, by kind. */
function ratios(errors: Record<string, number>, to: Record<string, number>): Record<string, number> {
  const ratio = (kind: string) => (errors[kind] === 0 ? 0 : errors[kind]! / to[kind]!);
  return Object.fromEntries(Object.keys(errors).map((kind) => [kind, ratio(kind)]));
}

/** The larger of each kind. */
const larger = (a: Record<string, number>, b: Record<string, number>) =>
  Object.fromEntries(Object.keys(a).map((kind) => [kind, Math.max(a[kind]!, b[kind]!)]));

// Errors in the middle are compared with those of the same problems that float64 makes without the solver. So limits follow
// the problems' condition, and are the same for every instruction set: each orders its sums in another way, and so has other
// errors of the same size. The factors are three times and more what SSE2, AVX2 and AVX-512 were measured to need.
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

  it('z, λ and ν are right to 1e-10, and in the middle to a few roundings of the data', () => {
    const { decided } = measured;
    expectWithin(worst(decided.map(({ errors }) => errors.solution)), 1e-10);
    // A sum of n products is rounded n times, to either side: √n roundings and less. At most 8 were seen.
    const roundings = decided.map(({ errors, rounding }) => ratios(errors.solution, rounding.solution));
    expectWithin(median(roundings), 25);
  });

  it('gradients are right to 1e-9, and in the middle as good as by elimination', () => {
    const { decided } = measured;
    expectWithin(worst(decided.map(({ errors }) => errors.gradients)), 1e-9);
    // At most 1.2 times was seen.
    const losses = decided.map(({ errors, rounding, elimination }) =>
      ratios(errors.gradients, larger(rounding.gradients, elimination)),
    );
    expectWithin(median(losses), 4);
  });

  if (sizes.refines) {
    it('gradients that elimination loses digits of are refined', () => {
      const lost = measured.decided.filter(({ elimination }) => largest(Object.values(elimination)) > 1e-11);
      expect(lost.length).toBeGreaterThan(sizes.batch / 10);
      // A fortieth and less was seen; of all of it, without refinement.
      expectWithin(median(lost.map(({ errors, elimination }) => ratios(errors.gradients, elimination))), 0.1);
    });
  }
});
