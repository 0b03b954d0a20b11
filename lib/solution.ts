/// <reference lib="esnext.disposable" preserve="true" />
import type { Factorization, NativeResults } from '../binding.js';

import { backwardResult, prepareBackward } from './backward.js';
import type { AdjointResiduals, BackwardCall, BackwardOptions, Gradients, Upstream } from './backward.js';
import { gpuName } from './device.js';
import type { SolutionDevice } from './device.js';
import { isDeviceTensor } from './device-tensor.js';
import { QpError, argumentError, describe, deviceError, disposedError, shapeError } from './errors.js';
import { prepareJvp } from './jvp.js';
import type { JvpCall, JvpOptions, SolutionTangents, Tangents } from './jvp.js';
import { allocated } from './memory.js';
import { optionError } from './options.js';
import { finished, served } from './outcome.js';
import { allocateTensors, disposeAll, nativeOutput } from './output.js';
import type { Output, ResultTensor } from './output.js';
import type { DatumName } from './problem.js';
import { partShapes } from './solved.js';
import type { PartName, SolvedProblem } from './solved.js';
import type { DType, DataByDType } from './tensor.js';

/**
 * How a problem ended.
 *
 * - `solved`: all residuals are below the tolerance
 * - `maxIterations`: they are not yet; z is the best iterate
 * - `primalInfeasible`: no z satisfies the constraints; the multipliers are a certificate of it, z is the last iterate
 * - `dualInfeasible`: the objective has no lower bound; z is a direction in which it falls for ever
 * - `numericalError`: rounding kept the residuals above the tolerance; z is the best iterate
 *
 * A GPU that was named finds no certificates: where there is no solution, it ends with one of the others.
 */
export type Status = 'solved' | 'maxIterations' | 'primalInfeasible' | 'dualInfeasible' | 'numericalError';

/** In the order of their numbers in the addon. */
const statuses: readonly Status[] = [
  'solved',
  'maxIterations',
  'primalInfeasible',
  'dualInfeasible',
  'numericalError',
];

/**
 * What `backward` and `jvp` differentiate for a problem.
 *
 * - `activeSet`: the optimality conditions at the solution, with the constraints that are active there as equations
 * - `centralPath`: those of the point on the central path where the iterations ended, or that `smoothing` names
 * - `none`: nothing, as the problem has no solution: all derivatives are zero
 */
export type Derivative = 'activeSet' | 'centralPath' | 'none';

/** In the order of their numbers in the addon. */
const derivatives: readonly Derivative[] = ['activeSet', 'centralPath', 'none'];

/** Why a problem has no solution: numbers with which anyone can check that. */
export type Certificate<D extends DType = DType> = PrimalInfeasibility<D> | DualInfeasibility<D>;

/**
 * Farkas' lemma: multipliers, all but ν nonnegative, with
 *
 *     Gᵀ(λ − λ_gl) + Aᵀν − λ_lb + λ_ub = 0    and    hᵀλ − glᵀλ_gl + bᵀν − lbᵀλ_lb + ubᵀλ_ub = −1
 *
 * (an infinite bound has the multiplier zero, and counts for nothing). Any z that satisfied the constraints would make
 * 0 ≤ −1 of them.
 */
export interface PrimalInfeasibility<D extends DType = DType> {
  /** No z satisfies the constraints. */
  readonly kind: 'primalInfeasible';
  /** λ of Gz ≤ h, [m]. */
  readonly lambda: DataByDType[D];
  /** ν of Az = b, [q]. */
  readonly nu: DataByDType[D];
  /** λ_gl of gl ≤ Gz, [m]; like the next two without elements where the bound was not given. */
  readonly lambdaGl: DataByDType[D];
  /** λ_lb of lb ≤ z, [n]. */
  readonly lambdaLb: DataByDType[D];
  /** λ_ub of z ≤ ub, [n]. */
  readonly lambdaUb: DataByDType[D];
}

