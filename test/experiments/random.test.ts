import { Random } from '../../scripts/experiments/random.js';

test('bits are those of xoshiro128**', () => {
  // By hand from the state (1, 2, 3, 4): rotl(2·5, 7)·9 = 11520, then the state becomes (7, 0, 1026, 12288), whose
  // second word is 0, and so is what it gives.
  const random = Random.restored([1, 2, 3, 4]);
  expect(random.bits()).toBe(11520);
  expect(random.state()).toEqual([7, 0, 1026, 12288]);
  expect(random.bits()).toBe(0);
});

test('a saved state goes on as the original does', () => {
  const random = Random.seeded(7);
  random.uniform();
  const copy = Random.restored(random.state());
  expect(Array.from({ length: 20 }, () => copy.uniform())).toEqual(
    Array.from({ length: 20 }, () => random.uniform()),
  );
});

test('uniform numbers lie in [0, 1), with mean 1/2 and variance 1/12', () => {
  const random = Random.seeded(1);
  const values = Array.from({ length: 100_000 }, () => random.uniform());
  const mean = values.reduce((sum, x) => sum + x) / values.length;
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
  expect(values.every((x) => x >= 0 && x < 1)).toBe(true);
  expect(mean).toBeCloseTo(1 / 2, 2);
  expect(variance).toBeCloseTo(1 / 12, 3);
});

test('normal numbers have mean 0, variance 1, and 4.55 % of them beyond two deviations', () => {
  const random = Random.seeded(2);
  const values = Array.from({ length: 100_000 }, () => random.normal());
  const mean = values.reduce((sum, x) => sum + x) / values.length;
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / values.length;
  expect(Math.abs(mean)).toBeLessThan(0.015);
  expect(Math.abs(variance - 1)).toBeLessThan(0.02);
  expect(values.filter((x) => Math.abs(x) > 2).length / values.length).toBeCloseTo(0.0455, 2);
});

test('streams of one seed, and seeds next to each other, differ', () => {
  const starts = [Random.seeded(1, 0), Random.seeded(1, 1), Random.seeded(2, 0), Random.seeded(0, 0)];
  expect(new Set(starts.map((random) => random.bits())).size).toBe(starts.length);
});

test('shuffling keeps the items, and puts each in every place', () => {
  const random = Random.seeded(5);
  const firsts = new Set<number>();
  for (let i = 0; i < 200; i++) {
    const items = random.shuffle([0, 1, 2, 3, 4]);
    expect([...items].sort()).toEqual([0, 1, 2, 3, 4]);
    firsts.add(items[0]!);
  }
  expect(firsts.size).toBe(5);
});
