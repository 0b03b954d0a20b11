// What the comparisons of times are made of. Times themselves are not tested.
import { drawProblems, firstProblems } from '../../scripts/experiments/qp-problems.js';
import { Random } from '../../scripts/experiments/random.js';
import { accuracyOf } from '../../scripts/experiments/solver-timing/accuracy.js';
import { highs } from '../../scripts/experiments/solver-timing/highs.js';
import { oursBatched, oursOneByOne } from '../../scripts/experiments/solver-timing/ours.js';
import { quadprog } from '../../scripts/experiments/solver-timing/quadprog.js';
import { formatSeconds, timeInTurn, timesAsLong } from '../../scripts/experiments/stopwatch.js';

describe('the solvers that are compared', () => {
  const problems = drawProblems({ batch: 5, n: 12, m: 15 }, Random.seeded(3));

  it('find the same solutions, which are optimal', async () => {
    const reference = await oursBatched({}).prepare(problems)();
    for (const [solver, digits] of [
      [oursOneByOne({}), 10],
      [quadprog, 8],
      [await highs(), 3], // it adds to the diagonal of Q
    ] as const) {
      const accuracy = accuracyOf(problems, await solver.prepare(problems)(), reference);
      expect(accuracy).toMatchObject({ solved: 5, problems: 5 });
      expect(accuracy.difference).toBeLessThan(10 ** -digits);
      expect(accuracy.residual).toBeLessThan(1e-5);
    }
    expect(accuracyOf(problems, reference, reference).residual).toBeLessThan(1e-10);
  });

  it('are told from answers that are not optimal, and from none', async () => {
    const { z, lambda } = await oursBatched({}).prepare(problems)();
    const wrong = { z: z.map((value) => value + 1e-3), lambda: lambda.slice() };
    wrong.z[0] = NaN;
    const accuracy = accuracyOf(problems, wrong, { z, lambda });
    expect(accuracy.solved).toBe(4);
    expect(accuracy.difference).toBeCloseTo(1e-3, 9);
    expect(accuracy.residual).toBeGreaterThan(1e-4);
  });
});

describe('random problems', () => {
  it('are repeated where fewer are drawn than a batch has', () => {
    const { Q, p, h } = drawProblems({ batch: 5, n: 3, m: 2, distinct: 2 }, Random.seeded(1));
    expect([Q.shape, p.shape, h.shape]).toEqual([
      [5, 3, 3],
      [5, 3],
      [5, 2],
    ]);
    for (const { data } of [Q, p, h]) {
      const size = data.length / 5;
      const part = (k: number) => [...data.subarray(k * size, (k + 1) * size)];
      expect([part(2), part(3), part(4)]).toEqual([part(0), part(1), part(0)]);
      expect(part(1)).not.toEqual(part(0));
    }
  });

  it('of a part of a batch are its first', () => {
    const problems = drawProblems({ batch: 4, n: 3, m: 2 }, Random.seeded(1));
    const { batch, G } = firstProblems(problems, 3);
    expect([batch, G.shape]).toEqual([3, [3, 2, 3]]);
    expect([...G.data]).toEqual([...problems.G.data.subarray(0, 18)]);
  });
});

describe('a stopwatch', () => {
  it('calls all runners in every round, but those that have used up their time', async () => {
    let now = 0;
    const clock = jest.spyOn(performance, 'now').mockImplementation(() => now);
    const calls: string[] = [];
    const runner = (name: string, milliseconds: number) => ({
      name,
      prepare: () => () => {
        calls.push(name);
        now += milliseconds;
      },
    });
    const effort = { rounds: 3, seconds: 0.004, limit: 0.5 };
    const [fast, slow] = await timeInTurn([runner('fast', 2), runner('slow', 400)], effort);
    clock.mockRestore();
    // One call each to warm up, then the rounds; the slow one is over its limit after the first of them.
    const [f, s] = ['fast', 'slow'];
    expect(calls).toEqual([f, s, f, f, s, f, f, f, f]);
    expect(fast).toEqual({ median: 0.002, best: 0.002, rounds: [0.002, 0.002, 0.002] });
    expect(slow).toEqual({ median: 0.4, best: 0.4, rounds: [0.4] });
    expect(timesAsLong(slow!, fast!)).toBeCloseTo(200, 9);
  });

  it('writes times with their units', () => {
    expect([1.234, 0.18, 0.0456, 7.89e-4].map(formatSeconds)).toEqual([
      '1.23 s',
      '180 ms',
      '45.6 ms',
      '789 µs',
    ]);
  });
});
