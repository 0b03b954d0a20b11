/// <reference lib="esnext.disposable" preserve="true" />
import type { Factorization, NativeResults } from '../binding.js';

import { prepareBackward } from './backward.js';
import type { BackwardCall, BackwardOptions, Gradients, SolvedProblem, Upstream } from './backward.js';
import type { SolutionDevice } from './device.js';
import { QpError, disposedError } from './errors.js';
import { allocated } from './memory.js';
import { finished, served } from './outcome.js';
import { allocateTensors, disposeAll, nativeOutput } from './output.js';
import type { Output, ResultTensor } from './output.js';
import type { DatumName } from './problem.js';
import type { DType } from './tensor.js';

/**
 * How a problem ended.
 *
 * - `solved`: all residuals are below the tolerance
 * - `maxIterations`: they are not yet; z is the best iterate
 * - `primalInfeasible`: no z satisfies the constraints
 * - `dualInfeasible`: the objective has no lower bound
 * - `numericalError`: rounding kept the residuals above the tolerance; z is the best iterate
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

/** How well the optimality conditions hold, per problem, measured with the data as they were given. */
export interface Residuals {
  /** max(‖Gz + s − h‖∞, ‖Az − b‖∞) */
  readonly primal: Float64Array;
  /** ‖Qz + p + Gᵀλ + Aᵀν‖∞ */
  readonly dual: Float64Array;
  /** sᵀλ / m */
  readonly gap: Float64Array;
}

/** Where the time of a call went, in milliseconds. */
export interface Timings {
  /** Copying and checking the data, on the calling thread. */
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

/**
 * The solutions of a batch, and the factors from which `backward` draws gradients. The factors are native memory, or the
 * GPU's: let go of them with `using` or {@link QpSolution.dispose}, or leave that to the garbage collector. In a loop of
 * synchronous calls do it yourself: the collector's finalizers wait for a turn of the event loop.
 *
 * Every result has the batch as its first dimension, also that of a single problem. What a problem does not have has
 * width zero: without inequalities, `lambda` and `slack` have the shape [batch, 0].
 *
 * With the option `output: 'device'` the tensors are of type {@link DeviceTensor}, with a memory of their own, which
 * `dispose` leaves to them; all else is in host memory.
 */
export class QpSolution<D extends DType = DType, O extends Output = 'host'>
  implements Disposable, AsyncDisposable
{
  /** The minimisers, [batch, n]. */
  readonly z: ResultTensor<D, O>;
  /** Multipliers λ ≥ 0 of Gz ≤ h, [batch, m]. */
  readonly lambda: ResultTensor<D, O>;
  /** Multipliers ν of Az = b, [batch, q]. */
  readonly nu: ResultTensor<D, O>;
  /** s = h − Gz ≥ 0, [batch, m]. */
  readonly slack: ResultTensor<D, O>;
  /** ½ zᵀQz + pᵀz, [batch]. */
  readonly objective: Float64Array;
  /** Interior-point iterations, [batch]. */
  readonly iterations: Int32Array;
  readonly residuals: Residuals;
  readonly device: SolutionDevice;
  readonly timings: Timings;

  readonly #problem: SolvedProblem;
  readonly #statusNumbers: Uint8Array;
  readonly #differentiable: boolean;
  #status: Status[] | undefined;
  #factorization: Factorization | undefined;

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
    this.slack = tensors.slack as ResultTensor<D, O>;
    this.objective = results.objective;
    this.iterations = results.iterations;
    this.residuals = { primal: results.primalResidual, dual: results.dualResidual, gap: results.gap };
    this.device = device;
    this.timings = { copy: results.timings[0]!, solve: results.timings[1]!, total };
    this.#problem = problem;
    this.#statusNumbers = results.status;
    this.#differentiable = differentiable;
    this.#factorization = factorization;
    if (!differentiable) factorization.dispose();
  }

