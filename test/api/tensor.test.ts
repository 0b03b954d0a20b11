import { tensor } from '../../lib/index.js';
import { failure } from '../support/errors.js';

describe('a tensor', () => {
  it('takes its shape from the nesting', () => {
    expect(
      tensor([
        [1, 2, 3],
        [4, 5, 6],
      ]),
    ).toEqual({
      dtype: 'float64',
      shape: [2, 3],
      data: Float64Array.of(1, 2, 3, 4, 5, 6),
    });
  });

  it('can be float32', () => {
    expect(tensor([0.1], undefined, 'float32')).toEqual({
      dtype: 'float32',
      shape: [1],
      data: Float32Array.of(0.1),
    });
  });

  it('uses a typed array without a copy', () => {
    const data = new Float32Array(6);
    const { dtype, shape, data: kept } = tensor(data, [3, 2]);
    expect(kept).toBe(data);
    expect([dtype, shape]).toEqual(['float32', [3, 2]]);
  });

  it('is a vector when a typed array comes without a shape', () => {
    expect(tensor(Float64Array.of(1, 2)).shape).toEqual([2]);
  });

  it('reshapes a flat list', () => {
    expect(tensor([1, 2, 3, 4], [2, 2]).shape).toEqual([2, 2]);
  });

  it('copies its shape', () => {
    const shape = [2];
    const { shape: kept } = tensor([1, 2], shape);
    shape[0] = 3;
    expect(kept).toEqual([2]);
  });

  it('may have no elements', () => {
    expect(tensor([], [0, 5]).shape).toEqual([0, 5]);
    expect(tensor([[], []]).shape).toEqual([2, 0]);
  });

  it.each<[string, Parameters<typeof failure>[0], unknown[], RegExp]>([
    [
      'rows of different lengths',
      'ERR_QP_SHAPE',
      [[[1, 2], [3]]],
      /ragged: values\[1\] has length 1; expected 2/,
    ],
    ['a number among rows', 'ERR_QP_SHAPE', [[[1, 2], 3]], /values\[1\] is 3; expected an array/],
    ['a row among numbers', 'ERR_QP_SHAPE', [[1, [2]]], /values\[1\] is an array; expected a number/],
    ['a string of digits', 'ERR_QP_DTYPE', [[1, '2']], /values\[1\] is "2"; expected a number/],
    ['a BigInt', 'ERR_QP_DTYPE', [[1n]], /values\[0\] is a BigInt/],
    ['a hole', 'ERR_QP_DTYPE', [new Array(3)], /values\[0\] is undefined/],
    [
      'a list of four thousand million holes',
      'ERR_QP_DTYPE',
      [new Array(4294967295)],
      /values\[0\] is undefined/,
    ],
    ['null', 'ERR_QP_ARGUMENT', [null], /typed array or nested arrays/],
    ['an Int32Array', 'ERR_QP_DTYPE', [new Int32Array(2)], /Int32Array; expected a Float64Array/],
    [
      'a shape of another size',
      'ERR_QP_SHAPE',
      [
        [1, 2, 3],
        [2, 2],
      ],
      /3 elements; the shape \[2, 2\]/,
    ],
    [
      'a shape that contradicts the nesting',
      'ERR_QP_SHAPE',
      [
        [
          [1, 2, 3],
          [4, 5, 6],
        ],
        [3, 2],
      ],
      /nested as \[2, 3\]/,
    ],
    ['a negative size', 'ERR_QP_SHAPE', [[1], [-1]], /-1 at \[0\]/],
    ['a fraction as size', 'ERR_QP_SHAPE', [[1], [0.5]], /0\.5 at \[0\]/],
    ['a shape that is no list', 'ERR_QP_SHAPE', [[1], 'x'], /the shape of values is "x"/],
    [
      'more elements than memory can hold',
      'ERR_QP_MEMORY',
      [[1], [2 ** 30, 2 ** 30]],
      /more elements than memory/,
    ],
    ['an unknown dtype', 'ERR_QP_DTYPE', [[1], undefined, 'int8'], /expected 'float64' or 'float32'/],
    [
      'a typed array of another dtype',
      'ERR_QP_DTYPE',
      [new Float32Array(1), [1], 'float64'],
      /expected float64/,
    ],
  ])('is refused: %s', async (_, code, args, message) => {
    const error = await failure(code, () => (tensor as (...args: unknown[]) => unknown)(...args));
    expect(error.message).toMatch(message);
  });

  it('is refused when it contains itself', async () => {
    const cycle: unknown[] = [];
    cycle.push(cycle);
    expect((await failure('ERR_QP_SHAPE', () => tensor(cycle as number[]))).message).toMatch(
      /nested more than/,
    );
  });
});
