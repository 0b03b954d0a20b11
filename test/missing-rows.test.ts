// A row of G without a bound on either side is no row: the problem is the one without it.
import { qpSolveBatchSync, tensor } from '../lib/index.js';
import type { QpSolution, SyncSolveOptions, Tangents, Tensor } from '../lib/index.js';

import { bitsOf } from './support/bits.js';
import { isExact, solveExactly } from './support/exact.js';
import { makeBatch } from './support/families.js';
import type { Form } from './support/families.js';
import { batchOf, data, has, hasPart, parts, pointOf, rowOf, shapeOf, widthOf } from './support/general.js';
import type { Datum, OneProblem, Part } from './support/general.js';
import { knownProblem } from './support/generators.js';
import { largest, times } from './support/kkt.js';
import { normal, uniform } from './support/random.js';
import { expectWithin } from './support/within.js';

type Options = SyncSolveOptions<'float64'>;
type Named = Partial<Record<string, Float64Array>>;

const onCpu = { device: 'cpu' } as const;

/** Problem k of a batch in tensors. */
function known(sizes: { batch: number; n: number; m: number; q: number }, seed: number): OneProblem[] {
  const { problem } = knownProblem(sizes, seed);
  const { batch, n, m, q } = sizes;
  return Array.from({ length: batch }, (_, k) => {
    const part = (name: keyof typeof problem) => rowOf(problem[name], batch, k);
    const absent = { gl: undefined, lb: undefined, ub: undefined };
    return {
      ...{ n, m, q, ...absent },
      ...{ Q: part('Q'), p: part('p'), G: part('G'), h: part('h'), A: part('A'), b: part('b') },
    };
  });
}

/** The problem whose bounds of these rows are infinite, written as `infinity`. */
function lacking(problem: OneProblem, rows: readonly number[], infinity = Infinity): OneProblem {
  const open = (bounds: Float64Array | undefined, value: number) =>
    bounds?.map((bound, i) => (rows.includes(i) ? value : bound));
  return { ...problem, h: open(problem.h, infinity), gl: open(problem.gl, -infinity) };
}

/** The problem without these rows. */
function without(problem: OneProblem, rows: readonly number[]): OneProblem {
  const { n, m } = problem;
  const ofRows = (x: Float64Array | undefined) => x?.filter((_, i) => !rows.includes(i));
  return {
    ...problem,
    m: m - rows.length,
    G: problem.G.filter((_, at) => !rows.includes(Math.floor(at / n))),
    h: ofRows(problem.h),
    gl: ofRows(problem.gl),
  };
}

/** What the rows of these problems are without. */
const keep = (x: Float64Array, rows: readonly number[], width = 1) =>
  x.filter((_, at) => !rows.includes(Math.floor(at / width)));
const only = (x: Float64Array, rows: readonly number[], width = 1) =>
  x.filter((_, at) => rows.includes(Math.floor(at / width)));

const isOfRows = (name: string) => /^d?(G|h|gl|lambda|lambdaGl|slack)$/.test(name);

/** Upstream gradients, those of rows that are missing too. */
function upstreamOf(problem: OneProblem, k: number): Named {
  const drawn = parts
    .filter((part) => hasPart(problem, part))
    .map((part) => [part, Float64Array.from({ length: widthOf(part, problem) }, normal(uniform(100 + k)))]);
  return Object.fromEntries(drawn) as Named;
}

const inBatch = (each: readonly Named[]) =>
  Object.fromEntries(
    Object.keys(each[0]!).map((part) => {
      const rows = each.map((one) => one[part]!);
      return [
        `d${part}`,
        tensor(Float64Array.from(rows.flatMap((x) => [...x])), [rows.length, rows[0]!.length]),
      ];
    }),
  ) as Partial<Record<`d${Part}`, Tensor<'float64'>>>;

/** A direction in the space of data, of about unit length; none of infinite bounds. */
function directionOf(problem: OneProblem, k: number): Named {
  const drawn = data
    .filter((name) => has(problem, name))
    .map((name) => {
      const size = problem[name]!.length;
      const direction = Float64Array.from({ length: size }, normal(uniform(200 + k))).map(
        (x) => x / Math.sqrt(size),
      );
      const { n } = problem;
      const symmetric = direction.map((x, at) => 0.5 * (x + direction[(at % n) * n + Math.floor(at / n)]!));
      return [name, name === 'Q' ? symmetric : direction];
    });
  return Object.fromEntries(drawn) as Named;
}

