// Derivatives of problems of every form: against an exact reference and central differences where they exist, against the
// written rule where they do not, forwards against backwards; smoothed ones; warm starts; the closest feasible problem.
import { qpSolveBatchSync, tensor } from '../lib/index.js';
import type { QpSolution, SyncSolveOptions, Tensor } from '../lib/index.js';

import { centralPoint } from './support/central-path.js';
import { isExact, solveExactly } from './support/exact.js';
import type { ExactSolution } from './support/exact.js';
import { families, makeBatch } from './support/families.js';
import type { Family, Form } from './support/families.js';
import {
  batchOf,
  data,
  parts,
  pointOf,
  product,
  rowOf,
  scaledResiduals,
  shapeOf,
  sidesOf,
  slackOf,
} from './support/general.js';
import type { Datum, OneProblem, Part, Point, Side } from './support/general.js';
import { largest, times, timesTransposed } from './support/kkt.js';
import { normal, uniform } from './support/random.js';
import { expectWithin } from './support/within.js';

type Options = SyncSolveOptions<'float64'>;
type Gradients = Partial<Record<`d${Datum}`, { readonly data: Float64Array }>>;
/** Of one problem: how a loss weighs the parts of its solution, and its objective. */
type Weights = Partial<Record<Part, Float64Array>> & { objective?: number };

const forms: [string, Form][] = ['h', 'hA', 'hgA', 'lu', 'luA', 'hl', 'guA', 'hgluA'].map((letters) => {
  const [h, gl, A, lb, ub] = ['h', 'g', 'A', 'l', 'u'].map((letter) => letters.includes(letter));
  const names = Object.entries({ h, gl, A, lb, ub }).flatMap(([name, given]) => (given ? [name] : []));
  return [names.join(' '), { n: 5, h: h!, gl: gl!, A: A!, lb: lb!, ub: ub! }];
});

/** Problems of a family that have a derivative: those whose active set is proved, and far from changing. */
function smoothProblems(
  family: Family,
  form: Form,
  count: number,
): { problem: OneProblem; exact: ExactSolution }[] {
  const found: { problem: OneProblem; exact: ExactSolution }[] = [];
  for (let seed = 1; found.length < count && seed < 60; seed++) {
    const [problem] = makeBatch(family, form, 7000 + seed, 1).problems as [OneProblem];
    using solution = qpSolveBatchSync(batchOf([problem]));
    if (solution.status[0] !== 'solved') continue;
    const exact = solveExactly(problem, pointOf(solution, 0));
    if (!isExact(exact) || exact.margin < 0.05) continue;
    // Where it is too sensitive, differences say nothing.
    const gradients = Object.values(exact.gradients(weightsOf(exact.point, normal(uniform(seed)))));
    if (gradients.every((gradient) => largest(gradient) < 30)) found.push({ problem, exact });
  }
  return found;
}

function weightsOf(point: Point, gauss: () => number): Weights {
  const entries = parts
    .filter((part) => point[part].length > 0)
    .map((part) => [part, Float64Array.from(point[part], gauss)]);
  return { ...(Object.fromEntries(entries) as Weights), objective: gauss() };
}

/** For backward: one problem's weights. */
function upstreamOf(weights: Weights) {
  return Object.fromEntries(
    Object.entries(weights).map(([part, value]) => [
      `d${part}`,
      typeof value === 'number' ? [value] : tensor(value, [1, value.length]),
    ]),
  );
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function weigh(weights: Weights, point: Point, objective: number): number {
  const ofParts = parts.map((part) => dot(weights[part] ?? [], point[part]));
  return ofParts.reduce((sum, x) => sum + x, (weights.objective ?? 0) * objective);
}

const given = (problem: OneProblem) =>
  data.filter((name) => problem[name] !== undefined && problem[name].length > 0);

/** Of about unit length; symmetric for Q; zero where a bound is infinite. */
function drawDirection(problem: OneProblem, name: Datum, gauss: () => number): Float64Array {
  const { n } = problem;
  const size = product(shapeOf(name, problem));
  const direction = problem[name]!.map((x) => (Math.abs(x) < Infinity ? gauss() / Math.sqrt(size) : 0));
  if (name !== 'Q') return direction;
  return direction.map((x, at) => (x + direction[(at % n) * n + Math.floor(at / n)]!) / 2);
}

/** Of differences of the solver. */
const step = 1e-3;
/** Of the reference for the central path, which is as curved as √smoothing is small, and has every digit. */
const smallStep = 1e-5;

/** The derivative along a direction by the five-point rule. */
function slope(
  problem: OneProblem,
  name: Datum,
  direction: Float64Array,
  loss: (changed: OneProblem) => number,
  step: number,
): number {
  const at = (steps: number) =>
    loss({ ...problem, [name]: problem[name]!.map((x, i) => x + steps * step * direction[i]!) });
  return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * step);
}

