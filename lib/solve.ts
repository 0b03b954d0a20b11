import type { Factorization, NativeFailure, NativeProblem, NativeSettings } from '../binding.js';

import { chooseDevice, describeUse } from './device.js';
import type { Choice, Unserved } from './device.js';
import { abortedError, clause, deviceError, errorOf } from './errors.js';
import { native } from './native.js';
import { defaults, precisionNumbers, readOptions } from './options.js';
import type { CheckedOptions, SolveOptions, SyncSolveOptions } from './options.js';
import { served } from './outcome.js';
import { disposeAll } from './output.js';
import type { Output } from './output.js';
import { checkProblem, readProblem } from './problem.js';
import type { CheckedProblem, QpProblem } from './problem.js';
import { QpSolution, allocateResults, warmStartFactors } from './solution.js';
import type { ResultArrays } from './solution.js';
import type { SolvedProblem } from './solved.js';
import type { DType } from './tensor.js';

/** A call whose arguments were checked. */
interface Call {
  start: number;
  options: CheckedOptions;
  device: Choice;
  problem: NativeProblem;
  solved: SolvedProblem;
  settings: NativeSettings;
  results: ResultArrays;
}

/**
 * Solves a batch of quadratic or linear programs, on threads of its own: the event loop goes on. The data are copied before the
 * call returns, so they may be changed, or their buffers transferred, right after it. Memory of a GPU is used where it
 * is: {@link DeviceTensor}s may be disposed of right after it, that of other CUDA code must stay until the promise is
 * settled.
 *
 * @param problem the data, see {@link QpProblem}
 * @returns a promise of the solutions, which rejects with a QpError; {@link QpErrorCode} lists the kinds. A problem that
 * has no solution, or does not converge, is not an error but a {@link QpSolution.status}.
 *
 * @example
 * // minimise z₁² + z₂² − 2z₁ − 5z₂ subject to z₁ + z₂ ≤ 1
 * using solution = await qpSolveBatch({ Q: [[2, 0], [0, 2]], p: [-2, -5], G: [[1, 1]], h: [1] });
 * solution.z.data;                                                        // Float64Array [ -0.25, 1.25 ]
 * const { dh } = await solution.backward({ dz: [1, 0] }, { wrt: ['h'] }); // ∂z₁/∂h
 */
export async function qpSolveBatch<D extends DType = 'float64', O extends Output = 'host'>(
  problem: QpProblem<D>,
  options?: SolveOptions<D, O>,
): Promise<QpSolution<D, O>> {
  const call = prepare(problem, options, 'async');
  try {
    return finish(call, await run(call));
  } catch (error) {
    disposeAll(call.results.tensors);
    throw error;
  }
}

/**
 * {@link qpSolveBatch}, blocking: for scripts, and for automatic differentiation, whose callbacks are synchronous.
 *
 * @throws QpError
 */
export function qpSolveBatchSync<D extends DType = 'float64', O extends Output = 'host'>(
  problem: QpProblem<D>,
  options?: SyncSolveOptions<D, O>,
): QpSolution<D, O> {
  const call = prepare(problem, options, 'sync');
  try {
    return finish(call, solveNow(call));
  } catch (error) {
    disposeAll(call.results.tensors);
    throw error;
  }
}

function solveNow({ problem, settings, results, device }: Call): Factorization {
  return served(native().solveSync(problem, settings, results.native), isStrict(device));
}

function prepare(problem: unknown, options: unknown, mode: 'sync' | 'async'): Call {
  const start = performance.now();
  // First everything that may run code of the caller's, then the checks, so that what was checked stays as it is.
  const checkedOptions = readOptions(options, mode);
  const given = readProblem(problem);
  const { signal } = checkedOptions;
  if (signal?.aborted) throw abortedError(signal.reason);
  const checkedProblem = checkProblem(given, checkedOptions.dtype);
  const { native, onGpu, dtype, shapes } = checkedProblem;
  const { output, infeasible, warmStart } = checkedOptions;
  const unserved = findUnserved(checkedProblem, checkedOptions);
  const device = chooseDevice(checkedOptions.device, onGpu, unserved, output);
  if (output === 'device' && device.ordinal < 0) {
    throw deviceError('output', `output is 'device', which needs a GPU: ${clause(device.reason)}`);
  }
  const { batch, n, m, q } = native;
  const { ordinal } = device;
  const fallback = device.fallback !== 'never';
  const solved: SolvedProblem = { ordinal, fallback, output, dtype, batch, n, m, q, shapes };
  const factors = warmStart === undefined ? undefined : warmStartFactors(warmStart, solved);
  return {
    start,
    options: checkedOptions,
    device,
    problem: { ...native, device: ordinal },
    solved,
    settings: makeSettings(checkedOptions, dtype, device, factors),
    results: allocateResults(solved, infeasible === 'closest'),
  };
}

