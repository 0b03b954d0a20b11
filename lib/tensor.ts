import { types } from 'node:util';

import {
  allocate,
  checkBuffer,
  checkDType,
  dtypeOf,
  elementCount,
  format,
  lengthOf,
  readArray,
  readShape,
} from './arrays.js';
import { QpError, shapeError } from './errors.js';

/** The typed array that holds the elements of each dtype. */
export interface DataByDType {
  float64: Float64Array;
  float32: Float32Array;
}

/** Element types: IEEE 754 double and single precision. */
export type DType = keyof DataByDType;

export type NumberArray = Float64Array | Float32Array;

/** A dense array with a shape. Plain data: any object with these three properties is one. */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D;
  /** Sizes, the batch first. Empty for a single number. */
  readonly shape: readonly number[];
  /** The elements in row-major order (the last index varies fastest). */
  readonly data: DataByDType[D];
}

/** What can stand for a tensor: `dtype` may be left to the data, and the data may be a plain list of numbers. */
export interface TensorLike<D extends DType = DType> {
  readonly dtype?: D;
  readonly shape: readonly number[];
  readonly data: DataByDType[D] | readonly number[];
}

/** Arrays of arrays of numbers, full at every level: `[[1, 2], [3, 4]]` has the shape [2, 2]. */
export type NestedNumbers = readonly number[] | readonly NestedNumbers[];

/**
 * Makes a tensor.
 *
 * @param values a typed array, which the tensor then uses without a copy; or numbers in (nested) arrays
 * @param shape row-major sizes; by default that of the nesting, or one dimension for a typed array
 * @param dtype by default that of the typed array, and 'float64' for nested arrays
 * @throws QpError ERR_QP_SHAPE, ERR_QP_DTYPE, ERR_QP_ARGUMENT, ERR_QP_BUFFER, ERR_QP_MEMORY
 *
 * @example
 * tensor([[2, 0], [0, 2]]);                             // float64, shape [2, 2]
 * tensor(new Float32Array(batch * n), [batch, n]);      // float32
 */
export function tensor(values: Float64Array, shape?: readonly number[], dtype?: 'float64'): Tensor<'float64'>;
export function tensor(values: Float32Array, shape?: readonly number[], dtype?: 'float32'): Tensor<'float32'>;
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
    throw new QpError('ERR_QP_ARGUMENT', 'values must be a typed array or nested arrays of numbers', {
      argument: name,
    });
  }
  const given = readArray(name, values);
  checkBuffer(name, given.data);
  const length = lengthOf(given.data);
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

/** Numbers from plain arrays take on the dtype that is wanted; typed arrays have theirs. */
export function convert(
  name: string,
  data: NumberArray,
  given: DType | undefined,
  wanted: DType,
): NumberArray {
  if (given !== undefined && given !== wanted) {
    throw new QpError('ERR_QP_DTYPE', `${name} is ${given}; expected ${wanted} like the rest`, {
      argument: name,
    });
  }
  if (dtypeOf(data) === wanted) return data;
  const converted = allocate(wanted, data.length);
  converted.set(data);
  return converted;
}
