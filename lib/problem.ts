import type { NativeDatum, NativeProblem } from '../binding.js';

import { checkMemory, elementCount, format, readArray } from './arrays.js';
import type { GivenArray } from './arrays.js';
import { commonGpu } from './device.js';
import type { Placed } from './device.js';
import type { CudaArray } from './device-tensor.js';
import { QpError, argumentError, describe, shapeError } from './errors.js';
import { nativeArray } from './tensor.js';
import type { DType, DataByDType, NestedNumbers, NestedRows, TensorLike } from './tensor.js';

/**
 * A datum of a problem: numbers in nested arrays; typed arrays in arrays, such as a vector for each problem; a tensor; or,
 * for a vector of one problem or of all, a typed array. A tensor may be in the memory of a GPU ({@link DeviceTensor}, or that of other CUDA code), which then solves the problem; data on
 * one GPU and data in host memory may be mixed.
 */
export type QpDatum<D extends DType = DType> =
  NestedNumbers | NestedRows<D> | TensorLike<D> | DataByDType[D] | CudaArray<D>;

/**
 * A batch of convex quadratic or linear programs with n variables, m inequalities and q equalities each,
 *
 *     minimise  ½ zᵀQz + pᵀz    subject to  gl ≤ Gz ≤ h,  Az = b,  lb ≤ z ≤ ub
 *
 * (Amos and Kolter 2017, equation 2, with bounds on both sides). Each datum is given once per problem, with the batch as
 * its first dimension, or, with one dimension less, once for all of them. Without any batch dimension there is one problem.
 *
 * Where a row or a variable has no bound, its entry is infinite: Infinity in `h` and `ub`, -Infinity in `gl` and `lb`; 1e30
 * and more, or -1e30 and less, means the same. A row with no bound on either side is no row of its problem: its multipliers
 * and all derivatives with respect to it are zero, its slack is infinite, and what `G` has there, which must be finite, does
 * not matter. So problems with different rows can share a batch. A lower bound above its upper one is no error: the
 * problem is 'primalInfeasible'.
 */
export interface QpProblem<D extends DType = DType> {
  /** [n, n] or [batch, n, n], symmetric and positive semidefinite; without it, the objective is linear. */
  readonly Q?: QpDatum<D> | null | undefined;
  /** [n] or [batch, n]. */
  readonly p: QpDatum<D>;
  /** [m, n] or [batch, m, n]; given together with `h`, with `gl`, or with both, or not at all. */
  readonly G?: QpDatum<D> | null | undefined;
  /** Upper bounds of Gz, [m] or [batch, m]; Infinity where there is none. */
  readonly h?: QpDatum<D> | null | undefined;
  /** [q, n] or [batch, q, n]; given together with `b`, or not at all. */
  readonly A?: QpDatum<D> | null | undefined;
  /** [q] or [batch, q]. */
  readonly b?: QpDatum<D> | null | undefined;
  /** Lower bounds of Gz, [m] or [batch, m]; -Infinity where there is none. */
  readonly gl?: QpDatum<D> | null | undefined;
  /** Lower bounds of z, [n] or [batch, n]; -Infinity where there is none. */
  readonly lb?: QpDatum<D> | null | undefined;
  /** Upper bounds of z, [n] or [batch, n]; Infinity where there is none. */
  readonly ub?: QpDatum<D> | null | undefined;
}

/** The names of a problem's data. */
export type DatumName = 'Q' | 'p' | 'G' | 'h' | 'A' | 'b' | 'gl' | 'lb' | 'ub';

export const datumNames: readonly DatumName[] = ['Q', 'p', 'G', 'h', 'A', 'b', 'gl', 'lb', 'ub'];

/** How many dimensions each has for one problem. */
export const datumRanks: Readonly<Record<DatumName, 1 | 2>> = {
  Q: 2,
  p: 1,
  G: 2,
  h: 1,
  A: 2,
  b: 1,
  gl: 1,
  lb: 1,
  ub: 1,
};

/** A problem as it was read: nothing about it is checked but that it consists of arrays. */
export type GivenProblem = Partial<Record<DatumName, GivenArray>>;

