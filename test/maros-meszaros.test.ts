// The small problems of the Maros–Mészáros set: bounds, two-sided rows, dependent and empty ones, singular Q, bad scales.
import { qpSolveBatchSync, tensor } from '../lib/index.js';

import { isExact, solveExactly } from './support/exact.js';
import { batchOf, data, pointOf, scaledResiduals, sidesOf } from './support/general.js';
import { largest } from './support/kkt.js';
import { marosMeszaros, measure } from './support/maros-meszaros.js';
import type { MarosMeszaros } from './support/maros-meszaros.js';
import { normal, uniform } from './support/random.js';
import { expectWithin } from './support/within.js';

const all = marosMeszaros();
const tolerance = 1e-8;

/** Whether the active set is far from changing, and whether its equations then have one solution. */
const isFar = (one: MarosMeszaros) => measure(one).margin > 1e-6;
const isUnique = ({ problem }: MarosMeszaros) => {
  using solution = qpSolveBatchSync(batchOf([problem]));
  return isExact(solveExactly(problem, pointOf(solution, 0)));
};
const far = all.filter(isFar);
const isClear = new Set(far.filter(isUnique));

it('are all there, with what makes them hard', () => {
  expect(all).toHaveLength(35);
  const count = (test: (one: MarosMeszaros) => boolean) => all.filter(test).length;
  expect(count(({ problem: { h, gl } }) => h !== undefined && gl !== undefined)).toBeGreaterThan(1);
  expect(count(({ problem: { lb, ub } }) => lb?.some((x, j) => x === ub?.[j]) ?? false)).toBe(2);
  expect(count(({ problem: { q } }) => q > 0)).toBe(25);
});

describe.each(all.map((one) => [one.name, one] as const))('%s', (_, one) => {
  it('is solved, to the tolerance and the known objective', () => {
    const { status, primal, dual, gap, sign, objectiveError, objectiveLimit } = measure(one);
    expect(status).toBe('solved');
    expectWithin(
      { primal, dual, gap, sign, objectiveError },
      { primal: tolerance, dual: tolerance, gap: tolerance, sign: 0, objectiveError: objectiveLimit },
    );
  });

  if (isClear.has(one)) {
    it('is solved on its active set', () => {
      expect(measure(one).derivative).toBe('activeSet');
    });
  }

  it('has finite gradients', () => {
    using solution = qpSolveBatchSync(batchOf([one.problem]));
    const gauss = normal(uniform(3));
    const dz = tensor(Float64Array.from(solution.z.data, gauss), solution.z.shape);
    const gradients = solution.backwardSync({ dz, dobjective: [0.5] });
    for (const name of data) {
      const gradient = gradients[`d${name}`];
      if (gradient !== undefined) expect(largest(gradient.data)).toBeLessThan(Infinity);
    }
  });
});

it('of those with more than one solution of the multipliers, most are solved on an active set', () => {
  const others = far.filter((one) => !isClear.has(one));
  expect([isClear.size, others.length]).toEqual([19, 10]);
  // Whether dependent rows can be told from others is up to rounding: one was not, with SSE2.
  const solved = others.filter((one) => measure(one).derivative === 'activeSet');
  expect(solved.length).toBeGreaterThanOrEqual(8);
});

it('the measure finds what is wrong with a solution', () => {
  const { problem } = all.find(({ name }) => name === 'HS118')!;
  using solution = qpSolveBatchSync(batchOf([problem]));
  const point = pointOf(solution, 0);
  const far = (change: (copy: typeof point) => void) => {
    const copy = structuredClone(point);
    change(copy);
    return scaledResiduals(problem, copy);
  };
  const below = problem.lb!.findIndex((x, j) => point.z[j]! - x < 1e-6);
  expect(far(({ z }) => (z[below]! -= 1e-3)).primal).toBeGreaterThan(1e-5);
  expect(far(({ lambdaLb }) => (lambdaLb[below]! += 1e-3)).dual).toBeGreaterThan(1e-5);
  expect(far(({ lambdaUb }) => (lambdaUb[below] = 1e-3)).gap).toBeGreaterThan(1e-8);
  expect(far(({ lambdaGl }) => (lambdaGl[0] = -1e-3)).sign).toBeGreaterThan(0);
  expect(sidesOf(problem).length).toBe(2 * 12 + 5 + 15 * 2);
});
