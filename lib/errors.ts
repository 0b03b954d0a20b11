import type { NativeFailure } from '../binding.js';

import { types } from './builtins.js';

/**
 * What kind of mistake, or of failure, a {@link QpError} is about.
 *
 * - `ERR_QP_SHAPE`: an array has the wrong shape, is ragged, or disagrees with another about the size of the batch
 * - `ERR_QP_DTYPE`: element types are mixed, or something is not a number
 * - `ERR_QP_NOT_FINITE`: NaN in an array, or Infinity where it is not the absence of a bound
 * - `ERR_QP_NOT_SYMMETRIC`: Q ≠ Qᵀ
 * - `ERR_QP_NOT_CONVEX`: Q is not positive semidefinite; on a GPU that was named, not positive definite
 * - `ERR_QP_DEVICE`: the device asked for cannot serve, or not this, an array is on another one, or a GPU failed
 * - `ERR_QP_ABORTED`: the signal was aborted; its reason is the error's `cause`
 * - `ERR_QP_DISPOSED`: the solution, or a tensor on a GPU, was disposed of
 * - `ERR_QP_OPTION`: an option is unknown, or its value is out of range
 * - `ERR_QP_ARGUMENT`: an argument is missing or of the wrong kind, or names something unknown
 * - `ERR_QP_BUFFER`: an array's memory is detached or resizable
 * - `ERR_QP_MEMORY`: more memory than there is
 * - `ERR_QP_UNSOLVED`: a problem was not solved, in optnet/tfjs
 * - `ERR_QP_NATIVE`: the native addon could not be loaded
 */
export type QpErrorCode =
  | 'ERR_QP_SHAPE'
  | 'ERR_QP_DTYPE'
  | 'ERR_QP_NOT_FINITE'
  | 'ERR_QP_NOT_SYMMETRIC'
  | 'ERR_QP_NOT_CONVEX'
  | 'ERR_QP_DEVICE'
  | 'ERR_QP_ABORTED'
  | 'ERR_QP_DISPOSED'
  | 'ERR_QP_OPTION'
  | 'ERR_QP_ARGUMENT'
  | 'ERR_QP_BUFFER'
  | 'ERR_QP_MEMORY'
  | 'ERR_QP_UNSOLVED'
  | 'ERR_QP_NATIVE';

/** Every error that this package makes. A problem that does not converge is a status of its solution, not an error. */
export class QpError extends Error {
  /** 'QpError' */
  override readonly name = 'QpError';
  /** What kind of mistake, or of failure, it is. */
  readonly code: QpErrorCode;
  /** The argument at fault, where one is: 'Q', 'tolerance', 'dz', … */
  declare readonly argument?: string;
  /** The problem of the batch at fault, where one is. */
  declare readonly index?: number;

  constructor(
    code: QpErrorCode,
    message: string,
    details: { argument?: string | undefined; index?: number | undefined; cause?: unknown } = {},
  ) {
    super(message, 'cause' in details ? { cause: details.cause } : undefined);
    this.code = code;
    if (details.argument !== undefined) this.argument = details.argument;
    if (details.index !== undefined) this.index = details.index;
  }
}

export function shapeError(argument: string, message: string): QpError {
  return new QpError('ERR_QP_SHAPE', message, { argument });
}

export function argumentError(argument: string, message: string): QpError {
  return new QpError('ERR_QP_ARGUMENT', message, { argument });
}

export function deviceError(argument: string | undefined, message: string): QpError {
  return new QpError('ERR_QP_DEVICE', message, { argument });
}

export function disposedError(): QpError {
  return new QpError('ERR_QP_DISPOSED', 'the solution was disposed of, and its factors with it');
}

export function abortedError(reason: unknown): QpError {
  return new QpError('ERR_QP_ABORTED', 'the solve was aborted by its signal', { cause: reason });
}

/** Names a value in a message without running any code of its own: it may be a proxy, or a getter may throw. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return value.length <= 40 ? JSON.stringify(value) : 'a long string';
    case 'number':
      return Object.is(value, -0) ? '-0' : String(value);
    case 'bigint':
      return 'a BigInt';
    case 'object':
      return value === null ? 'null' : describeObject(value);
    case 'function':
      return 'a function';
    case 'symbol':
      return 'a symbol';
    default:
      return String(value);
  }
}

function describeObject(value: object): string {
  if (types.isProxy(value)) return 'a proxy';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty array' : 'an array';
  return ArrayBuffer.isView(value) ? 'a typed array' : 'an object';
}

/** 'Q', or 'Q of problem 3' where the batch does not share it. */
export function owner(failure: NativeFailure): string {
  return failure.index === undefined ? failure.argument! : `${failure.argument} of problem ${failure.index}`;
}