/** A problem that can be solved, and the shapes its data were given in. */
export interface CheckedProblem {
  native: Omit<NativeProblem, 'device'>;
  /** Where data lie on a GPU. */
  onGpu: Placed | undefined;
  dtype: DType;
  shapes: Partial<Record<DatumName, readonly number[]>>;
}

/** Reads every property once. Runs code of the caller's where there are getters or proxies. */
export function readProblem(problem: unknown): GivenProblem {
  if (typeof problem !== 'object' || problem === null || Array.isArray(problem)) {
    throw argumentError(
      'problem',
      `problem is ${describe(problem)}; expected an object with p, and ${optionalNames}`,
    );
  }
  for (const key of Object.keys(problem)) checkName(key);
  const given: GivenProblem = {};
  for (const name of datumNames) {
    const value: unknown = (problem as Record<string, unknown>)[name];
    if (value !== undefined && value !== null) given[name] = readArray(name, value, datumRanks[name]);
  }
  return given;
}

const optionalNames = datumNames.filter((name) => name !== 'p').join(', ');

function checkName(key: string): void {
  if ((datumNames as readonly string[]).includes(key)) return;
  throw argumentError(
    key,
    `the problem has an unknown datum ${describe(key)}; expected ${datumNames.join(', ')}`,
  );
}

/**
 * Checks what was read, and lays it out for the addon. Typed arrays are handed on as they are, neither copied nor
 * looked into: the addon finds what is NaN, infinite where that means nothing, not symmetric or not convex.
 *
 * @param dtype the one asked for, if any
 */
export function checkProblem(given: GivenProblem, dtype: DType | undefined): CheckedProblem {
  checkConstraints(given);
  const n = countVariables(given);
  const m = given.G === undefined ? 0 : matrixSizes(given.G, 'm', n)[0];
  const q = given.A === undefined ? 0 : matrixSizes(given.A, 'q', n)[0];
  if (Math.max(n, m, q) > 0x7fffffff) {
    throw new QpError(
      'ERR_QP_MEMORY',
      `a problem with n = ${n}, m = ${m}, q = ${q} is larger than memory can hold`,
    );
  }

  const sizes: Record<DatumName, readonly number[]> = {
    Q: [n, n],
    p: [n],
    G: [m, n],
    h: [m],
    A: [q, n],
    b: [q],
    gl: [m],
    lb: [n],
    ub: [n],
  };
  const batch = batchSize(given, sizes);
  const common = commonDType(given, dtype);
  const shapes: CheckedProblem['shapes'] = {};
  const data: Partial<Record<DatumName, NativeDatum>> = {};
  const onGpu: Placed[] = [];
  for (const name of datumNames) {
    const array = given[name];
    if (array === undefined) continue;
    shapes[name] = checkShape(array, sizes[name], batch);
    if (array.data === undefined) onGpu.push(array);
    data[name] = {
      data: nativeArray(array, common),
      batched: shapes[name].length > sizes[name].length,
    };
  }
  const native: CheckedProblem['native'] = {
    ...present(data, ['Q', 'lb', 'ub']),
    ...(m > 0 ? present(data, ['G', 'h', 'gl']) : {}),
    ...(q > 0 ? present(data, ['A', 'b']) : {}),
    dtype: common,
    batch: batch?.size ?? 1,
    n,
    m,
    q,
    p: data.p!,
  };
  return { native, onGpu: commonGpu(onGpu), dtype: common, shapes };
}

/** Those of some data that there are. */
function present<Name extends DatumName>(
  data: Partial<Record<Name, NativeDatum>>,
  names: readonly Name[],
): Partial<Record<Name, NativeDatum>> {
  const found: Partial<Record<Name, NativeDatum>> = {};
  for (const name of names) {
    if (data[name] !== undefined) found[name] = data[name];
  }
  return found;
}

/** Matrices come with their vectors. */
function checkConstraints(given: GivenProblem): void {
  if (given.p === undefined) throw argumentError('p', 'p is missing; a problem needs at least p');
  if (given.G !== undefined && given.h === undefined && given.gl === undefined) {
    throw argumentError('h', 'G is given without h or gl; expected one of them, or both');
  }
  checkPair(given, 'h', 'G');
  checkPair(given, 'gl', 'G');
  checkPair(given, 'b', 'A');
  checkPair(given, 'A', 'b');
}

