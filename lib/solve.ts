import type { Factorization, NativeFailure, NativeResults, NativeSettings } from '../binding.js';

import { chooseDevice, cpuInstructionSet } from './device.js';
import { abortedError, errorOf } from './errors.js';
import { native } from './native.js';
import { defaults, precisionNumbers, readOptions } from './options.js';
import type { CheckedOptions, SolveOptions, SyncSolveOptions } from './options.js';
import { checkProblem, readProblem } from './problem.js';
import type { CheckedProblem, QpProblem } from './problem.js';
import { QpSolution, allocateResults } from './solution.js';
import type { DType } from './tensor.js';

/** A call whose arguments were checked. */
interface Call {
  start: number;
  options: CheckedOptions;
  reason: string;
  problem: CheckedProblem;
  settings: NativeSettings;
  results: NativeResults;
}

/**
 * Solves a batch of quadratic programs, on threads of its own: the event loop goes on. The data are copied before the
 * call returns, so they may be changed, or their buffers transferred, right after it.
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
export async function qpSolveBatch<D extends DType = 'float64'>(
  problem: QpProblem<D>,
  options?: SolveOptions<D>,
): Promise<QpSolution<D>> {
  const call = prepare(problem, options, 'async');
  const factorization = await run(call);
  return finish(call, factorization);
}

/**
 * {@link qpSolveBatch}, blocking: for scripts, and for automatic differentiation, whose callbacks are synchronous.
 *
 * @throws QpError
 */
export function qpSolveBatchSync<D extends DType = 'float64'>(
  problem: QpProblem<D>,
  options?: SyncSolveOptions<D>,
): QpSolution<D> {
  const call = prepare(problem, options, 'sync');
  return finish(call, served(native().solveSync(call.problem.native, call.settings, call.results)));
}

function prepare(problem: unknown, options: unknown, mode: 'sync' | 'async'): Call {
  const start = performance.now();
  // First everything that may run code of the caller's, then the checks, so that what was checked stays as it is.
  const checkedOptions = readOptions(options, mode);
  const given = readProblem(problem);
  const { signal } = checkedOptions;
  if (signal?.aborted) throw abortedError(signal.reason);
  const checkedProblem = checkProblem(given, checkedOptions.dtype);
  return {
    start,
    options: checkedOptions,
    reason: chooseDevice(checkedOptions.device),
    problem: checkedProblem,
    settings: makeSettings(checkedOptions, checkedProblem.dtype),
    results: allocateResults(solvedProblem(checkedProblem)),
  };
}

function makeSettings(options: CheckedOptions, dtype: DType): NativeSettings {
  const precision = options.precision ?? defaults.precision[dtype];
  return {
    tolerance: options.tolerance ?? defaults.tolerance[precision],
    maxIterations: options.maxIterations,
    precision: precisionNumbers[precision],
    threads: options.threads,
    differentiable: options.differentiable,
  };
}

function solvedProblem({ native, dtype, shapes }: CheckedProblem) {
  const { batch, n, m, q } = native;
  return { dtype, batch, n, m, q, shapes };
}

/** What the addon made of a call, unless it refused. */
function served<T extends object>(outcome: T | NativeFailure): T {
  if ('failure' in outcome) throw errorOf(outcome);
  return outcome;
}

/** Starts the call, and lets it be watched and ended early. */
function run({ problem, settings, results, options }: Call): Promise<Factorization> {
  const { signal, onProgress } = options;
  const { batch } = problem.native;
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
      if ('failure' in outcome) return stop(errorOf(outcome));
      if (onProgress !== undefined) report(batch);
      if (ended) return outcome.dispose();
      resolve(outcome);
      end();
    };

    const task = served(native().solve(problem.native, settings, results, done, onProgress && report));
    try {
      signal?.addEventListener('abort', abort);
    } catch (error) {
      stop(error as Error);
    }
  });
}

function finish<D extends DType>(call: Call, factorization: Factorization): QpSolution<D> {
  const { results, options } = call;
  return new QpSolution<D>({
    problem: solvedProblem(call.problem),
    results,
    factorization,
    differentiable: options.differentiable,
    device: {
      name: 'cpu',
      reason: call.reason,
      instructionSet: cpuInstructionSet(),
      threads: factorization.threads,
    },
    total: performance.now() - call.start,
  });
}