/** Derivatives that are smaller are compared with this. */
const least = 1e-3;

/**
 * The largest error, over all data and losses, of the gradients' slopes along random directions. Where a slope is near
 * zero by chance, its standard deviation over directions takes its place.
 */
function slopeErrors(
  problem: OneProblem,
  cases: readonly { label: string; weights: Weights; gradients: Gradients }[],
  solve: (changed: OneProblem) => { point: Point; objective: number },
  gauss: () => number,
  {
    names = given(problem),
    length = step,
    floor = least,
  }: { names?: readonly Datum[]; length?: number; floor?: number } = {},
): Record<string, number> {
  const errors: Record<string, number> = {};
  for (const name of names) {
    // Along what makes a problem with a singular Q nonconvex there is no derivative.
    if (name === 'Q' && !isDefinite(problem)) continue;
    const direction = drawDirection(problem, name, gauss);
    const solved = new Map<string, { point: Point; objective: number }>();
    for (const { label, weights, gradients } of cases) {
      const loss = (changed: OneProblem) => {
        const key = changed[name]!.join();
        const result = solved.get(key) ?? solve(changed);
        solved.set(key, result);
        return weigh(weights, result.point, result.objective);
      };
      const numeric = slope(problem, name, direction, loss, length);
      const gradient = gradients[`d${name}`]!.data;
      const typical = Math.max(
        Math.sqrt(dot(gradient, gradient) / gradient.length),
        Math.abs(numeric),
        floor,
      );
      errors[`d${name} of ${label}`] = Math.abs(dot(gradient, direction) - numeric) / typical;
    }
  }
  return errors;
}

/** Whether a small change of Q in any direction leaves it positive semidefinite. */
function isDefinite({ n, Q }: OneProblem): boolean {
  if (Q === undefined) return false;
  const L = Q.slice();
  for (let j = 0; j < n; j++) {
    for (let k = 0; k < j; k++) {
      for (let i = j; i < n; i++) L[i * n + j]! -= L[i * n + k]! * L[j * n + k]!;
    }
    const pivot = L[j * n + j]!;
    if (!(pivot > 0.05)) return false;
    for (let i = j; i < n; i++) L[i * n + j]! /= Math.sqrt(pivot);
  }
  return true;
}

/** Each part's weights alone, the objective's, and all together. */
function casesOf(solution: QpSolution<'float64'>, all: Weights) {
  const alone: [string, Weights][] = Object.entries(all).map(([part, value]) => [part, { [part]: value }]);
  return [...alone, ['everything', all] as [string, Weights]].map(([label, weights]) => ({
    label,
    weights,
    gradients: solution.backwardSync(upstreamOf(weights)),
  }));
}

function solver(options: Options = {}) {
  return (problem: OneProblem) => {
    using solution = qpSolveBatchSync(batchOf([problem]), options);
    expect(solution.status).toEqual(['solved']);
    return { point: pointOf(solution, 0), objective: solution.objective[0]! };
  };
}

