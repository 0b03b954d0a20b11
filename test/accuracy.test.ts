// The optimality conditions on the paper's random problems, recomputed from the data.
import { qpSolveBatchSync, tensor } from '../lib/index.js';
import type { DType, QpSolution, SolveOptions } from '../lib/index.js';

import { given, knownProblem, paperProblem } from './support/generators.js';
import { claimAt, kktResiduals, largest } from './support/kkt.js';
import type { KktResiduals } from './support/kkt.js';
import type { Sizes, TensorProblem } from './support/problems.js';
import { expectWithin } from './support/within.js';

const shapes: [string, Sizes, number[]][] = [
  ['(10, 10, 0)', { batch: 256, n: 10, m: 10, q: 0 }, [1, 2, 3]],
  ['(32, 64, 8)', { batch: 256, n: 32, m: 64, q: 8 }, [1, 2, 3]],
  ['(64, 64, 40)', { batch: 64, n: 64, m: 64, q: 40 }, [1, 2, 3]],
  ['(100, 100, 0)', { batch: 64, n: 100, m: 100, q: 0 }, [1, 2]],
  ['(100, 50, 50)', { batch: 64, n: 100, m: 50, q: 50 }, [1, 2]],
  ['(500, 500, 0)', { batch: 4, n: 500, m: 500, q: 0 }, [1, 2]],
];

type AnySolution = QpSolution<'float64'> | QpSolution<'float32'>;

function residualsOf(problem: TensorProblem, solution: AnySolution): KktResiduals[] {
  return Array.from(solution.objective, (_, k) => kktResiduals(claimAt(problem, solution, k)));
}

/** The worst of a batch; `sign` is how far λ or s is below zero. */
function worst(all: readonly KktResiduals[]): Record<string, number> {
  const most = (value: (one: KktResiduals) => number) => largest(all.map(value));
  return {
    stationarity: most(({ stationarity }) => stationarity),
    equality: most(({ equality }) => equality),
    inequality: most(({ inequality }) => inequality),
    gap: most(({ gap }) => gap),
    sign: most(({ least }) => Math.max(0, -least)),
  };
}

function expectAllSolved(solution: AnySolution): void {
  expect(solution.status.filter((status) => status !== 'solved')).toEqual([]);
}

/** What the solution reports is what the data say, up to rounding in the products. */
function expectHonest(solution: AnySolution, all: readonly KktResiduals[], size: number): void {
  all.forEach(({ stationarity, equality, inequality, gap }, k) => {
    const { primal, dual, gap: reported } = solution.residuals;
    expectWithin(
      {
        primal: Math.abs(primal[k]! - Math.max(equality, inequality)),
        dual: Math.abs(dual[k]! - stationarity),
        gap: Math.abs(reported[k]! - gap),
      },
      1e-15 * size,
    );
  });
}

describe('on the paper’s generator, the optimality conditions hold', () => {
  const cases: [string, SolveOptions, number][] = [
    ['to 1e-8 at tolerance 1e-10', { tolerance: 1e-10 }, 1e-8],
    ['to 1e-8 at tolerance 1e-10 in mixed precision', { tolerance: 1e-10, precision: 'mixed' }, 1e-8],
    ['to 1e-6 at the default tolerance', {}, 1e-6],
    ['to 1e-6 at the default tolerance in mixed precision', { precision: 'mixed' }, 1e-6],
  ];
  describe.each(shapes)('%s', (_, sizes, seeds) => {
    const problems = seeds.map((seed) => paperProblem(sizes, seed));

    it.each(cases)('%s', (_, options, limit) => {
      for (const problem of problems) {
        using solution = qpSolveBatchSync(given(problem), options as SolveOptions<'float64'>);
        const all = residualsOf(problem, solution);
        expectAllSolved(solution);
        expectWithin(worst(all), {
          stationarity: limit,
          equality: limit,
          inequality: limit,
          gap: limit,
          sign: 0,
        });
        expectHonest(solution, all, 1e3 * sizes.n);
      }
    });
  });
});