interface Everything {
  status: string;
  derivative: string;
  margin: number;
  gap: number;
  primal: number;
  objective: number;
  results: Named;
  gradients: Named;
  along: Named;
}

/** All that a solve says of one problem after the other. Gradients of what is shared are left out. */
function solveAll(
  problems: readonly OneProblem[],
  upstreams: readonly Named[],
  directions: readonly Named[],
  options: Options = {},
  shared: readonly Datum[] = [],
): Everything[] {
  using solution = qpSolveBatchSync(batchOf(problems, shared), { ...onCpu, ...options });
  const gradients = solution.backwardSync(inBatch(upstreams)) as Record<string, Tensor<'float64'>>;
  const batch = problems.length;
  const tangents = data
    .filter((name) => has(problems[0]!, name) && !shared.includes(name))
    .map((name) => [
      `d${name}`,
      tensor(Float64Array.from(directions.flatMap((one) => [...one[name]!])), [
        batch,
        ...shapeOf(name, problems[0]!),
      ]),
    ]);
  const along = solution.jvpSync(Object.fromEntries(tangents) as Tangents<'float64'>);
  const { dobjective, ...moved } = along;
  return problems.map((_, k) => {
    const rows = (of: object, names: readonly string[]) =>
      Object.fromEntries(
        names.map((name) => [name, rowOf((of as Record<string, Tensor<'float64'>>)[name]!, batch, k)]),
      );
    return {
      status: solution.status[k]!,
      derivative: solution.derivative[k]!,
      margin: solution.margin[k]!,
      gap: solution.residuals.gap[k]!,
      primal: solution.residuals.primal[k]!,
      objective: solution.objective[k]!,
      results: rows(solution, [...parts, 'slack']),
      gradients: rows(
        gradients,
        Object.keys(gradients).filter((name) => !shared.includes(name.slice(1) as Datum)),
      ),
      along: { ...rows(moved, Object.keys(moved)), dobjective: dobjective.slice(k, k + 1) },
    };
  });
}

/**
 * Expects of each problem what the problem without the missing rows gives, and of these rows nothing: λ and derivatives
 * zero, the slack infinite.
 */
function expectAsWithout(
  problems: readonly OneProblem[],
  missing: readonly (readonly number[])[],
  {
    options = {},
    shared = [],
    infinity = Infinity,
    limit = 1e-12,
  }: { options?: Options; shared?: readonly Datum[]; infinity?: number; limit?: number } = {},
): void {
  const { n } = problems[0]!;
  const upstreams = problems.map(upstreamOf);
  const directions = problems.map(directionOf);
  const lacks = problems.map((problem, k) => lacking(problem, missing[k]!, infinity));
  const found = solveAll(lacks, upstreams, directions, options, shared);
  problems.forEach((problem, k) => {
    const rows = missing[k]!;
    const ofRest = (all: Named) =>
      Object.fromEntries(
        Object.entries(all).map(([name, x]) => [
          name,
          isOfRows(name) ? keep(x!, rows, name.endsWith('G') ? n : 1) : x!,
        ]),
      );
    const reduced = without(problem, rows);
    // A direction is that of the same data as in the batch.
    const direction = ofRest(
      Object.fromEntries(
        Object.entries(directions[k]!).map(([name, x]) => [
          name,
          shared.includes(name as Datum) ? x!.map(() => 0) : x,
        ]),
      ),
    );
    const [expected] = solveAll([reduced], [ofRest(upstreams[k]!)], [direction], options);
    const { status, derivative, margin, gap, primal, objective, results, gradients, along } = found[k]!;
    expect([k, status, derivative]).toEqual([k, expected!.status, expected!.derivative]);
    const scale = 1 + largest(expected!.results.z!) + largest(expected!.results.lambda!);
    const errors: Record<string, number> = {
      margin: margin === expected!.margin ? 0 : Math.abs(margin - expected!.margin) / scale,
      objective: Math.abs(objective - expected!.objective) / (scale * scale),
      gap: Math.abs(gap - expected!.gap),
      primal: Math.abs(primal - expected!.primal) / scale,
    };
    for (const of of ['results', 'gradients', 'along'] as const) {
      for (const [name, x] of Object.entries({ results, gradients, along }[of])) {
        const other = expected![of][name];
        const width = name.endsWith('G') ? n : 1;
        if (isOfRows(name)) {
          const there = only(x!, rows, x!.length > 0 ? width : 1);
          const nothing = name === 'slack' ? Infinity : 0;
          expect([k, name, there.filter((value) => value !== nothing)]).toEqual([
            k,
            name,
            new Float64Array(),
          ]);
        }
        const rest = isOfRows(name) ? keep(x!, rows, width) : x!;
        if (other === undefined) expect(rest).toHaveLength(0);
        else {
          const differences = rest.map((value, i) => (value === other[i] ? 0 : value - other[i]!));
          errors[`${of}.${name} of ${k}`] = largest(differences) / (scale + largest(finite(other)));
          expect(rest).toHaveLength(other.length);
        }
      }
    }
    expectWithin(errors, limit);
  });
}