/** ' at [1, 2]', where the addon says so. */
function place({ argument, row, column }: NativeFailure): string {
  if (row === undefined) return '';
  return ['Q', 'G', 'A'].includes(argument!) ? ` at [${row}, ${column}]` : ` at [${column}]`;
}

/** What a GPU does not serve of a datum. */
export function unboundedRow(failure: NativeFailure): string {
  return `${owner(failure)} has no bound${place(failure)}, and GPUs do not serve missing rows yet`;
}
const servedByCpu = "device 'cpu' serves them, and so does 'auto'";

/** A sentence, as a part of another. */
export function clause(sentence: string): string {
  const first = /^[A-Z](?![A-Z])/.test(sentence) ? sentence[0]!.toLowerCase() : sentence[0]!;
  return first + sentence.slice(1).replace(/\.$/, '');
}

/** Its opposite. Names such as cuBLAS stay as they are. */
export function sentence(clause: string): string {
  const first = /^[a-z]+[A-Z]/.test(clause) ? clause[0]! : clause[0]!.toUpperCase();
  return `${first}${clause.slice(1).replace(/\.$/, '')}.`;
}

function deviceMessage({ argument, message = 'The GPU failed.' }: NativeFailure): string {
  return argument === undefined ? clause(message) : `${argument}: ${clause(message)}`;
}

/** What the elements of an argument may be. */
function expectedNumbers(argument: string | undefined): string {
  switch (argument) {
    case 'h':
    case 'ub':
      return 'expected numbers, or Infinity where there is no bound';
    case 'gl':
    case 'lb':
      return 'expected numbers, or -Infinity where there is no bound';
    default:
      return 'expected finite numbers';
  }
}

/** Why a number will not do. */
function strangeNumber(argument: string | undefined): string {
  switch (argument) {
    case 'h':
    case 'ub':
      return 'NaN or -Infinity';
    case 'gl':
    case 'lb':
      return 'NaN or Infinity';
    default:
      return 'NaN or infinite';
  }
}

/**
 * The error for a call that the addon did not serve.
 *
 * @param onGpu whether a GPU was to serve it
 */
export function errorOf(failure: NativeFailure, onGpu = false): QpError {
  const where = { argument: failure.argument, index: failure.index };
  switch (failure.failure) {
    case 'notFinite':
      return new QpError(
        'ERR_QP_NOT_FINITE',
        `${owner(failure)} is ${strangeNumber(failure.argument)}${place(failure)}; ` +
          expectedNumbers(failure.argument),
        where,
      );
    case 'notSymmetric':
      return new QpError(
        'ERR_QP_NOT_SYMMETRIC',
        `${owner(failure)} is not symmetric: the elements [${failure.row}, ${failure.column}] and ` +
          `[${failure.column}, ${failure.row}] differ; expected Q = Qᵀ (½(Q + Qᵀ) has the same objective)`,
        where,
      );
    case 'notConvex':
      return new QpError(
        'ERR_QP_NOT_CONVEX',
        onGpu
          ? `${owner(failure)} is not positive definite; expected a strictly convex objective on a GPU ` +
              "(device 'cpu' solves problems where Q is positive semidefinite)"
          : `${owner(failure)} is not positive semidefinite; expected a convex objective`,
        where,
      );
    case 'memory':
      return new QpError(
        'ERR_QP_MEMORY',
        failure.bytes
          ? `there is no room for ${failure.bytes} bytes in ${failure.message ?? 'native memory'}`
          : `${failure.message ?? 'native memory'} is exhausted`,
      );
    case 'unserved':
      if (failure.argument !== undefined) {
        return new QpError('ERR_QP_DEVICE', `${unboundedRow(failure)}; ${servedByCpu}`, where);
      }
      return deviceError(undefined, deviceMessage(failure));
    case 'device':
      return deviceError(failure.argument, deviceMessage(failure));
    case 'cancelled':
      return abortedError(undefined);
    case 'disposed':
      return disposedError();
    case 'invalid':
      return new QpError('ERR_QP_ARGUMENT', failure.message ?? 'an argument is not valid', where);
  }
}
