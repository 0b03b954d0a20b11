// What a GPU does not serve, under device 'auto': the CPU solves it, says why, and gives what it gives by itself.
import {
  DeviceTensor,
  devices,
  qpSolveBatch,
  qpSolveBatchSync,
  tensor,
  toDeviceSync,
} from '../../lib/index.js';
import type { DType, QpProblem, QpSolution, SolveOptions, Tensor } from '../../lib/index.js';
import { bitsOf } from '../support/bits.js';
import { describeWithGpu, gpu, raw } from '../support/devices.js';
import { failure } from '../support/errors.js';
import { runNode } from '../support/node.js';
import { randomProblem } from '../support/problems.js';

// minimise z₁² + z₂² − 2z₁ − 5z₂ subject to z₁ + z₂ ≤ 1
const projection = { Q: [[2, 0], [0, 2]], p: [-2, -5], G: [[1, 1]], h: [1] }; // prettier-ignore
/** minimise z₁² − 2z₁ − 5z₂ subject to z₁ + z₂ ≤ 1: λ = 5, z₁ = −3/2, z₂ = 5/2 */
const singular = { ...projection, Q: [[2, 0], [0, 0]] }; // prettier-ignore
const singularSecond = { ...projection, Q: [projection.Q, singular.Q] };
/** z₁ ≤ −1 and z₁ ≥ 1 */
const infeasible = { Q: [[1]], p: [1], G: [[1], [-1]], h: [-1, -1] };
/** Nothing holds z₂, which costs −5. */
const unbounded = { Q: singular.Q, p: singular.p, G: [[1, 0]], h: [1] };

const random = randomProblem({ batch: 3, n: 5, m: 6, q: 2 }, 21);
const names = ['Q', 'p', 'G', 'h', 'A', 'b'] as const;
/** The same, but the objective of the second problem does not depend on its first variable. */
const flat = {
  ...random,
  Q: tensor(
    random.Q.data.map((x, at) => (at >= 25 && at < 50 && (at < 30 || at % 5 === 0) ? 0 : x)),
    [3, 5, 5],
  ),
  p: tensor(
    random.p.data.map((x, at) => (at === 5 ? 0 : x)),
    [3, 5],
  ),
};

const indefinite = (who: string) => `${who} is not positive definite, which GPUs do not serve yet.`;
const unsolved = (k: number) =>
  `Problem ${k} was left unsolved by cuda:0, and the CPU has a solver for such problems.`;
const missing = (whose: string, row: number) =>
  `${whose} has no bound at [${row}], and GPUs do not serve missing rows yet.`;
const notServed = (what: string) => `GPUs do not serve ${what} yet.`;

type Options = SolveOptions<'float64'>;

const cases: [string, QpProblem<'float64'>, Options, string][] = [
  ['a singular Q', singular, {}, indefinite('Q')],
  ['a singular Q of one problem', singularSecond, {}, indefinite('Q of problem 1')],
  [
    'a singular Q, without derivatives',
    singularSecond,
    { differentiable: false },
    indefinite('Q of problem 1'),
  ],
  ['an LP', { p: [1, 1], G: [[-1, 0], [0, -1]], h: [0, 0] }, {}, notServed('a problem without Q')], // prettier-ignore
  ['gl', { ...projection, gl: [0] }, {}, notServed('gl')],
  ['lb', { ...projection, lb: [0, 0] }, {}, notServed('lb')],
  ['ub', { ...projection, ub: [1, 1] }, {}, notServed('ub')],
  ['smoothing', projection, { smoothing: 1e-3 }, notServed('smoothing')],
  ["infeasible: 'closest'", infeasible, { infeasible: 'closest' }, notServed("infeasible: 'closest'")],
  ['a missing row', { ...projection, h: [Infinity] }, {}, missing('h', 0)],
  ['a missing row of one problem', { ...projection, h: [[1], [1e30]] }, {}, missing('h of problem 1', 0)],
  ['an infeasible problem', infeasible, {}, unsolved(0)],
  ['an infeasible one of a batch', { ...infeasible, h: [[1, 1], [-1, -1], [2, 2]] }, {}, unsolved(1)], // prettier-ignore
  ['an unbounded problem', unbounded, {}, indefinite('Q')],
  ['too few iterations', random, { maxIterations: 2 }, unsolved(0)],
  ['a tolerance below rounding', random, { tolerance: 1e-30, polish: false }, unsolved(0)],
];

