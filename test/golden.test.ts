// Reference problems whose solutions and gradients are known to the last digit.
import { QpError, qpSolveBatchSync, tensor } from '../lib/index.js';
import type { QpProblem, SolveOptions } from '../lib/index.js';

import { flat, goldenProblems, gradientNames, isPositiveDefinite } from './support/golden.js';
import type { GoldenProblem, GradientName, Nested } from './support/golden.js';
import { largest } from './support/kkt.js';
import { expectWithin } from './support/within.js';

const all = goldenProblems();
const hasBounds = ({ lb, ub }: GoldenProblem) => lb !== null || ub !== null;
const supported = all.filter((golden) => !hasBounds(golden) && isPositiveDefinite(golden.Q));
const solvable = supported.filter(({ status }) => status === 'solved');
const others = all.filter((golden) => !solvable.includes(golden));

interface Limits {
  z: number;
  objective: number;
  multipliers: number;
  gradients: number;
}
const limits = (z: number, multipliers: number, gradients: number, objective = z): Limits => ({
  z,
  objective,
  multipliers,
  gradients,
});

const fullAccuracy: Record<string, (golden: GoldenProblem) => Limits> = {
  'nearly weakly active': () => limits(1e-7, 1e-7, 1e-4),
  'badly scaled': () => limits(1e-6, 1e-5, 1e-4),
  'nearly singular Q': ({ kktCond }) => limits(1e-15 * kktCond, 1e-7, 1e-15 * kktCond, 1e-10),
  'large slack': () => limits(1e-7, 1e-6, 1e-5),
  'weakly active constraint': () => limits(1e-5, 1e-5, 1e-5),
};
const ordinary = solvable.filter(({ kind, kktCond }) => fullAccuracy[kind] === undefined && kktCond < 1e3);

/** What was computed: the solution, and the gradients of cz'z + cl'λ + cn'ν. */
type Values = Record<'z' | 'lambda' | 'nu' | 'objective', readonly number[]> &
  Record<GradientName, readonly number[]>;

function solve(golden: GoldenProblem, options: SolveOptions): Values & { gap: number } {
  const { Q, p, G, h, A, b } = golden;
  using solution = qpSolveBatchSync({ Q, p, G, h, A, b }, options);
  expect(solution.status).toEqual(['solved']);
  const upstream = (values: number[] | null) =>
    values === null ? null : tensor(values, [1, values.length], options.dtype ?? 'float64');
  const gradients = solution.backwardSync({
    dz: upstream(golden.cz ?? golden.z.map(() => 0)),
    dlambda: upstream(golden.cl),
    dnu: upstream(golden.cn),
  });
  const values = {
    z: [...solution.z.data],
    lambda: [...solution.lambda.data],
    nu: [...solution.nu.data],
    objective: [...solution.objective],
    gap: solution.residuals.gap[0]!,
  };
  const entries = gradientNames.map((name) => [name, [...(gradients[name]?.data ?? [])]]);
  return { ...values, ...(Object.fromEntries(entries) as Record<GradientName, number[]>) };
}

/** max |actual − reference| / (1 + max |reference|), where there is a reference. */
function relativeError(actual: readonly number[], reference: readonly (number | null)[]): number {
  if (actual.length !== reference.length) return NaN;
  const difference = reference.map((x, i) => (x === null ? 0 : actual[i]! - x));
  return largest(difference) / (1 + largest(reference.map((x) => x ?? 0)));
}

type Errors = Record<string, number>;

/** E'M for M of rows of the given width. */
function combine(E: number[][], M: readonly number[], width: number): number[] {
  return E[0]!.flatMap((_, column) =>
    Array.from({ length: width }, (_, j) =>
      E.reduce((sum, row, k) => sum + row[column]! * M[k * width + j]!, 0),
    ),
  );
}