const finite = (x: Float64Array) => x.filter((value) => Math.abs(value) < Infinity);

/** Of every third problem none, of the others one, or two with the last. */
const some = (problems: readonly OneProblem[]) =>
  problems.map(({ m }, k) => (k % 3 === 0 ? [] : k % 3 === 1 ? [k % m] : [k % (m - 1), m - 1]));

/** Problems that share what is named: of the others, only p, h and b differ, and by little. */
function sharing(problems: readonly OneProblem[]): OneProblem[] {
  const gauss = normal(uniform(3));
  const vary = (x: Float64Array) => x.map((value) => value + 1e-2 * gauss());
  const first = problems[0]!;
  const { n, A, b } = first;
  return problems.map(() => {
    const z = Float64Array.from({ length: n }, () => 1e-2 * gauss());
    const shift = times(A, z, n);
    return { ...first, p: vary(first.p), h: vary(first.h!), b: b.map((x, i) => x + shift[i]!) };
  });
}

const shapes = [
  ['packed, range space', { batch: 21, n: 12, m: 16, q: 3 }],
  ['packed, condensed', { batch: 21, n: 6, m: 20, q: 1 }],
  ['blocked, range space', { batch: 3, n: 155, m: 60, q: 4 }],
  ['blocked, condensed', { batch: 4, n: 20, m: 160, q: 2 }],
] as const;