/** Everything that a solution says, bit for bit. */
function allOf(solution: QpSolution<'float64'>): Buffer {
  const batch = solution.objective.length;
  return Buffer.concat(Array.from({ length: batch }, (_, k) => bitsOf(solution, {}, k)));
}

const hosted = (value: unknown): Tensor => (value as DeviceTensor).toHostSync();

describeWithGpu("what a GPU does not serve, under device 'auto'", () => {
  describe.each(cases)('%s', (_, problem, options, reason) => {
    it('is solved by the CPU, with its results and the reason', async () => {
      using expected = qpSolveBatchSync(problem, { ...options, device: 'cpu' });
      using blocking = qpSolveBatchSync(problem, options);
      using promised = await qpSolveBatch(problem, options);
      for (const solution of [blocking, promised]) {
        expect(solution.device).toEqual({ ...expected.device, reason });
        expect(solution.status).toEqual(expected.status);
        expect(allOf(solution).equals(allOf(expected))).toBe(true);
        expect(solution.timings.solve).toBeGreaterThan(0);
      }
    });
  });

  it('a singular Q: the solution is the one that is known', () => {
    using solution = qpSolveBatchSync(singular);
    const [z, lambda] = [solution.z.data, solution.lambda.data];
    [-1.5, 2.5].forEach((value, i) => expect(z[i]).toBeCloseTo(value, 8));
    expect(lambda[0]).toBeCloseTo(5, 8);
  });

  it('a problem without a solution has its certificate', () => {
    using none = qpSolveBatchSync(infeasible);
    expect(none.certificate(0)).toMatchObject({ kind: 'primalInfeasible' });
    using open = qpSolveBatchSync(unbounded);
    expect(open.certificate(0)).toMatchObject({ kind: 'dualInfeasible' });
  });

  it('a Q with a negative eigenvalue is an error, of which the CPU knows more', async () => {
    const concave = { ...projection, Q: [[1, 0], [0, -1]] }; // prettier-ignore
    const error = await failure('ERR_QP_NOT_CONVEX', () => qpSolveBatchSync(concave));
    expect(error.message).toBe('Q is not positive semidefinite; expected a convex objective');
    const promised = await failure('ERR_QP_NOT_CONVEX', () => qpSolveBatch(concave));
    expect(promised.message).toBe(error.message);
  });

  it('wrong data are the error that they are on the CPU, beside a missing row too', async () => {
    const late = { ...projection, h: [[Infinity], [NaN]] };
    expect((await failure('ERR_QP_NOT_FINITE', () => qpSolveBatch(late))).index).toBe(1);
    const bad = { ...singularSecond, h: [[1], [NaN]] };
    const error = await failure('ERR_QP_NOT_FINITE', () => qpSolveBatchSync(bad));
    expect([error.argument, error.index]).toEqual(['h', 1]);
  });

  it('the data are those of the call, whatever becomes of them afterwards', async () => {
    const Q = Float64Array.of(2, 0, 0, 0);
    const promise = qpSolveBatch({ ...singular, Q: tensor(Q, [2, 2]) });
    Q.fill(NaN);
    using solution = await promise;
    expect(solution.z.data[0]).toBeCloseTo(-1.5, 8);
  });

  it('a GPU that is named stays an error', async () => {
    const error = await failure('ERR_QP_NOT_CONVEX', () => qpSolveBatchSync(singular, { device: 'cuda' }));
    expect(error.message).toMatch(
      /^Q is not positive definite; expected a strictly convex objective on a GPU/,
    );
    using solution = qpSolveBatchSync(infeasible, { device: 'cuda' });
    expect(solution.device.name).toBe('cuda:0');
    expect(solution.allSolved).toBe(false);
  });

  it('a missing row, on a GPU that is named, too', async () => {
    const bad = { ...projection, h: [[1], [9e29], [1e30], [Infinity]] };
    for (const dtype of ['float64', 'float32'] as const) {
      const solve = () => qpSolveBatch<DType>(bad, { device: 'cuda', dtype });
      const error = await failure('ERR_QP_DEVICE', solve);
      expect([error.argument, error.index, error.message]).toEqual([
        'h',
        2,
        "h of problem 2 has no bound at [0], and GPUs do not serve missing rows yet; device 'cpu' serves them, and so does 'auto'",
      ]);
    }
    const wrong = { ...bad, h: [[1], [-Infinity], [1], [1]] };
    const error = await failure('ERR_QP_NOT_FINITE', () => qpSolveBatch(wrong, { device: 'cuda' }));
    expect([error.argument, error.index]).toEqual(['h', 1]);
  });
});

