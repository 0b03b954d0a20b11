// The memory of typed arrays.
import { types } from './builtins.js';
import { QpError } from './errors.js';

/** The typed array that holds the elements of each dtype. */
export interface DataByDType {
  /** Of double precision. */
  float64: Float64Array;
  /** Of single precision. */
  float32: Float32Array;
}

/** Element types: IEEE 754 double and single precision. */
export type DType = keyof DataByDType;

export type NumberArray = Float64Array | Float32Array;

export const bytesPerElement = { float64: 8, float32: 4 } as const satisfies Record<DType, number>;

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

/** What a message calls an array that is a part of an argument. */
export interface Place {
  /** 'p[3]' */
  readonly path: string;
  /** The problem that it is of, if it is of one. */
  readonly index: number | undefined;
}

/** @throws QpError ERR_QP_DTYPE when the elements are of another type */
export function numberArray(name: string, value: ArrayBufferView, place?: Place): NumberArray {
  if (types.isFloat64Array(value) || types.isFloat32Array(value)) return value;
  throw new QpError(
    'ERR_QP_DTYPE',
    `${place?.path ?? name} is a ${kindOf(value)}; expected a Float64Array or a Float32Array`,
    { argument: name, index: place?.index },
  );
}

export function dtypeOf(array: ArrayBufferView): DType {
  return types.isFloat64Array(array) ? 'float64' : 'float32';
}

export const kindOf = getter<string>(typedArray, Symbol.toStringTag as unknown as string);

/**
 * Checks an array's memory: neither detached nor resizable (it could shrink below the array while it is being copied).
 *
 * @throws QpError ERR_QP_BUFFER
 */
export function checkBuffer(name: string, array: NumberArray, place?: Place): void {
  const buffer = bufferOf(array);
  if (types.isSharedArrayBuffer(buffer) ? growableOf(buffer) : resizableOf(buffer)) {
    throw bufferError(name, place, 'is in a resizable buffer; expected one of fixed size');
  }
  if (lengthOf(array) === 0 && isDetached(buffer)) {
    throw bufferError(name, place, 'is in a buffer that was detached (transferred, for instance)');
  }
}

function bufferError(name: string, place: Place | undefined, message: string): QpError {
  return new QpError('ERR_QP_BUFFER', `${place?.path ?? name} ${message}`, {
    argument: name,
    index: place?.index,
  });
}

function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    return new Uint8Array(buffer).length < 0; // the constructor is what throws
  } catch {
    return true;
  }
}
