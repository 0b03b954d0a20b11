import { qpSolveBatchSync } from '../../lib/index.js';
import type { QpErrorCode, Tangents } from '../../lib/index.js';
import { failure } from '../support/errors.js';
import { randomProblem } from '../support/problems.js';

const onCpu = { device: 'cpu' } as const;

// minimise z₁² + z₂² − 2z₁ − 5z₂ subject to z₁ + z₂ ≤ 1: z = −½p − ½(1,1)λ, λ = −(p₁ + p₂ + 2h)/2.
const projection = { Q: [[2, 0], [0, 2]], p: [-2, -5], G: [[1, 1]], h: [1] }; // prettier-ignore

const close = (actual: ArrayLike<number>, expected: number[], digits = 6) => {
  expect(actual).toHaveLength(expected.length);
  expected.forEach((value, i) => expect(actual[i]).toBeCloseTo(value, digits));
};

const dot = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, x, i) => sum + x * b[i]!, 0);

describe('jvp', () => {
  it('gives the derivative that can be had by hand', async () => {
    using solution = qpSolveBatchSync(projection, onCpu);
    const { dz, dlambda, dobjective } = await solution.jvp({ dp: [1, 0] });
    close(dz.data, [-0.25, 0.25]);
    close(dlambda.data, [-0.5]);
    close(dobjective, [solution.z.data[0]!]); // the envelope theorem
    close((await solution.jvp({ dh: [1] })).dz.data, [0.5, 0.5]);
  });

  it('has the shapes of the solution', () => {
    const problem = randomProblem({ batch: 3, n: 5, m: 4, q: 2 }, 7);
    using solution = qpSolveBatchSync(problem, onCpu);
    const { dobjective, ...parts } = solution.jvpSync({ dh: problem.h }, {});
    const shapes = Object.entries(parts).map(([name, { shape }]) => [name, shape] as const);
    expect(Object.fromEntries(shapes)).toEqual({
      dz: [3, 5],
      dlambda: [3, 4],
      dnu: [3, 2],
      dlambdaGl: [3, 0],
      dlambdaLb: [3, 0],
      dlambdaUb: [3, 0],
    });
    expect(dobjective).toHaveLength(3);
  });

  it('is the transpose of backward', () => {
    const problem = randomProblem({ batch: 3, n: 5, m: 4, q: 2 }, 7);
    using solution = qpSolveBatchSync(problem, onCpu);
    const { z, lambda, nu } = solution;
    const moved = solution.jvpSync({
      dp: problem.p,
      dG: problem.G,
      dh: problem.h,
      dA: problem.A,
      db: problem.b,
    });
    const gradients = solution.backwardSync({ dz: z, dlambda: lambda, dnu: nu });
    const forward =
      dot(moved.dz.data, z.data) + dot(moved.dlambda.data, lambda.data) + dot(moved.dnu.data, nu.data);
    const backward = (['p', 'G', 'h', 'A', 'b'] as const).reduce(
      (sum, name) => sum + dot(gradients[`d${name}`]!.data, problem[name].data),
      0,
    );
    expect(Math.abs(forward - backward)).toBeLessThan(1e-8 * (1 + Math.abs(forward)));
  });

  it('gives the same several times over, also at the same time, and also as it is disposed of', async () => {
    const problem = randomProblem({ batch: 50, n: 20, m: 20, q: 5 }, 3);
    const solution = qpSolveBatchSync(problem, onCpu);
    const first = solution.jvpSync({ dp: problem.p });
    const others = Array.from({ length: 8 }, () => solution.jvp({ dp: problem.p }));
    solution.dispose();
    for (const result of await Promise.all(others)) expect(result).toEqual(first);
    await failure('ERR_QP_DISPOSED', () => solution.jvp({ dp: problem.p }));
    await failure('ERR_QP_DISPOSED', () => solution.jvpSync({ dp: problem.p }));
  });

  it('copies the tangents before it returns', async () => {
    using solution = qpSolveBatchSync(projection, onCpu);
    const dp = Float64Array.of(1, 0);
    const running = solution.jvp({ dp });
    dp.fill(NaN);
    close((await running).dz.data, [-0.25, 0.25]);
  });

  it('refuses NaN, and says where', async () => {
    using shared = qpSolveBatchSync(projection, onCpu);
    const error = await failure('ERR_QP_NOT_FINITE', () => shared.jvp({ dp: [1, NaN] }));
    expect([error.argument, error.index]).toEqual(['dp', undefined]);
    using batch = qpSolveBatchSync({ ...projection, h: [[1], [2], [3]] }, onCpu);
    const other = await failure('ERR_QP_NOT_FINITE', () => batch.jvpSync({ dh: [[1], [0], [Infinity]] }));
    expect([other.argument, other.index]).toEqual(['dh', 2]);
  });
});