describe.each<Family>(['well posed', 'linear', 'rank-deficient Q'])(
  'where derivatives exist, %s:',
  (family) => {
    describe.each(forms)('given %s', (_, form) => {
      const problems = () => smoothProblems(family, form, 6);

      it('gradients are those of the active set, to 1e-9', () => {
        for (const [index, { problem, exact }] of problems().entries()) {
          using solution = qpSolveBatchSync(batchOf([problem]));
          expect([index, ...solution.derivative]).toEqual([index, 'activeSet']);
          const all = weightsOf(exact.point, normal(uniform(index)));
          for (const { label, weights, gradients } of casesOf(solution, all)) {
            const reference = exact.gradients(weights);
            for (const name of given(problem)) {
              const [actual, expected] = [gradients[`d${name}`]!.data, reference[`d${name}`]!];
              const error =
                largest(actual.map((x, i) => x - expected[i]!)) / Math.max(largest(expected), least);
              expectWithin({ [`d${name} of ${label}, problem ${index}`]: error }, 1e-9);
            }
          }
        }
      });

      it('gradients agree with central differences of the solver to 1e-6', () => {
        const found = problems();
        expect(found.length).toBeGreaterThanOrEqual(3);
        for (const [index, { problem, exact }] of found.entries()) {
          const gauss = normal(uniform(100 + index));
          using solution = qpSolveBatchSync(batchOf([problem]));
          const cases = casesOf(solution, weightsOf(exact.point, gauss));
          expectWithin(slopeErrors(problem, cases, solver(), gauss), 1e-6);
        }
      });

      if (family === 'linear') {
        it('a vertex does not move with p', () => {
          for (const { problem } of problems()) {
            using solution = qpSolveBatchSync(batchOf([problem]));
            const dz = tensor(Float64Array.from(solution.z.data, normal(uniform(1))), solution.z.shape);
            expectWithin({ dp: largest(solution.backwardSync({ dz }).dp.data) }, 1e-12);
          }
        });
      }
    });
  },
);

describe('where there is no derivative,', () => {
  it('flat directions are held: a variable that nothing decides has the derivative zero', () => {
    using solution = qpSolveBatchSync({
      Q: [
        [2, 0],
        [0, 0],
      ],
      p: [-1, 0],
      lb: [-10, -1],
      ub: [10, 1],
    });
    expect(solution.status).toEqual(['solved']);
    const { dp, dlb, dub } = solution.backwardSync({ dz: [0.6, 0.7] });
    expectWithin(
      {
        'dp₁': Math.abs(dp.data[0]! + 0.3),
        'dp₂': Math.abs(dp.data[1]!),
        dlb: largest(dlb!.data),
        dub: largest(dub!.data),
      },
      1e-9,
    );
    const { dz } = solution.jvpSync({ dp: [1, 1] });
    expectWithin({ 'dz₁': Math.abs(dz.data[0]! + 0.5), 'dz₂': Math.abs(dz.data[1]!) }, 1e-9);
  });

  it('flat directions are held: on an edge of a linear program', () => {
    using solution = qpSolveBatchSync({ p: [1, 0], lb: [0.25, 0], ub: [1, 1] });
    expect(solution.status).toEqual(['solved']);
    const { dp, dlb, dub } = solution.backwardSync({ dz: [0.6, 0.7] });
    expectWithin(
      {
        dp: largest(dp.data),
        'dlb₁': Math.abs(dlb!.data[0]! - 0.6),
        'dlb₂': Math.abs(dlb!.data[1]!),
        dub: largest(dub!.data),
      },
      1e-9,
    );
  });

  it.each<Family>(['infeasible', 'unbounded'])('all derivatives are zero: %s', (family) => {
    for (const [, form] of forms) {
      const { problems, expected } = makeBatch(family, form, 11, 8);
      using solution = qpSolveBatchSync(batchOf(problems));
      expect(solution.status).toEqual(problems.map(() => expected));
      expect(solution.derivative).toEqual(problems.map(() => 'none'));
      const gauss = normal(uniform(4));
      const dz = tensor(Float64Array.from(solution.z.data, gauss), solution.z.shape);
      const gradients = solution.backwardSync({ dz, dobjective: new Float64Array(8).fill(1) });
      for (const name of given(problems[0]!)) expect(largest(gradients[`d${name}`]!.data)).toBe(0);
      const dp = tensor(Float64Array.from(solution.z.data, gauss), solution.z.shape);
      const tangents = solution.jvpSync({ dp });
      for (const part of parts) expect(largest(tangents[`d${part}`].data)).toBe(0);
      expect(largest(tangents.dobjective)).toBe(0);
    }
  });
});

