// The arguments and the results of `solution.backward`.
import type { NativeArray, NativeGradients, NativeUpstream } from '../binding.js';

import { checkMemory, format, readArray } from './arrays.js';
import type { GivenArray } from './arrays.js';
import { gpuName } from './device.js';
import type { CudaArray } from './device-tensor.js';
import { argumentError, describe, deviceError, shapeError } from './errors.js';
import { optionError, readObject, readOutput } from './options.js';
import { allocateTensors, nativeOutput } from './output.js';
import type { Output, ResultTensor } from './output.js';
import { datumNames } from './problem.js';
import type { DatumName } from './problem.js';
import { nativeArray } from './tensor.js';
import type { DType, DataByDType, NestedNumbers, TensorLike } from './tensor.js';

/**
 * A gradient with respect to a part of the solution: [batch, n], or [n] when the batch is 1; n, m or q as fits. It may be
 * in the memory of the GPU that solved the problem.
 */
export type UpstreamGradient<D extends DType = DType> =
  NestedNumbers | TensorLike<D> | DataByDType[D] | CudaArray<D>;

/** The gradient of a loss with respect to the solution. At least one part; what is left out is zero. */
export interface Upstream<D extends DType = DType> {
  /** ∂ℓ/∂z */
  readonly dz?: UpstreamGradient<D> | null | undefined;
  /** ∂ℓ/∂λ */
  readonly dlambda?: UpstreamGradient<D> | null | undefined;
  /** ∂ℓ/∂ν */
  readonly dnu?: UpstreamGradient<D> | null | undefined;
}

export interface BackwardOptions<W extends DatumName = DatumName, O extends Output = Output> {
  /** The data to differentiate with respect to; by default all that the problem was given. */
  readonly wrt?: readonly W[] | undefined;
  /** Where the gradients are put; by default where the solution was. 'device' needs a solution of a GPU. */
  readonly output?: O | undefined;
}

/** Gradients of the loss, each in the shape that its datum was given in. One that the batch shares is summed over it. */
export type Gradients<D extends DType = DType, W extends DatumName = DatumName, O extends Output = 'host'> = {
  [Name in W as `d${Name}`]: ResultTensor<D, O>;
};

/** What `backward` needs to know about the problem that was solved. */
export interface SolvedProblem {
  /** Of the GPU that solved it; -1 for the CPU. */
  ordinal: number;
  output: Output;
  dtype: DType;
  batch: number;
  n: number;
  m: number;
  q: number;
  shapes: Partial<Record<DatumName, readonly number[]>>;
}

type UpstreamName = keyof Upstream;

const upstreamNames: readonly UpstreamName[] = ['dz', 'dlambda', 'dnu'];

const longestWrt = 100;

/** Arguments that were checked, and the arrays for the results. */
export interface BackwardCall {
  upstream: NativeUpstream;
  gradients: NativeGradients;
  tensors: Partial<Record<`d${DatumName}`, ResultTensor<DType, Output>>>;
}

export function prepareBackward(problem: SolvedProblem, upstream: unknown, options: unknown): BackwardCall {
  // First everything that may run code of the caller's, then the checks of memory.
  const given = readUpstream(upstream);
  const { wrt, output } = readBackwardOptions(options, problem);
  if (output === 'device' && problem.ordinal < 0) {
    throw deviceError('output', "output is 'device'; the problem was solved on the CPU");
  }
  return { upstream: checkUpstream(given, problem), ...makeGradients(wrt, output, problem) };
}

function readUpstream(upstream: unknown): Partial<Record<UpstreamName, GivenArray>> {
  if (typeof upstream !== 'object' || upstream === null || Array.isArray(upstream)) {
    throw argumentError(
      'upstream',
      `upstream is ${describe(upstream)}; expected an object with dz, dlambda or dnu`,
    );
  }
  for (const key of Object.keys(upstream)) {
    if (!(upstreamNames as readonly string[]).includes(key)) {
      throw argumentError(key, `upstream has an unknown key ${describe(key)}; expected dz, dlambda, dnu`);
    }
  }
  const given: Partial<Record<UpstreamName, GivenArray>> = {};
  for (const name of upstreamNames) {
    const value: unknown = (upstream as Record<string, unknown>)[name];
    if (value !== undefined && value !== null) given[name] = readArray(name, value);
  }
  if (Object.keys(given).length === 0) {
    throw argumentError('upstream', 'upstream is empty; expected at least one of dz, dlambda, dnu');
  }
  return given;
}

function readBackwardOptions(options: unknown, problem: SolvedProblem) {
  const given = readObject('options', options);
  for (const key of Object.keys(given)) {
    if (key === 'wrt' || key === 'output') continue;
    throw optionError(key, `options has an unknown key ${describe(key)}; expected wrt, output`);
  }
  const { wrt, output } = given;
  return { wrt: readWrt(wrt, problem), output: readOutput(output) ?? problem.output };
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
  const widths: Record<UpstreamName, number> = { dz: problem.n, dlambda: problem.m, dnu: problem.q };
  const upstream: Partial<Record<UpstreamName, NativeArray>> = {};
  for (const name of upstreamNames) {
    const array = given[name];
    if (array !== undefined) upstream[name] = checkUpstreamArray(array, problem, widths[name]);
  }
  return upstream;
}

function checkUpstreamArray(
  array: GivenArray,
  { batch, dtype, ordinal }: SolvedProblem,
  width: number,
): NativeArray {
  const { name } = array;
  const length = checkMemory(array);
  if (array.data === undefined && array.ordinal !== ordinal) {
    const solver = ordinal < 0 ? 'the CPU' : gpuName(ordinal);
    throw deviceError(name, `${name} is on ${gpuName(array.ordinal)}; the problem was solved on ${solver}`);
  }
  const shape = array.shape ?? [batch, length / batch]; // a typed array: row-major, like all
  const sizes = shape.length === 1 && batch === 1 ? [1, ...shape] : shape;
  if (sizes.length !== 2 || sizes[0] !== batch || sizes[1] !== width) {
    const found = array.shape === undefined ? `${length} elements` : `shape ${format(shape)}`;
    throw shapeError(name, `${name} has ${found}; expected shape ${format([batch, width])}`);
  }
  if (length !== batch * width) {
    throw shapeError(
      name,
      `${name} has ${length} elements; its shape ${format(shape)} needs ${batch * width}`,
    );
  }
  return nativeArray(array, dtype);
}

function makeGradients(
  wrt: readonly DatumName[],
  output: Output,
  { ordinal, dtype, shapes }: SolvedProblem,
): Omit<BackwardCall, 'upstream'> {
  const wanted: Partial<Record<`d${DatumName}`, readonly number[]>> = {};
  for (const datum of wrt) wanted[`d${datum}`] = shapes[datum]!;
  const tensors = allocateTensors(output, ordinal, dtype, wanted);
  const gradients: NativeGradients = {};
  for (const name of Object.keys(wanted) as (keyof typeof wanted)[]) {
    if (!wanted[name]!.includes(0)) gradients[name] = nativeOutput(tensors[name]!);
  }
  return { gradients, tensors };
}