describe.each(shapes)('%s: a problem with missing rows is the one without them', (_, sizes) => {
  const problems = known(sizes, 5);

  it('and its neighbours have all of theirs', () => {
    expectAsWithout(problems, some(problems));
  });

  it('whatever G has there', () => {
    const wild = problems.map((problem, k) => {
      const G = problem.G.map((x, at) =>
        some(problems)[k]!.includes(Math.floor(at / problem.n)) ? x * 10 ** ((k % 5) * 6 - 12) : x,
      );
      return { ...problem, G };
    });
    expectAsWithout(wild, some(problems));
  });

  it('in mixed precision', () => {
    expectAsWithout(problems, some(problems), { options: { precision: 'mixed' } });
  });

  it.each<[string, readonly Datum[], boolean]>([
    ['G', ['G'], false],
    ['Q, G and A', ['Q', 'G', 'A'], false],
    ['h', ['h'], true],
    ['G and h', ['G', 'h'], true],
    ['all but p', ['Q', 'G', 'h', 'A'], true],
  ])('where the batch shares %s', (_name, shared, isShared) => {
    const alike = sharing(problems);
    const similar = isShared ? alike.map((problem) => ({ ...problem, h: alike[0]!.h })) : alike;
    const missing = isShared ? similar.map(() => [1, sizes.m - 1]) : some(similar);
    expectAsWithout(similar, missing, { shared });
  });

  it.each([1e30, 1e30 * (1 + 2 ** -52), 1e300, Number.MAX_VALUE])(
    'with h = %p, which means the same',
    (h) => {
      expectAsWithout(problems, some(problems), { infinity: h });
      expectAsWithout(sharing(problems), some(problems), { infinity: h, shared: ['G'] });
    },
  );

  it('without polishing, and along the central path, up to the tolerance', () => {
    expectAsWithout(problems, some(problems), { options: { polish: false, tolerance: 1e-11 }, limit: 1e-6 });
    expectAsWithout(problems, some(problems), { options: { smoothing: 1e-2 }, limit: 1e-9 });
  });

  it('in float32 alone, up to its tolerance', () => {
    expectAsWithout(problems, some(problems), { options: { precision: 'single' }, limit: 5e-2 });
    expectAsWithout(problems, some(problems), {
      options: { precision: 'single' },
      infinity: 1e300,
      limit: 5e-2,
    });
  });

  it('where it has no row left', () => {
    const all = Array.from({ length: sizes.m }, (_row, i) => i);
    expectAsWithout(
      problems,
      problems.map((_problem, k) => (k % 2 === 0 ? all : [])),
    );
    expectAsWithout(
      sharing(problems),
      problems.map((_problem, k) => (k % 2 === 0 ? [] : all)),
      { shared: ['G'] },
    );
  });

  it('and takes as many iterations as without them, whatever its scale', () => {
    const more: number[] = [];
    for (const scale of [1e-3, 1, 1e3, 1e6]) {
      for (const size of [1e-3, 1, 1e3]) {
        const scaled = problems.map((problem) => ({
          ...problem,
          Q: problem.Q!.map((x) => x * scale),
          p: problem.p.map((x) => x * scale * size),
          h: problem.h!.map((x) => x * size),
          b: problem.b.map((x) => x * size),
        }));
        const missing = some(scaled);
        const batch = scaled.map((problem, k) => lacking(problem, missing[k]!));
        using solution = qpSolveBatchSync(batchOf(batch), onCpu);
        scaled.forEach((problem, k) => {
          using alone = qpSolveBatchSync(batchOf([without(problem, missing[k]!)]), onCpu);
          if (missing[k]!.length > 0) more.push(solution.iterations[k]! - alone.iterations[0]!);
        });
      }
    }
    const mean = more.reduce((sum, count) => sum + count, 0) / more.length;
    expectWithin({ mean: Math.abs(mean) }, 0.3);
  });
});

const forms: [string, Form][] = [
  ['h and lb', { n: 8, h: true, gl: false, A: true, lb: true, ub: false }],
  ['h and gl', { n: 8, h: true, gl: true, A: false, lb: false, ub: false }],
  ['gl alone', { n: 8, h: false, gl: true, A: true, lb: false, ub: false }],
  ['gl and ub', { n: 8, h: false, gl: true, A: false, lb: false, ub: true }],
  ['everything', { n: 8, h: true, gl: true, A: true, lb: true, ub: true }],
];

describe.each(forms)('given %s, a problem with missing rows is the one without them', (_, form) => {
  const problems = [...makeBatch('well posed', form, 23, 21).problems];
  // Of several solutions, which one it is hangs on the last bits.
  const linear = makeBatch('linear', form, 24, 16).problems.filter((problem) => {
    using solution = qpSolveBatchSync(batchOf([problem]), onCpu);
    return isExact(solveExactly(problem, pointOf(solution, 0)));
  });

  it.each([Infinity, 1e30, 1e32])('where their bounds are ±%p', (infinity) => {
    expectAsWithout(problems, some(problems), { infinity, limit: 1e-9 });
  });

  it('where it has no row left', () => {
    const all = Array.from({ length: problems[0]!.m }, (_row, i) => i);
    const bounded = problems.map((_problem, k) => (k % 2 === 0 ? all : []));
    expectAsWithout(problems, bounded, { limit: 1e-9 });
  });

  it('where it is linear', () => {
    // Of a vertex, its active rows stay.
    using solution = qpSolveBatchSync(batchOf(linear), onCpu);
    const missing = linear.map((problem, k) => {
      const used = [solution.lambda, solution.lambdaGl].map((part) => rowOf(part, linear.length, k));
      const idle = Array.from({ length: problem.m }, (_row, i) => i).filter((i) =>
        used.every((multipliers) => (multipliers[i] ?? 0) === 0),
      );
      return idle.slice(0, 2);
    });
    expectAsWithout(linear, missing, { limit: 1e-7 });
  });
});