describeWithGpu("a solution of a GPU, under device 'auto',", () => {
  const dz = tensor(
    Float64Array.from({ length: 15 }, (_, i) => Math.sin(i)),
    [3, 5],
  );
  const wanted: [string, (s: QpSolution<'float64'>) => unknown, (s: QpSolution<'float64'>) => unknown][] = [
    ['derivatives along a direction', (s) => s.jvp({ dp: random.p }), (s) => s.jvpSync({ dp: random.p })],
    [
      'the gradient of the objective',
      (s) => s.backward({ dz, dobjective: [1, 2, 3] }),
      (s) => s.backwardSync({ dz, dobjective: [1, 2, 3] }),
    ],
    [
      'residuals of the gradients',
      (s) => s.backward({ dz }, { wrt: ['Q', 'h'], residuals: true }),
      (s) => s.backwardSync({ dz }, { wrt: ['Q', 'h'], residuals: true }),
    ],
  ];

  it.each(wanted)('has %s from the CPU, as its own solution has', async (_, promised, blocking) => {
    using onCpu = qpSolveBatchSync(random, { device: 'cpu' });
    const expected = await promised(onCpu);
    using solution = qpSolveBatchSync(random);
    expect(solution.device.name).toBe('cuda:0');
    expect(await promised(solution)).toEqual(expected);
    expect(blocking(solution)).toEqual(expected); // by what the first has left
    using another = await qpSolveBatch(random);
    expect(blocking(another)).toEqual(expected);
    expect(await Promise.all([promised(another), promised(another)])).toEqual([expected, expected]);
  });

  it('has its other gradients from the GPU still, bit for bit', async () => {
    using solution = qpSolveBatchSync(random);
    const before = solution.backwardSync({ dz });
    await solution.jvp({ dh: random.h });
    expect(solution.backwardSync({ dz })).toEqual(before);
  });

  it('has kept the data of the call, and the tangents of theirs', async () => {
    const p = Float64Array.of(-2, -5);
    const promise = qpSolveBatch({ ...projection, p: tensor(p, [2]) });
    p.fill(NaN);
    using solution = await promise;
    const dp = Float64Array.of(1, 0);
    const moved = solution.jvp({ dp });
    dp.fill(NaN);
    const { dz: along } = await moved;
    expect(along.data[0]).toBeCloseTo(-0.25, 8);
    expect(along.data[1]).toBeCloseTo(0.25, 8);
  });

  it('may be disposed of while the CPU works on it', async () => {
    const solution = qpSolveBatchSync(projection);
    const moved = solution.jvp({ dp: [1, 0] });
    solution.dispose();
    expect((await moved).dz.data[0]).toBeCloseTo(-0.25, 8);
    await failure('ERR_QP_DISPOSED', () => solution.jvp({ dp: [1, 0] }));
  });

  it('checks tangents and upstream gradients as the CPU does', async () => {
    using solution = qpSolveBatchSync(projection);
    const error = await failure('ERR_QP_NOT_FINITE', () => solution.jvp({ dp: [1, NaN] }));
    expect(error.argument).toBe('dp');
    const upstream = await failure('ERR_QP_NOT_FINITE', () => solution.backward({ dobjective: [NaN] }));
    expect(upstream.argument).toBe('dobjective');
    using there = toDeviceSync([1, 0]);
    const place = await failure('ERR_QP_DEVICE', () => solution.jvp({ dp: there }));
    expect(place.message).toBe('dp is on cuda:0; expected it in host memory');
  });

  it('is what a solve may start from', () => {
    using solution = qpSolveBatchSync(random);
    using next = qpSolveBatchSync(random, { warmStart: solution });
    expect(next.device).toMatchObject({ name: 'cpu', reason: notServed('warmStart') });
    expect(next.allSolved).toBe(true);
    expect(Math.max(...next.iterations)).toBeLessThan(Math.min(...solution.iterations));
    using third = qpSolveBatchSync(random, { warmStart: next });
    expect(Math.max(...third.iterations)).toBeLessThan(Math.min(...solution.iterations));
    using fallen = qpSolveBatchSync(flat);
    using fourth = qpSolveBatchSync(flat, { warmStart: fallen });
    expect(Math.max(...fourth.iterations)).toBeLessThan(Math.min(...fallen.iterations));
  });
});

