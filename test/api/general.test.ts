// What problems with bounds, without Q, and without a solution look like from outside.
import { qpSolveBatch, qpSolveBatchSync, tensor } from '../../lib/index.js';
import type { QpErrorCode, QpProblem } from '../../lib/index.js';
import { failure } from '../support/errors.js';

const close = (actual: ArrayLike<number>, expected: number[], digits = 6) => {
  expect(actual).toHaveLength(expected.length);
  expected.forEach((value, i) => {
    if (Number.isFinite(value)) expect(actual[i]).toBeCloseTo(value, digits);
    else expect(actual[i]).toBe(value);
  });
};

const eye = [[1, 0], [0, 1]]; // prettier-ignore

// minimise ½|z|² − 2z₁ + 3z₂ subject to z₁ ≤ 1, z₂ ≥ −1: both bounds are active, with multipliers 1 and 2.
const boxed = { Q: eye, p: [-2, 3], lb: [-Infinity, -1], ub: [1, Infinity] };

describe('bounds', () => {
  it('of the variables have multipliers, and gradients', async () => {
    using solution = await qpSolveBatch(boxed);
    close(solution.z.data, [1, -1]);
    close(solution.lambdaLb.data, [0, 2]);
    close(solution.lambdaUb.data, [1, 0]);
    expect([solution.lambdaGl.shape, solution.lambda.shape]).toEqual([[1, 0], [1, 0]]); // prettier-ignore
    close(solution.margin, [1]);
    expect(solution.derivative).toEqual(['activeSet']);
    const { dp, dlb, dub } = await solution.backward({ dz: [1, 1] });
    close(dp.data, [0, 0]);
    close(dlb!.data, [0, 1]);
    close(dub!.data, [1, 0]);
  });

  it('of the rows have multipliers, and gradients', () => {
    const rows = { Q: eye, p: [-2, 3], G: eye, gl: [-Infinity, -1], h: [1, Infinity] };
    using solution = qpSolveBatchSync(rows);
    close(solution.z.data, [1, -1]);
    close(solution.lambda.data, [1, 0]);
    close(solution.lambdaGl.data, [0, 2]);
    close(solution.slack.data, [0, Infinity]);
    const { dh, dgl } = solution.backwardSync({ dz: [1, 1] }, { wrt: ['h', 'gl'] });
    close(dh.data, [1, 0]);
    close(dgl.data, [0, 1]);
  });

  it('of the rows may be lower ones only', () => {
    using solution = qpSolveBatchSync({ Q: eye, p: [2, 3], G: [[1, 1]], gl: [1] });
    close(solution.z.data, [1, 0]);
    close(solution.lambdaGl.data, [3]);
    close(solution.lambda.data, [0]);
    close(solution.slack.data, [Infinity]);
  });

  it('may be those of each problem, or of all', () => {
    const lb = [[0, 0], [5, 6]]; // prettier-ignore
    using solution = qpSolveBatchSync({ Q: eye, p: [1, 1], lb, ub: [8, 8] });
    close(solution.z.data, [0, 0, 5, 6]);
    const { dlb, dub } = solution.backwardSync({ dz: lb });
    expect([dlb!.shape, dub!.shape]).toEqual([[2, 2], [2]]);
    close(dlb!.data, lb.flat());
  });

  it('that cross make a problem infeasible, which is no error', () => {
    using solution = qpSolveBatchSync({ Q: eye, p: [0, 0], lb: [0, 2], ub: [1, 1] });
    expect(solution.status).toEqual(['primalInfeasible']);
  });

  it('that are finite, and that nothing satisfies, make a problem infeasible too', () => {
    const crossed = [
      { G: [[1, 0]], h: [-1e31], lb: [0, 0] },
      { G: [[1, 0]], gl: [1e31], ub: [0, 0] },
      { lb: [0, 0], ub: [-1e31, 1] },
      { lb: [1e31, 0], ub: [0, 1] },
    ];
    for (const bounds of crossed) {
      using solution = qpSolveBatchSync({ Q: eye, p: [0, 0], ...bounds }, { device: 'cpu' });
      expect([bounds, solution.status]).toEqual([bounds, ['primalInfeasible']]);
    }
  });

  it('are infinite from 1e30 on, in the units that they are given in', () => {
    const rows = { G: [[4, 0], [0, 4]], h: [1e30, 1] }; // prettier-ignore
    using solution = qpSolveBatchSync({ p: [1, 1], ...rows, lb: [-1, -1] }, { device: 'cpu' });
    close(solution.slack.data, [Infinity, 5]);
  });

  it.each<[string, QpErrorCode, Partial<QpProblem>, string, number | undefined, RegExp]>([
    [
      'NaN',
      'ERR_QP_NOT_FINITE',
      { lb: [0, NaN] },
      'lb',
      undefined,
      /lb is NaN or Infinity at \[1\]; .*-Infinity where/,
    ],
    [
      'a lower one of Infinity',
      'ERR_QP_NOT_FINITE',
      {
        lb: [
          [0, 0],
          [Infinity, 0],
        ],
      },
      'lb',
      1,
      /lb of problem 1 .* at \[0\]/,
    ],
    [
      'an upper one of -Infinity',
      'ERR_QP_NOT_FINITE',
      { ub: [-Infinity, 0] },
      'ub',
      undefined,
      /ub is NaN or -Infinity/,
    ],
    [
      'gl of Infinity',
      'ERR_QP_NOT_FINITE',
      { G: eye, gl: [0, Infinity] },
      'gl',
      undefined,
      /gl is NaN or Infinity/,
    ],
    [
      'gl that is NaN',
      'ERR_QP_NOT_FINITE',
      { G: eye, gl: [0, NaN] },
      'gl',
      undefined,
      /gl is NaN or Infinity/,
    ],
    [
      'h of -Infinity',
      'ERR_QP_NOT_FINITE',
      { G: eye, gl: [0, 0], h: [0, -Infinity] },
      'h',
      undefined,
      /h is NaN or -Infinity at \[1\]; expected numbers, or Infinity where there is no bound/,
    ],
    [
      'h of -Infinity without gl',
      'ERR_QP_NOT_FINITE',
      { G: eye, h: [Infinity, -Infinity], lb: [0, 0] },
      'h',
      undefined,
      /h is NaN or -Infinity at \[1\]/,
    ],
    [
      'G that is not finite, in a row without a bound',
      'ERR_QP_NOT_FINITE',
      { G: [[1, 0], [NaN, 0]], h: [0, Infinity], lb: [0, 0] }, // prettier-ignore
      'G',
      undefined,
      /G is NaN or infinite at \[1, 0\]/,
    ],
    [
      'p of Infinity',
      'ERR_QP_NOT_FINITE',
      { p: [0, Infinity], lb: [0, 0] },
      'p',
      undefined,
      /p is NaN or infinite/,
    ],
    [
      'an indefinite Q',
      'ERR_QP_NOT_CONVEX',
      {
        Q: [
          [1, 2],
          [2, 1],
        ],
        lb: [0, 0],
      },
      'Q',
      undefined,
      /Q is not positive semidefinite/,
    ],
    [
      'a Q that is not symmetric',
      'ERR_QP_NOT_SYMMETRIC',
      {
        Q: [
          [1, 1],
          [0, 1],
        ],
        lb: [0, 0],
      },
      'Q',
      undefined,
      /Q is not symmetric/,
    ],
  ])('are refused with %s', async (_, code, changes, argument, index, message) => {
    const error = await failure(code, () => qpSolveBatch({ Q: eye, p: [1, 1], ...changes }));
    expect([error.argument, error.index]).toEqual([argument, index]);
    expect(error.message).toMatch(message);
  });
});