  /** How each problem ended, [batch]. */
  get status(): readonly Status[] {
    return (this.#status ??= Array.from(this.#statusNumbers, (number) => statuses[number]!));
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
   * Gradients of a loss ℓ with respect to the problem's data, by implicit differentiation of the optimality conditions
   * (Amos and Kolter 2017, equations 7 and 8). It uses the factors of the solve, may be called several times, also
   * while earlier calls run, and never blocks the event loop. The arguments are copied before it returns.
   *
   * dQ is the symmetric gradient ½(dz zᵀ + z dzᵀ).
   *
   * @param upstream ∂ℓ/∂z, ∂ℓ/∂λ, ∂ℓ/∂ν, in the dtype of the solution; in host memory, or on the GPU that solved it
   * @returns a promise of `dQ`, `dp`, …, in the shapes the data were given in, and in the memory that the option `output`
   * says, or the solution's; it rejects with a QpError ERR_QP_SHAPE, ERR_QP_DTYPE, ERR_QP_NOT_FINITE, ERR_QP_ARGUMENT,
   * ERR_QP_OPTION, ERR_QP_BUFFER, ERR_QP_MEMORY, ERR_QP_DEVICE or ERR_QP_DISPOSED
   *
   * @example
   * const { dp, dG } = await solution.backward({ dz }, { wrt: ['p', 'G'] });
   */
  backward<W extends DatumName, B extends Output = O>(
    upstream: Upstream<D>,
    options: BackwardOptions<W, B> & { readonly wrt: readonly W[] },
  ): Promise<Gradients<D, W, B>>;
  backward<B extends Output = O>(
    upstream: Upstream<D>,
    options?: BackwardOptions<DatumName, B>,
  ): Promise<BackwardResult<D, B>>;
  async backward(upstream: Upstream<D>, options?: BackwardOptions): Promise<unknown> {
    const call = this.#prepareBackward(upstream, options);
    try {
      await finished((done) => this.#factors().backward(call.upstream, call.gradients, done));
    } catch (error) {
      disposeAll(call.tensors);
      throw error;
    }
    return call.tensors;
  }

  /** {@link QpSolution.backward}, blocking: for automatic differentiation, whose callbacks are synchronous. */
  backwardSync<W extends DatumName, B extends Output = O>(
    upstream: Upstream<D>,
    options: BackwardOptions<W, B> & { readonly wrt: readonly W[] },
  ): Gradients<D, W, B>;
  backwardSync<B extends Output = O>(
    upstream: Upstream<D>,
    options?: BackwardOptions<DatumName, B>,
  ): BackwardResult<D, B>;
  backwardSync(upstream: Upstream<D>, options?: BackwardOptions): unknown {
    const call = this.#prepareBackward(upstream, options);
    try {
      served(this.#factors().backwardSync(call.upstream, call.gradients));
    } catch (error) {
      disposeAll(call.tensors);
      throw error;
    }
    return call.tensors;
  }

  /**
   * Frees the factors, once calls of `backward` that are running are done; later calls fail with ERR_QP_DISPOSED. The
   * results stay. Disposing twice is fine.
   */
  dispose(): void {
    this.#factorization?.dispose();
    this.#factorization = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.dispose();
    return Promise.resolve();
  }

  #prepareBackward(upstream: unknown, options: unknown): BackwardCall {
    this.#factors();
    if (!this.#differentiable) {
      throw new QpError(
        'ERR_QP_OPTION',
        'the problem was solved with differentiable: false, so no factors were kept',
        {
          argument: 'differentiable',
        },
      );
    }
    return prepareBackward(this.#problem, upstream, options);
  }

  #factors(): Factorization {
    if (this.#factorization === undefined) throw disposedError();
    return this.#factorization;
  }
}

/** Without `wrt`: gradients with respect to all data that the problem was given. */
export type BackwardResult<D extends DType = DType, O extends Output = 'host'> = Gradients<D, 'Q' | 'p', O> &
  Partial<Gradients<D, DatumName, O>>;

/** @internal The arrays that a solve writes: for the addon, and those of them that are tensors. */
export interface ResultArrays {
  native: NativeResults;
  tensors: Record<ResultName, ResultTensor<DType, Output>>;
}

type ResultName = 'z' | 'lambda' | 'nu' | 'slack';

/** @internal @throws QpError ERR_QP_MEMORY */
export function allocateResults({ ordinal, output, dtype, batch, n, m, q }: SolvedProblem): ResultArrays {
  const vectors = {
    objective: allocated(Float64Array, batch),
    status: allocated(Uint8Array, batch),
    iterations: allocated(Int32Array, batch),
    primalResidual: allocated(Float64Array, batch),
    dualResidual: allocated(Float64Array, batch),
    gap: allocated(Float64Array, batch),
    timings: new Float64Array(2),
  };
  const shapes = { z: [batch, n], lambda: [batch, m], nu: [batch, q], slack: [batch, m] };
  const tensors = allocateTensors(output, ordinal, dtype, shapes) as ResultArrays['tensors'];
  const native: NativeResults = {
    ...vectors,
    z: nativeOutput(tensors.z),
    lambda: nativeOutput(tensors.lambda),
    nu: nativeOutput(tensors.nu),
    slack: nativeOutput(tensors.slack),
  };
  return { native, tensors };
}