describe('a problem with missing rows', () => {
  const eye = [[1, 0], [0, 1]]; // prettier-ignore

  it('has the closed form of the others', () => {
    const G = [[[1, 0], [0, 1]], [[1, 0], [0, 1]]]; // prettier-ignore
    using solution = qpSolveBatchSync({ Q: eye, p: [-2, -3], G, h: [[1, Infinity], [Infinity, 1]] }, onCpu); // prettier-ignore
    expect([...solution.z.data]).toEqual([1, 3, 2, 1]);
    expect([...solution.lambda.data]).toEqual([1, 0, 0, 2]);
    expect([...solution.slack.data]).toEqual([0, Infinity, Infinity, 0]);
    expect([...solution.margin]).toEqual([1, 2]);
    const { dh } = solution.backwardSync({ dz: [[1, 1], [1, 1]] }); // prettier-ignore
    expect(Array.from(dh!.data, (x) => x + 0)).toEqual([1, 0, 0, 1]);
  });

  it.each([undefined, 'double', 'mixed', 'single'] as const)(
    'in float32 data, in %s precision',
    (precision) => {
      const h = Float32Array.of(1, 1e30, Infinity, 1);
      const given = { Q: eye, p: [-2, -3], G: tensor(Float32Array.of(1, 0, 0, 1, 1, 0, 0, 1), [2, 2, 2]) };
      for (const problem of [
        { ...given, h: tensor(h, [2, 2]) },
        { ...given, G: eye, h: tensor(h, [2, 2]) },
      ]) {
        using solution = qpSolveBatchSync(problem, { ...onCpu, ...(precision && { precision }) });
        expect(solution.status).toEqual(['solved', 'solved']);
        [1, 3, 2, 1].forEach((z, i) => expect(solution.z.data[i]).toBeCloseTo(z, 3));
        expect([solution.slack.data[1], solution.slack.data[2]]).toEqual([Infinity, Infinity]);
        expect([solution.lambda.data[1], solution.lambda.data[2]]).toEqual([0, 0]);
      }
    },
  );

  it.each([
    ['of its own', [[[1, 1]]]],
    ['that the batch shares', [[1, 1]]],
  ])('may have lacked the only one, in a G %s', (_, G) => {
    for (const precision of ['double', 'mixed', 'single'] as const) {
      for (const options of [{}, { polish: false }, { differentiable: false }, { maxIterations: 30 }]) {
        for (const h of [[[Infinity]], [Infinity]]) {
          using solution = qpSolveBatchSync(
            { Q: [eye], p: [-2, -3], G, h },
            { ...onCpu, precision, ...options },
          );
          expect(solution.status).toEqual(['solved']);
          [2, 3].forEach((z, i) => expect(solution.z.data[i]).toBeCloseTo(z, 5));
          expect([...solution.lambda.data, ...solution.slack.data, ...solution.margin]).toEqual([
            0,
            Infinity,
            Infinity,
          ]);
          expect([...solution.residuals.gap]).toEqual([0]);
        }
      }
    }
  });

  it('may have its solution anywhere, beyond all bounds of the others too', () => {
    for (const precision of ['double', 'mixed', 'single'] as const) {
      for (const size of [1e3, 1e6, 1e9]) {
        const problem = { Q: [[1 / size]], p: [-1], G: [[1], [-1]], h: [[Infinity, 1], [1, 1]] }; // prettier-ignore
        using solution = qpSolveBatchSync(problem, { ...onCpu, precision });
        expect(solution.status).toEqual(['solved', 'solved']);
        expect(solution.z.data[0]! / size).toBeCloseTo(1, 3);
        expect(solution.z.data[1]).toBeCloseTo(1, 3);
        expect([solution.lambda.data[0], solution.slack.data[0]]).toEqual([0, Infinity]);
      }
    }
  });

  it('has bounds of less than 1e30, but of no more', () => {
    const size = 1e30 * (1 - 2 ** -50);
    const G = [[1, 0]];
    const bounds = [
      (x: number) => ({ G: [G], h: [x] }),
      (x: number) => ({ G, h: [[x]] }),
      (x: number) => ({ G, h: [x], gl: [-Infinity] }),
      (x: number) => ({ G, gl: [-x] }),
      (x: number) => ({ ub: [Infinity, x] }),
      (x: number) => ({ lb: [-x, -Infinity] }),
    ];
    for (const bound of bounds) {
      for (const objective of [
        { Q: eye, p: [1, 1] },
        {
          Q: [
            [1, 0],
            [0, 0],
          ],
          p: [1, 0],
        },
      ]) {
        // prettier-ignore
        using bounded = qpSolveBatchSync({ ...objective, ...bound(size) }, onCpu);
        using free = qpSolveBatchSync({ ...objective, ...bound(1e30) }, onCpu);
        expect([bounded.status, free.status]).toEqual([['solved'], ['solved']]);
        expect([bounded.z.data[0], free.z.data[0]]).toEqual(
          [-1, -1].map((z) => expect.closeTo(z, 6) as number),
        );
        expect([bounded.margin[0]! > size / 2, free.margin[0]]).toEqual([true, Infinity]);
      }
    }
  });

  it('is infeasible where the others contradict each other, and the proof needs none of them', () => {
    for (const G of [
      [
        [
          [1, 0],
          [-1, 0],
          [0, 1],
        ],
      ],
      [
        [1, 0],
        [-1, 0],
        [0, 1],
      ],
    ]) {
      // prettier-ignore
      for (const precision of ['double', 'single'] as const) {
        const problem = { Q: eye, p: [0, 0], G, h: [[1, -2, Infinity]] };
        using solution = qpSolveBatchSync(problem, { ...onCpu, precision });
        expect(solution.status).toEqual(['primalInfeasible']);
        const { lambda } = solution.certificate(0) as unknown as { lambda: Float64Array };
        expect(lambda[2]).toBe(0);
        expect(lambda[0]! - 2 * lambda[1]!).toBeCloseTo(-1, 8);
        using closest = qpSolveBatchSync(problem, { ...onCpu, precision, infeasible: 'closest' });
        expect(closest.status).toEqual(['solved']);
        expect(closest.shiftH!.data[2]).toBe(0);
        expect(closest.shiftH!.data[0]).toBeCloseTo(0.5, 6);
        expect([...closest.slack.data.slice(2)]).toEqual([Infinity]);
      }
    }
  });

  it.each(shapes)('may be what a warm start is of, and for: %s', (_, sizes) => {
    const problems = known(sizes, 5);
    const missing = some(problems);
    for (const shared of [[], ['G']] as const) {
      const all = batchOf(shared.length > 0 ? sharing(problems) : problems, shared);
      const h = tensor(
        all.h!.data.map((x, at) =>
          missing[Math.floor(at / sizes.m)]!.includes(at % sizes.m) ? Infinity : x,
        ),
        all.h!.shape,
      );
      using whole = qpSolveBatchSync(all, onCpu);
      using cold = qpSolveBatchSync({ ...all, h }, onCpu);
      for (const warmStart of [whole, cold]) {
        using warm = qpSolveBatchSync({ ...all, h }, { ...onCpu, warmStart });
        expect(warm.status).toEqual(cold.status);
        expectWithin(
          {
            z: largest(warm.z.data.map((x, i) => x - cold.z.data[i]!)),
            lambda: largest(warm.lambda.data.map((x, i) => x - cold.lambda.data[i]!)),
          },
          1e-8,
        );
        expect(warm.slack.data.map((x) => (x === Infinity ? 1 : 0))).toEqual(
          cold.slack.data.map((x) => (x === Infinity ? 1 : 0)),
        );
      }
      using back = qpSolveBatchSync(all, { ...onCpu, warmStart: cold });
      expectWithin({ z: largest(back.z.data.map((x, i) => x - whole.z.data[i]!)) }, 1e-8);
    }
  });

  it('has gradients that are finite differences of its solution', () => {
    const problems = known({ batch: 6, n: 5, m: 7, q: 1 }, 8);
    const missing = some(problems);
    const lacks = problems.map((problem, k) => lacking(problem, missing[k]!));
    const upstreams = lacks.map(upstreamOf);
    const directions = lacks.map(directionOf);
    const loss = (at: number) => {
      const moved = lacks.map((problem, k) => {
        const entries = Object.entries(directions[k]!).map(([name, x]) => [
          name,
          problem[name as Datum]!.map((value, i) => value + at * x![i]!),
        ]);
        return { ...problem, ...(Object.fromEntries(entries) as Partial<OneProblem>) };
      });
      using solution = qpSolveBatchSync(batchOf(moved), onCpu);
      return moved.map((_problem, k) =>
        Object.entries(upstreams[k]!).reduce(
          (sum, [part, u]) =>
            rowOf(solution[part as Part], moved.length, k).reduce((s, x, i) => s + x * u![i]!, sum),
          0,
        ),
      );
    };
    const step = 1e-5;
    const [above, below] = [loss(step), loss(-step)];
    const found = solveAll(lacks, upstreams, directions);
    found.forEach(({ gradients, along }, k) => {
      const expected = (above[k]! - below[k]!) / (2 * step);
      const dot = (a: Named, b: Named) =>
        Object.entries(b).reduce(
          (sum, [name, y]) => (a[`d${name}`] ?? new Float64Array()).reduce((s, x, i) => s + x * y![i]!, sum),
          0,
        );
      expectWithin(
        {
          backward: Math.abs(dot(gradients, directions[k]!) - expected) / (1 + Math.abs(expected)),
          jvp: Math.abs(dot(along, upstreams[k]!) - expected) / (1 + Math.abs(expected)),
        },
        1e-7,
      );
    });
  });

  it('leaves little of the equations of its gradients', () => {
    for (const sizes of shapes.map(([, sizes]) => sizes)) {
      const problems = known(sizes, 5);
      const lacks = problems.map((problem, k) => lacking(problem, some(problems)[k]!));
      using solution = qpSolveBatchSync(batchOf(lacks), onCpu);
      const { residuals } = solution.backwardSync(inBatch(lacks.map(upstreamOf)), { residuals: true });
      expectWithin({ residuals: largest(residuals) }, 1e-11);
    }
  });
});

