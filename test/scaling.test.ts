// What a problem's end is does not hang on the units that it is written down in: rows, variables, the objective and the values
// of z in other units, by up to twelve orders, change no status, and no result but in its units. Certificates are checked
// without rounding.
import { qpSolveBatchSync } from '../lib/index.js';
import type { Certificate } from '../lib/index.js';

import { exactSum, isNotPositive, vanishes } from './support/dyadic.js';
import { isExact, solveExactly } from './support/exact.js';
import { batchesOf, families } from './support/families.js';
import { batchOf, multiplierOf, pointOf, sidesOf } from './support/general.js';
import type { OneProblem } from './support/general.js';
import { largest } from './support/kkt.js';
import { uniform } from './support/random.js';
import { fromUnits, inUnits, unitsOf } from './support/scaling.js';
import type { Units } from './support/scaling.js';

const perFamily = 200;
const orders = 12;
const changes = ['a row', 'a column', 'the objective', 'the values', 'all of them'] as const;

function drawUnits(problem: OneProblem, change: (typeof changes)[number], draw: () => number): Units {
  const units = unitsOf(problem);
  const power = () => 10 ** (Math.floor((2 * orders + 1) * draw()) - orders);
  const is = (one: (typeof changes)[number]) => change === one || change === 'all of them';
  const { n, m, q } = problem;
  const row = Math.floor((m + q) * draw());
  if (is('a row') && row < m) units.rowsOfG[row] = power();
  if (is('a row') && row >= m && q > 0) units.rowsOfA[row - m] = power();
  if (is('a column')) units.columns[Math.floor(n * draw())] = power();
  if (is('the objective')) units.objective = power();
  if (is('the values')) units.values = power();
  return units;
}

/** What is wrong with a certificate, by exact arithmetic on the problem's own numbers. */
function exactFaults(problem: OneProblem, certificate: Certificate): string[] {
  const { n, m, q, Q, p, G, A, b } = problem;
  const indices = (size: number) => Array.from({ length: size }, (_, i) => i);
  const faults: string[] = [];
  const check = (name: string, holds: boolean) => {
    if (!holds) faults.push(name);
  };
  const sides = sidesOf(problem);
  if (certificate.kind === 'primalInfeasible') {
    const { lambda, lambdaGl, lambdaLb, lambdaUb, nu } = certificate;
    const ofVariable = (j: number) => [
      ...indices(m).flatMap((i) => [
        [G[i * n + j]!, lambda[i]!] as const,
        [-G[i * n + j]!, lambdaGl[i] ?? 0] as const,
      ]),
      ...indices(q).map((k) => [A[k * n + j]!, nu[k]!] as const),
      [-1, lambdaLb[j] ?? 0] as const,
      [1, lambdaUb[j] ?? 0] as const,
    ];
    for (const j of indices(n)) check(`variable ${j}`, vanishes(exactSum(ofVariable(j))));
    for (const part of [lambda, lambdaGl, lambdaLb, lambdaUb])
      check(
        'a sign',
        part.every((x) => x >= 0),
      );
    const finite = new Set(sides.map(({ datum, index }) => `${multiplierOf[datum]} ${index}`));
    for (const [name, part] of Object.entries({ lambda, lambdaGl, lambdaLb, lambdaUb }))
      check(
        'a side that is not there',
        part.every((x, i) => x === 0 || finite.has(`${name} ${i}`)),
      );
    const value = exactSum([
      ...sides.map(
        ({ datum, index, sign, bound }) => [sign * bound, certificate[multiplierOf[datum]][index]!] as const,
      ),
      ...indices(q).map((k) => [b[k]!, nu[k]!] as const),
    ]);
    check('the value', value.sum < 0n);
  } else {
    const d = certificate.direction;
    const row = (M: Float64Array, i: number) => exactSum(indices(n).map((j) => [M[i * n + j]!, d[j]!]));
    if (Q !== undefined) for (const j of indices(n)) check(`curvature ${j}`, vanishes(row(Q, j)));
    for (const k of indices(q)) check(`equality ${k}`, vanishes(row(A, k)));
    for (const { datum, index, sign } of sides) {
      const isRow = datum === 'h' || datum === 'gl';
      if (!isRow) check(`${datum} ${index}`, sign * d[index]! <= 0);
      else
        check(
          `${datum} ${index}`,
          isNotPositive(exactSum(indices(n).map((j) => [sign * G[index * n + j]!, d[j]!]))),
        );
    }
    check('the slope', exactSum(indices(n).map((j) => [p[j]!, d[j]!])).sum < 0n);
  }
  return faults;
}

