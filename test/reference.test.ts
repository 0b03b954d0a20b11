// The tests' own reference, against problems whose solutions and gradients are known to the last digit.
import { centralPoint } from './support/central-path.js';
import { isExact, solveExactly } from './support/exact.js';
import type { ExactSolution } from './support/exact.js';
import { multiplierOf, scaledResiduals, sidesOf, slackOf } from './support/general.js';
import type { OneProblem, Point } from './support/general.js';
import { flat, generalForm, goldenProblems, gradientNames } from './support/golden.js';
import type { GoldenProblem } from './support/golden.js';
import { largest, times } from './support/kkt.js';
import { normal, uniform } from './support/random.js';
import { expectWithin } from './support/within.js';

const solved = goldenProblems().filter(({ status }) => status === 'solved');
const settled = (golden: GoldenProblem) =>
  golden.groups === undefined &&
  golden.equalityBasis === undefined &&
  golden.candidates === undefined &&
  golden.kind !== 'degenerate LP vertex';
const provable = solved.filter(settled);

/** The known solution, and what is near it: as a solver might leave it. */
function near(golden: GoldenProblem, amount: number): Point {
  const gauss = normal(uniform(golden.name.length));
  const moved = (values: readonly number[] | null) =>
    Float64Array.from(values ?? [], (x) => x + amount * gauss());
  const noGl = new Float64Array(0);
  const { z, lambda, nu, zl, zu, lb, ub } = golden;
  return {
    z: moved(z),
    lambda: moved(lambda),
    nu: moved(nu),
    lambdaGl: noGl,
    lambdaLb: moved(lb && zl),
    lambdaUb: moved(ub && zu),
  };
}

function exact(golden: GoldenProblem, amount: number): ExactSolution {
  const result = solveExactly(generalForm(golden), near(golden, amount));
  if (!isExact(result)) throw new Error(result.reason);
  return result;
}

const error = (actual: ArrayLike<number>, reference: ArrayLike<number>) => {
  const size = largest(reference);
  return actual.length === reference.length
    ? largest(Float64Array.from(reference, (x, i) => (actual[i]! - x) / (size > 0 ? size : 1)))
    : NaN;
};

it('covers all problems but those whose active rows are dependent, or not decided', () => {
  expect(solved.filter((golden) => !settled(golden)).map(({ kind }) => kind)).toEqual([
    'duplicate inequality rows',
    'degenerate LP vertex',
    'redundant equality rows',
    'weakly active constraint',
  ]);
  expect(provable).toHaveLength(23);
});

describe.each(provable.map((golden) => [golden.name, golden] as const))('%s', (_, golden) => {
  const digits = 1e-15;

  it('has the known solution, from a point near it', () => {
    const { point, slack } = exact(golden, 1e-9);
    const known = near(golden, 0);
    const onFixed = new Set(golden.fixedVariables?.map(({ index }) => index));
    const withoutFixed = (values: Float64Array) => values.map((x, j) => (onFixed.has(j) ? 0 : x));
    expectWithin(
      {
        z: error(point.z, known.z),
        lambda: error(point.lambda, known.lambda),
        nu: error(point.nu, known.nu),
        slack: error(slack, golden.slack ?? []),
        lambdaLb: error(withoutFixed(point.lambdaLb), withoutFixed(known.lambdaLb)),
        lambdaUb: error(withoutFixed(point.lambdaUb), withoutFixed(known.lambdaUb)),
        fixed: largest(
          (golden.fixedVariables ?? []).map(
            ({ index, multiplier }) => point.lambdaUb[index]! - point.lambdaLb[index]! - multiplier,
          ),
        ),
      },
      digits,
    );
  });

  it('has the known gradients', () => {
    const { cz, cl, cn, gradients, fixedVariables } = golden;
    const upstream = {
      ...(cz && { z: Float64Array.from(cz) }),
      ...(cl && { lambda: Float64Array.from(cl) }),
      ...(cn && { nu: Float64Array.from(cn) }),
    };
    const actual = exact(golden, 1e-9).gradients(upstream);
    for (const { index, dValue } of fixedVariables ?? []) {
      expectWithin({ 'dlb + dub': actual.dlb![index]! + actual.dub![index]! - dValue }, digits);
      actual.dlb![index] = actual.dub![index] = 0;
    }
    for (const name of gradientNames) {
      const reference = gradients[name];
      if (reference === null || (name === 'dQ' && actual.dQ === undefined)) continue;
      const values = flat(reference).map((x) => x ?? 0);
      expectWithin({ [name]: error(actual[name]!, values) }, digits);
    }
  });

  if (golden.kktCond < 1e3 && golden.kind !== 'nearly weakly active') {
    it('is found from a point that is not so near', () => {
      expectWithin({ z: error(exact(golden, 1e-3).point.z, golden.z) }, digits);
    });
  }
});

