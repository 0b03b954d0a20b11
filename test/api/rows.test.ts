// Typed arrays in arrays: a vector for each problem, a row for each row of a matrix.
import { qpSolveBatch, qpSolveBatchSync, tensor } from '../../lib/index.js';
import type { DType, QpErrorCode, QpProblem, Tensor } from '../../lib/index.js';
import { bitsOf } from '../support/bits.js';
import { failure } from '../support/errors.js';
import { randomProblem } from '../support/problems.js';

const onCpu = { device: 'cpu' } as const;

type Rows = Float64Array | Float32Array | Rows[];

/** A tensor as nested arrays, the innermost of which are typed. */
function rowsOf({ data, shape }: Pick<Tensor, 'data' | 'shape'>): Rows {
  if (shape.length === 1) return data.slice();
  const size = data.length / shape[0]!;
  return Array.from({ length: shape[0]! }, (_, i) =>
    rowsOf({ data: data.subarray(i * size, (i + 1) * size), shape: shape.slice(1) }),
  );
}

const allRows = (tensors: object) =>
  Object.fromEntries(
    Object.entries(tensors as Record<string, Tensor>).map(([name, one]) => [name, rowsOf(one)]),
  );

const transferred = (length: number) => {
  const data = new Float64Array(length);
  structuredClone(data, { transfer: [data.buffer] });
  return data;
};

// The types of ES2023 do not know the second argument.
const resizable = (length: number) =>
  new Float64Array(
    new (ArrayBuffer as new (length: number, options: object) => ArrayBuffer)(8 * length, {
      maxByteLength: 64,
    }),
  );

describe('typed arrays in arrays', () => {
  const problem = randomProblem({ batch: 3, n: 4, m: 3, q: 1 }, 5);

  it('are what a tensor of the same elements is: in the data, the upstream gradients and the tangents', () => {
    using expected = qpSolveBatchSync(problem, onCpu);
    using solution = qpSolveBatchSync(allRows(problem) as unknown as QpProblem<'float64'>, onCpu);
    const { z, lambda, nu } = expected;
    const upstream = { dz: z, dlambda: lambda, dnu: nu };
    const gradients = expected.backwardSync(upstream);
    const sameGradients = solution.backwardSync(allRows(upstream));
    for (const [name, { shape }] of Object.entries(gradients)) {
      expect(sameGradients[name as 'dp'].shape).toEqual(shape);
    }
    for (let k = 0; k < 3; k++) {
      expect(bitsOf(solution, { ...sameGradients }, k)).toEqual(bitsOf(expected, { ...gradients }, k));
    }
    const tangents = { dQ: problem.Q, dp: problem.p, dG: problem.G, dh: problem.h };
    expect(solution.jvpSync(allRows(tangents))).toEqual(expected.jvpSync(tangents));
  });

  it('serve the whole batch where their shape is that of one problem', () => {
    const Q = [Float64Array.of(2, 0), Float64Array.of(0, 2)];
    const p = [Float64Array.of(-2, -5), Float64Array.of(4, 0)];
    using solution = qpSolveBatchSync({ Q, p, ub: Float64Array.of(3, 2) });
    expect(solution.z.shape).toEqual([2, 2]);
    expect(Array.from(solution.z.data, (x) => Math.round(1e6 * x) / 1e6)).toEqual([1, 2, -2, 0]);
  });

  it('mix with numbers and tensors in other arguments', () => {
    const rows = [Float64Array.of(-2, -5)];
    using solution = qpSolveBatchSync({
      Q: [
        [2, 0],
        [0, 2],
      ],
      p: rows,
      G: tensor([1, 1], [1, 2]),
      h: [1],
    });
    expect(solution.allSolved).toBe(true);
  });

  it('say the dtype, as a typed array does', async () => {
    const p = [Float32Array.of(-2, -5), Float32Array.of(4, 0)];
    const Q = [
      [2, 0],
      [0, 2],
    ];
    using solution = await qpSolveBatch(
      { Q, p, lb: [Float32Array.of(0, 0), Float32Array.of(0, 0)] },
      { dtype: 'float32' },
    );
    expect(solution.z.dtype).toBe('float32');
    const { dp } = await solution.backward({ dz: [Float32Array.of(1, 0), Float32Array.of(1, 0)] });
    expect(dp.dtype).toBe('float32');
    expect(
      (
        await failure('ERR_QP_DTYPE', () =>
          solution.backward({ dz: [new Float64Array(2), new Float64Array(2)] } as never),
        )
      ).message,
    ).toMatch(/dz is float64; expected float32/);
  });

  it('are copied: what becomes of them does not matter', async () => {
    const row = Float64Array.of(-2, -5);
    const solving = qpSolveBatch({
      Q: [
        [2, 0],
        [0, 2],
      ],
      p: [row],
    });
    row.fill(NaN);
    using solution = await solving;
    expect(solution.allSolved).toBe(true);
    const rows = [Float64Array.of(1, 2), Float64Array.of(3, 4)];
    const made = tensor(rows);
    rows[1]!.fill(0);
    expect(made).toEqual({ dtype: 'float64', shape: [2, 2], data: Float64Array.of(1, 2, 3, 4) });
  });

  it('may be parts of one buffer, and shared', () => {
    const shared = new Float64Array(new SharedArrayBuffer(48));
    shared.set([1, 2, 3, 4, 5, 6]);
    const made = tensor([shared.subarray(4), shared.subarray(2, 4), shared.subarray(2, 4)]);
    expect(made.data).toEqual(Float64Array.of(5, 6, 3, 4, 3, 4));
    expect(tensor([[Float32Array.of(1)], [Float32Array.of(2)]])).toEqual({
      dtype: 'float32',
      shape: [2, 1, 1],
      data: Float32Array.of(1, 2),
    });
  });

  it('may be empty where there are no columns', () => {
    expect(tensor([new Float64Array(0), new Float64Array(0)]).shape).toEqual([2, 0]);
  });
});