interface Findings {
  problems: number;
  flips: string[];
  moved: string[];
  faults: string[];
  certificates: number;
}

const none = { count: 0, first: [] };
const some = (failures: readonly string[]) => ({ count: failures.length, first: failures.slice(0, 5) });
const onCpu = { device: 'cpu' } as const;

describe.each(families)('%s:', (family) => {
  const found: Findings = { problems: 0, flips: [], moved: [], faults: [], certificates: 0 };
  beforeAll(() => {
    const draw = uniform(81 + families.indexOf(family));
    for (const make of batchesOf(family, perFamily)) {
      const { name, problems } = make();
      found.problems += problems.length;
      using as = qpSolveBatchSync(batchOf(problems), onCpu);
      const exact = problems.map((problem, k) =>
        as.status[k] === 'solved' ? solveExactly(problem, pointOf(as, k)) : undefined,
      );
      for (const change of changes) {
        const units = problems.map((problem) => drawUnits(problem, change, draw));
        const changed = problems.map((problem, k) => inUnits(problem, units[k]!));
        using solution = qpSolveBatchSync(batchOf(changed), onCpu);
        problems.forEach((problem, k) => {
          const label = `${name}: problem ${k}, ${change} in other units`;
          if (solution.status[k] !== as.status[k]) {
            found.flips.push(`${label}: ${as.status[k]!} became ${solution.status[k]!}`);
            return;
          }
          const certificate = solution.certificate(k);
          if (certificate !== undefined) {
            found.certificates++;
            const faults = exactFaults(changed[k]!, certificate);
            if (faults.length > 0) found.faults.push(`${label}: ${faults.join(', ')}`);
          }
          const solved = exact[k];
          if (solved === undefined || !isExact(solved)) return;
          const { z } = fromUnits(pointOf(solution, k), problem, units[k]!);
          const error = largest(z.map((x, j) => x - solved.point.z[j]!)) / largest(solved.point.z);
          if (!(error <= 1e-6)) found.moved.push(`${label}: z by ${error.toExponential(1)}`);
        });
      }
    }
  });

  it(`about ${perFamily} problems keep their status`, () => {
    expect(found.problems).toBeGreaterThanOrEqual(perFamily);
    expect(some(found.flips)).toEqual(none);
  });

  it('what has one solution has the same, in its units', () => {
    expect(some(found.moved)).toEqual(none);
  });

  it('certificates prove what they claim, or are within a billionth of their own terms of it', () => {
    const count = family === 'infeasible' || family === 'unbounded' ? found.problems * changes.length : 0;
    expect(found.certificates).toBe(count);
    expect(some(found.faults)).toEqual(none);
  });
});

describe('with whole numbers as data,', () => {
  /** Whole rows that add up to nothing, with right-hand sides that add up to less. */
  function contradiction(seed: number): OneProblem {
    const draw = uniform(seed);
    const whole = (most: number) => Math.floor((2 * most + 1) * draw()) - most;
    const n = 1 + Math.floor(6 * draw());
    const count = 1 + Math.floor(n * draw());
    const m = count + 1 + n;
    const G = Float64Array.from({ length: m * n }, () => whole(5));
    const h = Float64Array.from({ length: m }, () => whole(9));
    const weights = Float64Array.from({ length: count }, () => 1 + Math.floor(4 * draw()));
    for (let j = 0; j < n; j++)
      G[count * n + j] = -weights.reduce((sum, weight, i) => sum + weight * G[i * n + j]!, 0);
    h[count] = -weights.reduce((sum, weight, i) => sum + weight * h[i]!, 0) - 1 - Math.floor(3 * draw());
    const p = Float64Array.from({ length: n }, () => whole(3)); // which may fall for ever where there are points
    const empty = new Float64Array();
    return {
      n,
      m,
      q: 0,
      Q: undefined,
      p,
      G,
      h,
      gl: undefined,
      A: empty,
      b: empty,
      lb: undefined,
      ub: undefined,
    };
  }

  it('a contradiction is proved exactly enough', () => {
    const faults = Array.from({ length: 500 }, (_, k) => {
      const problem = contradiction(900 + k);
      using solution = qpSolveBatchSync(batchOf([problem]), onCpu);
      const certificate = solution.certificate(0);
      return certificate?.kind === 'primalInfeasible'
        ? exactFaults(problem, certificate).map((fault) => `${k}: ${fault}`)
        : [`${k}: ${solution.status[0]!}`];
    }).flat();
    expect(some(faults)).toEqual(none);
  });
});
