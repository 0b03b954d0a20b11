import { QpError, qpSolveBatch, qpSolveBatchSync, tensor } from '../../lib/index.js';
import type { QpErrorCode, QpProblem } from '../../lib/index.js';
import { failure } from '../support/errors.js';

const valid = {
  Q: [
    [2, 0],
    [0, 2],
  ],
  p: [-2, -5],
  G: [[1, 1]],
  h: [1],
  A: [[1, -1]],
  b: [0],
};

type Changes = Record<string, unknown>;

const solve = (changes: Changes, options?: unknown) =>
  (qpSolveBatchSync as (problem: unknown, options: unknown) => unknown)({ ...valid, ...changes }, options);

const transferred = () => {
  const data = Float64Array.of(1, 2);
  structuredClone(data, { transfer: [data.buffer] });
  return data;
};

// The types of ES2023 do not know the second argument.
const resizable = <T extends ArrayBufferLike>(kind: new (length: number, options?: object) => T) =>
  new kind(16, { maxByteLength: 32 });

/** Matrices 2I, some of them with one element changed. */
const batchOfQ = (count: number, wrong: number[], row: number, column: number, value: number) =>
  Array.from({ length: count }, (_, index) => {
    const Q = [
      [2, 0],
      [0, 2],
    ];
    if (wrong.includes(index)) Q[row]![column] = value;
    return Q;
  });