describe('without a strictly convex objective', () => {
  it('a linear program is solved', async () => {
    // maximise z₁ + 2z₂ subject to z₁ + z₂ ≤ 1, z ≥ 0
    using solution = await qpSolveBatch({ p: [-1, -2], G: [[1, 1]], h: [1], lb: [0, 0] });
    close(solution.z.data, [0, 1]);
    close(solution.lambda.data, [2]);
    close(solution.lambdaLb.data, [1, 0]);
    close(solution.objective, [-2]);
    const gradients = await solution.backward({ dobjective: [1] });
    expect(Object.keys(gradients)).toEqual(['dp', 'dG', 'dh', 'dlb']);
    close(gradients.dp.data, [0, 1]);
    close(gradients.dh!.data, [-2]);
  });

  it('n comes from p, which may be a batch, a tensor, or a typed array', () => {
    const box = { lb: [0, 0], ub: [1, 1] };
    using batch = qpSolveBatchSync({ ...box, p: [[1, -1], [-1, 1]] }); // prettier-ignore
    close(batch.z.data, [0, 1, 1, 0]);
    using typed = qpSolveBatchSync({ ...box, p: Float64Array.of(1, -1) });
    using tensors = qpSolveBatchSync({ ...box, p: tensor([1, -1]) });
    close(typed.z.data, [0, 1]);
    close(tensors.z.data, [0, 1]);
  });

  it('a singular Q is no error', () => {
    const Q = [[1, 1], [1, 1]]; // prettier-ignore
    using solution = qpSolveBatchSync({ Q, p: [-2, -2], A: [[1, -1]], b: [0] }, { device: 'cpu' });
    expect(solution.status).toEqual(['solved']);
    close(solution.z.data, [1, 1]);
  });

  it('float32 is float32', () => {
    const bounds = { lb: [0, 0], ub: [1, Infinity], G: eye, h: [9, 2] };
    using solution = qpSolveBatchSync<'float32'>({ p: Float32Array.of(1, -1), ...bounds });
    expect(solution.lambdaLb.data).toBeInstanceOf(Float32Array);
    close(solution.z.data, [0, 2], 4);
  });
});

