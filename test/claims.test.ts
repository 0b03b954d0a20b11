// What a result claims: that a problem has no solution, that it is solved, that its derivative is the active set's. Problems
// for which one of these was wrong.
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { qpSolveBatchSync, tensor } from '../lib/index.js';
import type { QpProblem as AnyProblem, SyncSolveOptions } from '../lib/index.js';

import { data } from './support/general.js';
import { largest } from './support/kkt.js';
import { expectWithin } from './support/within.js';

type QpProblem = AnyProblem<'float64'>;
type Options = SyncSolveOptions<'float64'>;

const solve = (problem: QpProblem, options: Options = {}) =>
  qpSolveBatchSync(problem, { device: 'cpu', ...options });

const diagonal = (...entries: number[]) => entries.map((x, i) => entries.map((_, j) => (i === j ? x : 0)));
const outer = (v: readonly number[], scale: number, shift = 0) =>
  v.map((x, i) => v.map((y, j) => scale * (x * y + (i === j ? shift : 0))));

describe('is feasible, however large its right-hand sides are:', () => {
  it.each<[string, QpProblem, number[]]>([
    ['one equality', { p: [1], A: [[1]], b: [1.2e10] }, [1.2e10]],
    ['one bound', { p: [1], lb: [1e10] }, [1e10]],
    ['one bound of 1e15', { p: [1], lb: [1e15] }, [1e15]],
    ['11 GB to be allotted, in bytes', { p: [1, 2, 3], A: [[1, 1, 1]], b: [1.1e10], lb: [0, 0, 0], ub: [4.4e9, 4.4e9, 4.4e9] }, [4.4e9, 4.4e9, 2.2e9]], // prettier-ignore
    ['with a singular Q', { Q: diagonal(1e-10, 0, 0), p: [1, 1, 1], lb: [5e10, 5e10, 5e10] }, [5e10, 5e10, 5e10]], // prettier-ignore
    ['with a definite Q', { Q: [[1]], p: [1], lb: [1e16] }, [1e16]],
    [
      'with a definite Q and an equality',
      { Q: diagonal(1, 2), p: [1, 1], A: [[1, 1]], b: [3e17] },
      [2e17, 1e17],
    ],
    [
      'with a definite Q and a row',
      { Q: diagonal(1, 2), p: [1, 1], G: [[-1, -1]], h: [-3e18] },
      [2e18, 1e18],
    ],
  ])('%s', (_, problem, z) => {
    for (const options of [{}, { infeasible: 'closest' }] as const) {
      using solution = solve(problem, options);
      expect(solution.status).toEqual(['solved']);
      expect(largest(solution.z.data.map((x, j) => x - z[j]!)) / largest(z)).toBeLessThan(1e-12);
    }
  });
});

describe('is feasible, although its equalities depend on each other:', () => {
  it.each<[string, QpProblem, number[]]>([
    ['one twice', { p: [-2, 1], A: [[-1, 1], [-2, -1], [-2, -1]], b: [3, 0, 0], lb: [-100, -100], ub: [100, 100] }, [-1, 2]], // prettier-ignore
    ['one negated, and one of zeros', { p: [0, 2], A: [[0, -3], [2, -2], [-2, 2], [0, 0]], b: [3, 0, 0, 0], lb: [-2, -2], ub: [2, 2] }, [-1, -1]], // prettier-ignore
  ])('%s', (_, problem, z) => {
    using solution = solve(problem);
    expect(solution.status).toEqual(['solved']);
    z.forEach((x, j) => expect(solution.z.data[j]).toBeCloseTo(x, 12));
  });

  it('whatever these are, in linear programs of small whole numbers', () => {
    let [state, count] = [1, 0];
    const draw = (most: number) => {
      state = (state * 48271) % 2147483647;
      return (state % (2 * most + 1)) - most;
    };
    const wrong: string[] = [];
    for (; count < 3000; count++) {
      const n = 1 + (count % 4);
      const z = Array.from({ length: n }, () => draw(2));
      const rows = Array.from({ length: n }, () => Array.from({ length: n }, () => draw(3)));
      const [first, second] = [rows[0]!, rows[n - 1]!];
      const A = [...rows, first.map((x) => -x), first.map((x, j) => x + second[j]!), first.map((x) => 3 * x)];
      const b = A.map((row) => row.reduce((sum, x, j) => sum + x * z[j]!, 0));
      const p = Array.from({ length: n }, () => draw(3));
      using solution = solve({ p, A, b, lb: z.map(() => -2), ub: z.map(() => 2) });
      if (solution.status[0] !== 'solved')
        wrong.push(`${JSON.stringify({ p, A, b })}: ${solution.status[0]!}`);
    }
    expect({ count: wrong.length, first: wrong.slice(0, 3) }).toEqual({ count: 0, first: [] });
  });

  it('up to rounding, in float32', () => {
    const A = [[0.56873602173568794], [0.44870539160877715]];
    using solution = solve(
      { p: [1], A, b: [-0.1427577992243057, -0.1126290436302248] },
      { precision: 'single' },
    );
    expect(solution.status).toEqual(['solved']);
    expect(solution.z.data[0]).toBeCloseTo(-0.251, 4);
  });
});

