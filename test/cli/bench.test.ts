import type { BenchReport } from '../../lib/cli/bench.js';
import { significant, table } from '../../lib/cli/format.js';
import { drawProblems } from '../../lib/cli/random-problems.js';
import { largestDeviation, largestResidual, verify } from '../../lib/cli/verify.js';
import { qpSolveBatchSync } from '../../lib/index.js';
import { describeEmulated, optnet, stackTrace } from '../support/cli.js';

const quick = ['bench', '--quick', '--device', 'cpu'];

describe('bench', () => {
  it('measures the CPU, in numbers that agree with each other', async () => {
    const { exitCode, stdout, stderr } = await optnet([...quick, '--json']);
    expect([exitCode, stderr]).toEqual([0, '']);
    const { rows, failures, ...rest } = JSON.parse(stdout) as BenchReport;
    expect(rest).toEqual({
      optnet: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
      node: process.versions.node,
      platform: `${process.platform}-${process.arch}`,
      exitCode: 0,
    });
    expect(failures).toEqual([]);
    expect(rows.length).toBeGreaterThanOrEqual(3);
    for (const { device, status, batch, forward, backward, problemsPerSecond, iterations, rounds } of rows) {
      expect([device, status]).toEqual(['cpu', 'solved']);
      expect(forward).toBeGreaterThan(0);
      expect(backward).toBeGreaterThan(0);
      expect(problemsPerSecond).toBeCloseTo((1000 * batch) / forward, 6);
      expect(iterations).toBeGreaterThan(1);
      expect(iterations).toBeLessThan(50);
      expect(rounds).toBeGreaterThanOrEqual(3);
    }
  });

  it('prints a table, and what a row of it means', async () => {
    const { exitCode, stdout, stderr } = await optnet(quick);
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^device +problem +batch +problems\/s +forward ms +backward ms$/m);
    expect(stdout).toMatch(/^cpu +n = 100, m = 100, q = 0 +128 +[\d,]+ +[\d.,]+ +[\d.,]+$/m);
    expect(stdout).toMatch(/^A row is a batch of random problems/m);
  });

  it.each([
    ['solutions', { change: 'z', least: 32 }, /the optimality conditions are violated by/],
    ['gradients', { change: 'dp', least: 32 }, /the gradients violate an identity by/],
    ['a solver that throws', { change: 'throws', least: 32 }, /the solver is out of order/],
  ])('reports no time of what is wrong: %s', async (_, settings, reason) => {
    const preload = { module: 'wrong-solver.cjs', settings };
    const { exitCode, stdout } = await optnet([...quick, '--json'], { preload });
    expect(exitCode).toBe(1);
    const { rows, failures } = JSON.parse(stdout) as BenchReport;
    expect(rows.map(({ n }) => n)).toEqual([10]);
    expect(failures.map(({ device, sizes }) => [device, sizes!.n])).toEqual([
      ['cpu', 32],
      ['cpu', 100],
    ]);
    for (const failure of failures) expect(failure.reason).toMatch(reason);
    expect((await optnet(quick, { preload })).stdout).toMatch(/^FAILED: cpu, n = 32, m = 64, q = 8: /m);
  });

  it('says why a GPU cannot be measured', async () => {
    const env = { CUDA_VISIBLE_DEVICES: '' };
    const { exitCode, stdout, stderr } = await optnet(['bench', '--device', 'cuda'], { env });
    expect([exitCode, stderr]).toEqual([2, '']);
    expect(stdout).toMatch(/^FAILED: cuda:0: [A-Z].*\.\nTo find out more: npx optnet doctor$/m);
    expect(stdout).not.toMatch(stackTrace);
  });
});

describeEmulated('bench, on a machine with one GPU (emulated)', (env) => {
  it('says that there is no second one', async () => {
    const { exitCode, stdout } = await optnet(['bench', '--device', 'cuda:1'], { env });
    expect(exitCode).toBe(2);
    expect(stdout).toMatch(/^FAILED: cuda:1: There is no cuda:1 here, only cpu, cuda:0\.$/m);
  });
});

