import type { NativeArray } from '../binding.js';

import { checkDType, checkMemory, elementCount, format, gpuMemory, readArray, readShape } from './arrays.js';
import type { GivenArray, GivenOnHost } from './arrays.js';
import { types } from './builtins.js';
import { QpError, shapeError } from './errors.js';
import { allocate, dtypeOf } from './memory.js';
import type { DType, DataByDType, NumberArray } from './memory.js';

export type { DType, DataByDType, NumberArray } from './memory.js';

/** A dense array with a shape. Plain data: any object with these three properties is one. */
export interface Tensor<D extends DType = DType> {
  /** The type of its elements. */
  readonly dtype: D;
  /** Sizes, the batch first. Empty for a single number. */
  readonly shape: readonly number[];
  /** The elements in row-major order (the last index varies fastest). */
  readonly data: DataByDType[D];
}

/** What can stand for a tensor: `dtype` may be left to the data, and the data may be a plain list of numbers. */
export interface TensorLike<D extends DType = DType> {
  /** By default that of the data. */
  readonly dtype?: D | undefined;
  /** Sizes, the batch first. */
  readonly shape: readonly number[];
  /** The elements in row-major order. */
  readonly data: DataByDType[D] | readonly number[];
}

/** Arrays of arrays of numbers, full at every level: `[[1, 2], [3, 4]]` has the shape [2, 2]. */
export type NestedNumbers = readonly number[] | readonly NestedNumbers[];

/**
 * Typed arrays in (nested) arrays, all of one kind and length: `[row, row]`, of rows of three elements, has the shape [2, 3].
 * Their elements are copied.
 */
export type NestedRows<D extends DType = DType> = readonly DataByDType[D][] | readonly NestedRows<D>[];

/**
 * Makes a tensor.
 *
 * @param values a typed array, which the tensor then uses without a copy; or numbers, or typed arrays, in (nested) arrays
 * @param shape row-major sizes; by default that of the nesting, or one dimension for a typed array
 * @param dtype by default that of the typed arrays, and 'float64' for numbers
 * @throws QpError ERR_QP_SHAPE, ERR_QP_DTYPE, ERR_QP_ARGUMENT, ERR_QP_BUFFER, ERR_QP_MEMORY
 *
 * @example
 * tensor([[2, 0], [0, 2]]);                             // float64, shape [2, 2]
 * tensor(new Float32Array(batch * n), [batch, n]);      // float32
 */
export function tensor(
  values: Float64Array | NestedRows<'float64'>,
  shape?: readonly number[],
  dtype?: 'float64',
): Tensor<'float64'>;
export function tensor(
  values: Float32Array | NestedRows<'float32'>,
  shape?: readonly number[],
  dtype?: 'float32',
): Tensor<'float32'>;
export function tensor<D extends DType = 'float64'>(
  values: NestedNumbers,
  shape?: readonly number[],
  dtype?: D,
): Tensor<D>;
export function tensor(values: unknown, shape?: readonly number[], dtype?: DType): Tensor {
  const name = 'values';
  if (dtype !== undefined) checkDType('dtype', dtype);
  const shapeGiven = shape === undefined ? undefined : readShape(name, shape);
  if (!types.isTypedArray(values) && !Array.isArray(values)) {
    throw new QpError(
      'ERR_QP_ARGUMENT',
      'values must be a typed array or nested arrays of numbers or typed arrays',
      {
        argument: name,
      },
    );
  }
  const given = readArray(name, values) as GivenOnHost;
  const length = checkMemory(given);
  const shapeTaken = shapeGiven ?? given.shape ?? [length];
  if (elementCount(name, shapeTaken) !== length) {
    throw shapeError(
      name,
      `values has ${length} elements; the shape ${format(shapeTaken)} has another number`,
    );
  }
  if (shapeGiven !== undefined && given.shape !== undefined && given.shape.length > 1) {
    if (format(shapeGiven) !== format(given.shape)) {
      throw shapeError(name, `values are nested as ${format(given.shape)}; expected ${format(shapeGiven)}`);
    }
  }
  const data = convert(name, given.data, given.dtype, dtype ?? given.dtype ?? 'float64');
  return { dtype: dtypeOf(data), shape: shapeTaken, data };
}

/** An array for the addon. @throws QpError ERR_QP_DTYPE */
export function nativeArray(array: GivenArray, wanted: DType): NativeArray {
  if (array.data !== undefined) return convert(array.name, array.data, array.dtype, wanted);
  checkSame(array.name, array.dtype, wanted);
  return gpuMemory(array);
}

/** Numbers from plain arrays take on the dtype that is wanted; typed arrays, nested or not, have theirs. */
export function convert(
  name: string,
  data: NumberArray,
  given: DType | undefined,
  wanted: DType,
): NumberArray {
  checkSame(name, given, wanted);
  if (dtypeOf(data) === wanted) return data;
  const converted = allocate(wanted, data.length);
  converted.set(data);
  return converted;
}

function checkSame(name: string, given: DType | undefined, wanted: DType): void {
  if (given === undefined || given === wanted) return;
  throw new QpError('ERR_QP_DTYPE', `${name} is ${given}; expected ${wanted} like the rest`, {
    argument: name,
  });
}
