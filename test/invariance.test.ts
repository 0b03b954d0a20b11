// A problem's result is the same, to the last bit, whoever shares its batch and whatever number of threads works on it.
import { qpSolveBatchSync, tensor } from '../lib/index.js';
import type { Precision, SyncSolveOptions, Tensor } from '../lib/index.js';

import { bitsOf } from './support/bits.js';
import { gpu } from './support/devices.js';
import { paperProblem, pick } from './support/generators.js';
import type { Sizes, TensorProblem } from './support/problems.js';
import { normal, uniform } from './support/random.js';

type Options = SyncSolveOptions<'float64'>;
type Upstream = Record<'dz' | 'dlambda' | 'dnu', Tensor<'float64'>>;

/** On one device, that is: 'auto' may leave a batch to the CPU, as a GPU does not solve one of its problems. */
const device = gpu?.name ?? 'cpu';

const names = ['Q', 'p', 'G', 'h', 'A', 'b'] as const;

/** All that is computed of each problem of a batch: solution, status, residuals and gradients. */
function results(problem: TensorProblem, upstream: Upstream, options: Options): Buffer[] {
  using solution = qpSolveBatchSync(problem, { device, ...options });
  const gradients = solution.backwardSync(upstream);
  const batched = Object.entries(gradients).filter(([name]) => {
    const datum = problem[name.slice(1) as keyof TensorProblem];
    return datum.shape[0] === solution.status.length && datum.shape.length > (name.match(/[QGA]/) ? 2 : 1);
  });
  return Array.from(solution.status, (_, k) => bitsOf(solution, Object.fromEntries(batched), k));
}

function drawUpstream({ batch, n, m, q }: Sizes): Upstream {
  const gauss = normal(uniform(99));
  const draw = (width: number) => tensor(Float64Array.from({ length: batch * width }, gauss), [batch, width]);
  return { dz: draw(n), dlambda: draw(m), dnu: draw(q) };
}

/** Some of the rows. */
function rowsOf(upstream: Upstream, indices: readonly number[]): Upstream {
  const entries = Object.entries(upstream).map(([name, { data, shape }]) => {
    const width = shape[1]!;
    const rows = indices.flatMap((i) => [...data.subarray(i * width, (i + 1) * width)]);
    return [name, tensor(Float64Array.from(rows), [indices.length, width])];
  });
  return Object.fromEntries(entries) as Upstream;
}

const shapes: [string, Sizes][] = [
  ['packed, range space', { batch: 21, n: 12, m: 16, q: 3 }],
  ['packed, condensed', { batch: 21, n: 8, m: 40, q: 2 }],
  ['packed, without inequalities', { batch: 21, n: 12, m: 0, q: 3 }],
  ['packed, larger', { batch: 11, n: 64, m: 64, q: 40 }],
  ['blocked, range space', { batch: 5, n: 155, m: 60, q: 4 }],
  ['blocked, condensed', { batch: 5, n: 20, m: 160, q: 2 }],
];
const precisions: readonly Precision[] = ['double', 'mixed', 'single'];
const cases = shapes.flatMap(([label, sizes]) =>
  precisions.map((precision) => [label, precision, sizes] as const),
);

describe.each(cases)('%s, in %s precision: a problem has the same result', (_, precision, sizes) => {
  const problem = paperProblem(sizes, 7);
  const upstream = drawUpstream(sizes);
  const { batch } = sizes;
  const all = Array.from({ length: batch }, (_, k) => k);
  const expected = results(problem, upstream, { precision, threads: 1 });

  /** Solves these problems in this order. */
  const expectSame = (indices: readonly number[], options: Options = { threads: 1 }) => {
    const actual = results(pick(problem, indices), rowsOf(upstream, indices), { precision, ...options });
    const differing = indices.filter((index, i) => !actual[i]!.equals(expected[index]!));
    expect(differing).toEqual([]);
  };

  it('alone', () => {
    for (const k of all) expectSame([k]);
  });

  it('in a batch of any size, at any position', () => {
    expectSame(all.toReversed());
    for (const size of [2, 3, 4, 5, 7, 8, 9, 16, 17].filter((size) => size < batch)) {
      expectSame(all.slice(0, size));
      expectSame(all.slice(-size));
    }
    for (const shift of [1, 2, 3]) expectSame([...all.slice(shift), ...all.slice(0, shift)]);
    expectSame([...all, ...all]);
  });

  it('with one, two and three threads', () => {
    for (const threads of [1, 2, 3]) expectSame(all, { threads });
  });

  it('without factors for gradients', () => {
    using solution = qpSolveBatchSync(problem, { device, precision, threads: 2, differentiable: false });
    using other = qpSolveBatchSync(problem, { device, precision, threads: 1 });
    for (const name of ['z', 'lambda', 'nu', 'slack'] as const) {
      expect(solution[name].data).toEqual(other[name].data);
    }
  });

  it('whether data are shared or given for each problem', () => {
    for (const shared of [
      ['Q'],
      ['G'],
      ['A'],
      ['Q', 'A'],
      ['Q', 'G'],
      ['Q', 'G', 'A'],
      ['p'],
      ['h'],
      ['b'],
    ]) {
      // h = Gz₀ + s and b = Az₀: data that are not shared are varied little, so that every problem stays feasible.
      const common = pick(problem, [0]);
      const gauss = normal(uniform(3));
      const entries = names.map((name) => {
        const { data, shape } = common[name];
        const varied = all.flatMap(() => {
          const isVaried = !shared.includes(name) && name !== 'Q' && name !== 'A' && name !== 'G';
          return Array.from(data, (x) => (isVaried ? x + 1e-3 * gauss() : x));
        });
        return [name, tensor(varied, [batch, ...shape.slice(1)])];
      });
      const repeated = Object.fromEntries(entries) as TensorProblem;
      const once = { ...repeated };
      for (const name of shared as (typeof names)[number][]) {
        once[name] = tensor(common[name].data, common[name].shape.slice(1));
      }
      const options: Options = { device, precision, threads: 1 };
      using solution = qpSolveBatchSync(once, options);
      using other = qpSolveBatchSync(repeated, options);
      const gradients = solution.backwardSync(upstream);
      const others = other.backwardSync(upstream);
      const own = names.filter((name) => !shared.includes(name)).map((name) => `d${name}` as const);
      const differing = all.filter((k) => {
        const select = (from: typeof gradients) => Object.fromEntries(own.map((name) => [name, from[name]!]));
        return !bitsOf(solution, select(gradients), k).equals(bitsOf(other, select(others), k));
      });
      expect([shared.join(' '), differing]).toEqual([shared.join(' '), []]);
    }
  });

  if (sizes.m > 1) {
    it('beside one that does not converge', () => {
      for (const bad of [0, 2, batch - 1]) {
        const { G, h } = problem;
        const [row, n] = [bad * sizes.m, sizes.n];
        const [badG, badH] = [G.data.slice(), h.data.slice()];
        for (let j = 0; j < n; j++) badG[(row + 1) * n + j] = -badG[row * n + j]!;
        badH[row + 1] = -badH[row]! - 1; // gᵀz ≤ h and gᵀz ≥ h + 1
        const mixed = { ...problem, G: tensor(badG, G.shape), h: tensor(badH, h.shape) };
        using solution = qpSolveBatchSync(mixed, { device, precision });
        expect(solution.status[bad]).not.toBe('solved');
        const actual = results(mixed, upstream, { precision, threads: 1 });
        expect(all.filter((k) => k !== bad && !actual[k]!.equals(expected[k]!))).toEqual([]);
      }
    });
  }
});