/** What of a call only the CPU serves. */
function findUnserved(
  { shapes }: CheckedProblem,
  { smoothing, infeasible, warmStart }: CheckedOptions,
): Unserved | undefined {
  const bound = (['gl', 'lb', 'ub'] as const).find((name) => shapes[name] !== undefined);
  if (bound !== undefined) return { argument: bound, what: bound };
  if (shapes.Q === undefined) return { argument: 'Q', what: 'a problem without Q' };
  if (smoothing !== undefined) return { argument: 'smoothing', what: 'smoothing' };
  if (infeasible === 'closest') return { argument: 'infeasible', what: "infeasible: 'closest'" };
  return warmStart === undefined ? undefined : { argument: 'warmStart', what: 'warmStart' };
}

/** The numbers that stand for them in the addon. */
const fallbackNumbers = { never: 0, whereNeeded: 1, atOnce: 2 } as const;

/** Whether a GPU has to serve all of a call. */
const isStrict = ({ ordinal, fallback }: Choice) => ordinal >= 0 && fallback === 'never';

function makeSettings(
  options: CheckedOptions,
  dtype: DType,
  { fallback }: Choice,
  warmStart: Factorization | undefined,
): NativeSettings {
  const precision = options.precision ?? defaults.precision[dtype];
  return {
    tolerance: options.tolerance ?? defaults.tolerance[precision],
    maxIterations: options.maxIterations,
    precision: precisionNumbers[precision],
    threads: options.threads,
    differentiable: options.differentiable,
    polish: options.polish,
    smoothing: options.smoothing ?? 0,
    closest: options.infeasible === 'closest',
    fallback: fallbackNumbers[fallback],
    ...(warmStart === undefined ? {} : { warmStart }),
  };
}

/** Starts the call, and lets it be watched and ended early. */
function run({ problem, settings, results, options, device }: Call): Promise<Factorization> {
  const { signal, onProgress } = options;
  const { batch } = problem;
  const onGpu = isStrict(device);
  return new Promise((resolve, reject) => {
    let ended = false;
    const end = () => {
      ended = true;
      try {
        signal?.removeEventListener('abort', abort);
      } catch {
        // Only a signal that is not Node's can get here, and the call has had its result.
      }
    };
    const stop = (error: Error) => {
      if (ended) return;
      task.cancel(); // it winds down by itself; nobody waits for it
      reject(error);
      end();
    };
    const abort = () => stop(abortedError(signal!.reason));
    const report = (solved: number) => {
      if (ended) return;
      try {
        onProgress!({ solved, batch });
      } catch (error) {
        stop(error as Error);
      }
    };
    const done = (outcome: Factorization | NativeFailure) => {
      if ('failure' in outcome) return stop(errorOf(outcome, onGpu));
      if (onProgress !== undefined) report(batch);
      if (ended) return outcome.dispose();
      resolve(outcome);
      end();
    };

    const task = served(native().solve(problem, settings, results.native, done, onProgress && report), onGpu);
    try {
      signal?.addEventListener('abort', abort);
    } catch (error) {
      stop(error as Error);
    }
  });
}

function finish<D extends DType, O extends Output>(
  call: Call,
  factorization: Factorization,
): QpSolution<D, O> {
  const { solved, results, options, device } = call;
  return new QpSolution<D, O>({
    problem: solved,
    results,
    factorization,
    differentiable: options.differentiable,
    device: describeUse(device, factorization),
    total: performance.now() - call.start,
  });
}
