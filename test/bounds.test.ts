// Bounds and two-sided rows by their structure: the same to the last bit however a problem comes, and the same as when
// they are written as rows of G.
import { qpSolveBatchSync, tensor } from '../lib/index.js';
import type { SyncSolveOptions, Tensor } from '../lib/index.js';

import { bitsOf } from './support/bits.js';
import { makeBatch } from './support/families.js';
import { batchOf, data, has, hasPart, parts, pointOf, rowOf, widthOf } from './support/general.js';
import type { Datum, OneProblem, Part } from './support/general.js';
import { largest } from './support/kkt.js';
import { normal, uniform } from './support/random.js';
import { expectWithin } from './support/within.js';

type Upstream = Partial<Record<`d${Part}`, Tensor<'float64'>>>;

const forms: [string, Parameters<typeof makeBatch>[1]][] = [
  ['lb and ub', { n: 12, h: false, gl: false, A: false, lb: true, ub: true }],
  ['lb alone, beside G and A', { n: 10, h: true, gl: false, A: true, lb: true, ub: false }],
  ['rows with two sides', { n: 9, h: true, gl: true, A: false, lb: false, ub: false }],
  ['lower sides of rows alone, and ub', { n: 7, h: false, gl: true, A: true, lb: false, ub: true }],
  ['everything', { n: 12, h: true, gl: true, A: true, lb: true, ub: true }],
];
const batch = 21;
const everyone = Array.from({ length: batch }, (_, k) => k);

/** Upstream gradients of some of the problems. */
function upstreamOf(problem: OneProblem, indices: readonly number[]): Upstream {
  const entries = parts
    .filter((part) => hasPart(problem, part))
    .map((part) => {
      const width = widthOf(part, problem);
      const rows = indices.flatMap((k) => Array.from({ length: width }, normal(uniform(100 + k))));
      return [`d${part}`, tensor(Float64Array.from(rows), [indices.length, width])];
    });
  return Object.fromEntries(entries) as Upstream;
}

function results(
  problems: readonly OneProblem[],
  indices: readonly number[],
  options: SyncSolveOptions<'float64'>,
) {
  using solution = qpSolveBatchSync(batchOf(indices.map((k) => problems[k]!)), options);
  const gradients = solution.backwardSync(upstreamOf(problems[0]!, indices));
  return indices.map((_, i) => bitsOf(solution, gradients as Record<string, Tensor>, i));
}

describe.each(forms)('%s: a problem has the same result', (_, form) => {
  const problems = [...makeBatch('well posed', form, 17, batch).problems];
  const expected = results(problems, everyone, { threads: 1 });
  const expectSame = (indices: readonly number[], options: SyncSolveOptions<'float64'> = { threads: 1 }) => {
    const actual = results(problems, indices, options);
    expect(indices.filter((k, i) => !actual[i]!.equals(expected[k]!))).toEqual([]);
  };

  it('alone', () => {
    for (const k of everyone) expectSame([k]);
  });

  it('in a batch of any size, at any position', () => {
    expectSame(everyone.toReversed());
    for (const size of [2, 3, 4, 5, 7, 8, 9, 16, 17]) {
      expectSame(everyone.slice(0, size));
      expectSame(everyone.slice(-size));
    }
  });

  it('with one, two and three threads', () => {
    for (const threads of [1, 2, 3]) expectSame(everyone, { threads });
  });

  if (form.lb && form.ub) {
    it('beside one whose bounds leave no room, and one whose bounds cross', () => {
      const original = problems[2]!;
      using alone = qpSolveBatchSync(batchOf([original]));
      const value = alone.z.data[0]!;
      const withBounds = (lower: number, upper: number): OneProblem => ({
        ...original,
        lb: original.lb!.map((x, j) => (j === 0 ? lower : x)),
        ub: original.ub!.map((x, j) => (j === 0 ? upper : x)),
      });
      const others = { 2: withBounds(value, value), 9: withBounds(value, value - 1) };
      const mixed = problems.map((problem, k) => (others as Record<number, OneProblem>)[k] ?? problem);
      const actual = results(mixed, everyone, { threads: 1 });
      expect(everyone.filter((k) => !actual[k]!.equals(expected[k]!))).toEqual([2, 9]);
      using solution = qpSolveBatchSync(batchOf(Object.values(others)));
      expect(solution.status).toEqual(['solved', 'primalInfeasible']);
      const z = pointOf(solution, 0).z;
      expectWithin({ z: largest(z.map((x, j) => x - alone.z.data[j]!)) }, 1e-9);
    });
  }

  it('whether data are shared or given for each problem, and shared data have the sum of the gradients', () => {
    const [first] = problems;
    const present = data.filter((name) => has(first!, name));
    for (const shared of [
      ...present.filter((name) => name !== 'p').map((name) => [name]),
      present.filter((name) => name !== 'p'),
    ]) {
      const alike = problems.map((problem): OneProblem => {
        const own = Object.fromEntries(shared.map((name: Datum) => [name, first![name]]));
        return { ...first!, p: problem.p, ...own };
      });
      using solution = qpSolveBatchSync(batchOf(alike, shared), { threads: 1 });
      using other = qpSolveBatchSync(batchOf(alike), { threads: 1 });
      const upstream = upstreamOf(first!, everyone);
      const gradients = solution.backwardSync(upstream);
      const others = other.backwardSync(upstream);
      const differing = everyone.filter(
        (k) => !bitsOf(solution, { dp: gradients.dp }, k).equals(bitsOf(other, { dp: others.dp }, k)),
      );
      expect([shared.join(' '), differing]).toEqual([shared.join(' '), []]);
      const errors = shared.map((name) => {
        const all = others[`d${name}`]!;
        const total = gradients[`d${name}`]!.data.map((x, at) =>
          everyone.reduce((rest, k) => rest - rowOf(all, batch, k)[at]!, x),
        );
        return [name, largest(total) / (1 + largest(all.data))] as const;
      });
      expectWithin(Object.fromEntries(errors), 1e-12);
    }
  });
});