/**
 * A direction d with Qd = 0, Ad = 0, pᵀd = −1, that leaves no bound: (Gd)ᵢ ≤ 0 where hᵢ is finite, ≥ 0 where glᵢ is,
 * dⱼ ≥ 0 where lbⱼ is, ≤ 0 where ubⱼ is. From any z that satisfies the constraints, the objective falls along it for ever.
 */
export interface DualInfeasibility<D extends DType = DType> {
  /** The objective has no lower bound. */
  readonly kind: 'dualInfeasible';
  /** d, [n]. */
  readonly direction: DataByDType[D];
}

/** How well the optimality conditions hold, per problem, measured with the data as they were given. */
export interface Residuals {
  /** max(‖Gz + s − h‖∞, ‖Az − b‖∞), and the same for the other bounds */
  readonly primal: Float64Array;
  /** ‖Qz + p + Gᵀ(λ − λ_gl) + Aᵀν − λ_lb + λ_ub‖∞ */
  readonly dual: Float64Array;
  /** The mean of λᵢsᵢ over all inequalities and bounds: sᵀλ / m where there is but Gz ≤ h. */
  readonly gap: Float64Array;
}

/** Where the time of a call went, in milliseconds. */
export interface Timings {
  /** Copying the data, and on the CPU checking them, on the calling thread. */
  readonly copy: number;
  /** From then until the last problem was solved, time spent in a queue behind other calls included. */
  readonly solve: number;
  /** The whole call. */
  readonly total: number;
}

/** @internal What a call leaves behind. */
export interface SolveOutcome {
  problem: SolvedProblem;
  results: ResultArrays;
  factorization: Factorization;
  differentiable: boolean;
  device: SolutionDevice;
  total: number;
}

/** The factors that a solution has kept; undefined without any. */
let factorsOf: (solution: QpSolution<DType, Output>) => Factorization | undefined;
let isDifferentiable: (solution: QpSolution<DType, Output>) => boolean;
let problemOf: (solution: QpSolution<DType, Output>) => SolvedProblem;
/** Whether it is one that was made here: neither a proxy nor an object with the same prototype. */
let isSolution: (value: object) => value is QpSolution<DType, Output>;

/**
 * The solutions of a batch, and the factors from which `backward` draws gradients. The factors are native memory, or the
 * GPU's: let go of them with `using` or {@link QpSolution.dispose}, or leave that to the garbage collector. In a loop of
 * synchronous calls do it yourself: the collector's finalizers wait for a turn of the event loop.
 *
 * Every result has the batch as its first dimension, also that of a single problem. What a problem does not have has
 * width zero: without inequalities, `lambda` and `slack` have the shape [batch, 0], and without `lb`, `lambdaLb` has.
 *
 * With the option `output: 'device'` the tensors are of type {@link DeviceTensor}, with a memory of their own, which
 * `dispose` leaves to them; all else is in host memory.
 */