function checkPair(given: GivenProblem, name: DatumName, needed: DatumName): void {
  if (given[name] === undefined || given[needed] !== undefined) return;
  throw argumentError(needed, `${name} is given without ${needed}; expected both or neither`);
}

/** n, from Q if there is one, else from p. */
function countVariables({ Q, p }: GivenProblem): number {
  if (Q !== undefined) {
    const [rows, n] = matrixSizes(Q, 'n', 'n');
    if (rows === n && n >= 1) return n;
    throw shapeError(
      'Q',
      `Q has shape ${format(Q.shape!)}; expected square matrices with a row for each variable`,
    );
  }
  const shape = p!.shape ?? [checkMemory(p!)];
  const n = shape.at(-1);
  if ((shape.length === 1 || shape.length === 2) && n! >= 1) return n!;
  throw shapeError(
    'p',
    `p has shape ${format(shape)}; expected [n] or [batch, n] with an element for each variable`,
  );
}

/** Rows and columns of one matrix. */
function matrixSizes(array: GivenArray, rows: string, columns: number | string): readonly [number, number] {
  const { name, shape } = array;
  if (shape === undefined) {
    throw shapeError(
      name,
      `${name} is a typed array without a shape; expected tensor(${name}, ${format([rows, columns])})`,
    );
  }
  if (shape.length === 1 && shape[0] === 0 && typeof columns === 'number') return [0, columns]; // no rows: []
  if (shape.length !== 2 && shape.length !== 3) {
    throw shapeError(
      name,
      `${name} has shape ${format(shape)}; expected ${format([rows, columns])} or ${format(['batch', rows, columns])}`,
    );
  }
  return [shape.at(-2)!, shape.at(-1)!];
}

interface Batch {
  size: number;
  /** The datum that says so. */
  name: DatumName;
}

/** The size of the batch, from the first datum that has one; undefined when all data are those of a single problem. */
function batchSize(given: GivenProblem, sizes: Record<DatumName, readonly number[]>): Batch | undefined {
  for (const name of datumNames) {
    const shape = given[name]?.shape;
    if (shape === undefined || shape.length !== sizes[name].length + 1) continue;
    const size = shape[0]!;
    if (size === 0)
      throw shapeError(name, `${name} has shape ${format(shape)}; expected a batch of at least one problem`);
    return { size, name };
  }
  return undefined;
}

/** The dtype of all typed data, else the one asked for, else 'float64'. */
function commonDType(given: GivenProblem, asked: DType | undefined): DType {
  let common = asked;
  let reason = 'as the option dtype says';
  for (const name of datumNames) {
    const dtype = given[name]?.dtype;
    if (dtype === undefined) continue;
    if (common !== undefined && dtype !== common) {
      throw new QpError('ERR_QP_DTYPE', `${name} is ${dtype}; expected ${common}, ${reason}`, {
        argument: name,
      });
    }
    if (common === undefined) {
      common = dtype;
      reason = `as ${name} is`;
    }
  }
  return common ?? 'float64';
}

/** Checks a datum's shape and memory; returns the shape that its gradient will have. */
function checkShape(
  array: GivenArray,
  expected: readonly number[],
  batch: Batch | undefined,
): readonly number[] {
  const { name } = array;
  const length = checkMemory(array);
  const given = array.shape ?? [length];
  const shape = given.length === 1 && given[0] === 0 && expected[0] === 0 ? expected : given; // [] for [0, n]
  const batched = shape.length === expected.length + 1;
  const sizes = batched ? shape.slice(1) : shape;
  if (sizes.length !== expected.length || sizes.some((size, i) => size !== expected[i])) {
    throw shapeError(
      name,
      `${name} has shape ${format(shape)}; expected ${format(expected)}, for all problems, or ` +
        format([batch?.size ?? 'batch', ...expected]),
    );
  }
  if (batched && shape[0] !== batch!.size) {
    throw shapeError(
      name,
      `${name} has a batch of ${shape[0]}, ${batch!.name} has one of ${batch!.size}; expected the same` +
        (shape[0] === 1 ? ` (a datum for the whole batch has the shape ${format(expected)})` : ''),
    );
  }
  const count = elementCount(name, shape);
  if (count !== length) {
    throw shapeError(name, `${name} has ${length} elements; its shape ${format(shape)} needs ${count}`);
  }
  return shape;
}