describe('jvp refuses', () => {
  it.each<[string, QpErrorCode, unknown, unknown, string, RegExp]>([
    ['nothing', 'ERR_QP_ARGUMENT', undefined, undefined, 'tangents', /tangents is undefined/],
    ['a list', 'ERR_QP_ARGUMENT', [[1, 0]], undefined, 'tangents', /tangents is an array/],
    ['no tangent', 'ERR_QP_ARGUMENT', {}, undefined, 'tangents', /at least one of dQ, dp, dG/],
    ['only absent ones', 'ERR_QP_ARGUMENT', { dp: null }, undefined, 'tangents', /at least one/],
    ['an unknown one', 'ERR_QP_ARGUMENT', { dz: [1, 0] }, undefined, 'dz', /unknown key "dz"/],
    ['one of what was not given', 'ERR_QP_ARGUMENT', { dub: [1, 0] }, undefined, 'dub', /was not given ub/],
    ['a number', 'ERR_QP_ARGUMENT', { dp: 1 }, undefined, 'dp', /dp is 1; expected nested arrays/],
    [
      'another shape',
      'ERR_QP_SHAPE',
      { dp: [1, 0, 0] },
      undefined,
      'dp',
      /shape \[3\]; expected \[2\], like p/,
    ],
    [
      'a batch where there is none',
      'ERR_QP_SHAPE',
      { dp: [[1, 0]] },
      undefined,
      'dp',
      /shape \[1, 2\]; expected \[2\]/,
    ],
    [
      'none where there is a batch',
      'ERR_QP_SHAPE',
      { dh: [1] },
      undefined,
      'dh',
      /shape \[1\]; expected \[2, 1\]/,
    ],
    [
      'another length',
      'ERR_QP_SHAPE',
      { dQ: new Float64Array(3) },
      undefined,
      'dQ',
      /3 elements; expected \[2, 2\]/,
    ],
    [
      'too little data',
      'ERR_QP_SHAPE',
      { dp: { data: [1], shape: [2] } },
      undefined,
      'dp',
      /1 elements; its shape/,
    ],
    [
      'another dtype',
      'ERR_QP_DTYPE',
      { dp: new Float32Array(2) },
      undefined,
      'dp',
      /float32; expected float64/,
    ],
    ['ragged rows', 'ERR_QP_SHAPE', { dQ: [[1, 0], [0]] }, undefined, 'dQ', /ragged/],
    [
      'memory of a GPU',
      'ERR_QP_DEVICE',
      { dp: { pointer: 4096n, shape: [2], dtype: 'float64', device: 'cuda:0' } },
      undefined,
      'dp',
      /dp is on cuda:0; the problem was solved on the CPU/,
    ],
    ['an option', 'ERR_QP_OPTION', { dp: [1, 0] }, { wrt: ['p'] }, 'wrt', /unknown key "wrt"/],
    ['options that are no object', 'ERR_QP_ARGUMENT', { dp: [1, 0] }, 'all', 'options', /options is "all"/],
  ])('%s', async (_, code, tangents, options, argument, message) => {
    using solution = qpSolveBatchSync({ ...projection, h: [[1], [2]] }, onCpu);
    const sync = await failure(code, () =>
      solution.jvpSync(tangents as Tangents<'float64'>, options as never),
    );
    const async = await failure(code, () => solution.jvp(tangents as Tangents<'float64'>, options as never));
    expect(sync.message).toMatch(message);
    expect(sync.argument).toBe(argument);
    expect(async.message).toBe(sync.message);
  });

  it('a solution without factors', async () => {
    using solution = qpSolveBatchSync(projection, { ...onCpu, differentiable: false });
    const error = await failure('ERR_QP_OPTION', () => solution.jvp({ dp: [1, 0] }));
    expect(error.message).toMatch(/differentiable: false/);
  });
});
