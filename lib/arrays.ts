// Reads the arrays that callers give, in any of the accepted forms. Reading runs code of theirs where they gave proxies
// or getters; checking does not, and is done when all reading is.

import type { DeviceArray, NativePointer } from '../binding.js';

import { types } from './builtins.js';
import { readGpu } from './device.js';
import type { DeviceTensor } from './device-tensor.js';
import { deviceArrayOf, isDeviceTensor } from './device-tensor.js';
import { QpError, argumentError, describe, shapeError } from './errors.js';
import { allocate, bytesPerElement, checkBuffer, dtypeOf, kindOf, lengthOf, numberArray } from './memory.js';
import type { DType, NumberArray } from './memory.js';

/** Ranks up to 3 have a use here; the limit ends the reading of arrays that contain themselves. */
const maxRank = 8;

/** What was given for one argument, read once and not checked yet. */
export type GivenArray = GivenOnHost | GivenOnGpu;

export interface GivenOnHost {
  name: string;
  /** Row-major. The caller's own array if that was a typed one. */
  data: NumberArray;
  /** Undefined for a typed array on its own. */
  shape: readonly number[] | undefined;
  /** Undefined where the form does not say: numbers in plain arrays fit any. */
  dtype: DType | undefined;
}

export interface GivenOnGpu {
  name: string;
  /** Undefined: it is in host memory. */
  data?: undefined;
  /** A tensor of ours, or the memory of other CUDA code. */
  source: DeviceTensor | NativePointer;
  ordinal: number;
  shape: readonly number[];
  dtype: DType;
}

/**
 * Reads nested arrays of numbers, a tensor (any object with `data` and `shape`), a typed array, or memory of a GPU (a
 * DeviceTensor, or any object with `pointer`, `shape`, `dtype` and `device`).
 */
export function readArray(name: string, value: unknown): GivenArray {
  if (Array.isArray(value)) return readNested(name, value);
  if (types.isTypedArray(value)) {
    return { name, data: numberArray(name, value), shape: undefined, dtype: dtypeOf(value) };
  }
  if (typeof value !== 'object' || value === null) {
    throw argumentError(name, `${name} is ${describe(value)}; expected nested arrays of numbers or a tensor`);
  }
  return readTensor(name, value);
}

interface TensorFields {
  data?: unknown;
  shape?: unknown;
  dtype?: unknown;
  pointer?: unknown;
  device?: unknown;
}

function readTensor(name: string, value: TensorFields): GivenArray {
  if (isDeviceTensor(value)) return readDeviceTensor(name, value);
  const { data, shape: shapeGiven, dtype } = value;
  if (data === undefined) {
    const { pointer } = value;
    if (pointer !== undefined) return readPointer(name, pointer, shapeGiven, dtype, value.device);
  }
  if (data === undefined || shapeGiven === undefined) {
    throw argumentError(name, `${name} is an object without data and shape; expected a tensor`);
  }
  const shape = readShape(name, shapeGiven);
  if (dtype !== undefined) checkDType(name, dtype);
  if (Array.isArray(data)) return { name, data: flatten(name, data, [listLength(name, data)]), shape, dtype };
  if (!types.isTypedArray(data)) {
    throw argumentError(name, `${name}.data is ${describe(data)}; expected a Float64Array or a Float32Array`);
  }
  const array = numberArray(name, data);
  if (dtype !== undefined && dtype !== dtypeOf(array)) {
    throw new QpError('ERR_QP_DTYPE', `${name} says dtype '${dtype}', but its data is a ${kindOf(array)}`, {
      argument: name,
    });
  }
  return { name, data: array, shape, dtype: dtypeOf(array) };
}

function readDeviceTensor(name: string, tensor: DeviceTensor): GivenOnGpu {
  const { shape, dtype, device } = tensor;
  checkDType(name, dtype);
  return { name, source: tensor, ordinal: readGpu(name, device), shape: readShape(name, shape), dtype };
}

function readPointer(
  name: string,
  pointer: unknown,
  shapeGiven: unknown,
  dtype: unknown,
  device: unknown,
): GivenOnGpu {
  if (typeof pointer !== 'bigint' || BigInt.asUintN(64, pointer) !== pointer) {
    throw argumentError(name, `${name}.pointer is ${describe(pointer)}; expected a BigInt, the address`);
  }
  const shape = readShape(name, shapeGiven);
  checkDType(name, dtype);
  const ordinal = readGpu(name, device);
  const size = bytesPerElement[dtype];
  const bytes = elementCount(name, shape) * size;
  if (bytes > 0 && (pointer === 0n || pointer % BigInt(size) !== 0n)) {
    throw argumentError(name, `${name}.pointer is not the address of ${dtype} elements`);
  }
  return { name, source: { pointer, bytes, ordinal }, ordinal, shape, dtype };
}

/**
 * Checks the memory of an array: that it is still there, and will be.
 *
 * @returns how many elements it has
 * @throws QpError ERR_QP_BUFFER, ERR_QP_DISPOSED
 */