describe('jvp and backward are adjoint, to 1e-10:', () => {
  /** ⟨g, Jd⟩ and ⟨Jᵀg, d⟩ differ by this part of the largest of their products. */
  function asymmetry(
    problems: readonly OneProblem[],
    shared: readonly Datum[],
    options: Options,
    seed: number,
  ) {
    const batched = batchOf(problems, shared);
    using solution = qpSolveBatchSync(batched, options);
    const gauss = normal(uniform(seed));
    const batch = problems.length;
    const tangents = Object.fromEntries(
      given(problems[0]!).map((name) => {
        const { shape } = batched[name]!;
        const count = shared.includes(name) ? 1 : batch;
        const directions = problems.slice(0, count).map((problem) => drawDirection(problem, name, gauss));
        return [name, tensor(Float64Array.from(directions.flatMap((one) => [...one])), shape)];
      }),
    ) as Partial<Record<Datum, Tensor<'float64'>>>;
    const upstream = Object.fromEntries(
      parts.map((part) => [
        part,
        tensor(Float64Array.from(solution[part].data, gauss), solution[part].shape),
      ]),
    ) as Record<Part, Tensor<'float64'>>;
    const dobjective = Float64Array.from({ length: batch }, gauss);
    const primed = <T>(values: Partial<Record<string, T>>) =>
      Object.fromEntries(Object.entries(values).map(([name, value]) => [`d${name}`, value]));
    const forward = solution.jvpSync(primed(tangents));
    const backward = solution.backwardSync({ ...primed(upstream), dobjective });
    const products = [
      ...parts.map((part) => [upstream[part].data, forward[`d${part}`].data, 1] as const),
      [dobjective, forward.dobjective, 1] as const,
      ...given(problems[0]!).map((name) => [tangents[name]!.data, backward[`d${name}`]!.data, -1] as const),
    ];
    let [sum, size] = [0, 0];
    for (const [a, b, sign] of products) {
      for (let i = 0; i < a.length; i++) {
        sum += sign * a[i]! * b[i]!;
        size = Math.max(size, Math.abs(a[i]! * b[i]!));
      }
    }
    expect(sum).not.toBeNaN();
    return { error: Math.abs(sum) / Math.max(size, 1e-300), isZero: size === 0 };
  }

  it.each(families)('%s', (family) => {
    for (const [label, form] of forms) {
      // Those families that need them.
      if ((family === 'duplicate rows' || family === 'degenerate vertex') && !form.h && !form.gl) continue;
      if (family === 'dependent equalities' && !form.A) continue;
      const { problems } = makeBatch(family, form, 21, 8);
      // Without a polish, what is not unique has derivatives of any size, in which every digit is lost.
      const unpolished = family === 'well posed' ? [{ polish: false }] : [];
      // The central path ends far out, or between walls that leave it no room, in the other families.
      const central = ['well posed', 'rank-deficient Q', 'dependent equalities'].includes(family);
      const smoothed = central ? [{ smoothing: 1e-3 }] : [];
      for (const options of [{}, ...smoothed, ...unpolished]) {
        const { error, isZero } = asymmetry(problems, [], options, 5);
        expectWithin({ [`${label}, ${JSON.stringify(options)}`]: error }, 1e-10);
        expect(isZero).toBe(family === 'infeasible' || family === 'unbounded');
      }
    }
  });

  it('with data that the batch shares', () => {
    for (const [label, form] of forms) {
      const [first] = makeBatch('well posed', form, 22, 1).problems as [OneProblem];
      const gauss = normal(uniform(23));
      const problems = Array.from({ length: 5 }, () => ({
        ...first,
        p: first.p.map((x) => x + 0.1 * gauss()),
      }));
      for (const shared of [given(first), ['Q', 'G', 'A'], ['h', 'gl', 'b', 'lb', 'ub']] as Datum[][]) {
        const kept = shared.filter((name) => name !== 'p');
        expectWithin({ [`${label}, ${kept.join(' ')}`]: asymmetry(problems, kept, {}, 6).error }, 1e-10);
      }
    }
  });
});

