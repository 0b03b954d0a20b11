import { Adam } from '../../scripts/experiments/adam.js';

test('with a constant gradient every step is the rate, in the direction of its sign', () => {
  // m̂ = g and v̂ = g² exactly, so a step is rate · g / (|g| + ε).
  const theta = Float64Array.of(1, 1, 1);
  const adam = new Adam([theta]);
  const gradient = Float64Array.of(3, -0.01, 0);
  for (let step = 1; step <= 20; step++) {
    adam.step([gradient], 0.1);
    expect(theta[0]).toBeCloseTo(1 - (0.1 * step * 3) / (3 + 1e-8), 12);
    expect(theta[1]).toBeCloseTo(1 + (0.1 * step * 0.01) / (0.01 + 1e-8), 12);
    expect(theta[2]).toBe(1);
  }
});

test('the second step from gradients a, then b, is the closed form', () => {
  const [a, b, rate] = [2, -1, 0.5];
  const theta = Float64Array.of(0);
  const adam = new Adam([theta]);
  adam.step([Float64Array.of(a)], rate);
  const before = theta[0]!;
  adam.step([Float64Array.of(b)], rate);
  const m = (0.9 * a + b) / 1.9; // weights 0.1·0.9 and 0.1 over 1 − 0.9²
  const v = (0.999 * a * a + b * b) / 1.999;
  expect(theta[0]! - before).toBeCloseTo((-rate * m) / (Math.sqrt(v) + 1e-8), 12);
});

test('what was saved goes on to the same digits', () => {
  const thetas = [Float64Array.of(1, 2), Float64Array.of(3)];
  const gradients = [Float64Array.of(0.1, -0.2), Float64Array.of(0.3)];
  const adam = new Adam(thetas);
  for (let i = 0; i < 5; i++) adam.step(gradients, 0.1);

  const copies = thetas.map((theta) => Float64Array.from(theta));
  const resumed = new Adam(copies);
  resumed.load(adam.save());
  for (let i = 0; i < 5; i++) {
    adam.step(gradients, 0.1);
    resumed.step(gradients, 0.1);
  }
  expect(copies).toEqual(thetas);
});

test('what is saved does not change with the next step, and float32 stays float32', () => {
  const theta = Float32Array.of(0.1);
  const adam = new Adam([theta]);
  adam.step([Float32Array.of(0.3)], 0.1);
  const { first, second } = adam.save();
  adam.step([Float32Array.of(0.7)], 0.1);
  expect(first[0]![0]).toBeCloseTo(0.1 * 0.3, 7);
  expect(first[0]).toBeInstanceOf(Float32Array);
  expect(second[0]![0]).toBeCloseTo(0.001 * 0.09, 9);
});
