// The arguments and the results of `solution.backward`.
import type { NativeArray, NativeGradients, NativeUpstream } from '../binding.js';

import { checkMemory, elementCount, format, readArray } from './arrays.js';
import type { GivenArray } from './arrays.js';
import { gpuName, unservedError } from './device.js';
import type { CudaArray } from './device-tensor.js';
import { argumentError, describe, deviceError, shapeError } from './errors.js';
import { allocated } from './memory.js';
import { boolean, optionError, readObject, readOutput } from './options.js';
import { allocateTensors, nativeOutput } from './output.js';
import type { Output, ResultTensor } from './output.js';
import { datumNames } from './problem.js';
import type { DatumName } from './problem.js';
import { partNames, partShapes } from './solved.js';
import type { SolvedProblem } from './solved.js';
import { nativeArray } from './tensor.js';
import type { DType, DataByDType, NestedNumbers, NestedRows, TensorLike } from './tensor.js';

/**
 * A gradient with respect to a part of the solution: [batch, n], or [n] when the batch is 1; n, m or q as fits (zero for
 * the multipliers of bounds that were not given). It may be in the memory of the GPU that solved the problem.
 */
export type UpstreamGradient<D extends DType = DType> =
  NestedNumbers | NestedRows<D> | TensorLike<D> | DataByDType[D] | CudaArray<D>;

/** The gradient of a loss with respect to the solution. At least one part; what is left out is zero. */
export interface Upstream<D extends DType = DType> {
  /** ∂ℓ/∂z */
  readonly dz?: UpstreamGradient<D> | null | undefined;
  /** ∂ℓ/∂λ */
  readonly dlambda?: UpstreamGradient<D> | null | undefined;
  /** ∂ℓ/∂ν */
  readonly dnu?: UpstreamGradient<D> | null | undefined;
  /** With respect to the multipliers of gl ≤ Gz, … */
  readonly dlambdaGl?: UpstreamGradient<D> | null | undefined;
  /** … of lb ≤ z, … */
  readonly dlambdaLb?: UpstreamGradient<D> | null | undefined;
  /** … and of z ≤ ub. */
  readonly dlambdaUb?: UpstreamGradient<D> | null | undefined;
  /** With respect to the objective, [batch]; float64, like `solution.objective`, or of the problem's dtype. */
  readonly dobjective?: UpstreamGradient | null | undefined;
}

/** Options of `solution.backward`. */
export interface BackwardOptions<
  W extends DatumName = DatumName,
  O extends Output = Output,
  R extends boolean = boolean,
> {
  /** The data to differentiate with respect to; by default all that the problem was given. */
  readonly wrt?: readonly W[] | undefined;
  /** Where the gradients are put; by default where the solution was. 'device' needs a solution of a GPU. */
  readonly output?: O | undefined;
  /** Measure too how well the gradients' equations are solved (default false); it takes another pass over the data. */
  readonly residuals?: R | undefined;
}

/** Gradients of the loss, each in the shape that its datum was given in. One that the batch shares is summed over it. */
export type Gradients<D extends DType = DType, W extends DatumName = DatumName, O extends Output = 'host'> = {
  readonly [Name in W as `d${Name}`]: ResultTensor<D, O>;
};

/** What the option `residuals` adds to the gradients. */
export type AdjointResiduals<R extends boolean> = R extends true
  ? {
      /** Of the adjoint system, the maximum norm relative to that of the upstream gradient, [batch]. */
      readonly residuals: Float64Array;
    }
  : unknown;

type UpstreamName = keyof Upstream;

const upstreamNames: readonly UpstreamName[] = [
  ...partNames.map((name) => `d${name}` as const),
  'dobjective',
];

/** Those that a GPU serves; the others are for the CPU. */
const servedByGpu: readonly UpstreamName[] = ['dz', 'dlambda', 'dnu'];

const longestWrt = 100;

/** Arguments that were checked, and the arrays for the results. */
export interface BackwardCall {
  upstream: NativeUpstream;
  gradients: NativeGradients;
  tensors: Partial<Record<`d${DatumName}`, ResultTensor<DType, Output>>>;
  residuals: Float64Array | undefined;
}

export function prepareBackward(problem: SolvedProblem, upstream: unknown, options: unknown): BackwardCall {
  // First everything that may run code of the caller's, then the checks of memory.
  const given = readUpstream(upstream);
  const { wrt, output, residuals } = readBackwardOptions(options, problem);
  if (problem.ordinal < 0) {
    if (output === 'device') {
      throw deviceError('output', "output is 'device'; the problem was solved on the CPU");
    }
  } else if (!problem.fallback) {
    const unserved = upstreamNames.find((name) => given[name] !== undefined && !servedByGpu.includes(name));
    if (unserved !== undefined) throw unservedError({ argument: unserved, what: unserved });
    if (residuals) throw unservedError({ argument: 'residuals', what: 'residuals' });
  }
  return { upstream: checkUpstream(given, problem), ...makeGradients(wrt, output, residuals, problem) };
}

/** The gradients of a call that has ended, as the caller gets them. */
export function backwardResult({ tensors, residuals }: BackwardCall): unknown {
  return residuals === undefined ? tensors : { ...tensors, residuals };
}