describe('smoothed gradients are those of the central path’s point, to 1e-6:', () => {
  const solvedAt = (smoothing: number) => (problem: OneProblem) => {
    const { objective, ...point } = centralPoint(problem, smoothing);
    return { point, objective };
  };

  it.each(forms)('given %s', (_, form) => {
    for (const seed of [31, 32]) {
      const [decided] = makeBatch('well posed', form, seed, 1).problems as [OneProblem];
      const problem = seed === 31 ? decided : undecided(decided);
      for (const smoothing of [1e-1, 1e-3]) {
        using solution = qpSolveBatchSync(batchOf([problem]), { smoothing });
        expect([...solution.status, ...solution.derivative]).toEqual(['solved', 'centralPath']);
        const gauss = normal(uniform(seed));
        const cases = casesOf(solution, weightsOf(pointOf(solution, 0), gauss));
        // Of a side without a finite bound there is no multiplier on the path either.
        const errors = slopeErrors(problem, cases, solvedAt(smoothing), gauss, { length: smallStep });
        expectWithin(errors, 1e-6);
      }
    }
  });

  /** The same with one more bound where the solution is: it has neither a multiplier nor a slack. */
  function undecided(problem: OneProblem): OneProblem {
    using solution = qpSolveBatchSync(batchOf([problem]));
    const z = rowOf(solution.z, 1, 0);
    const Gz = times(problem.G, z, problem.n);
    const sides = sidesOf(problem).map((side) => ({ ...side, slack: slackOf(side, z, Gz) }));
    const isOfRow = (datum: Side['datum']) => datum === 'h' || datum === 'gl';
    const tight = sides.filter(({ slack }) => slack < 0.05);
    // Not one whose other bound is active, which would leave no room.
    const { datum, index } = sides.find(
      (side) =>
        side.slack > 0.05 &&
        !tight.some((other) => other.index === side.index && isOfRow(other.datum) === isOfRow(side.datum)),
    )!;
    const bounds = problem[datum]!.slice();
    bounds[index] = (isOfRow(datum) ? Gz : z)[index]!;
    return { ...problem, [datum]: bounds };
  }

  it('linear programs in a box', () => {
    const [problem] = makeBatch('linear', forms.find(([name]) => name === 'lb ub')![1], 34, 1).problems as [
      OneProblem,
    ];
    const boxed = {
      ...problem,
      lb: problem.lb!.map((x) => Math.max(x, -3)),
      ub: problem.ub!.map((x) => Math.min(x, 3)),
    };
    using solution = qpSolveBatchSync(batchOf([boxed]), { smoothing: 1e-2 });
    const gauss = normal(uniform(35));
    const cases = casesOf(solution, weightsOf(pointOf(solution, 0), gauss));
    expectWithin(slopeErrors(boxed, cases, solvedAt(1e-2), gauss, { length: smallStep }), 1e-6);
  });

  it('results stay those of the solution', () => {
    const { problems } = makeBatch('well posed', forms[7]![1], 36, 8);
    using smoothed = qpSolveBatchSync(batchOf(problems), { smoothing: 0.1 });
    using solution = qpSolveBatchSync(batchOf(problems));
    const errors = parts.map((part) => {
      const [found, expected] = [smoothed[part].data, solution[part].data];
      return [
        part,
        Math.max(...expected.map((x, i) => Math.abs(found[i]! - x) / (1 + Math.abs(x)))),
      ] as const;
    });
    expectWithin(Object.fromEntries(errors), 1e-12);
  });

  it('also where the set of active constraints changes: a corner becomes a curve', () => {
    // z = max(p, 0), smoothed: z² − pz = μ.
    for (const p of [-0.5, -1e-3, 0, 1e-3, 0.5]) {
      using solution = qpSolveBatchSync({ Q: [[1]], p: [-p], lb: [0] }, { smoothing: 0.01 });
      const { dp } = solution.backwardSync({ dz: [1] });
      const z = (p + Math.sqrt(p * p + 0.04)) / 2;
      expectWithin({ dp: Math.abs(dp.data[0]! + z / (2 * z - p)) }, 1e-9);
    }
  });
});