export function checkMemory(array: GivenArray): number {
  const { name } = array;
  if (array.data === undefined) {
    gpuMemory(array);
    return elementCount(name, array.shape);
  }
  checkBuffer(name, array.data);
  return lengthOf(array.data);
}

/** For the addon. @throws QpError ERR_QP_DISPOSED */
export function gpuMemory({ name, source }: GivenOnGpu): DeviceArray | NativePointer {
  return isDeviceTensor(source) ? deviceArrayOf(source, name) : source;
}

function readNested(name: string, value: unknown[]): GivenArray {
  const shape: number[] = [];
  for (let level: unknown = value; Array.isArray(level); level = level[0]) {
    if (shape.length === maxRank) throw shapeError(name, `${name} is nested more than ${maxRank} deep`);
    const length = listLength(name, level);
    shape.push(length);
    if (length === 0) break;
  }
  return { name, data: flatten(name, value, shape), shape, dtype: undefined };
}

/** A proxy of an array can say anything. */
function listLength(name: string, list: readonly unknown[]): number {
  const length: unknown = list.length;
  if (Number.isSafeInteger(length) && (length as number) >= 0) return length as number;
  throw shapeError(name, `${name} has an array of length ${describe(length)}`);
}

/** The elements of nested arrays, which must be full: `shape` is that of the first element at every level. */
function flatten(name: string, value: unknown[], shape: readonly number[]): Float64Array {
  // Before an element is looked at, nothing says that the lengths are true: [0] of a sparse array is a hole.
  if (elementCount(name, shape) > 0) checkFirst(name, value);
  const data = allocate('float64', elementCount(name, shape)) as Float64Array;
  let next = 0;
  const fill = (array: unknown[], depth: number, path: string): void => {
    const length = listLength(name, array);
    if (length !== shape[depth]) {
      throw shapeError(name, `${name} is ragged: ${path} has length ${length}; expected ${shape[depth]}`);
    }
    if (depth + 1 === shape.length) {
      for (let i = 0; i < length; i++) {
        const element = array[i];
        if (typeof element !== 'number') throw elementError(name, `${path}[${i}]`, element);
        data[next++] = element;
      }
      return;
    }
    for (let i = 0; i < length; i++) {
      const inner = array[i];
      if (!Array.isArray(inner)) {
        throw shapeError(name, `${name} is ragged: ${path}[${i}] is ${describe(inner)}; expected an array`);
      }
      fill(inner, depth + 1, `${path}[${i}]`);
    }
  };
  fill(value, 0, name);
  return data;
}

function checkFirst(name: string, value: unknown[]): void {
  let first: unknown = value;
  let path = name;
  for (let depth = 0; depth <= maxRank && Array.isArray(first); depth++) {
    first = first[0];
    path += '[0]';
  }
  if (typeof first !== 'number') throw elementError(name, path, first);
}

function elementError(name: string, path: string, element: unknown): QpError {
  if (Array.isArray(element))
    return shapeError(name, `${name} is ragged: ${path} is an array; expected a number`);
  return new QpError('ERR_QP_DTYPE', `${path} is ${describe(element)}; expected a number`, {
    argument: name,
  });
}

/** A copy of the list of sizes. */
export function readShape(name: string, value: unknown): number[] {
  if (!Array.isArray(value)) {
    throw shapeError(name, `the shape of ${name} is ${describe(value)}; expected an array of sizes`);
  }
  const rank = listLength(name, value);
  if (rank > maxRank) throw shapeError(name, `the shape of ${name} has too many dimensions`);
  const shape: number[] = [];
  for (let i = 0; i < rank; i++) {
    const size: unknown = value[i];
    if (typeof size !== 'number' || !Number.isInteger(size) || size < 0) {
      throw shapeError(name, `the shape of ${name} has ${describe(size)} at [${i}]; expected a whole number`);
    }
    shape.push(size);
  }
  return shape;
}

export function checkDType(name: string, dtype: unknown): asserts dtype is DType {
  if (dtype !== 'float64' && dtype !== 'float32') {
    throw new QpError(
      'ERR_QP_DTYPE',
      `${name} has dtype ${describe(dtype)}; expected 'float64' or 'float32'`,
      {
        argument: name,
      },
    );
  }
}

/** @throws QpError ERR_QP_MEMORY when the product is past what a number, and so any array, can count. */
export function elementCount(name: string, shape: readonly number[]): number {
  const count = shape.includes(0) ? 0 : shape.reduce((product, size) => product * size, 1);
  if (count <= Number.MAX_SAFE_INTEGER) return count;
  throw new QpError(
    'ERR_QP_MEMORY',
    `${name} of shape ${format(shape)} has more elements than memory can hold`,
    {
      argument: name,
    },
  );
}

/** `[2, 3]` */
export function format(shape: readonly (number | string)[]): string {
  return `[${shape.join(', ')}]`;
}