function readUpstream(upstream: unknown): Partial<Record<UpstreamName, GivenArray>> {
  if (typeof upstream !== 'object' || upstream === null || Array.isArray(upstream)) {
    throw argumentError(
      'upstream',
      `upstream is ${describe(upstream)}; expected an object with some of ${upstreamNames.join(', ')}`,
    );
  }
  for (const key of Object.keys(upstream)) {
    if (!(upstreamNames as readonly string[]).includes(key)) {
      throw argumentError(
        key,
        `upstream has an unknown key ${describe(key)}; expected ${upstreamNames.join(', ')}`,
      );
    }
  }
  const given: Partial<Record<UpstreamName, GivenArray>> = {};
  for (const name of upstreamNames) {
    const value: unknown = (upstream as Record<string, unknown>)[name];
    if (value !== undefined && value !== null) {
      given[name] = readArray(name, value, name === 'dobjective' ? 0 : 1);
    }
  }
  if (Object.keys(given).length === 0) {
    throw argumentError(
      'upstream',
      `upstream is empty; expected at least one of ${upstreamNames.join(', ')}`,
    );
  }
  return given;
}

function readBackwardOptions(options: unknown, problem: SolvedProblem) {
  const given = readObject('options', options);
  for (const key of Object.keys(given)) {
    if (key === 'wrt' || key === 'output' || key === 'residuals') continue;
    throw optionError(key, `options has an unknown key ${describe(key)}; expected wrt, output, residuals`);
  }
  const { wrt, output, residuals = false } = given;
  return {
    wrt: readWrt(wrt, problem),
    output: readOutput(output) ?? problem.output,
    residuals: boolean('residuals', residuals),
  };
}

function readWrt(wrt: unknown, problem: SolvedProblem): DatumName[] {
  const present = datumNames.filter((name) => problem.shapes[name] !== undefined);
  if (wrt === undefined) return present;
  const length: unknown = Array.isArray(wrt) ? wrt.length : 0;
  if (typeof length !== 'number' || !(length >= 1 && length <= longestWrt)) {
    throw argumentError('wrt', `wrt is ${describe(wrt)}; expected a list of data: ${present.join(', ')}`);
  }
  const names = new Set<DatumName>();
  for (let i = 0; i < length; i++) {
    const name = (wrt as unknown[])[i];
    if (!(datumNames as readonly unknown[]).includes(name)) {
      throw argumentError('wrt', `wrt names ${describe(name)}; expected some of ${present.join(', ')}`);
    }
    if (!present.includes(name as DatumName)) {
      throw argumentError('wrt', `wrt names ${name as DatumName}, which the problem was not given`);
    }
    names.add(name as DatumName);
  }
  return [...names];
}

function checkUpstream(
  given: Partial<Record<UpstreamName, GivenArray>>,
  problem: SolvedProblem,
): NativeUpstream {
  const { dtype, batch } = problem;
  const shapes = partShapes(problem);
  const upstream: Partial<Record<UpstreamName, NativeArray>> = {};
  for (const name of partNames) {
    const array = given[`d${name}`];
    if (array === undefined) continue;
    checkUpstreamArray(array, problem, shapes[name]);
    if (!shapes[name].includes(0)) upstream[`d${name}`] = nativeArray(array, dtype);
  }
  const { dobjective } = given;
  if (dobjective !== undefined) {
    checkUpstreamArray(dobjective, problem, [batch]);
    // Objectives are float64 whatever the problem is, and so may be what is derived from them, in host memory.
    const onHost = dobjective.data !== undefined;
    upstream.dobjective = nativeArray(onHost ? { ...dobjective, dtype: undefined } : dobjective, dtype);
  }
  return upstream;
}

/** @throws QpError ERR_QP_SHAPE, or as {@link checkMemory} and {@link checkPlace} do */
function checkUpstreamArray(array: GivenArray, problem: SolvedProblem, expected: readonly number[]): void {
  const { name, shape } = array;
  const length = checkMemory(array);
  checkPlace(array, problem);
  const count = elementCount(name, expected);
  // A typed array is row-major, like all; a single problem needs no batch dimension.
  const fits =
    shape === undefined
      ? length === count
      : isSame(shape, expected) || (problem.batch === 1 && isSame([1, ...shape], expected));
  if (!fits) {
    const found = shape === undefined ? `${length} elements` : `shape ${format(shape)}`;
    throw shapeError(name, `${name} has ${found}; expected shape ${format(expected)}`);
  }
  if (length !== count) {
    throw shapeError(name, `${name} has ${length} elements; its shape ${format(shape!)} needs ${count}`);
  }
}

export function isSame(shape: readonly number[], expected: readonly number[]): boolean {
  return shape.length === expected.length && shape.every((size, i) => size === expected[i]);
}

/** Checks that an array is in host memory, or on the GPU that solved the problem. @throws QpError ERR_QP_DEVICE */
export function checkPlace(array: GivenArray, { ordinal }: SolvedProblem): void {
  if (array.data !== undefined || array.ordinal === ordinal) return;
  const { name } = array;
  const solver = ordinal < 0 ? 'the CPU' : gpuName(ordinal);
  throw deviceError(name, `${name} is on ${gpuName(array.ordinal)}; the problem was solved on ${solver}`);
}

function makeGradients(
  wrt: readonly DatumName[],
  output: Output,
  withResiduals: boolean,
  { ordinal, dtype, batch, shapes }: SolvedProblem,
): Omit<BackwardCall, 'upstream'> {
  const residuals = withResiduals ? allocated(Float64Array, batch) : undefined;
  const wanted: Partial<Record<`d${DatumName}`, readonly number[]>> = {};
  for (const datum of wrt) wanted[`d${datum}`] = shapes[datum]!;
  const tensors = allocateTensors(output, ordinal, dtype, wanted);
  const gradients: NativeGradients = {};
  for (const name of Object.keys(wanted) as (keyof typeof wanted)[]) {
    if (!wanted[name]!.includes(0)) gradients[name] = nativeOutput(tensors[name]!);
  }
  if (residuals !== undefined) gradients.residuals = residuals;
  return { gradients, tensors, residuals };
}