/** The errors of z, the objective, the multipliers and the gradients, in the way that fits the kind of the problem. */
function errorsOf(golden: GoldenProblem, actual: Values): Record<keyof Limits, Errors> {
  const { groups, equalityBasis, candidates } = golden;
  const n = golden.p.length;
  const multipliers: Errors = {};
  const gradients: Errors = {};
  const compare = (into: Errors, name: keyof Values, reference: Nested | null) => {
    if (reference !== null) into[name] = relativeError(actual[name], flat(reference));
  };
  if (groups === undefined) compare(multipliers, 'lambda', golden.lambda);
  if (equalityBasis === undefined) compare(multipliers, 'nu', golden.nu);
  if (candidates === undefined) {
    for (const name of gradientNames) {
      const ofBasis = equalityBasis !== undefined && (name === 'dA' || name === 'db');
      if (!ofBasis) compare(gradients, name, golden.gradients[name]);
    }
  } else {
    Object.assign(gradients, segmentErrors(actual, candidates));
  }
  for (const { rows, weights, lambda, dh, dG } of groups ?? []) {
    const sum = (values: readonly number[], width: number) =>
      Array.from({ length: width }, (_, j) =>
        rows.reduce((total, row, k) => total + weights[k]! * values[row * width + j]!, 0),
      );
    const alone = golden.lambda!.map((x, row) => (rows.includes(row) ? null : x));
    multipliers.lambda = Math.max(multipliers.lambda ?? 0, relativeError(actual.lambda, alone));
    multipliers['lambda of a group'] = relativeError(sum(actual.lambda, 1), [lambda]);
    gradients['dh of a group'] = relativeError(sum(actual.dh, 1), [dh]);
    gradients['dG of a group'] = relativeError(sum(actual.dG, n), dG);
  }
  if (equalityBasis !== undefined) {
    const { E, EtNu, EtdA, Etdb } = equalityBasis;
    multipliers["E'nu"] = relativeError(combine(E, actual.nu, 1), EtNu);
    gradients["E'dA"] = relativeError(combine(E, actual.dA, n), flat(EtdA));
    gradients["E'db"] = relativeError(combine(E, actual.db, 1), Etdb);
  }
  return {
    z: { z: relativeError(actual.z, golden.z) },
    objective: { objective: relativeError(actual.objective, [golden.objective]) },
    multipliers,
    gradients,
  };
}

/** How far the gradients are from one point (1 − s)·inactive + s·active with s in [0, 1], the same for every block. */
function segmentErrors(actual: Values, candidates: NonNullable<GoldenProblem['candidates']>): Errors {
  const blocks = gradientNames.map((name) => ({
    name,
    inactive: flat(candidates.inactive[name]) as number[],
    active: flat(candidates.active[name]) as number[],
  }));
  let [along, length] = [0, 0];
  for (const { name, inactive, active } of blocks) {
    inactive.forEach((x, i) => {
      along += (actual[name][i]! - x) * (active[i]! - x);
      length += (active[i]! - x) ** 2;
    });
  }
  const s = Math.min(1, Math.max(0, along / length));
  return Object.fromEntries(
    blocks.map(({ name, inactive, active }) => [
      name,
      relativeError(
        actual[name],
        inactive.map((x, i) => (1 - s) * x + s * active[i]!),
      ),
    ]),
  );
}

/**
 * The same in units in which Q has a unit diagonal and the rows of G and A a largest entry of 1: with column factors c
 * and row factors r, z becomes c∘z, λ becomes r∘λ, dQᵢⱼ becomes cᵢcⱼ·dQᵢⱼ, and so on.
 */
function scaledErrorsOf(golden: GoldenProblem, actual: Values): Record<keyof Limits, Errors> {
  const column = golden.Q.map((row, j) => Math.sqrt(row[j]!));
  const rowFactors = (M: number[][] | null) =>
    (M ?? []).map((row) => largest(row.map((x, j) => x / column[j]!)));
  const [g, a] = [rowFactors(golden.G), rowFactors(golden.A)];
  const error = (
    values: readonly number[],
    reference: Nested | null,
    unit: (i: number, j: number) => number,
  ) => {
    const width = Array.isArray(reference?.[0]) ? column.length : 1;
    const scale = (x: number | null, index: number) => x! * unit(Math.floor(index / width), index % width);
    return entrywiseError(values.map(scale), flat(reference ?? []).map(scale), width);
  };
  return {
    z: { z: error(actual.z, golden.z, (j) => column[j]!) },
    objective: { objective: relativeError(actual.objective, [golden.objective]) },
    multipliers: {
      lambda: error(actual.lambda, golden.lambda, (i) => g[i]!),
      nu: error(actual.nu, golden.nu, (k) => a[k]!),
    },
    gradients: {
      dQ: error(actual.dQ, golden.gradients.dQ, (i, j) => column[i]! * column[j]!),
      dp: error(actual.dp, golden.gradients.dp, (j) => column[j]!),
      dG: error(actual.dG, golden.gradients.dG, (i, j) => g[i]! * column[j]!),
      dh: error(actual.dh, golden.gradients.dh, (i) => g[i]!),
      dA: error(actual.dA, golden.gradients.dA, (k, j) => a[k]! * column[j]!),
      db: error(actual.db, golden.gradients.db, (k) => a[k]!),
    },
  };
}

/** Each entry's error over the largest reference in the same row or column, or 1 where that is 0. */
function entrywiseError(actual: readonly number[], reference: readonly number[], width: number): number {
  if (actual.length !== reference.length) return NaN;
  const height = reference.length / width;
  const rows = Array.from({ length: height }, (_, i) => largest(reference.slice(i * width, (i + 1) * width)));
  const columns = Array.from({ length: width }, (_, j) =>
    largest(Array.from({ length: height }, (_, i) => reference[i * width + j]!)),
  );
  return largest(
    reference.map((x, index) => {
      const size = Math.max(rows[Math.floor(index / width)]!, columns[index % width]!);
      return (actual[index]! - x) / (size > 0 ? size : 1);
    }),
  );
}