export class QpSolution<D extends DType = DType, O extends Output = 'host'>
  implements Disposable, AsyncDisposable
{
  /** The minimisers, [batch, n]; of a 'dualInfeasible' problem a direction, see {@link DualInfeasibility}. */
  readonly z: ResultTensor<D, O>;
  /**
   * Multipliers λ ≥ 0 of Gz ≤ h, [batch, m]; of a 'primalInfeasible' problem they, and those of the other constraints,
   * are a certificate, see {@link PrimalInfeasibility}.
   */
  readonly lambda: ResultTensor<D, O>;
  /** Multipliers ν of Az = b, [batch, q]. */
  readonly nu: ResultTensor<D, O>;
  /** Multipliers of gl ≤ Gz, [batch, m]. */
  readonly lambdaGl: ResultTensor<D, O>;
  /** Multipliers of lb ≤ z, [batch, n]. */
  readonly lambdaLb: ResultTensor<D, O>;
  /** Multipliers of z ≤ ub, [batch, n]. */
  readonly lambdaUb: ResultTensor<D, O>;
  /** s = h − Gz ≥ 0, with `shiftH` also added to h, [batch, m]; Infinity where h is infinite, or is not given. */
  readonly slack: ResultTensor<D, O>;
  /**
   * With the option `infeasible: 'closest'`: what was added to h, and to gl, to give the problem a solution, [batch, m],
   * to about eight digits, and zero where it had one; otherwise undefined. A shifted problem's status is 'solved' too.
   */
  readonly shiftH: ResultTensor<D, O> | undefined;
  /** The same for b, [batch, q]. */
  readonly shiftB: ResultTensor<D, O> | undefined;
  /** ½ zᵀQz + pᵀz, [batch]. */
  readonly objective: Float64Array;
  /** Interior-point iterations, [batch]. */
  readonly iterations: Int32Array;
  /** How well the optimality conditions hold. */
  readonly residuals: Residuals;
  /**
   * How far the set of active constraints is from changing: the least max(λᵢ, sᵢ) over all inequalities and bounds,
   * [batch]. Infinite bounds do not count, and without any other it is Infinity. Where it is small, derivatives are sensitive to the data.
   */
  readonly margin: Float64Array;
  /** What it was computed on, and why there. */
  readonly device: SolutionDevice;
  /** Where the time of the call went. */
  readonly timings: Timings;

  readonly #problem: SolvedProblem;
  readonly #statusNumbers: Uint8Array;
  readonly #derivativeNumbers: Uint8Array;
  readonly #differentiable: boolean;
  #status: Status[] | undefined;
  #derivative: Derivative[] | undefined;
  #factorization: Factorization | undefined;

  static {
    factorsOf = (solution) => solution.#factorization;
    isDifferentiable = (solution) => solution.#differentiable;
    problemOf = (solution) => solution.#problem;
    isSolution = (value): value is QpSolution<DType, Output> => #problem in value;
  }

  /** @internal Made by qpSolveBatch. */
  constructor({
    problem,
    results: { tensors, native: results },
    factorization,
    differentiable,
    device,
    total,
  }: SolveOutcome) {
    this.z = tensors.z as ResultTensor<D, O>;
    this.lambda = tensors.lambda as ResultTensor<D, O>;
    this.nu = tensors.nu as ResultTensor<D, O>;
    this.lambdaGl = tensors.lambdaGl as ResultTensor<D, O>;
    this.lambdaLb = tensors.lambdaLb as ResultTensor<D, O>;
    this.lambdaUb = tensors.lambdaUb as ResultTensor<D, O>;
    this.slack = tensors.slack as ResultTensor<D, O>;
    this.shiftH = tensors.shiftH as ResultTensor<D, O> | undefined;
    this.shiftB = tensors.shiftB as ResultTensor<D, O> | undefined;
    this.objective = results.objective;
    this.iterations = results.iterations;
    this.residuals = { primal: results.primalResidual, dual: results.dualResidual, gap: results.gap };
    this.margin = results.margin;
    this.device = device;
    this.timings = { copy: results.timings[0]!, solve: results.timings[1]!, total };
    this.#problem = problem;
    this.#statusNumbers = results.status;
    this.#derivativeNumbers = results.derivative;
    this.#differentiable = differentiable;
    this.#factorization = factorization;
    if (!differentiable) factorization.dispose();
  }

  /** How each problem ended, [batch]. */
  get status(): readonly Status[] {
    return (this.#status ??= Array.from(this.#statusNumbers, (number) => statuses[number]!));
  }

  /** What `backward` and `jvp` differentiate for each problem, [batch]. */
  get derivative(): readonly Derivative[] {
    return (this.#derivative ??= Array.from(this.#derivativeNumbers, (number) => derivatives[number]!));
  }

  /** Whether every problem of the batch is 'solved'. */
  get allSolved(): boolean {
    return this.#statusNumbers.every((number) => number === 0);
  }

  /** Whether {@link QpSolution.dispose} was called. */
  get disposed(): boolean {
    return this.#factorization === undefined;
  }

  /**
   * Why a problem has no solution, in numbers of its own: copies of parts of the results.
   *
   * @param index of the problem in the batch
   * @returns undefined where the problem is neither 'primalInfeasible' nor 'dualInfeasible'; on a GPU that was named, none is
   * @throws QpError ERR_QP_ARGUMENT for an index out of range; ERR_QP_DISPOSED where results are on a GPU and were disposed of
   */
  certificate(index: number): Certificate<D> | undefined {
    const { batch } = this.#problem;
    if (!Number.isInteger(index) || index < 0 || index >= batch) {
      throw argumentError(
        'index',
        `index is ${describe(index)}; expected a whole number from 0 to ${batch - 1}`,
      );
    }
    const kind = this.status[index]!;
    if (kind !== 'primalInfeasible' && kind !== 'dualInfeasible') return undefined;
    const copy = (name: PartName): DataByDType[D] => {
      const tensor: ResultTensor<DType, Output> = this[name];
      const { data, shape } = isDeviceTensor(tensor) ? tensor.toHostSync() : tensor;
      return data.slice(index * shape[1]!, (index + 1) * shape[1]!) as DataByDType[D];
    };
    if (kind === 'dualInfeasible') return { kind, direction: copy('z') };
    return {
      kind,
      lambda: copy('lambda'),
      nu: copy('nu'),
      lambdaGl: copy('lambdaGl'),
      lambdaLb: copy('lambdaLb'),
      lambdaUb: copy('lambdaUb'),
    };
  }

  /**
   * Gradients of a loss ℓ with respect to the problem's data, by implicit differentiation of the optimality conditions
   * (Amos and Kolter 2017, equations 7 and 8). It uses the factors of the solve, may be called several times, also
   * while earlier calls run, and never blocks the event loop. The arguments are copied before it returns.
   *
   * dQ is the symmetric gradient ½(dz zᵀ + z dzᵀ). The gradient of a bound is zero where the bound is infinite, and all
   * gradients of a problem without a solution are.
   *
   * @param upstream ∂ℓ/∂z, ∂ℓ/∂λ, …, in the dtype of the solution; in host memory, or on the GPU that solved it
   * @returns a promise of `dQ`, `dp`, …, in the shapes the data were given in, and in the memory that the option `output`
   * says, or the solution's, and with the option `residuals` of those too; it rejects with a QpError ERR_QP_SHAPE,
   * ERR_QP_DTYPE, ERR_QP_NOT_FINITE, ERR_QP_ARGUMENT, ERR_QP_OPTION, ERR_QP_BUFFER, ERR_QP_MEMORY, ERR_QP_DEVICE or
   * ERR_QP_DISPOSED
   *
   * @example
   * const { dp, dG } = await solution.backward({ dz }, { wrt: ['p', 'G'] });
   */
  backward<W extends DatumName, B extends Output = O, R extends boolean = false>(
    upstream: Upstream<D>,
    options: BackwardOptions<W, B, R> & { readonly wrt: readonly W[] },
  ): Promise<Gradients<D, W, B> & AdjointResiduals<R>>;
  backward<B extends Output = O, R extends boolean = false>(
    upstream: Upstream<D>,
    options?: BackwardOptions<DatumName, B, R>,
  ): Promise<BackwardResult<D, B> & AdjointResiduals<R>>;
  async backward(upstream: Upstream<D>, options?: BackwardOptions): Promise<unknown> {
    const call = this.#prepareBackward(upstream, options);
    try {
      await finished((done) => this.#factors().backward(call.upstream, call.gradients, done));
    } catch (error) {
      disposeAll(call.tensors);
      throw error;
    }
    return backwardResult(call);
  }

  /** {@link QpSolution.backward}, blocking: for automatic differentiation, whose callbacks are synchronous. */
  backwardSync<W extends DatumName, B extends Output = O, R extends boolean = false>(
    upstream: Upstream<D>,
    options: BackwardOptions<W, B, R> & { readonly wrt: readonly W[] },
  ): Gradients<D, W, B> & AdjointResiduals<R>;
  backwardSync<B extends Output = O, R extends boolean = false>(
    upstream: Upstream<D>,
    options?: BackwardOptions<DatumName, B, R>,
  ): BackwardResult<D, B> & AdjointResiduals<R>;
  backwardSync(upstream: Upstream<D>, options?: BackwardOptions): unknown {
    const call = this.#prepareBackward(upstream, options);
    try {
      served(this.#factors().backwardSync(call.upstream, call.gradients));
    } catch (error) {
      disposeAll(call.tensors);
      throw error;
    }
    return backwardResult(call);
  }

  /**
   * How the solution moves as the data move: its derivative along a direction (forward mode), from the same equations,
   * the same factors, and with the same meaning as {@link QpSolution.backward}, whose transpose it is: for any upstream
   * gradient, the sum of its products with these results is that of the gradients with the tangents. May be called
   * several times, never blocks the event loop, and copies its arguments before it returns.
   *
   * @param tangents dQ, dp, …, each in the shape and dtype of its datum, in host memory
   * @returns a promise of `dz`, `dlambda`, …, in host memory, which rejects with a QpError in the cases of `backward`
   *
   * @example
   * const { dz, dobjective } = await solution.jvp({ dp: [1, 0] }); // as p₁ grows
   */
  async jvp(tangents: Tangents<D>, options?: JvpOptions): Promise<SolutionTangents<D>> {
    const call = this.#prepareJvp(tangents, options);
    await finished((done) => this.#factors().jvp(call.tangents, call.outputs, done));
    return call.result as SolutionTangents<D>;
  }

  /** {@link QpSolution.jvp}, blocking. */
  jvpSync(tangents: Tangents<D>, options?: JvpOptions): SolutionTangents<D> {
    const call = this.#prepareJvp(tangents, options);
    served(this.#factors().jvpSync(call.tangents, call.outputs));
    return call.result as SolutionTangents<D>;
  }

  /**
   * Frees the factors, once calls of `backward` and `jvp` that are running are done; later calls fail with ERR_QP_DISPOSED. The
   * results stay. Disposing twice is fine.
   */
  dispose(): void {
    this.#factorization?.dispose();
    this.#factorization = undefined;
  }

  /** {@link QpSolution.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** {@link QpSolution.dispose}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
    return Promise.resolve();
  }

  #prepareBackward(upstream: unknown, options: unknown): BackwardCall {
    this.#checkDifferentiable();
    return prepareBackward(this.#problem, upstream, options);
  }

  #prepareJvp(tangents: unknown, options: unknown): JvpCall {
    this.#checkDifferentiable();
    return prepareJvp(this.#problem, tangents, options);
  }

  #checkDifferentiable(): void {
    this.#factors();
    if (this.#differentiable) return;
    throw optionError(
      'differentiable',
      'the problem was solved with differentiable: false, so no factors were kept',
    );
  }

  #factors(): Factorization {
    if (this.#factorization === undefined) throw disposedError();
    return this.#factorization;
  }
}

/** Without `wrt`: gradients with respect to all data that the problem was given. */
export type BackwardResult<D extends DType = DType, O extends Output = 'host'> = Gradients<D, 'p', O> &
  Partial<Gradients<D, DatumName, O>>;

/**
 * @internal The factors from which the iterations of another problem may start.
 *
 * @throws QpError ERR_QP_OPTION, ERR_QP_DISPOSED, ERR_QP_DEVICE, ERR_QP_DTYPE, ERR_QP_SHAPE
 */
export function warmStartFactors(warmStart: unknown, problem: SolvedProblem): Factorization {
  const argument = 'warmStart';
  if (typeof warmStart !== 'object' || warmStart === null || !isSolution(warmStart)) {
    throw optionError(argument, `warmStart is ${describe(warmStart)}; expected a QpSolution`);
  }
  const factors = factorsOf(warmStart);
  if (factors === undefined) {
    throw new QpError('ERR_QP_DISPOSED', 'warmStart was disposed of, and its factors with it', { argument });
  }
  if (!isDifferentiable(warmStart)) {
    throw optionError(argument, 'warmStart was solved with differentiable: false, so no iterates were kept');
  }
  const other = problemOf(warmStart);
  if (other.ordinal >= 0 && !other.fallback) {
    throw deviceError(
      argument,
      `warmStart was solved on ${gpuName(other.ordinal)}, which was asked for; expected one with device 'auto' or 'cpu'`,
    );
  }
  if (other.dtype !== problem.dtype) {
    throw new QpError('ERR_QP_DTYPE', `warmStart is ${other.dtype}; expected ${problem.dtype}`, { argument });
  }
  for (const name of ['batch', 'n', 'm', 'q'] as const) {
    if (other[name] === problem[name]) continue;
    throw shapeError(argument, `warmStart has ${name} = ${other[name]}; expected ${problem[name]}`);
  }
  for (const name of ['gl', 'lb', 'ub'] as const) {
    const [given, expected] = [other, problem].map(({ shapes }) => shapes[name] !== undefined);
    if (given === expected) continue;
    throw shapeError(
      argument,
      `warmStart was solved ${given ? 'with' : 'without'} ${name}; expected the same bounds`,
    );
  }
  return factors;
}

/** @internal The arrays that a solve writes: for the addon, and those of them that are tensors. */
export interface ResultArrays {
  native: NativeResults;
  tensors: Record<PartName | 'slack', ResultTensor<DType, Output>> &
    Partial<Record<ShiftName, ResultTensor<DType, Output>>>;
}

type ShiftName = 'shiftH' | 'shiftB';

/**
 * @internal
 *
 * @param withShifts whether infeasible problems are shifted
 * @throws QpError ERR_QP_MEMORY
 */
export function allocateResults(problem: SolvedProblem, withShifts: boolean): ResultArrays {
  const { ordinal, output, dtype, batch, m, q } = problem;
  const vectors = {
    objective: allocated(Float64Array, batch),
    status: allocated(Uint8Array, batch),
    iterations: allocated(Int32Array, batch),
    primalResidual: allocated(Float64Array, batch),
    dualResidual: allocated(Float64Array, batch),
    gap: allocated(Float64Array, batch),
    margin: allocated(Float64Array, batch),
    derivative: allocated(Uint8Array, batch),
    timings: new Float64Array(2),
  };
  const shapes = {
    ...partShapes(problem),
    slack: [batch, m],
    ...(withShifts ? { shiftH: [batch, m], shiftB: [batch, q] } : {}),
  };
  const tensors = allocateTensors(output, ordinal, dtype, shapes) as ResultArrays['tensors'];
  const native: NativeResults = {
    ...vectors,
    z: nativeOutput(tensors.z),
    lambda: nativeOutput(tensors.lambda),
    nu: nativeOutput(tensors.nu),
    slack: nativeOutput(tensors.slack),
  };
  for (const name of ['lambdaGl', 'lambdaLb', 'lambdaUb'] as const) {
    if (tensors[name].shape[1]! > 0) native[name] = nativeOutput(tensors[name]);
  }
  if (tensors.shiftH !== undefined) native.shiftH = nativeOutput(tensors.shiftH);
  if (tensors.shiftB !== undefined) native.shiftB = nativeOutput(tensors.shiftB);
  return { native, tensors };
}