describeWithGpu("data and results on a GPU, under device 'auto'", () => {
  /** All data there. */
  const placed = (problem: Partial<Record<string, Tensor>>) =>
    Object.fromEntries(
      Object.entries(problem).map(([name, value]) => [name, toDeviceSync<DType>(value!)]),
    ) as unknown as QpProblem<'float64'>;
  const picked = () => Object.fromEntries(names.map((name) => [name, flat[name]]));

  it.each<[string, () => QpProblem<'float64'>, QpProblem<'float64'>, string]>([
    ['found out in the solve', () => placed(picked()), flat, indefinite('Q of problem 1')],
    [
      'known before',
      () => ({ ...placed(picked()), lb: Array(5).fill(-9) as number[] }),
      { ...flat, lb: Array(5).fill(-9) as number[] },
      notServed('lb'),
    ],
  ])('what is %s is solved by the CPU, in host memory or back on the GPU', async (_, make, same, reason) => {
    using expected = qpSolveBatchSync(same, { device: 'cpu' });
    const problem = make();
    using onHost = await qpSolveBatch(problem);
    expect(onHost.device).toEqual({ ...expected.device, reason });
    expect(allOf(onHost).equals(allOf(expected))).toBe(true);

    using there = await qpSolveBatch(problem, { output: 'device' });
    expect(there.device).toEqual({ ...expected.device, reason });
    for (const [name, result] of Object.entries(resultsOf(there))) {
      expect(result).toBeInstanceOf(DeviceTensor);
      expect(hosted(result)).toEqual(expected[name as 'z']);
    }

    const known = expected.backwardSync({ dz: expected.z, dobjective: [1, 2, 3] });
    const gradients = await there.backward({ dz: there.z, dobjective: toDeviceSync([1, 2, 3]) });
    for (const name of Object.keys(known) as 'dp'[]) expect(hosted(gradients[name])).toEqual(known[name]);
    const home = there.backwardSync({ dz: there.z, dobjective: [1, 2, 3] }, { output: 'host' });
    expect(home).toEqual(known);
    expect(there.jvpSync({ dp: flat.p })).toEqual(expected.jvpSync({ dp: flat.p }));
  });

  it('certificates come from there', async () => {
    const data = { Q: toDeviceSync([[1]]), p: [1], G: toDeviceSync([[1], [-1]]), h: [-1, -1] };
    using solution = await qpSolveBatch(data, { output: 'device' });
    using expected = qpSolveBatchSync(infeasible, { device: 'cpu' });
    expect(solution.certificate(0)).toEqual(expected.certificate(0));
  });

  it('where it is named, there are no certificates', () => {
    using solution = qpSolveBatchSync(infeasible, { device: 'cuda' });
    expect(['numericalError', 'maxIterations']).toContain(solution.status[0]);
    expect(solution.certificate(0)).toBeUndefined();
  });

  it('derivatives of the CPU’s are had from data that were disposed of', async () => {
    const data = { Q: toDeviceSync(projection.Q), p: toDeviceSync(projection.p), G: [[1, 1]], h: [1] };
    using solution = await qpSolveBatch(data, { output: 'device' });
    expect(solution.device.name).toBe('cuda:0');
    data.Q.dispose();
    data.p.dispose();
    expect((await solution.jvp({ dp: [1, 0] })).dz.data[0]).toBeCloseTo(-0.25, 8);
    const { dp } = await solution.backward({ dobjective: [1] });
    expect(hosted(dp).data[1]).toBeCloseTo(1.25, 8); // z
  });

  it('memory of other CUDA code serves the solve, and is its own again afterwards', async () => {
    using Q = toDeviceSync(singular.Q);
    using solution = await qpSolveBatch({ ...singular, Q: raw(Q) });
    expect(solution.z.data[0]).toBeCloseTo(-1.5, 8);
    expect((await solution.jvp({ dh: [1] })).dz.data[1]).toBeCloseTo(1, 8);
    using h = toDeviceSync([Infinity]);
    using open = await qpSolveBatch({ ...projection, h: raw(h) }, { output: 'device' });
    [1, 2.5].forEach((value, i) => expect(hosted(open.z).data[i]).toBeCloseTo(value, 8));
    expect(hosted(open.slack).data[0]).toBe(Infinity);

    using p = toDeviceSync(projection.p);
    using onGpu = await qpSolveBatch({ ...projection, p: raw(p) });
    expect((await onGpu.backward({ dz: [1, 0] })).dp.data[0]).toBeCloseTo(-0.25, 8);
    const error = await failure('ERR_QP_DEVICE', () => onGpu.jvp({ dh: [1] }));
    expect(error.message).toBe('p was memory of other CUDA code, of which the solution keeps no copy');
  });
});

