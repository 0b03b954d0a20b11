// Reference problems whose solutions and gradients are known to the last digit.
import { qpSolveBatchSync, tensor } from '../lib/index.js';
import type { DType, QpProblem, QpSolution, SolveOptions } from '../lib/index.js';

import { dualCertificateErrors, primalCertificateErrors, scaledResiduals } from './support/general.js';
import { flat, generalForm, goldenProblems, gradientNames, isPositiveDefinite } from './support/golden.js';
import type { Bounds, GoldenProblem, GradientName, Nested } from './support/golden.js';
import { largest } from './support/kkt.js';
import { expectWithin } from './support/within.js';

const all = goldenProblems();
const hasBounds = ({ lb, ub }: GoldenProblem) => lb !== null || ub !== null;
const isLinear = ({ Q }: GoldenProblem) => Q.every((row) => row.every((x) => x === 0));
const solvable = all.filter(({ status }) => status === 'solved');
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
  'degenerate LP vertex': () => limits(1e-7, 1e-7, 1e-5),
};
const ordinary = solvable.filter(({ kind, kktCond }) => fullAccuracy[kind] === undefined && kktCond < 1e3);

/** What was computed: the solution, and the gradients of cz'z + cl'λ + cn'ν. */
type Values = Record<'z' | 'lambda' | 'nu' | 'lambdaLb' | 'lambdaUb' | 'objective', readonly number[]> &
  Record<GradientName, readonly number[]>;

/** Without a Q that is zero, which is the same problem. */
function asProblem(golden: GoldenProblem): QpProblem<'float64'> {
  const { Q, p, G, h, A, b, lb, ub } = golden;
  const bounds = (values: Bounds | null) => values && values.map(Number);
  return { Q: isLinear(golden) ? null : Q, p, G, h, A, b, lb: bounds(lb), ub: bounds(ub) };
}

/** What a GPU leaves to the CPU. */
function placed(golden: GoldenProblem): { device?: 'cpu' } {
  return golden.status === 'solved' && isPositiveDefinite(golden.Q) ? {} : { device: 'cpu' };
}

function solve(golden: GoldenProblem, options: SolveOptions): Values & { gap: number } {
  using solution = qpSolveBatchSync<DType>(asProblem(golden), { ...placed(golden), ...options });
  expect(solution.status).toEqual(['solved']);
  return valuesOf(golden, solution, options);
}

