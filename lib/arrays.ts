// Reads the arrays that callers give, in any of the accepted forms. Reading runs code of theirs where they gave proxies
// or getters; checking does not, and is done when all reading is.

import type { DeviceArray, NativePointer } from '../binding.js';

import { types } from './builtins.js';
import { readGpu } from './device.js';
import type { DeviceTensor } from './device-tensor.js';
import { deviceArrayOf, isDeviceTensor } from './device-tensor.js';
import { QpError, argumentError, describe, shapeError } from './errors.js';
import { allocate, bytesPerElement, checkBuffer, dtypeOf, kindOf, lengthOf, numberArray } from './memory.js';
import type { DType, NumberArray, Place } from './memory.js';

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
 * Reads nested arrays of numbers or of typed arrays, a tensor (any object with `data` and `shape`), a typed array, or memory
 * of a GPU (a DeviceTensor, or any object with `pointer`, `shape`, `dtype` and `device`).
 *
 * @param rank how many dimensions it has for one problem, if it is of problems: errors then tell which one
 */
export function readArray(name: string, value: unknown, rank?: number): GivenArray {
  if (Array.isArray(value)) return readNested(name, value, rank);
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
  if (Array.isArray(data)) return { name, data: readList(name, data), shape, dtype };
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

function readList(name: string, list: unknown[]): Float64Array {
  return flatten(new Nesting(name, [listLength(name, list)], false), list);
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

/** Nested arrays while they are read. */
class Nesting implements Place {
  /** Where in them: an index for each level. */
  readonly at: number[] = [];

  /**
   * @param lists the sizes of the lists: of the first one at every level, which all others must have
   * @param batched whether the outermost list has an element for each problem
   */
  constructor(
    readonly name: string,
    readonly lists: readonly number[],
    private readonly batched: boolean,
  ) {}

  /** `Q[3][0]` */
  get path(): string {
    return this.name + this.at.map((index) => `[${index}]`).join('');
  }

  get index(): number | undefined {
    return this.batched ? this.at[0] : undefined;
  }

  /** Visits the innermost lists, in order. */
  eachList(list: unknown[], visit: (list: unknown[], length: number) => void): void {
    const { name, lists, at } = this;
    const length = listLength(name, list);
    const expected = lists[at.length]!;
    if (length !== expected) throw raggedError(this, `has length ${length}; expected ${expected}`);
    if (at.length + 1 === lists.length) {
      visit(list, length);
      return;
    }
    for (let i = 0; i < length; i++) {
      at.push(i);
      const inner = list[i];
      if (!Array.isArray(inner)) throw raggedError(this, `is ${describe(inner)}; expected an array`);
      this.eachList(inner, visit);
      at.pop();
    }
  }
}

function readNested(name: string, value: unknown[], rank: number | undefined): GivenOnHost {
  const { lists, row } = measure(name, value);
  const shape = row === undefined ? lists : [...lists, lengthOf(row)];
  const nesting = new Nesting(name, lists, shape.length - 1 === rank);
  if (row === undefined) return { name, data: flatten(nesting, value), shape, dtype: undefined };
  const data = join(nesting, value, row);
  return { name, data, shape, dtype: dtypeOf(data) };
}

/** Follows the first element of every list, down to a number or to a typed array, a row. */
function measure(name: string, value: unknown[]): { lists: number[]; row: ArrayBufferView | undefined } {
  const lists: number[] = [];
  let level: unknown = value;
  while (Array.isArray(level)) {
    if (lists.length === maxRank) throw shapeError(name, `${name} is nested more than ${maxRank} deep`);
    const length = listLength(name, level);
    lists.push(length);
    if (length === 0) break;
    level = level[0];
  }
  return { lists, row: types.isTypedArray(level) ? level : undefined };
}

/** A proxy of an array can say anything. */
function listLength(name: string, list: readonly unknown[]): number {
  const length: unknown = list.length;
  if (Number.isSafeInteger(length) && (length as number) >= 0) return length as number;
  throw shapeError(name, `${name} has an array of length ${describe(length)}`);
}

/** The elements of nested lists of numbers. */
function flatten(nesting: Nesting, value: unknown[]): Float64Array {
  const { name, lists, at } = nesting;
  const count = elementCount(name, lists);
  // Before an element is looked at, nothing says that the lengths are true: [0] of a sparse array is a hole.
  if (count > 0) checkFirst(nesting, value);
  const data = allocate('float64', count) as Float64Array;
  let next = 0;
  nesting.eachList(value, (list, length) => {
    for (let i = 0; i < length; i++) {
      const element = list[i];
      if (typeof element !== 'number') {
        at.push(i);
        throw elementError(nesting, element);
      }
      data[next++] = element;
    }
  });
  return data;
}

function checkFirst(nesting: Nesting, value: unknown[]): void {
  let first: unknown = value;
  while (nesting.at.length <= maxRank && Array.isArray(first)) {
    first = first[0];
    nesting.at.push(0);
  }
  if (typeof first !== 'number') throw elementError(nesting, first);
  nesting.at.length = 0;
}

/** The elements of nested lists of typed arrays, which are all of the kind and of the length of the first one. */
function join(nesting: Nesting, value: unknown[], first: ArrayBufferView): NumberArray {
  const { name, lists, at } = nesting;
  at.push(...lists.map(() => 0));
  const firstPath = nesting.path;
  const dtype = dtypeOf(numberArray(name, first, nesting));
  at.length = 0;
  const width = lengthOf(first);
  const data = allocate(dtype, elementCount(name, [...lists, width]));
  let next = 0;
  nesting.eachList(value, (list, length) => {
    for (let i = 0; i < length; i++) {
      at.push(i);
      const row = readRow(nesting, list[i]);
      if (dtypeOf(row) !== dtype) {
        throw dtypeError(nesting, `is a ${kindOf(row)}; expected a ${kindOf(data)}, as ${firstPath} is`);
      }
      const found = lengthOf(row);
      if (found !== width) throw raggedError(nesting, `has length ${found}; expected ${width}`);
      data.set(row, next);
      next += width;
      at.pop();
    }
  });
  return data;
}

/** @throws QpError ERR_QP_SHAPE, ERR_QP_DTYPE, ERR_QP_BUFFER */
function readRow(nesting: Nesting, row: unknown): NumberArray {
  if (!types.isTypedArray(row)) throw raggedError(nesting, `is ${describe(row)}; expected a typed array`);
  const array = numberArray(nesting.name, row, nesting);
  checkBuffer(nesting.name, array, nesting);
  return array;
}

function raggedError({ name, path, index }: Nesting, message: string): QpError {
  return new QpError('ERR_QP_SHAPE', `${name} is ragged: ${path} ${message}`, { argument: name, index });
}

function dtypeError({ name, path, index }: Nesting, message: string): QpError {
  return new QpError('ERR_QP_DTYPE', `${path} ${message}`, { argument: name, index });
}

function elementError(nesting: Nesting, element: unknown): QpError {
  return Array.isArray(element)
    ? raggedError(nesting, 'is an array; expected a number')
    : dtypeError(nesting, `is ${describe(element)}; expected a number`);
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
