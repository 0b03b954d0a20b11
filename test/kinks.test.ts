// Where the active set changes: what is at a kink, up to rounding, is never called differentiable; and what is not, by no more
// than 1e-9, has the derivative of its own side.
import { qpSolveBatchSync, tensor } from '../lib/index.js';

import { isExact, solveExactly } from './support/exact.js';
import type { GradientValues } from './support/exact.js';
import { batchOf, parts, pointOf, rowOf } from './support/general.js';
import type { OneProblem } from './support/general.js';
import { kinkProblem, kinkShapes } from './support/kinks.js';
import { largest } from './support/kkt.js';
import { normal, uniform } from './support/random.js';

const count = 1000;

describe('a kink', () => {
  it.each([
    ['the least of all', { Q: [[3]], p: [-1.5], G: [[1]], h: [0.5] }],
    ['where all is 0', { Q: [[1]], p: [0], G: [[1]], h: [0] }],
    ['of a bound, where all is 0', { Q: [[1]], p: [0], lb: [0] }],
    ['of a bound', { Q: [[3]], p: [-1.5], ub: [0.5] }],
    ['of a row with two sides', { Q: [[3]], p: [-1.5], G: [[1]], h: [0.5], gl: [-1] }],
    ['beside an equality', { Q: [[3, 0], [0, 1]], p: [-1.5, 0], A: [[0, 1]], b: [2], G: [[1, 0]], h: [0.5] }], // prettier-ignore
  ])('%s is not differentiable', (_, problem) => {
    using solution = qpSolveBatchSync(problem, { device: 'cpu' });
    expect([solution.status[0], solution.derivative[0]]).toEqual(['solved', 'centralPath']);
  });

  it(`is found to be one where nothing is strongly active, in ${count} problems`, () => {
    const wrong = kinkShapes(count, 71).flatMap((shape, k) => {
      using solution = qpSolveBatchSync(batchOf([kinkProblem(shape, 7000 + k)]), { device: 'cpu' });
      const [status, derivative] = [solution.status[0]!, solution.derivative[0]!];
      return status === 'solved' && derivative === 'centralPath' ? [] : [{ k, shape, status, derivative }];
    });
    expect({ count: wrong.length, first: wrong.slice(0, 5) }).toEqual({ count: 0, first: [] });
  });
});

/** Gradients of one loss, by the solver and by the exact active set in more than double precision. */
function gradientErrors(problem: OneProblem, seed: number): Record<string, number> | string {
  using solution = qpSolveBatchSync(batchOf([problem]), { device: 'cpu' });
  if (solution.status[0] !== 'solved') return solution.status[0]!;
  const exact = solveExactly(problem, pointOf(solution, 0));
  if (!isExact(exact)) return exact.reason;
  const gauss = normal(uniform(seed));
  const weights = parts
    .filter((part) => solution[part].data.length > 0)
    .map((part) => [part, Float64Array.from(solution[part].data, gauss)] as const);
  const gradients = solution.backwardSync(
    Object.fromEntries(weights.map(([part, values]) => [`d${part}`, tensor(values, solution[part].shape)])),
  );
  const reference = exact.gradients(Object.fromEntries(weights));
  return Object.fromEntries(
    Object.entries(reference).map(([name, expected]) => {
      const actual = rowOf(gradients[name as keyof GradientValues]!, 1, 0);
      const size = largest(expected);
      return [name, largest(actual.map((x, i) => x - expected[i]!)) / (size > 0 ? size : 1)];
    }),
  );
}

describe('a margin', () => {
  it(`from 1e-9 on is enough for the derivative of the exact active set, in ${count} problems`, () => {
    const draw = uniform(72);
    const wrong = kinkShapes(count, 73).flatMap((shape, k) => {
      const margin = { value: 10 ** (-9 + 6 * draw()), isActive: draw() < 0.5 };
      const errors = gradientErrors(kinkProblem(shape, 8000 + k, margin), k);
      const isRight = typeof errors !== 'string' && Object.values(errors).every((error) => error <= 1e-6);
      return isRight ? [] : [{ k, shape, margin, errors }];
    });
    expect({ count: wrong.length, first: wrong.slice(0, 5) }).toEqual({ count: 0, first: [] });
  });
});