function valuesOf(
  golden: GoldenProblem,
  solution: QpSolution,
  options: SolveOptions,
): Values & { gap: number } {
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
    lambdaLb: [...solution.lambdaLb.data],
    lambdaUb: [...solution.lambdaUb.data],
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
  const { groups, equalityBasis, candidates, fixedVariables = [] } = golden;
  const n = golden.p.length;
  const multipliers: Errors = {};
  const gradients: Errors = {};
  const compare = (into: Errors, name: keyof Values, reference: Nested | null) => {
    if (reference !== null) into[name] = relativeError(actual[name], flat(reference));
  };
  // The multipliers of a degenerate vertex are not unique.
  const areUnique = golden.kind !== 'degenerate LP vertex';
  if (groups === undefined && areUnique) compare(multipliers, 'lambda', golden.lambda);
  if (equalityBasis === undefined && areUnique) compare(multipliers, 'nu', golden.nu);
  // A fixed variable's bounds are one equation, with one multiplier and one gradient.
  const ofBound = (values: readonly number[] | null) =>
    values?.map((x, j) => (fixedVariables.some(({ index }) => index === j) ? null : x)) ?? null;
  compare(multipliers, 'lambdaLb', golden.lb && ofBound(golden.zl));
  compare(multipliers, 'lambdaUb', golden.ub && ofBound(golden.zu));
  for (const { index, multiplier, dValue } of fixedVariables) {
    const both = actual.lambdaUb[index]! - actual.lambdaLb[index]!;
    multipliers['multiplier of a fixed variable'] = relativeError([both], [multiplier]);
    gradients['dlb + dub of a fixed variable'] = relativeError(
      [actual.dlb[index]! + actual.dub[index]!],
      [dValue],
    );
  }
  if (candidates === undefined) {
    for (const name of gradientNames) {
      const ofBasis = equalityBasis !== undefined && (name === 'dA' || name === 'db');
      const ofLinear = name === 'dQ' && isLinear(golden);
      if (!ofBasis && !ofLinear) compare(gradients, name, golden.gradients[name]);
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
  const blocks = gradientNames.flatMap((name) => {
    const [inactive, active] = [candidates.inactive[name], candidates.active[name]];
    if (inactive === undefined || active === undefined) return [];
    return [{ name, inactive: flat(inactive) as number[], active: flat(active) as number[] }];
  });
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

it('sorts the reference problems', () => {
  const count = (test: (golden: GoldenProblem) => boolean) => all.filter(test).length;
  expect(all).toHaveLength(30);
  expect(count(hasBounds)).toBe(3);
  expect(count(isLinear)).toBe(2);
  expect(count(({ Q }) => !isPositiveDefinite(Q))).toBe(5);
  expect(solvable).toHaveLength(27);
  expect(ordinary).toHaveLength(19);
  expect(others.map(({ status }) => status)).toEqual([
    'dualInfeasible',
    'primalInfeasible',
    'primalInfeasible',
  ]);
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

describe('at the default settings they are as accurate, as the active set is solved on once more:', () => {
  const kinds = ['large slack', 'nearly weakly active', 'weakly active constraint', 'degenerate LP vertex'];
  const settled = [...ordinary, ...solvable.filter(({ kind }) => kinds.includes(kind))];

  it.each(settled.map((golden) => [golden.name, golden] as const))('%s', (_, golden) => {
    const allowed = fullAccuracy[golden.kind]?.(golden) ?? limits(1e-8, 1e-7, 1e-6);
    expectAccuracy(errorsOf(golden, solve(golden, {})), allowed);
  });
});

describe('the margin is the known one, and the derivative that of the active set:', () => {
  // Of rows that are there twice, the multiplier's split decides.
  const unique = ordinary.filter(({ groups }) => groups === undefined);

  it.each(unique.map((golden) => [golden.name, golden] as const))('%s', (_, golden) => {
    using solution = qpSolveBatchSync(asProblem(golden), placed(golden));
    const known = Math.min(golden.minActiveMultiplier ?? Infinity, golden.minInactiveSlack ?? Infinity);
    expect(solution.derivative).toEqual(['activeSet']);
    if (known < Infinity) expectWithin({ margin: Math.abs(solution.margin[0]! - known) }, 1e-7);
    else expect(solution.margin[0]).toBe(Infinity);
  });
});

describe('without that, at the default tolerance, or a tighter one where the active set is nearly undecided, they are near:', () => {
  const near = [...ordinary, ...solvable.filter(({ kind }) => kind === 'large slack')];

  it.each(near.map((golden) => [golden.name, golden] as const))('%s', (_, golden) => {
    // At complementarity μ, a gradient is blurred by μ/margin²: close margins want a tighter tolerance.
    const margin = Math.min(golden.minActiveMultiplier ?? 1, golden.minInactiveSlack ?? 1);
    const options = { polish: false, ...(margin < 1e-2 && { tolerance: 1e-10 }) };
    expectAccuracy(errorsOf(golden, solve(golden, options)), limits(1e-5, 1e-4, 1e-3));
  });
});

describe('in float32, they are as near as its rounding of the data allows:', () => {
  it.each(ordinary.map((golden) => [golden.name, golden] as const))('%s', (_, golden) => {
    const actual = solve(golden, { dtype: 'float32' });
    expectAccuracy(errorsOf(golden, actual), limits(1e-4, 1e-3, 1e-2));
  });
});

describe('a linear program is the same whether Q is zero or absent:', () => {
  it.each(solvable.filter(isLinear).map((golden) => [golden.name, golden] as const))('%s', (_, golden) => {
    using solution = qpSolveBatchSync({ ...asProblem(golden), Q: golden.Q }, placed(golden));
    expect(solution.status).toEqual(['solved']);
    const values = valuesOf(golden, solution, {});
    expectWithin({ z: relativeError(values.z, golden.z) }, 1e-7);
    // A vertex stays where it is, whatever is done to the objective.
    expectWithin({ dp: largest(values.dp), dQ: largest(values.dQ) }, 1e-5);
  });
});

it('the multipliers of a degenerate vertex satisfy the optimality conditions', () => {
  const golden = all.find(({ kind }) => kind === 'degenerate LP vertex')!;
  const { z, lambda } = solve(golden, {});
  const none = new Float64Array(0);
  const point = { nu: none, lambdaGl: none, lambdaLb: none, lambdaUb: none };
  const residuals = scaledResiduals(generalForm(golden), {
    ...point,
    z: Float64Array.from(z),
    lambda: Float64Array.from(lambda),
  });
  expectWithin({ ...residuals }, { primal: 1e-8, dual: 1e-8, gap: 1e-8, sign: 0 });
});

describe('what has no solution ends in a status that says so, with a proof, and zero gradients:', () => {
  it.each(others.map((golden) => [golden.name, golden] as const))('%s', (_, golden) => {
    const problem = generalForm(golden);
    using solution = qpSolveBatchSync(asProblem(golden), placed(golden));
    expect(solution.status).toEqual([golden.status]);
    expect(solution.derivative).toEqual(['none']);
    const certificate = solution.certificate(0)!;
    expect(certificate.kind).toBe(golden.status);
    const errors =
      certificate.kind === 'primalInfeasible'
        ? primalCertificateErrors(problem, certificate)
        : dualCertificateErrors(problem, certificate.direction);
    expectWithin({ ...errors }, { residual: 1e-8, sign: 0, value: 1e-9 });
    const gradients = solution.backwardSync({ dz: tensor(golden.cz!, [1, problem.n]) });
    for (const { data } of Object.values(gradients)) {
      expect(Array.from(data, Math.abs)).toEqual(Array.from(data, () => 0));
    }
  });
});