describe.each(shapes)('%s: a problem with missing rows has the same result, to the last bit', (_, sizes) => {
  const problems = known(sizes, 5);
  const missing = some(problems);
  const lacks = problems.map((problem, k) => lacking(problem, missing[k]!));
  const shared = sharing(problems);
  const sharedLacks = shared.map((problem, k) => lacking(problem, missing[k]!));
  const everyone = problems.map((_problem, k) => k);

  const bits = (
    all: readonly OneProblem[],
    indices: readonly number[],
    options: Options,
    common: Datum[],
  ) => {
    const chosen = indices.map((k) => all[k]!);
    using solution: QpSolution<'float64'> = qpSolveBatchSync(batchOf(chosen, common), {
      ...onCpu,
      ...options,
    });
    const gradients = solution.backwardSync(inBatch(indices.map((k) => upstreamOf(all[k]!, k))));
    const own = Object.entries(gradients).filter(([name]) => !common.includes(name.slice(1) as Datum));
    return indices.map((_index, i) => bitsOf(solution, Object.fromEntries(own) as Record<string, Tensor>, i));
  };

  it.each(['double', 'mixed', 'single'] as const)(
    'whoever shares its batch, in %s precision',
    (precision) => {
      for (const [all, common] of [
        [lacks, []],
        [sharedLacks, ['G']],
        [sharedLacks, ['Q', 'G', 'A']],
      ] as [OneProblem[], Datum[]][]) {
        const expected = bits(all, everyone, { precision, threads: 1 }, common);
        const expectSame = (indices: readonly number[], threads = 1) => {
          const actual = bits(all, indices, { precision, threads }, common);
          expect(indices.filter((k, i) => !actual[i]!.equals(expected[k]!))).toEqual([]);
        };
        for (const k of everyone) expectSame([k]);
        expectSame(everyone.toReversed());
        expectSame([...everyone.slice(1), ...everyone.slice(0, 1)]);
        for (const threads of [2, 3]) expectSame(everyone, threads);
      }
    },
  );

  it('and so have its neighbours, as if it had all of its rows', () => {
    for (const precision of ['double', 'mixed', 'single'] as const) {
      const whole = everyone.filter((k) => missing[k]!.length === 0);
      const before = bits(problems, everyone, { precision }, []);
      const after = bits(lacks, everyone, { precision }, []);
      expect(whole.filter((k) => !before[k]!.equals(after[k]!))).toEqual([]);
    }
  });
});