it('prices can be had from multipliers, gradients and directions alike', async () => {
  // The cheapest mixture of two goods at prices 1 and 2: at least 4 in all, at most 3 of each.
  const market = { p: [1, 2], G: [[1, 1]], gl: [4], lb: [0, 0], ub: [3, 3] };
  using solution = await qpSolveBatch(market);
  close(solution.z.data, [3, 1]);
  close(solution.objective, [5]);
  close(solution.lambdaGl.data, [2]);
  close(solution.lambdaUb.data, [1, 0]);
  const { dgl, dub } = await solution.backward({ dobjective: [1] });
  close(dgl!.data, [2]);
  close(dub!.data, [-1, 0]);
  const { dz, dobjective } = await solution.jvp({ dgl: [1] });
  close(dz.data, [0, 1]);
  close(dobjective, [2]);
});

describe('certificates', () => {
  // Σz ≤ −1 with z ≥ 0; Σz ≤ 1 with z ≥ 0
  const halves = { Q: eye, p: [0, 0], G: [[1, 1]], h: [[-1], [1]], lb: [0, 0] };

  it('of a problem without a feasible point can be checked by hand', () => {
    using solution = qpSolveBatchSync(halves);
    expect(solution.status).toEqual(['primalInfeasible', 'solved']);
    expect(solution.derivative[0]).toBe('none');
    const certificate = solution.certificate(0);
    if (certificate?.kind !== 'primalInfeasible') throw new Error('another kind');
    close(certificate.lambda, [1]);
    close(certificate.lambdaLb, [1, 1]);
    expect([certificate.nu, certificate.lambdaGl, certificate.lambdaUb].map(({ length }) => length)).toEqual([
      0, 0, 0,
    ]);
    expect(solution.certificate(1)).toBeUndefined();
    const { dh } = solution.backwardSync({ dz: [[1, 1], [0, 0]] }); // prettier-ignore
    close(dh!.data.subarray(0, 1), [0]);
  });

  it('are copies', () => {
    using solution = qpSolveBatchSync(halves);
    const certificate = solution.certificate(0);
    if (certificate?.kind !== 'primalInfeasible') throw new Error('another kind');
    certificate.lambda.fill(7);
    close(solution.lambda.data.subarray(0, 1), [1]);
  });

  it('of a problem without a lower bound are a direction', () => {
    using solution = qpSolveBatchSync({ p: [-1, 1], lb: [0, 0], ub: [Infinity, 1] });
    expect(solution.status).toEqual(['dualInfeasible']);
    const certificate = solution.certificate(0);
    if (certificate?.kind !== 'dualInfeasible') throw new Error('another kind');
    close(certificate.direction, [1, 0]);
  });

  it.each([-1, 1, 0.5, NaN, '0', null, undefined])('there is none for problem %p', async (index) => {
    using solution = qpSolveBatchSync({ Q: eye, p: [1, 1] });
    const error = await failure('ERR_QP_ARGUMENT', () => solution.certificate(index as number));
    expect([error.argument, error.message]).toEqual([
      'index',
      expect.stringMatching(/^index is .*; expected a whole number from 0 to 0$/),
    ]);
  });
});