describe('in float32', () => {
  const rounded = (problem: TensorProblem) => {
    const round = ({ data, shape }: { data: Float64Array; shape: readonly number[] }) =>
      tensor(Float32Array.from(data), shape);
    const { Q, p, G, h, A, b } = problem;
    return { Q: round(Q), p: round(p), G: round(G), h: round(h), A: round(A), b: round(b) };
  };

  const widened = (single: ReturnType<typeof rounded>) =>
    Object.fromEntries(
      Object.entries(single).map(([name, { data, shape }]) => [name, tensor(Float64Array.from(data), shape)]),
    ) as unknown as TensorProblem;

  it.each<[string, Sizes]>([
    ['packed', { batch: 64, n: 20, m: 24, q: 5 }],
    ['packed, many rows', { batch: 32, n: 8, m: 40, q: 2 }],
    ['blocked', { batch: 2, n: 160, m: 60, q: 10 }],
  ])('results are those of float64 for the same data, rounded: %s', (_, sizes) => {
    const single = rounded(knownProblem(sizes, 9).problem);
    using solution = qpSolveBatchSync(single, { tolerance: 1e-11 });
    using exact = qpSolveBatchSync(widened(single), { tolerance: 1e-12 });
    expectAllSolved(solution);
    for (const name of ['z', 'lambda', 'nu', 'slack'] as const) {
      const reference = exact[name].data;
      const error = largest(reference.map((x, i) => (x - solution[name].data[i]!) / (1 + Math.abs(x))));
      expectWithin({ [name]: error }, 2e-7);
    }
    const upstream = <D extends DType>(like: QpSolution<D>['z'], ones: QpSolution<D>['z']['data']) => ({
      dz: tensor(ones as never, like.shape) as QpSolution<D>['z'],
    });
    const gradients = solution.backwardSync(
      upstream<'float32'>(
        solution.z,
        solution.z.data.map(() => 1),
      ),
    );
    const expected = exact.backwardSync(
      upstream<'float64'>(
        exact.z,
        exact.z.data.map(() => 1),
      ),
    );
    for (const name of ['dQ', 'dp', 'dG', 'dh', 'dA', 'db'] as const) {
      const reference = expected[name]!.data;
      const error =
        largest(reference.map((x, i) => x - gradients[name]!.data[i]!)) / (1 + largest(reference));
      expectWithin({ [name]: error }, 1e-6);
    }
  });

  it('the paper’s problems are solved, and near their solution at the default tolerance', () => {
    const single = rounded(paperProblem({ batch: 64, n: 32, m: 64, q: 8 }, 4));
    using solution = qpSolveBatchSync(single);
    using exact = qpSolveBatchSync(widened(single), { tolerance: 1e-12 });
    expectAllSolved(solution);
    const difference = exact.z.data.map((x, i) => (x - solution.z.data[i]!) / (1 + Math.abs(x)));
    expectWithin({ z: largest(difference) }, 1e-4);
  });
});

describe('in single precision', () => {
  it('well-conditioned problems are solved to the default tolerance', () => {
    for (const sizes of [
      { batch: 64, n: 10, m: 10, q: 2 },
      { batch: 32, n: 32, m: 40, q: 8 },
      { batch: 32, n: 8, m: 40, q: 2 },
      { batch: 2, n: 160, m: 60, q: 10 },
    ]) {
      using solution = qpSolveBatchSync(knownProblem(sizes, 6).problem, { precision: 'single' });
      expectAllSolved(solution);
    }
  });

  it.each([1e-2, 1e-4, 1e-6, 1e-9])('‘solved’ is never said of what is not, at tolerance %f', (tolerance) => {
    for (const sizes of [
      { batch: 128, n: 10, m: 10, q: 0 },
      { batch: 64, n: 32, m: 64, q: 8 },
      { batch: 32, n: 10, m: 60, q: 3 },
      { batch: 2, n: 160, m: 100, q: 20 },
    ]) {
      const problem = paperProblem(sizes, 8);
      using solution = qpSolveBatchSync(problem, { precision: 'single', tolerance });
      residualsOf(problem, solution).forEach(({ scaled, least }, k) => {
        if (solution.status[k] !== 'solved') return;
        // The solver sees the data, and computes its residuals, in float32: sums of up to n + m + q products.
        expectWithin({ scaled }, tolerance + (sizes.n + sizes.m + sizes.q) * 2 ** -24);
        expect(least).toBeGreaterThanOrEqual(0);
      });
    }
  });
});