describe('a warm start', () => {
  const largeEnough: Form[] = forms.map(([, form]) => ({ ...form, n: 10 }));
  const errorOf = (actual: QpSolution<'float64'>, expected: QpSolution<'float64'>, part: Part) =>
    largest(actual[part].data.map((x, i) => x - expected[part].data[i]!)) /
    (1 + largest(expected[part].data));

  it.each<[string, number, number | undefined]>([
    ['from the same problem takes at most one iteration', 0, 1],
    ['where the active set stays takes at most one iteration', 1e-4, 1],
    ['where it may change takes at most one iteration more than without', 0.1, undefined],
    ['far away takes at most one iteration more than without', 10, undefined],
  ])('%s, and ends at the same solution', (_, distance, most) => {
    for (const form of largeEnough) {
      const { problems, name } = makeBatch('well posed', form, 41, 16);
      const gauss = normal(uniform(42));
      const moved = problems.map((problem) => ({
        ...problem,
        p: problem.p.map((x) => x + distance * gauss()),
      }));
      using start = qpSolveBatchSync(batchOf(problems));
      using cold = qpSolveBatchSync(batchOf(moved));
      using warm = qpSolveBatchSync(batchOf(moved), { warmStart: start });
      expect([name, warm.status.filter((status) => status !== 'solved')]).toEqual([name, []]);
      warm.iterations.forEach((iterations, k) => {
        expect({ name, k, iterations }).toEqual({
          name,
          k,
          iterations: Math.min(iterations, most ?? cold.iterations[k]! + 1),
        });
      });
      for (const part of parts) expectWithin({ [`${part} of ${name}`]: errorOf(warm, cold, part) }, 1e-8);
    }
  });

  it('from a problem without a solution does no harm', () => {
    for (const form of largeEnough) {
      // The same problems, the first of which has no solution.
      const { problems } = makeBatch('well posed', form, 43, 4);
      const { lb, ub, h, G, n, gl } = problems[0]!;
      const crossed: Partial<OneProblem> =
        lb !== undefined && ub !== undefined
          ? { lb: lb.map(() => 2), ub: ub.map(() => 1) }
          : { G: G.map((x, at) => (at >= n && at < 2 * n ? -G[at - n]! : x)), ...oppose(h, gl) };
      using start = qpSolveBatchSync(batchOf([{ ...problems[0]!, ...crossed }, ...problems.slice(1)]));
      expect(start.status[0]).toBe('primalInfeasible');
      using warm = qpSolveBatchSync(batchOf(problems), { warmStart: start });
      using cold = qpSolveBatchSync(batchOf(problems));
      expect(warm.status).toEqual(cold.status);
      for (const part of parts) expectWithin({ [part]: errorOf(warm, cold, part) }, 1e-8);
    }
  });

  /** Bounds that the first row and its negative cannot both keep. */
  function oppose(h: Float64Array | undefined, gl: Float64Array | undefined): Partial<OneProblem> {
    if (h !== undefined) {
      const bounds = h.map((x, i) => (i < 2 ? -1 : x));
      return { h: bounds, gl: gl?.map((x, i) => (i < 2 ? -Infinity : x)) };
    }
    return { gl: gl!.map((x, i) => (i < 2 ? 1 : x)) };
  }
});