describeWithGpu('a call that goes on on the CPU', () => {
  const batch = 64;
  const many = randomProblem({ batch, n: 6, m: 8, q: 0 }, 5);
  const last = (batch - 1) * 36;
  const hard: QpProblem<'float64'> = {
    ...many,
    Q: tensor(
      many.Q.data.map((x, at) => (at >= last ? 0 : x)),
      [batch, 6, 6],
    ),
    A: undefined,
    b: undefined,
  };

  it('reports progress that never goes back, and all of the batch at its end', async () => {
    const reported: number[] = [];
    using solution = await qpSolveBatch(hard, {
      threads: 1,
      onProgress: ({ solved, batch: all }) => {
        expect(all).toBe(batch);
        reported.push(solved);
      },
    });
    expect(solution.device.name).toBe('cpu');
    expect(reported.at(-1)).toBe(batch);
    expect(reported).toEqual([...reported].sort((a, b) => a - b));
  });

  it('ends when it is aborted', async () => {
    const controller = new AbortController();
    const promise = qpSolveBatch(hard, { signal: controller.signal });
    controller.abort('enough');
    expect((await failure('ERR_QP_ABORTED', () => promise)).cause).toBe('enough');
  });

  it('holds nothing of the GPU’s in the end', async () => {
    const held = () => devices().find((device) => device.name === gpu!.name) as { memoryHeld: number };
    const once = async (options: object) => {
      const solution = await qpSolveBatch(hard, { output: 'device', ...options });
      const dobjective = new Float64Array(batch).fill(1);
      const gradients = await solution.backward({ dz: solution.z, dobjective }, { wrt: ['Q', 'p', 'h'] });
      for (const there of Object.values({ ...resultsOf(solution), ...gradients, solution })) there.dispose();
    };
    await once({});
    const before = held().memoryHeld;
    for (let k = 0; k < 5; k++) await once({});
    const concave = { ...hard, Q: tensor(many.Q.data.map((x, at) => (at === last ? -1 : x)), [batch, 6, 6]) }; // prettier-ignore
    await failure('ERR_QP_NOT_CONVEX', () => qpSolveBatch(concave, { output: 'device' }));
    expect(held().memoryHeld).toBeLessThanOrEqual(before);
  });
});

const describeEmulated = gpu?.gpu === 'Emulated GPU' ? describe : describe.skip;

describeEmulated('a problem that takes libraries (needs an emulated GPU)', () => {
  it('is solved by the CPU where there are none', async () => {
    const { stdout, stderr, exitCode } = await runNode(
      `const { qpSolveBatchSync } = require('optnet');
       const { device, z } = qpSolveBatchSync({ Q: [[2]], p: [-4], G: [[1]], h: [1] });
       console.log(JSON.stringify([device.name, device.reason, z.data[0].toFixed(6)]));`,
      { env: { OPTNET_EMULATED_LIBRARIES: '0', OPTNET_CUDA_TIER: 'library' } },
    );
    expect([stderr, exitCode]).toEqual(['', 0]);
    expect(JSON.parse(stdout)).toEqual([
      'cpu',
      expect.stringMatching(/^Problems of this size take libraries on a GPU: cuBLAS .*\.$/),
      '1.000000',
    ]);
  });
});

/** The tensors of a solution. */
function resultsOf<O extends 'host' | 'device'>(solution: QpSolution<'float64', O>) {
  const { z, lambda, nu, slack, lambdaGl, lambdaLb, lambdaUb } = solution;
  return { z, lambda, nu, slack, lambdaGl, lambdaLb, lambdaUb };
}
