// Reads the arrays that callers give, in any of the accepted forms. Reading runs code of theirs where they gave proxies
// or getters; checking does not, and is done when all reading is.
import { types } from 'node:util';

import { QpError, argumentError, describe, shapeError } from './errors.js';
import type { DType, NumberArray } from './tensor.js';

/** Ranks up to 3 have a use here; the limit ends the reading of arrays that contain themselves. */
const maxRank = 8;

/** What was given for one argument, read once and not checked yet. */
export interface GivenArray {
  name: string;
  /** Row-major. The caller's own array if that was a typed one. */
  data: NumberArray;
  /** Undefined for a typed array on its own. */
  shape: readonly number[] | undefined;
  /** Undefined where the form does not say: numbers in plain arrays fit any. */
  dtype: DType | undefined;
}

/** Reads nested arrays of numbers, a tensor (any object with `data` and `shape`), or a typed array. */
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

function readTensor(name: string, value: { data?: unknown; shape?: unknown; dtype?: unknown }): GivenArray {
  const { data, shape: shapeGiven, dtype } = value;
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

/** @throws QpError ERR_QP_MEMORY */
export function allocate(dtype: DType, length: number): NumberArray {
  return dtype === 'float64' ? allocated(Float64Array, length) : allocated(Float32Array, length);
}

/** A new typed array of any kind. @throws QpError ERR_QP_MEMORY */
export function allocated<T>(kind: new (length: number) => T, length: number): T {
  try {
    return new kind(length);
  } catch (error) {
    throw new QpError('ERR_QP_MEMORY', `there is no room for an array of ${length} elements`, {
      cause: error,
    });
  }
}

/** `[2, 3]` */
export function format(shape: readonly (number | string)[]): string {
  return `[${shape.join(', ')}]`;
}

// The getters of the prototype, because an array may carry properties of the same names.
const typedArray = Object.getPrototypeOf(Float64Array.prototype) as object;
const bufferOf = getter<ArrayBufferLike>(typedArray, 'buffer');
const resizableOf = getter<boolean>(ArrayBuffer.prototype, 'resizable');
const growableOf = getter<boolean>(SharedArrayBuffer.prototype, 'growable');
/** How many elements a typed array has; 0 once it is detached. */
export const lengthOf = getter<number>(typedArray, 'length');

function getter<T>(prototype: object, name: string): (value: object) => T {
  const property = Object.getOwnPropertyDescriptor(prototype, name)!;
  return (value) => property.get!.call(value) as T;
}

function numberArray(name: string, value: NodeJS.TypedArray): NumberArray {
  if (types.isFloat64Array(value) || types.isFloat32Array(value)) return value;
  throw new QpError(
    'ERR_QP_DTYPE',
    `${name} is a ${kindOf(value)}; expected a Float64Array or a Float32Array`,
    {
      argument: name,
    },
  );
}

export function dtypeOf(array: ArrayBufferView): DType {
  return types.isFloat64Array(array) ? 'float64' : 'float32';
}

const kindOf = getter<string>(typedArray, Symbol.toStringTag as unknown as string);

/**
 * Checks an array's memory: neither detached nor resizable (it could shrink below the array while it is being copied).
 *
 * @throws QpError ERR_QP_BUFFER
 */
export function checkBuffer(name: string, array: NumberArray): void {
  const buffer = bufferOf(array);
  if (types.isSharedArrayBuffer(buffer) ? growableOf(buffer) : resizableOf(buffer)) {
    throw new QpError('ERR_QP_BUFFER', `${name} is in a resizable buffer; expected one of fixed size`, {
      argument: name,
    });
  }
  if (lengthOf(array) === 0 && isDetached(buffer)) {
    throw new QpError(
      'ERR_QP_BUFFER',
      `${name} is in a buffer that was detached (transferred, for instance)`,
      {
        argument: name,
      },
    );
  }
}

function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    return new Uint8Array(buffer).length < 0; // the constructor is what throws
  } catch {
    return true;
  }
}