describe('the problems', () => {
  it('are the same each time, and as large as was asked for', () => {
    const sizes = { n: 3, m: 4, q: 2, batch: 5 };
    const problem = drawProblems(sizes);
    expect(problem).toEqual(drawProblems(sizes));
    const shapes = Object.entries<{ shape: readonly number[] }>({ ...problem });
    expect(shapes.map(([name, { shape }]) => [name, shape])).toEqual([
      ['Q', [5, 3, 3]],
      ['p', [5, 3]],
      ['G', [5, 4, 3]],
      ['h', [5, 4]],
      ['A', [5, 2, 3]],
      ['b', [5, 2]],
    ]);
    expect(drawProblems({ ...sizes, q: 0 })).not.toHaveProperty('A');
  });
});

describe('what verifies results', () => {
  const sizes = { n: 6, m: 5, q: 2, batch: 4 };
  const problem = drawProblems(sizes);
  const solved = () => {
    const solution = qpSolveBatchSync(problem, { device: 'cpu' });
    return { solution, gradients: solution.backwardSync({ dz: solution.z }) };
  };

  it('accepts those of the solver', () => {
    const { solution, gradients } = solved();
    expect(largestResidual(sizes, problem, solution)).toBeLessThan(1e-9);
    expect(largestDeviation(sizes, problem, gradients)).toBeLessThan(1e-9);
    expect(verify(sizes, problem, solution, gradients)).toBeUndefined();
  });

  it('knows residuals of a problem by hand', () => {
    // minimise ½z² − z subject to z ≤ ½: z = ½ and λ = ½. At z = 1 and λ = 0 the constraint is violated by ½, and 1 + h is 1½.
    const one = (data: number[], shape: number[]) =>
      ({ dtype: 'float64', data: Float64Array.from(data), shape }) as const;
    const byHand = {
      Q: one([1], [1, 1, 1]),
      p: one([-1], [1, 1]),
      G: one([1], [1, 1, 1]),
      h: one([0.5], [1, 1]),
    };
    const at = (z: number, lambda: number) =>
      largestResidual({ n: 1, m: 1, q: 0, batch: 1 }, byHand, {
        z: one([z], [1, 1]),
        lambda: one([lambda], [1, 1]),
        nu: one([], [1, 0]),
      } as never);
    expect(at(0.5, 0.5)).toBe(0);
    expect(at(1, 0)).toBeCloseTo(0.5 / 1.5, 15);
    expect(at(0.5, 0.25)).toBeCloseTo(0.25 / 2, 15); // of the gradient, whose terms are at most 1
    expect(at(NaN, 0)).toBeNaN();
  });

  it.each(['z', 'lambda', 'nu'] as const)('rejects a %s that is a little off, or no number', (name) => {
    for (const change of [1e-4, NaN]) {
      const { solution, gradients } = solved();
      solution[name].data[sizes.n] = solution[name].data[sizes.n]! + change;
      expect(verify(sizes, problem, solution, gradients)).toMatch(/^the optimality conditions are violated/);
    }
  });

  it.each(['dQ', 'dp', 'dG', 'dh', 'dA', 'db'] as const)('rejects a %s that is a little off', (name) => {
    const { solution, gradients } = solved();
    const { data } = gradients[name]!;
    for (let i = 0; i < data.length; i++) data[i] = data[i]! * 1.001 + 1e-3;
    expect(verify(sizes, problem, solution, gradients)).toMatch(/^the gradients violate an identity/);
  });

  it('rejects gradients of which one is missing', () => {
    const { solution, gradients } = solved();
    expect(verify(sizes, problem, solution, { ...gradients, dA: undefined } as never)).toMatch(/by NaN/);
  });
});

describe('numbers and tables for people', () => {
  it.each([
    [0.123, '0.12'],
    [1.26, '1.3'],
    [123.4, '123'],
    [12_345, '12,300'],
  ])('%p is %s', (value, text) => expect(significant(value)).toBe(text));

  it('words are to the left, numbers to the right', () => {
    expect(
      table(
        ['name', 'ms'],
        [
          ['a', '1.0'],
          ['long name', '10.0'],
        ],
        1,
      ),
    ).toBe('name         ms\n---------  ----\na           1.0\nlong name  10.0\n');
  });
});