describe('a wrong problem is refused, with the argument and what was expected:', () => {
  it.each<[string, QpErrorCode, string, Changes, RegExp]>([
    ['p is null', 'ERR_QP_ARGUMENT', 'p', { p: null }, /p is missing/],
    ['neither Q nor p', 'ERR_QP_ARGUMENT', 'p', { Q: undefined, p: undefined }, /p is missing/],
    [
      'G without h and gl',
      'ERR_QP_ARGUMENT',
      'h',
      { h: undefined },
      /G is given without h or gl; expected one/,
    ],
    ['h without G', 'ERR_QP_ARGUMENT', 'G', { G: null }, /h is given without G/],
    ['gl without G', 'ERR_QP_ARGUMENT', 'G', { G: null, h: null, gl: [0] }, /gl is given without G/],
    ['b without A', 'ERR_QP_ARGUMENT', 'A', { A: null }, /b is given without A/],
    ['A without b', 'ERR_QP_ARGUMENT', 'b', { b: null }, /A is given without b/],
    [
      'an unknown datum',
      'ERR_QP_ARGUMENT',
      'q',
      { q: [1] },
      /unknown datum "q"; expected Q, p, G, h, A, b, gl, lb, ub/,
    ],
    [
      'gl has another length than G has rows',
      'ERR_QP_SHAPE',
      'gl',
      { gl: [0, 0] },
      /gl has shape \[2\]; expected \[1\]/,
    ],
    ['lb is too short', 'ERR_QP_SHAPE', 'lb', { lb: [0] }, /lb has shape \[1\]; expected \[2\]/],
    ['ub is a matrix of the wrong width', 'ERR_QP_SHAPE', 'ub', { ub: [[1]] }, /ub has shape \[1, 1\]/],
    ['ub is a number', 'ERR_QP_ARGUMENT', 'ub', { ub: 1 }, /ub is 1; expected nested arrays/],
    [
      'a batch of bounds that disagrees',
      'ERR_QP_SHAPE',
      'ub',
      {
        lb: [
          [0, 0],
          [0, 0],
        ],
        ub: [
          [1, 1],
          [1, 1],
          [1, 1],
        ],
      },
      /ub has a batch of 3, lb has one of 2/,
    ],
    [
      'bounds of another dtype',
      'ERR_QP_DTYPE',
      'lb',
      { p: new Float64Array(2), lb: new Float32Array(2) },
      /lb is float32/,
    ],
    [
      'p without elements, and no Q',
      'ERR_QP_SHAPE',
      'p',
      { Q: null, p: [] },
      /p has shape \[0\]; expected \[n\]/,
    ],
    [
      'p of rank 3, and no Q',
      'ERR_QP_SHAPE',
      'p',
      { Q: null, p: [[[1, 2]]] },
      /p has shape \[1, 1, 2\]; expected \[n\]/,
    ],
    [
      'G of another width than p, and no Q',
      'ERR_QP_SHAPE',
      'G',
      { Q: null, G: [[1]] },
      /G has shape \[1, 1\]; expected \[1, 2\]/,
    ],
    ['a detached p, and no Q', 'ERR_QP_BUFFER', 'p', { Q: null, p: transferred() }, /detached/],
    ['Q is not square', 'ERR_QP_SHAPE', 'Q', { Q: [[1, 2]] }, /Q has shape \[1, 2\]; expected square/],
    [
      'Q is a vector',
      'ERR_QP_SHAPE',
      'Q',
      { Q: [1, 2] },
      /Q has shape \[2\]; expected \[n, n\] or \[batch, n, n\]/,
    ],
    ['Q has no rows', 'ERR_QP_SHAPE', 'Q', { Q: tensor([], [0, 0]) }, /a row for each variable/],
    ['Q of rank 4', 'ERR_QP_SHAPE', 'Q', { Q: [[[[1]]]] }, /shape \[1, 1, 1, 1\]/],
    ['p is too long', 'ERR_QP_SHAPE', 'p', { p: [1, 2, 3] }, /p has shape \[3\]; expected \[2\]/],
    ['p is a matrix of the wrong width', 'ERR_QP_SHAPE', 'p', { p: [[1, 2, 3]] }, /p has shape \[1, 3\]/],
    [
      'G has another width',
      'ERR_QP_SHAPE',
      'G',
      { G: [[1, 1, 1]] },
      /G has shape \[1, 3\]; expected \[1, 2\]/,
    ],
    [
      'h has another length than G has rows',
      'ERR_QP_SHAPE',
      'h',
      { h: [1, 2] },
      /h has shape \[2\]; expected \[1\]/,
    ],
    [
      'b has another length than A has rows',
      'ERR_QP_SHAPE',
      'b',
      { b: [1, 2] },
      /b has shape \[2\]; expected \[1\]/,
    ],
    [
      'a matrix as a bare typed array',
      'ERR_QP_SHAPE',
      'Q',
      { Q: Float64Array.of(2, 0, 0, 2) },
      /expected tensor\(Q, /,
    ],
    ['a typed array of another length', 'ERR_QP_SHAPE', 'p', { p: new Float64Array(4) }, /p has shape \[4\]/],
    [
      'ragged rows',
      'ERR_QP_SHAPE',
      'Q',
      { Q: [[1, 0], [0]] },
      /Q is ragged: Q\[1\] has length 1; expected 2/,
    ],
    [
      'batches that disagree',
      'ERR_QP_SHAPE',
      'h',
      {
        p: [
          [1, 2],
          [1, 2],
          [1, 2],
        ],
        h: [[1], [2]],
      },
      /h has a batch of 2, p has one of 3/,
    ],
    [
      'a batch of one among many',
      'ERR_QP_SHAPE',
      'h',
      {
        p: [
          [1, 2],
          [1, 2],
        ],
        h: [[1]],
      },
      /for the whole batch has the shape \[1\]/,
    ],
    ['an empty batch', 'ERR_QP_SHAPE', 'p', { p: tensor([], [0, 2]) }, /at least one problem/],
    [
      'a tensor with too little data',
      'ERR_QP_SHAPE',
      'Q',
      { Q: { data: new Float64Array(3), shape: [2, 2] } },
      /3 elements/,
    ],
    [
      'a size that is no number',
      'ERR_QP_SHAPE',
      'Q',
      { Q: { data: new Float64Array(4), shape: ['2', 2] } },
      /"2" at \[0\]/,
    ],
    ['a number', 'ERR_QP_ARGUMENT', 'h', { h: 1 }, /h is 1; expected nested arrays/],
    ['a string', 'ERR_QP_ARGUMENT', 'h', { h: '[1]' }, /h is "\[1\]"/],
    ['a function', 'ERR_QP_ARGUMENT', 'h', { h: () => [1] }, /h is a function/],
    ['a symbol', 'ERR_QP_ARGUMENT', 'h', { h: Symbol('h') }, /h is a symbol/],
    ['an object that is no tensor', 'ERR_QP_ARGUMENT', 'h', { h: { data: [1] } }, /without data and shape/],
    ['strings of digits', 'ERR_QP_DTYPE', 'h', { h: ['1'] }, /h\[0\] is "1"; expected a number/],
    ['integers of another type', 'ERR_QP_DTYPE', 'h', { h: new Int32Array(1) }, /h is a Int32Array/],
    [
      'an unknown dtype',
      'ERR_QP_DTYPE',
      'h',
      { h: { data: [1], shape: [1], dtype: 'float16' } },
      /'float64' or 'float32'/,
    ],
    [
      'a dtype that is not that of the data',
      'ERR_QP_DTYPE',
      'h',
      { h: { data: new Float64Array(1), shape: [1], dtype: 'float32' } },
      /Float64Array/,
    ],
    [
      'mixed dtypes',
      'ERR_QP_DTYPE',
      'h',
      { p: new Float64Array(2), h: new Float32Array(1) },
      /h is float32; expected float64, as p is/,
    ],
    ['NaN', 'ERR_QP_NOT_FINITE', 'G', { G: [[1, NaN]] }, /G is NaN or infinite at \[0, 1\]/],
    [
      'a bound that nothing satisfies',
      'ERR_QP_NOT_FINITE',
      'h',
      { h: [-Infinity] },
      /h is NaN or -Infinity at \[0\]; expected numbers, or Infinity where there is no bound/,
    ],
    [
      'NaN in a row without a bound',
      'ERR_QP_NOT_FINITE',
      'G',
      { G: [[1, NaN]], h: [Infinity] },
      /G is NaN or infinite at \[0, 1\]/,
    ],
    ['an infinite b', 'ERR_QP_NOT_FINITE', 'b', { A: [[1, 1]], b: [Infinity] }, /b is NaN or infinite/],
    [
      'numbers too large for float32',
      'ERR_QP_NOT_FINITE',
      'p',
      { p: [1e300, 0], h: new Float32Array(1) },
      /p is NaN or infinite/,
    ],
    [
      'Q is not symmetric',
      'ERR_QP_NOT_SYMMETRIC',
      'Q',
      {
        Q: [
          [2, 1],
          [0, 2],
        ],
      },
      /Q is not symmetric/,
    ],
    [
      'Q is indefinite',
      'ERR_QP_NOT_CONVEX',
      'Q',
      {
        Q: [
          [1, 2],
          [2, 1],
        ],
      },
      /Q is not positive semidefinite/,
    ],
    ['a detached buffer', 'ERR_QP_BUFFER', 'p', { p: transferred() }, /p is in a buffer that was detached/],
    [
      'a detached buffer in a tensor',
      'ERR_QP_BUFFER',
      'p',
      { p: { data: transferred(), shape: [2] } },
      /detached/,
    ],
    [
      'a resizable buffer',
      'ERR_QP_BUFFER',
      'p',
      { p: new Float64Array(resizable(ArrayBuffer), 0, 2) },
      /resizable/,
    ],
    [
      'a view that tracks its buffer',
      'ERR_QP_BUFFER',
      'p',
      { p: new Float64Array(resizable(ArrayBuffer)) },
      /resizable/,
    ],
    [
      'a growable shared buffer',
      'ERR_QP_BUFFER',
      'p',
      { p: new Float64Array(resizable(SharedArrayBuffer)) },
      /resizable/,
    ],
    [
      'sizes past what memory can hold',
      'ERR_QP_MEMORY',
      'A',
      { A: { data: new Float64Array(2), shape: [2 ** 30, 2 ** 30, 2] } },
      /A of shape .* more elements than memory can hold/,
    ],
    [
      'a batch of results past what memory can hold',
      'ERR_QP_MEMORY',
      'Q',
      { Q: { data: [], shape: [2 ** 52, 2 ** 10, 2 ** 10] } },
      /memory/,
    ],
  ])('%s', async (_, code, argument, changes, message) => {
    for (const solveEither of [solve, async (problem: Changes) => qpSolveBatch({ ...valid, ...problem })]) {
      const error = await failure(code, () => solveEither(changes));
      expect(error.message).toMatch(message);
      if (code !== 'ERR_QP_MEMORY') expect(error.argument).toBe(argument);
      expect(error.index).toBeUndefined();
    }
  });

  it.each([undefined, null, 1, 'problem', [], () => valid])('it is no object: %p', async (problem) => {
    const error = await failure('ERR_QP_ARGUMENT', () => qpSolveBatchSync(problem as unknown as QpProblem));
    expect(error.argument).toBe('problem');
  });

  it('one problem of the batch is not convex, and the error says which', async () => {
    const Q = batchOfQ(20, [13, 17], 1, 1, -1);
    const error = await failure('ERR_QP_NOT_CONVEX', () => solve({ Q }));
    expect([error.argument, error.index]).toEqual(['Q', 13]);
    expect(error.message).toMatch(/Q of problem 13 is not positive (semi)?definite/);
  });

  it('one problem of the batch is not symmetric', async () => {
    const Q = batchOfQ(20, [7], 0, 1, 0.5);
    expect((await failure('ERR_QP_NOT_SYMMETRIC', () => solve({ Q }))).index).toBe(7);
  });

  it('one problem of the batch is not finite', async () => {
    const h = Array.from({ length: 9 }, (_, index) => [index === 4 ? -Infinity : 1]);
    const error = await failure('ERR_QP_NOT_FINITE', () => solve({ h }));
    expect([error.argument, error.index]).toEqual(['h', 4]);
    expect(error.message).toMatch(/h of problem 4 .* at \[0\]/);
  });
});

describe('a wrong option is refused:', () => {
  it.each<[string, QpErrorCode, unknown, RegExp]>([
    [
      'an unknown one',
      'ERR_QP_OPTION',
      { tolerence: 1 },
      /unknown key "tolerence"; expected device, output, dtype/,
    ],
    ['an unknown device', 'ERR_QP_OPTION', { device: 'gpu' }, /device is "gpu"/],
    ['a device that cannot serve', 'ERR_QP_DEVICE', { device: 'cuda:99' }, /'cuda:99' cannot be used: /],
    ['an unknown dtype', 'ERR_QP_OPTION', { dtype: 'float16' }, /dtype is "float16"/],
    ['an unknown precision', 'ERR_QP_OPTION', { precision: 1 }, /precision is 1/],
    ['a tolerance of zero', 'ERR_QP_OPTION', { tolerance: 0 }, /tolerance is 0; expected a positive number/],
    ['a tolerance in letters', 'ERR_QP_OPTION', { tolerance: '1e-8' }, /tolerance is "1e-8"/],
    ['no iterations', 'ERR_QP_OPTION', { maxIterations: 0 }, /from 1 to/],
    ['half an iteration', 'ERR_QP_OPTION', { maxIterations: 1.5 }, /whole number/],
    ['negative threads', 'ERR_QP_OPTION', { threads: -1 }, /threads is -1/],
    ['a million threads', 'ERR_QP_OPTION', { threads: 1e6 }, /from 0 to 1024/],
    ['differentiable is no boolean', 'ERR_QP_OPTION', { differentiable: 1 }, /true or false/],
    ['a signal that is none', 'ERR_QP_OPTION', { signal: {} }, /expected an AbortSignal/],
    ['polish is no boolean', 'ERR_QP_OPTION', { polish: 'yes' }, /polish is "yes"; expected true or false/],
    ['no smoothing', 'ERR_QP_OPTION', { smoothing: 0 }, /smoothing is 0; expected a positive number/],
    ['negative smoothing', 'ERR_QP_OPTION', { smoothing: -1e-3 }, /smoothing is -0.001/],
    ['smoothing without end', 'ERR_QP_OPTION', { smoothing: Infinity }, /smoothing is Infinity/],
    ['smoothing that is NaN', 'ERR_QP_OPTION', { smoothing: NaN }, /smoothing is NaN/],
    [
      'another word about infeasible problems',
      'ERR_QP_OPTION',
      { infeasible: 'shift' },
      /infeasible is "shift"; expected one of 'status', 'closest'/,
    ],
    ['progress of a synchronous call', 'ERR_QP_OPTION', { onProgress: () => {} }, /asynchronous/],
    ['options that are no object', 'ERR_QP_ARGUMENT', 'fast', /options is "fast"/],
    ['options that are null', 'ERR_QP_ARGUMENT', null, /options is null/],
  ])('%s', async (_, code, options, message) => {
    expect((await failure(code, () => solve({}, options))).message).toMatch(message);
  });

  it('a dtype that the data do not have', async () => {
    const error = await failure('ERR_QP_DTYPE', () =>
      solve({ p: new Float32Array(2) }, { dtype: 'float64' }),
    );
    expect(error.message).toMatch(/p is float32; expected float64, as the option dtype says/);
  });
});

describe('what a getter throws comes through as it is', () => {
  it.each(['sync', 'async'])('%s', async (mode) => {
    const mine = new Error('mine');
    const problem = {
      ...valid,
      get h(): number[] {
        throw mine;
      },
    };
    const call = async () => (mode === 'sync' ? qpSolveBatchSync(problem) : qpSolveBatch(problem));
    await expect(call()).rejects.toBe(mine);
  });

  it('and every property is read once', () => {
    const reads: PropertyKey[] = [];
    const watched = new Proxy(valid, {
      get: (target, key) => {
        reads.push(key);
        return Reflect.get(target, key) as unknown;
      },
    });
    qpSolveBatchSync(watched);
    expect(reads).toEqual(['Q', 'p', 'G', 'h', 'A', 'b', 'gl', 'lb', 'ub']);
  });
});

it('the promise version never throws before it returns', async () => {
  const promise = qpSolveBatch(null as never);
  await expect(promise).rejects.toBeInstanceOf(QpError);
});