describe('is infeasible, and that is proved,', () => {
  it.each([1, 1e3, 1e6, 1e8, 1e9, 1e12])('by %p', (distance) => {
    using solution = solve({ p: [1], G: [[1], [-1]], h: [0, -distance] });
    const certificate = solution.certificate(0);
    if (certificate?.kind !== 'primalInfeasible') throw new Error(solution.status[0]);
    const [upper, lower] = certificate.lambda as unknown as [number, number];
    expectWithin({ difference: Math.abs(upper / lower - 1), value: Math.abs(lower * distance - 1) }, 1e-14);
  });

  it.each([1, 1e-6, 1e-9, 1e-12])('in rows of %p, by little', (unit) => {
    for (const distance of [1e-3, 1e-5, 1e-6, 5e-7, 2e-7, 1e-7, 1e-8]) {
      using solution = solve({ p: [1], G: [[unit], [-unit]], h: [0, -distance * unit] });
      expect([distance, solution.status[0]]).toEqual([distance, 'primalInfeasible']);
    }
  });

  it('rather than unbounded, where it is both', () => {
    using solution = solve({ p: [1, -1], G: [[1, 0], [-1, 0]], h: [0, -1] }); // prettier-ignore
    expect(solution.status).toEqual(['primalInfeasible']);
  });
});

describe('the scale of the objective', () => {
  const a = [1, 1 / 3, -0.7];
  const scales = [1e-9, 1e-6, 1e-3, 1, 1e2, 1e4, 1e6, 1e9];

  it.each(scales)('makes no difference where terms of Qz cancel, at %p', (scale) => {
    using solution = solve({ Q: outer(a, 1e9 * scale, 1e-9), p: [scale, -scale, 0.2 * scale] });
    expect(solution.status).toEqual(['solved']);
    // (I + 1e9·aaᵀ)⁻¹ by Sherman and Morrison
    const p = [1, -1, 0.2];
    const dot = (x: readonly number[], y: readonly number[]) => x.reduce((sum, e, j) => sum + e * y[j]!, 0);
    const along = (1e9 * dot(a, p)) / (1 + 1e9 * dot(a, a));
    // Rounding in Q's elements alone moves z by 1e-7.
    solution.z.data.forEach((x, j) => expect(x).toBeCloseTo(-(p[j]! - along * a[j]!), 6));
  });

  it('makes no difference where Q has a low rank', () => {
    const v = [0.3, -1.7, 2.9, 0.77];
    const w = [1.1, 0.4, -0.6, 2.3];
    const ends = scales.map((scale) => {
      const Q = v.map((x, i) => v.map((y, j) => scale * (1e4 * x * y + w[i]! * w[j]!)));
      const p = v.map((x, j) => scale * (x - 2 * w[j]!));
      using solution = solve({ Q, p });
      const slope = Q.map((row, i) => row.reduce((sum, x, j) => sum + x * solution.z.data[j]!, p[i]!));
      return [solution.status[0], largest(slope) < 1e-8 * scale * 1e4];
    });
    expect(ends).toEqual(scales.map(() => ['solved', true]));
  });
});

describe('a linear program', () => {
  it('whose costs are nearly 0 has its vertex, and the derivative there', () => {
    using solution = solve({ p: [1, 1e-9, -1e-9], lb: [-1, -1, -1], ub: [1, 1, 1] });
    expect([solution.status[0], solution.derivative[0]]).toEqual(['solved', 'activeSet']);
    expect(solution.z.data).toEqual(Float64Array.of(-1, -1, 1));
    const { dp, dlb, dub } = solution.backwardSync({ dz: [1, 2, 3] });
    expect([dp.data, dlb!.data, dub!.data].map((x) => [...x])).toEqual([[0, 0, 0], [1, 2, 0], [0, 0, 3]].map((x) => x.map((y) => expect.closeTo(y, 12) as number))); // prettier-ignore
  });
});

describe('what is solved has finite derivatives', () => {
  const expectFinite = (problem: QpProblem, options: Options) => {
    using solution = solve(problem, options);
    expect(solution.status).toEqual(['solved']);
    const { z, nu, objective } = solution;
    for (const upstream of [
      {
        dz: tensor(
          z.data.map(() => 1),
          z.shape,
        ),
      },
      {
        dnu: tensor(
          nu.data.map(() => 1),
          nu.shape,
        ),
        dobjective: objective.map(() => 1),
      },
    ]) {
      const gradients = solution.backwardSync(upstream, { residuals: true });
      for (const name of data) {
        const gradient = gradients[`d${name}`];
        if (gradient !== undefined) expect([name, largest(gradient.data) < Infinity]).toEqual([name, true]);
      }
      expect(gradients.residuals[0]).toBeLessThan(Infinity);
    }
  };

  it('where smoothing finds no room', () => {
    const narrow = {
      p: [-0.00032368049141950905],
      A: [[-1.4287830591201782]],
      b: [0.046844702214002609],
      ub: [-0.032786436378955841],
    };
    expectFinite(narrow, { smoothing: 8.27545e-5 });
  });

  it.each<Options>([{ polish: false }, { polish: false, precision: 'mixed' }, {}, { smoothing: 1e-3 }])(
    'at a degenerate vertex, with %p',
    (options) => {
      const file = path.join(__dirname, 'data', 'cases', 'degenerate-vertex.json');
      expectFinite(JSON.parse(readFileSync(file, 'utf8')) as QpProblem, options);
    },
  );
});

describe('in float32', () => {
  it('Q is convex where it is before it is rounded', () => {
    const v = [0.3, -1.7, 2.9, 0.77, -0.123, 1.1, 0.9];
    using solution = solve({ Q: outer(v, 1), p: v }, { precision: 'single' });
    expect(solution.status).toEqual(['solved']);
    expect(v.reduce((sum, x, j) => sum + x * solution.z.data[j]!, 0)).toBeCloseTo(-1, 5);
  });
});
