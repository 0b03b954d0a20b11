// The small problems of the Maros–Mészáros set: bounds, two-sided rows, dependent and empty ones, singular Q, bad scales.
import { qpSolveBatchSync, tensor } from '../lib/index.js';

import { batchOf, data, pointOf, scaledResiduals, sidesOf } from './support/general.js';
import { largest } from './support/kkt.js';
import { marosMeszaros, measure } from './support/maros-meszaros.js';
import type { MarosMeszaros } from './support/maros-meszaros.js';
import { normal, uniform } from './support/random.js';
import { expectWithin } from './support/within.js';

const all = marosMeszaros();
const tolerance = 1e-8;

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

  it('is solved on its active set, where that is clear', () => {
    const { margin, derivative } = measure(one);
    expect(margin > 1e-6 ? derivative : 'activeSet').toBe('activeSet');
  });

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