describe('typed arrays in arrays are refused, with the argument and the problem:', () => {
  const Q = [
    [2, 0],
    [0, 2],
  ];
  const row = () => Float64Array.of(1, 2);
  const matrix = () => [Float64Array.of(2, 0), Float64Array.of(0, 2)];

  it.each<[string, QpErrorCode, string, number | undefined, object, RegExp]>([
    [
      'of both kinds',
      'ERR_QP_DTYPE',
      'p',
      2,
      { p: [row(), row(), new Float32Array(2)] },
      /^p\[2\] is a Float32Array; expected a Float64Array, as p\[0\] is$/,
    ],
    [
      'of both kinds, the other way',
      'ERR_QP_DTYPE',
      'p',
      1,
      { p: [new Float32Array(2), row()] },
      /^p\[1\] is a Float64Array; expected a Float32Array/,
    ],
    [
      'of both kinds, as rows of a shared matrix',
      'ERR_QP_DTYPE',
      'Q',
      undefined,
      { Q: [row(), new Float32Array(2)] },
      /^Q\[1\] is a Float32Array; expected a Float64Array, as Q\[0\] is$/,
    ],
    [
      'of both kinds, as rows of a batch of matrices',
      'ERR_QP_DTYPE',
      'Q',
      1,
      { Q: [matrix(), [row(), new Float32Array(2)]] },
      /^Q\[1\]\[1\] is a Float32Array; expected a Float64Array, as Q\[0\]\[0\] is$/,
    ],
    [
      'of another dtype than the rest',
      'ERR_QP_DTYPE',
      'p',
      undefined,
      { Q: tensor(Float32Array.of(2, 0, 0, 2), [2, 2]), p: [row()] },
      /^p is float64; expected float32, as Q is$/,
    ],
    [
      'of integers',
      'ERR_QP_DTYPE',
      'p',
      0,
      { p: [new Int32Array(2), row()] },
      /^p\[0\] is a Int32Array; expected a Float64Array or a Float32Array$/,
    ],
    [
      'of integers, later',
      'ERR_QP_DTYPE',
      'p',
      1,
      { p: [row(), new BigInt64Array(2)] },
      /^p\[1\] is a BigInt64Array; expected/,
    ],
    [
      'of different lengths',
      'ERR_QP_SHAPE',
      'p',
      1,
      { p: [row(), new Float64Array(3)] },
      /^p is ragged: p\[1\] has length 3; expected 2$/,
    ],
    [
      'in lists of different lengths',
      'ERR_QP_SHAPE',
      'Q',
      1,
      { Q: [matrix(), [row()]] },
      /^Q is ragged: Q\[1\] has length 1; expected 2$/,
    ],
    [
      'with a list of numbers',
      'ERR_QP_SHAPE',
      'p',
      1,
      { p: [row(), [1, 2]] },
      /^p is ragged: p\[1\] is an array; expected a typed array$/,
    ],
    [
      'with a number',
      'ERR_QP_SHAPE',
      'p',
      1,
      { p: [row(), 3] },
      /^p is ragged: p\[1\] is 3; expected a typed array$/,
    ],
    [
      'with a hole',
      'ERR_QP_SHAPE',
      'p',
      2,
      { p: [row(), row(), undefined] },
      /^p is ragged: p\[2\] is undefined/,
    ],
    [
      'after a list of numbers',
      'ERR_QP_SHAPE',
      'p',
      1,
      { p: [[1, 2], row()] },
      /^p is ragged: p\[1\] is a typed array; expected an array$/,
    ],
    [
      'after a number',
      'ERR_QP_DTYPE',
      'p',
      undefined,
      { p: [1, row()] },
      /^p\[1\] is a typed array; expected a number$/,
    ],
    [
      'at different depths',
      'ERR_QP_SHAPE',
      'Q',
      1,
      { Q: [matrix(), row()] },
      /^Q is ragged: Q\[1\] is a typed array; expected an array$/,
    ],
    [
      'without elements',
      'ERR_QP_SHAPE',
      'p',
      undefined,
      { p: [new Float64Array(0)] },
      /^p has shape \[1, 0\]; expected \[2\]/,
    ],
    ['of too many dimensions', 'ERR_QP_SHAPE', 'p', undefined, { p: [[row()]] }, /^p has shape \[1, 1, 2\]/],
    [
      'whose memory is gone',
      'ERR_QP_BUFFER',
      'p',
      1,
      { p: [row(), transferred(2)] },
      /^p\[1\] is in a buffer that was detached/,
    ],
    [
      'whose memory may go',
      'ERR_QP_BUFFER',
      'p',
      1,
      { p: [row(), resizable(2)] },
      /^p\[1\] is in a resizable buffer/,
    ],
    [
      'that only look so',
      'ERR_QP_SHAPE',
      'p',
      1,
      { p: [row(), Object.create(Float64Array.prototype)] },
      /^p is ragged: p\[1\] is an object/,
    ],
    [
      'of a batch that disagrees',
      'ERR_QP_SHAPE',
      'lb',
      undefined,
      { p: [row(), row()], lb: [row()] },
      /^lb has a batch of 1, p has one of 2/,
    ],
    [
      'as the data of a tensor',
      'ERR_QP_DTYPE',
      'p',
      undefined,
      { p: { data: [row()], shape: [1, 2] } },
      /^p\[0\] is a typed array; expected a number$/,
    ],
    // Plain numbers are told by problem, too.
    [
      'numbers that are none',
      'ERR_QP_DTYPE',
      'p',
      1,
      {
        p: [
          [1, 2],
          [1, '2'],
        ],
      },
      /^p\[1\]\[1\] is "2"/,
    ],
    [
      'ragged numbers',
      'ERR_QP_SHAPE',
      'Q',
      1,
      { Q: [Q, [[1, 0], [0]]] },
      /^Q is ragged: Q\[1\]\[1\] has length 1; expected 2$/,
    ],
    [
      'not a number',
      'ERR_QP_NOT_FINITE',
      'p',
      1,
      { p: [row(), Float64Array.of(1, NaN)] },
      /^p of problem 1 is NaN/,
    ],
  ])('%s', async (_, code, argument, index, changes, message) => {
    const given = { Q, p: [1, 2], ...changes } as unknown as QpProblem;
    const error = await failure(code, () => qpSolveBatchSync<DType>(given));
    expect(error.message).toMatch(message);
    expect([error.argument, error.index]).toEqual([argument, index]);
  });

  it('a gradient, and a tangent', async () => {
    using solution = qpSolveBatchSync({ Q, p: [row(), row()] }, onCpu);
    const mixed = [row(), new Float32Array(2)] as never;
    const gradient = await failure('ERR_QP_DTYPE', () => solution.backwardSync({ dz: mixed }));
    expect(gradient).toMatchObject({ argument: 'dz', index: 1 });
    const tangent = await failure('ERR_QP_DTYPE', () => solution.jvpSync({ dp: mixed }));
    expect(tangent).toMatchObject({ argument: 'dp', index: 1 });
    const shared = await failure('ERR_QP_DTYPE', () => solution.jvpSync({ dQ: mixed }));
    expect([shared.argument, shared.index, shared.message]).toEqual([
      'dQ',
      undefined,
      expect.stringMatching(/^dQ\[1\] is/),
    ]);
    const objective = await failure('ERR_QP_SHAPE', () => solution.backwardSync({ dobjective: [row()] }));
    expect(objective.message).toMatch(/dobjective has shape \[1, 2\]; expected shape \[2\]/);
  });

  it('a tensor', async () => {
    const error = await failure('ERR_QP_DTYPE', () => tensor([row(), new Float32Array(2)] as never));
    expect([error.argument, error.index]).toEqual(['values', undefined]);
    expect((await failure('ERR_QP_SHAPE', () => tensor([row(), row()], [4]))).message).toMatch(
      /nested as \[2, 2\]/,
    );
  });
});