describe('the closest problem that has a solution', () => {
  const absolute = (values: Float64Array) => values.map(Math.abs);
  const finite = (bound: number) => (Math.abs(bound) < Infinity ? Math.abs(bound) : 0);
  const closest: Options = { infeasible: 'closest' };
  /** Those that shifts of h, gl and b can mend: their bounds, and the two sides of their rows, do not contradict each
   * other. */
  const mendable = forms.map(([name, form]) => {
    const { problems } = makeBatch('infeasible', form, 51, 24);
    const isBelow = (low?: Float64Array, high?: Float64Array) =>
      low?.every((x, j) => x <= (high?.[j] ?? Infinity)) ?? true;
    const isMendable = ({ lb, ub, gl, h }: OneProblem) => isBelow(lb, ub) && isBelow(gl, h);
    return [name, problems.filter(isMendable).slice(0, 8)] as const;
  });

  it.each(mendable)('is that of least shift, given %s', (_, problems) => {
    if (problems.length === 0) return;
    using solution = qpSolveBatchSync(batchOf(problems), closest);
    expect(solution.status).toEqual(problems.map(() => 'solved'));
    problems.forEach((problem, k) => {
      const { n, m, G, h, gl, A, b, lb, ub } = problem;
      const batch = problems.length;
      const point = pointOf(solution, k);
      const shiftH = rowOf(solution.shiftH!, batch, k);
      const shiftB = rowOf(solution.shiftB!, batch, k);
      // Every shift is what its row needs, and pushes the way that the row is violated.
      const Gz = times(G, point.z, n);
      const needed = Float64Array.from({ length: m }, (_, i) => {
        const above = Math.max(0, Gz[i]! - (h?.[i] ?? Infinity));
        return above - Math.max(0, (gl?.[i] ?? -Infinity) - Gz[i]!);
      });
      const Az = times(A, point.z, n);
      const size = 1 + largest(b) + largest(shiftH) + largest(shiftB);
      expectWithin(
        {
          shiftH: largest(shiftH.map((t, i) => t - needed[i]!)) / size,
          shiftB: largest(shiftB.map((t, i) => t - (Az[i]! - b[i]!))) / size,
        },
        1e-7,
      );
      // No z needs less: the gradient of half the squared length vanishes, but where a bound holds z back.
      const ofShiftH = timesTransposed(G, shiftH, n);
      const ofShiftB = timesTransposed(A, shiftB, n);
      const gradient = ofShiftH.map((x, j) => x + ofShiftB[j]!);
      const held = gradient.map((x, j) => {
        const atLower = point.z[j]! - (lb?.[j] ?? -Infinity) < 1e-7;
        const atUpper = (ub?.[j] ?? Infinity) - point.z[j]! < 1e-7;
        return (x > 0 && atLower) || (x < 0 && atUpper) ? 0 : x;
      });
      const length = largest(shiftH) + largest(shiftB);
      const slope = largest(problem.p) + n * largest(problem.Q ?? new Float64Array(1)) * largest(point.z);
      expectWithin({ normal: largest(held) / (length + 1e-2 * (1 + slope)) }, 1e-6);
      expect(length).toBeGreaterThan(1e-8);
      // And among the points that need no more, z is the best.
      const shifted: OneProblem = {
        ...problem,
        h: h?.map((x, i) => x + shiftH[i]!),
        gl: gl?.map((x, i) => x + shiftH[i]!),
        b: b.map((x, i) => x + shiftB[i]!),
      };
      const { primal, dual, gap, sign } = scaledResiduals(shifted, point);
      // Shifts weigh 1e8 as much as the objective, hence its multipliers are 1e8 of the differences that the shifts are, and
      // so is the rounding of the terms of these (0.4 of it was seen).
      const sizes = (M: Float64Array, bounds: readonly (Float64Array | undefined)[]) =>
        times(absolute(M), absolute(point.z), n).map((x, i) =>
          bounds.reduce((sum, bound) => sum + finite(bound?.[i] ?? 0), x),
        );
      const ofRows = timesTransposed(absolute(G), sizes(G, [h, gl]), n);
      const ofEquations = timesTransposed(absolute(A), sizes(A, [b]), n);
      const rounding = 1e8 * 2 ** -53 * largest(ofRows.map((x, j) => x + ofEquations[j]!));
      expectWithin(
        { primal, dual, gap, sign },
        { primal: 1e-8, dual: 1e-8 + 2 * rounding, gap: 1e-8, sign: 0 },
      );
    });
  });

  it.each(forms)('of one that has a solution is itself, given %s', (_, form) => {
    const { problems } = makeBatch('well posed', form, 52, 8);
    using solution = qpSolveBatchSync(batchOf(problems), closest);
    using plain = qpSolveBatchSync(batchOf(problems), { device: 'cpu' });
    for (const part of parts) expect(solution[part].data).toEqual(plain[part].data);
    expect([largest(solution.shiftH!.data), largest(solution.shiftB!.data)]).toEqual([0, 0]);
  });

  it.each(forms.filter(([, { h, A }]) => h || A))(
    'has gradients that agree with differences, given %s',
    (name) => {
      const [, problems] = mendable.find(([label]) => label === name)!;
      let compared = 0;
      for (const [index, problem] of problems.entries()) {
        using solution = qpSolveBatchSync(batchOf([problem]), closest);
        // By much, as differences of what hardly exists say nothing.
        if (largest(solution.shiftH!.data) + largest(solution.shiftB!.data) < 0.05) continue;
        if (!(solution.margin[0]! > 0.02) || solution.derivative[0] !== 'activeSet') continue;
        const gauss = normal(uniform(60 + index));
        const weights: Weights = { z: Float64Array.from(solution.z.data, gauss), objective: gauss() };
        const cases = [{ label: 'z', weights, gradients: solution.backwardSync(upstreamOf(weights)) }];
        // Rows that contradict each other may not once they have moved: then there is no derivative.
        const names = given(problem).filter((datum) => datum !== 'G' && datum !== 'A');
        // z is the solver's to 1e-7, of which a difference of 3e-3 sees 3e-5, with the weights of several.
        const differences = { names, floor: 1, length: 3e-3 };
        expectWithin(slopeErrors(problem, cases, solver(closest), gauss, differences), 1e-3);
        compared++;
      }
      expect(compared).toBeGreaterThan(0);
    },
  );
});
