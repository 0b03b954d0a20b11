// Twenty thousand random problems of which it is known how each must end. A failure names the family, the seed, and what
// the problem was given: makeBatch(family, form, seed, …).problems[k] is the problem.
import { qpSolveBatchSync, tensor } from '../lib/index.js';

import { batchesOf, families } from './support/families.js';
import type { Batch, Family } from './support/families.js';
import {
  batchOf,
  data,
  dualCertificateErrors,
  parts,
  pointOf,
  primalCertificateErrors,
  scaledResiduals,
} from './support/general.js';
import type { OneProblem } from './support/general.js';
import { largest } from './support/kkt.js';
import { normal, uniform } from './support/random.js';

const perFamily = 2000;
const tolerance = 1e-8;
/** Of computing residuals again, in units of the tolerance's: some tens of products, each rounded. */
const rounding = 1e-13;
/** Of a certificate, relative to the sizes of what it multiplies. */
const certificateTolerance = 1e-8;
const requiredShare = 0.999;

/** What was found of a family. */
interface Findings {
  problems: number;
  /** How many ended in each status. */
  ends: Record<string, number>;
  asExpected: number;
  notFinite: string[];
  beyondTolerance: string[];
  wrongProofs: string[];
  falseProofs: string[];
}

function solve({ name, problems, expected }: Batch, found: Findings): void {
  using solution = qpSolveBatchSync(batchOf(problems));
  const gauss = normal(uniform(1));
  const upstream = parts
    .filter((part) => solution[part].data.length > 0)
    .map((part) => {
      const { data, shape } = solution[part];
      return [`d${part}`, tensor(Float64Array.from(data, gauss), shape)];
    });
  const gradients = solution.backwardSync({ ...Object.fromEntries(upstream) } as never);
  const isFinite = (values: Float64Array, k: number) => {
    const size = values.length / problems.length;
    return largest(values.subarray(k * size, (k + 1) * size)) < Infinity;
  };
  problems.forEach((problem, k) => {
    const label = `${name}: problem ${k}`;
    const status = solution.status[k]!;
    found.problems++;
    found.ends[status] = (found.ends[status] ?? 0) + 1;
    const point = pointOf(solution, k);
    const values: [string, Float64Array][] = [
      ...parts.map((part) => [part, solution[part].data] as [string, Float64Array]),
      ...data.map(
        (datum) =>
          [`d${datum}`, gradients[`d${datum}`]?.data ?? new Float64Array(0)] as [string, Float64Array],
      ),
    ];
    for (const [what, array] of values) {
      if (!isFinite(array, k)) found.notFinite.push(`${label}, ${status}: ${what}`);
    }
    // The least of nothing is +∞.
    const objective = solution.objective[k]!;
    const noSolution = { primalInfeasible: Infinity, dualInfeasible: -Infinity } as Record<string, number>;
    if (Number.isFinite(objective) ? status in noSolution : objective !== noSolution[status]) {
      found.notFinite.push(`${label}, ${status}: objective ${objective}`);
    }
    if (status === 'solved') {
      const { primal, dual, gap, sign } = scaledResiduals(problem, point);
      const worst = largest([primal, dual, gap, sign > 0 ? Infinity : 0]);
      if (!(worst <= tolerance + rounding)) found.beyondTolerance.push(`${label}: ${worst}`);
    }
    const proof = proofErrors(problem, solution.certificate(k));
    if (proof !== undefined && proof.length > 0) found.wrongProofs.push(`${label}: ${proof.join(', ')}`);
    if (proof !== undefined && status !== expected) found.falseProofs.push(`${label}: ${status}`);
    if (status === expected && (proof === undefined || proof.length === 0)) found.asExpected++;
  });
}

/** What is wrong with a certificate; undefined where there is none. */
function proofErrors(
  problem: OneProblem,
  certificate: ReturnType<ReturnType<typeof qpSolveBatchSync<'float64'>>['certificate']>,
): string[] | undefined {
  if (certificate === undefined) return undefined;
  const errors =
    certificate.kind === 'primalInfeasible'
      ? primalCertificateErrors(problem, certificate)
      : dualCertificateErrors(problem, certificate.direction);
  return Object.entries(errors)
    .filter(([name, error]) => !(error <= (name === 'sign' ? 0 : certificateTolerance)))
    .map(([name, error]) => `${name} ${error}`);
}

function findingsOf(family: Family): Findings {
  const found: Findings = {
    problems: 0,
    ends: {},
    asExpected: 0,
    notFinite: [],
    beyondTolerance: [],
    wrongProofs: [],
    falseProofs: [],
  };
  for (const make of batchesOf(family, perFamily)) solve(make(), found);
  return found;
}

const some = (failures: readonly string[]) => ({ count: failures.length, first: failures.slice(0, 5) });
const none = { count: 0, first: [] };

describe.each(families)('%s (seeds from the name of a batch):', (family) => {
  let found: Findings;
  beforeAll(() => {
    found = findingsOf(family);
  });

  it(`at least ${perFamily} problems`, () => {
    expect(found.problems).toBeGreaterThanOrEqual(perFamily);
  });

  it('no result and no gradient is infinite or NaN', () => {
    expect(some(found.notFinite)).toEqual(none);
  });

  it('nothing is called solved whose residuals, from the data, exceed the tolerance', () => {
    expect(some(found.beyondTolerance)).toEqual(none);
  });

  it('every certificate proves what it says', () => {
    expect(some(found.wrongProofs)).toEqual(none);
  });

  it('no certificate says of a problem what it is not', () => {
    expect(some(found.falseProofs)).toEqual(none);
  });

  it(`at least ${100 * requiredShare} % end as they must`, () => {
    const { ends, asExpected, problems } = found;
    const share = asExpected / problems;
    expect({ ends, asExpected, problems, enough: share >= requiredShare }).toEqual({
      ends,
      asExpected,
      problems,
      enough: true,
    });
  });
});