function expectAccuracy(errors: Record<keyof Limits, Errors>, allowed: Limits): void {
  expectWithin({ ...errors.z }, allowed.z);
  expectWithin(errors.objective, allowed.objective);
  expectWithin(errors.multipliers, allowed.multipliers);
  expectWithin(errors.gradients, allowed.gradients);
}

it('sorts the reference problems into those it must solve and those it must not claim to', () => {
  const count = (test: (golden: GoldenProblem) => boolean) => all.filter(test).length;
  expect(all).toHaveLength(30);
  expect(count(hasBounds)).toBe(3);
  expect(count(({ Q }) => !isPositiveDefinite(Q))).toBe(5);
  expect(count(({ status }) => status !== 'solved')).toBe(3);
  expect(solvable).toHaveLength(20);
  expect(others).toHaveLength(10);
  expect(ordinary).toHaveLength(13);
});

describe('at full accuracy, the solution, the multipliers and all gradients are the known ones:', () => {
  const tight: SolveOptions = { tolerance: 1e-12 };

  it.each(ordinary.map((golden) => [golden.name, golden] as const))('%s', (_, golden) => {
    expectAccuracy(errorsOf(golden, solve(golden, tight)), limits(1e-8, 1e-7, 1e-6));
  });

  const special = solvable.filter((golden) => !ordinary.includes(golden));
  it.each(special.map((golden) => [golden.name, golden] as const))('%s', (_, golden) => {
    const nearlyWeak = golden.kind === 'nearly weakly active';
    // The derivative counts such a row as active or not up to s/λ or λ/s, which is the gap over the margin's square.
    const options: Record<string, SolveOptions> = {
      'nearly weakly active': { tolerance: 1e-15 },
      'nearly singular Q': { tolerance: 1e-10 }, // rounding alone moves the residuals by kktCond × 1e-16 and more
    };
    const actual = solve(golden, options[golden.kind] ?? tight);
    if (nearlyWeak) expect(actual.gap).toBeLessThan(1e-14);
    const errors = golden.kind === 'badly scaled' ? scaledErrorsOf(golden, actual) : errorsOf(golden, actual);
    expectAccuracy(errors, fullAccuracy[golden.kind]!(golden));
  });
});

describe('mixed precision reaches the same accuracy:', () => {
  it.each(ordinary.map((golden) => [golden.name, golden] as const))('%s', (_, golden) => {
    const actual = solve(golden, { tolerance: 1e-12, precision: 'mixed' });
    expectAccuracy(errorsOf(golden, actual), limits(1e-8, 1e-7, 1e-6));
  });
});

describe('at the default tolerance, or a tighter one where the active set is nearly undecided, they are near:', () => {
  const near = [...ordinary, ...solvable.filter(({ kind }) => kind === 'large slack')];

  it.each(near.map((golden) => [golden.name, golden] as const))('%s', (_, golden) => {
    // At complementarity μ, a gradient is blurred by μ/margin²: close margins want a tighter tolerance.
    const margin = Math.min(golden.minActiveMultiplier ?? 1, golden.minInactiveSlack ?? 1);
    const options = margin < 1e-2 ? { tolerance: 1e-10 } : {};
    expectAccuracy(errorsOf(golden, solve(golden, options)), limits(1e-5, 1e-4, 1e-3));
  });
});

describe('in float32, they are as near as its rounding of the data allows:', () => {
  it.each(ordinary.map((golden) => [golden.name, golden] as const))('%s', (_, golden) => {
    const actual = solve(golden, { dtype: 'float32' });
    expectAccuracy(errorsOf(golden, actual), limits(1e-4, 1e-3, 1e-2));
  });
});

describe('what cannot be solved is refused, or ends in a status that says so:', () => {
  it.each(others.map((golden) => [golden.name, golden] as const))('%s', (_, golden) => {
    const { Q, p, G, h, A, b, lb, ub } = golden;
    const bounds = { ...(lb !== null && { lb }), ...(ub !== null && { ub }) };
    const problem = { Q, p, G, h, A, b, ...bounds } as QpProblem;
    let error: unknown;
    try {
      using solution = qpSolveBatchSync(problem);
      expect(solution.status).not.toContain('solved');
      return;
    } catch (thrown) {
      error = thrown;
    }
    if (!(error instanceof QpError)) throw error;
    // An infeasible problem with a good Q is no mistake in the data, so it may not throw.
    expect(error.code).toBe(hasBounds(golden) ? 'ERR_QP_ARGUMENT' : 'ERR_QP_NOT_CONVEX');
    expect(hasBounds(golden) || !isPositiveDefinite(Q)).toBe(true);
  });
});