describe("infeasible: 'closest'", () => {
  const contradiction = { Q: eye, p: [0, 0], G: [[1, 0], [-1, 0]], h: [[0, -2], [3, -2]], A: [[0, 1]], b: [1] }; // prettier-ignore

  it('shifts what is infeasible, by as little as it can, and says by how much', () => {
    using solution = qpSolveBatchSync(contradiction, { infeasible: 'closest' });
    expect(solution.status).toEqual(['solved', 'solved']);
    close(solution.z.data, [1, 1, 2, 1], 5);
    expect(solution.shiftH!.shape).toEqual([2, 2]);
    expect(solution.shiftB!.shape).toEqual([2, 1]);
    close(solution.shiftH!.data, [1, 1, 0, 0], 5);
    close(solution.shiftB!.data, [0, 0], 5);
  });

  it('is needed for that', () => {
    using solution = qpSolveBatchSync(contradiction, { device: 'cpu' });
    expect(solution.status).toEqual(['primalInfeasible', 'solved']);
    expect([solution.shiftH, solution.shiftB]).toEqual([undefined, undefined]);
  });
});

describe('backward', () => {
  it('measures its own equations where it is asked to', async () => {
    using solution = qpSolveBatchSync(boxed);
    const { residuals, dp } = await solution.backward({ dz: [1, 1] }, { wrt: ['p'], residuals: true });
    expect(residuals).toBeInstanceOf(Float64Array);
    expect(residuals).toHaveLength(1);
    expect(residuals[0]).toBeLessThan(1e-8);
    expect(solution.backwardSync({ dz: [1, 1] }, { wrt: ['p'] })).toEqual({ dp });
  });

  it('takes gradients of the bounds’ multipliers, and of the objective in float64', () => {
    using solution = qpSolveBatchSync(boxed, { dtype: 'float32' });
    close(solution.backwardSync({ dlambdaUb: [1, 0] }).dp.data, [-1, 0], 4); // λ_ub = −z₁ − p₁
    close(solution.backwardSync({ dlambdaLb: [0, 1] }).dp.data, [0, 1], 4); // λ_lb = z₂ + p₂
    close(solution.backwardSync({ dobjective: Float64Array.of(2) }).dp.data, [2, -2], 4);
  });

  it.each<[string, QpErrorCode, unknown, unknown, string, RegExp]>([
    [
      'multipliers that there are not',
      'ERR_QP_SHAPE',
      { dlambdaGl: [1] },
      {},
      'dlambdaGl',
      /shape \[1\]; expected shape \[1, 0\]/,
    ],
    [
      'multipliers of another shape',
      'ERR_QP_SHAPE',
      { dlambdaLb: [1] },
      {},
      'dlambdaLb',
      /expected shape \[1, 2\]/,
    ],
    [
      'an objective’s of another shape',
      'ERR_QP_SHAPE',
      { dobjective: [1, 2] },
      {},
      'dobjective',
      /expected shape \[1\]/,
    ],
    [
      'an objective’s that is a number',
      'ERR_QP_ARGUMENT',
      { dobjective: 1 },
      {},
      'dobjective',
      /dobjective is 1/,
    ],
    [
      'NaN',
      'ERR_QP_NOT_FINITE',
      { dobjective: [NaN] },
      {},
      'dobjective',
      /dobjective of problem 0 is NaN or infinite;/,
    ],
    [
      'NaN of multipliers',
      'ERR_QP_NOT_FINITE',
      { dlambdaUb: [NaN, 0] },
      {},
      'dlambdaUb',
      /dlambdaUb of problem 0/,
    ],
    [
      'residuals in words',
      'ERR_QP_OPTION',
      { dz: [1, 1] },
      { residuals: 'yes' },
      'residuals',
      /true or false/,
    ],
    [
      'data that the problem was not given',
      'ERR_QP_ARGUMENT',
      { dz: [1, 1] },
      { wrt: ['gl'] },
      'wrt',
      /wrt names gl, which/,
    ],
  ])('refuses %s', async (_, code, upstream, options, argument, message) => {
    using solution = qpSolveBatchSync(boxed);
    const error = await failure(code, () => solution.backward(upstream as never, options as never));
    expect(error.argument).toBe(argument);
    expect(error.message).toMatch(message);
  });
});

it('smoothing moves the derivatives, not the solution', () => {
  using sharp = qpSolveBatchSync(boxed);
  using smooth = qpSolveBatchSync(boxed, { smoothing: 0.1 });
  close(smooth.z.data, [...sharp.z.data]);
  expect(smooth.derivative).toEqual(['centralPath']);
  const gradient = smooth.backwardSync({ dz: [1, 0] }).dp.data[0]!;
  expect(gradient).toBeLessThan(-1e-3);
  expect(gradient).toBeGreaterThan(-1);
});

it('without polish, derivatives are those of the central path', () => {
  using solution = qpSolveBatchSync(boxed, { polish: false });
  close(solution.z.data, [1, -1]);
  expect(solution.derivative).toEqual(['centralPath']);
});