describe('bounds as rows of G', () => {
  const { problems } = makeBatch('well posed', forms[4]![1], 23, batch);

  /** The same problem in rows of G, and where each bound went. */
  function asRows(problem: OneProblem) {
    const { n } = problem;
    const rows: {
      name: Exclude<Datum, 'Q' | 'p' | 'G' | 'A' | 'b'>;
      index: number;
      row: number[];
      limit: number;
    }[] = [];
    const add = (name: (typeof rows)[number]['name'], sign: number, rowAt: (i: number) => number[]) =>
      problem[name]!.forEach((limit, index) => {
        if (!Number.isFinite(limit)) return;
        rows.push({ name, index, row: rowAt(index).map((x) => sign * x), limit: sign * limit });
      });
    const ofG = (i: number) => [...problem.G.subarray(i * n, (i + 1) * n)];
    const unit = (i: number) => Array.from({ length: n }, (_, j) => (j === i ? 1 : 0));
    add('h', 1, ofG);
    add('gl', -1, ofG);
    add('lb', -1, unit);
    add('ub', 1, unit);
    return rows;
  }

  it('have the same solution, multipliers and gradients', () => {
    using solution = qpSolveBatchSync(batchOf(problems));
    const weights = normal(uniform(5));
    const dz = tensor(Float64Array.from({ length: solution.z.data.length }, weights), solution.z.shape);
    const gradients = solution.backwardSync({ dz });
    let compared = 0;
    problems.forEach((problem, k) => {
      const rows = asRows(problem);
      using plain = qpSolveBatchSync({
        ...batchOf([
          {
            ...problem,
            h: undefined,
            gl: undefined,
            lb: undefined,
            ub: undefined,
            m: 0,
            G: new Float64Array(0),
          },
        ]),
        G: tensor(Float64Array.from(rows.flatMap(({ row }) => row)), [1, rows.length, problem.n]),
        h: tensor(
          Float64Array.from(rows, ({ limit }) => limit),
          [1, rows.length],
        ),
      });
      expect([solution.status[k], plain.status[0]]).toEqual(['solved', 'solved']);
      if (solution.margin[k]! < 1e-6) return;
      compared++;
      const point = pointOf(solution, k);
      const { dh, dp, dQ } = plain.backwardSync({ dz: tensor(rowOf(dz, batch, k), [1, problem.n]) });
      const difference = (a: Float64Array, b: Float64Array) =>
        largest(a.map((x, i) => x - b[i]!)) / (1 + largest(b));
      const partOf = { h: 'lambda', gl: 'lambdaGl', lb: 'lambdaLb', ub: 'lambdaUb' } as const;
      const multipliers = rows.map(({ name, index }) => point[partOf[name]][index]!);
      const ofLimits = rows.map(({ name, index }) => {
        const sign = name === 'gl' || name === 'lb' ? -1 : 1;
        const all = gradients[`d${name}`]!;
        return sign * rowOf(all, batch, k)[index]!;
      });
      expectWithin(
        {
          z: difference(point.z, plain.z.data),
          multipliers: difference(Float64Array.from(multipliers), plain.lambda.data),
          limits: difference(Float64Array.from(ofLimits), dh!.data),
          dp: difference(rowOf(gradients.dp, batch, k), dp.data),
          dQ: difference(rowOf(gradients.dQ!, batch, k), dQ!.data),
        },
        1e-9,
      );
    });
    expect(compared).toBeGreaterThan(0.9 * batch);
  });
});
