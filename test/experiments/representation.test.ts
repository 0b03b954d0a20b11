// Functions as QP layers, against their formulas.
import { Random } from '../../scripts/experiments/random.js';
import { cases, drawPoints } from '../../scripts/experiments/representation/cases.js';
import {
  hingesThrough,
  slopeOfHinges,
  sumOfHinges,
} from '../../scripts/experiments/representation/functions.js';
import { deviation, kinkOfMaximum } from '../../scripts/experiments/representation/experiment.js';
import { evaluate } from '../../scripts/experiments/representation/layer.js';

describe.each(cases)('$title', (one) => {
  const { layer, formula, derivative } = one;

  it('is what the QP layer gives, anywhere', () => {
    const points = drawPoints(one, 400, Random.seeded(1));
    expect(deviation(evaluate(layer, points).values, points, layer.inputs, formula)).toBeLessThan(1e-8);
  });

  it('has the derivative that the QP layer gives, away from kinks', () => {
    const points = drawPoints(one, 400, Random.seeded(2), 1e-3);
    expect(deviation(evaluate(layer, points).jacobians, points, layer.inputs, derivative)).toBeLessThan(1e-8);
  });
});

describe('hinges through points', () => {
  const points = [
    [-1, 2],
    [0, -1],
    [0.5, 3],
    [2, 3],
  ] as const;
  const hinges = hingesThrough(points);

  it('give the piecewise linear function through them', () => {
    for (const [x, y] of points) expect(sumOfHinges(hinges, x)).toBeCloseTo(y, 12);
    expect(sumOfHinges(hinges, 0.25)).toBeCloseTo(1, 12);
  });

  it('go on straight on either side', () => {
    expect(sumOfHinges(hinges, -2)).toBeCloseTo(5, 12);
    expect(sumOfHinges(hinges, 9)).toBeCloseTo(3, 12);
    expect(slopeOfHinges(hinges, -7)).toBeCloseTo(-3, 12);
  });
});

test('a maximum of three has kinks that end at 0, as those of one hidden layer of ReLUs do not', () => {
  const { beyond, before } = kinkOfMaximum();
  expect(beyond).toBeGreaterThan(0.1);
  expect(before).toBeLessThan(1e-8);
});