it('says so where nothing can be proved', () => {
  const reasons = solved
    .filter((golden) => !settled(golden))
    .map((golden) => {
      const result = solveExactly(generalForm(golden), near(golden, 1e-9));
      return isExact(result) ? golden.name : result.reason;
    });
  for (const reason of reasons) expect(reason).toMatch(/singular|proved|settle/);
});

describe('bounds of every kind', () => {
  const golden = provable.find(({ name }) => name === 'mixed-bounds-rows-n10')!;
  const { n, m, ...given } = generalForm(golden);
  const { point } = exact(golden, 0);
  // The same problem with its constraints turned over, as what lies above −G, and on −z.
  const negated = (values: Float64Array) => values.map((x) => -x);
  const turned: OneProblem = {
    ...given,
    n,
    m,
    p: negated(given.p),
    A: negated(given.A),
    h: undefined,
    gl: negated(given.h!),
    lb: negated(given.ub!),
    ub: negated(given.lb!),
  };
  const turnedNear: Point = {
    z: negated(point.z),
    lambda: new Float64Array(0),
    nu: point.nu,
    lambdaGl: point.lambda,
    lambdaLb: point.lambdaUb,
    lambdaUb: point.lambdaLb,
  };
  const gauss = normal(uniform(7));
  const draw = (size: number) => Float64Array.from({ length: size }, gauss);
  const upstream = { z: draw(n), lambda: draw(m), nu: draw(2), lambdaLb: draw(n), lambdaUb: draw(n) };

  it('are the same constraint, seen from the other side', () => {
    const result = solveExactly(turned, turnedNear);
    if (!isExact(result)) throw new Error(result.reason);
    expectWithin(
      Object.fromEntries(
        Object.entries(turnedNear).map(([part, values]) => [part, error(result.point[part as 'z'], values)]),
      ),
      1e-15,
    );
    const expected = exact(golden, 0).gradients({ ...upstream, objective: 0.7 });
    const actual = result.gradients({
      z: negated(upstream.z),
      nu: upstream.nu,
      lambdaGl: upstream.lambda,
      lambdaLb: upstream.lambdaUb,
      lambdaUb: upstream.lambdaLb,
      objective: 0.7,
    });
    expectWithin(
      {
        dQ: error(actual.dQ!, expected.dQ!),
        dp: error(actual.dp!, negated(expected.dp!)),
        dG: error(actual.dG!, expected.dG!),
        dgl: error(actual.dgl!, negated(expected.dh!)),
        dA: error(actual.dA!, negated(expected.dA!)),
        db: error(actual.db!, expected.db!),
        dlb: error(actual.dlb!, negated(expected.dub!)),
        dub: error(actual.dub!, negated(expected.dlb!)),
      },
      1e-14,
    );
  });

  it('and the objective’s gradient is that of its formula', () => {
    const solution = exact(golden, 0);
    const actual = solution.gradients({ ...upstream, objective: -1.3 });
    const Qz = times(given.Q!, point.z, n);
    const expected = solution.gradients({
      ...upstream,
      z: upstream.z.map((x, j) => x - 1.3 * (Qz[j]! + given.p[j]!)),
    });
    expected.dp = expected.dp!.map((x, j) => x - 1.3 * point.z[j]!);
    expected.dQ = expected.dQ!.map((x, i) => x - 0.65 * point.z[Math.floor(i / n)]! * point.z[i % n]!);
    for (const name of ['dQ', 'dp', 'dG', 'dh', 'dA', 'db', 'dlb', 'dub'] as const) {
      expectWithin({ [name]: error(actual[name]!, expected[name]!) }, 1e-14);
    }
  });
});

describe('the reference for the central path', () => {
  it.each(provable.filter(({ kind }) => kind === 'bounds with G and A' || kind === 'small dense, m and q'))(
    'satisfies its equations: $name',
    (golden) => {
      const problem = generalForm(golden);
      for (const size of [1, 1e-2, 1e-4]) {
        const point = centralPoint(problem, size);
        const Gz = times(problem.G, point.z, problem.n);
        const sides = sidesOf(problem);
        const products = sides.map(
          (side) => point[multiplierOf[side.datum]][side.index]! * slackOf(side, point.z, Gz),
        );
        expectWithin({ products: largest(products.map((x) => x - size)) / size }, 1e-10);
        const { primal, dual, sign } = scaledResiduals(problem, point);
        expectWithin({ primal, dual, sign }, 1e-12);
      }
    },
  );

  it('has the closed form of one bound', () => {
    const none = new Float64Array(0);
    const one = (x: number) => Float64Array.of(x);
    const absent = { h: undefined, gl: undefined, ub: undefined };
    for (const p of [-1, 0, 2]) {
      const bounded = { n: 1, m: 0, q: 0, Q: one(1), p: one(-p), G: none, A: none, b: none, lb: one(0) };
      const { z } = centralPoint({ ...bounded, ...absent }, 0.01);
      expectWithin({ z: Math.abs(z[0]! - (p + Math.sqrt(p * p + 0.04)) / 2) }, 1e-14);
    }
  });
});
