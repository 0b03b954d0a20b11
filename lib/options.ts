import { readDevice } from './device.js';
import type { DeviceRequest } from './device.js';
import { QpError, argumentError, describe } from './errors.js';
import type { Output } from './output.js';
import type { QpSolution } from './solution.js';
import type { DType } from './tensor.js';

/**
 * The arithmetic inside: all in double precision; factorisations in single precision, refined in double (about twice as
 * fast, for the same results); or all in single precision (residuals then end near 1e-4).
 */
export type Precision = 'double' | 'mixed' | 'single';

/** What to do about a problem whose constraints contradict each other. */
export type Infeasible = 'status' | 'closest';

/** How far a running solve has come. */
export interface Progress {
  /** Problems that are done. */
  readonly solved: number;
  /** Problems in the batch. */
  readonly batch: number;
}

/** Options of {@link qpSolveBatchSync}; those of the asynchronous call add `onProgress`. */
export interface SyncSolveOptions<D extends DType = DType, O extends Output = 'host'> {
  /**
   * 'auto' (default) takes the GPU on which data are, else the first that can be used, else the CPU, and says why in
   * `solution.device`. What a GPU does not serve the CPU then solves, also where only the solve shows it, and computes
   * derivatives that the GPU does not. A device that is named ('cpu', 'cuda', 'cuda:1') and cannot serve is an error.
   */
  readonly device?: DeviceRequest | undefined;
  /**
   * Where z, lambda, nu, slack and, by default, the gradients are put: in host memory ('host', default), or on the GPU
   * of the call, as tensors of type {@link DeviceTensor} ('device').
   */
  readonly output?: O | undefined;
  /**
   * Element type of data and results; by default that of the typed data, or 'float64'. TypeScript learns it from tensors;
   * where the data are Float32Arrays by themselves, it has to be told here.
   */
  readonly dtype?: D | undefined;
  /** By default 'double' for float64 and 'mixed' for float32. */
  readonly precision?: Precision | undefined;
  /**
   * When to stop: absolute plus relative. Each entry of the primal and dual residuals, and the mean gap sᵀλ/m, is
   * compared with tolerance × (1 + a tenth of the size of the terms that it is made of); for a row of G or A whose
   * largest entry is below 1, that entry takes the place of the 1. By default 1e-8, or 1e-4 with precision 'single'.
   */
  readonly tolerance?: number | undefined;
  /** At most this many interior-point iterations (default 50); a problem that needs more is 'maxIterations'. */
  readonly maxIterations?: number | undefined;
  /** Threads that work on the call; 0 (default): as many as the machine has. On a GPU it means nothing. */
  readonly threads?: number | undefined;
  /** Keep the factors that `backward` needs (default true). Without them a solution takes less memory. */
  readonly differentiable?: boolean | undefined;
  /**
   * Solve once more, with the constraints that the iterates show to be active as equations (default true): the solution
   * is then exact up to rounding, and so are its derivatives. Where this does not improve on the iterates, they stay;
   * `solution.derivative` says which it was. Never in float32, precision 'single'.
   */
  readonly polish?: boolean | undefined;
  /**
   * Differentiate at the point of the central path where λᵢsᵢ is this number for every inequality and bound, measured in
   * the units in which gradients are computed, and not at the solution. Gradients then are smooth functions of the data,
   * also where the set of active constraints changes. The results stay those of the solution.
   */
  readonly smoothing?: number | undefined;
  /**
   * What to do about a problem whose constraints contradict each other: 'status' (default) ends it as 'primalInfeasible',
   * with a certificate; 'closest' solves the closest one that has a solution, where h and gl are shifted by
   * `solution.shiftH` and b by `solution.shiftB`.
   */
  readonly infeasible?: Infeasible | undefined;
  /**
   * The solution of a similar batch, from which the iterations start: of the same sizes and dtype, with the same of `gl`,
   * `lb` and `ub` given, differentiable and not disposed of (it may be as soon as the call has returned), by the CPU. It
   * saves iterations where the data have moved little, and changes results by no more than the tolerance. Under 'auto' it
   * may be a GPU's.
   */
  readonly warmStart?: QpSolution<DType, Output> | undefined;
  /** Ends the call with ERR_QP_ABORTED. A synchronous call only looks at it before it starts. */
  readonly signal?: AbortSignal | undefined;
}

/** Options of {@link qpSolveBatch}. */
export interface SolveOptions<D extends DType = DType, O extends Output = 'host'> extends SyncSolveOptions<
  D,
  O
> {
  /**
   * Called now and then, some twenty times a second at most, and once more when all is done; on a GPU perhaps only
   * then. What it throws ends the solve, and is what the promise rejects with.
   */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
}

/** The one place for defaults. */
export const defaults = {
  device: 'auto',
  output: 'host',
  tolerance: { double: 1e-8, mixed: 1e-8, single: 1e-4 },
  precision: { float64: 'double', float32: 'mixed' },
  maxIterations: 50,
  threads: 0,
  differentiable: true,
  polish: true,
  infeasible: 'status',
} as const satisfies {
  device: DeviceRequest;
  output: Output;
  tolerance: Record<Precision, number>;
  precision: Record<DType, Precision>;
  maxIterations: number;
  threads: number;
  differentiable: boolean;
  polish: boolean;
  infeasible: Infeasible;
};

/** The numbers that stand for a precision in the addon. */
export const precisionNumbers = { double: 0, mixed: 1, single: 2 } as const satisfies Record<
  Precision,
  number
>;

const mostThreads = 1024;

/** Options that were checked. Those whose default depends on the problem may still be undefined. */
export interface CheckedOptions {
  device: DeviceRequest;
  output: Output;
  dtype: DType | undefined;
  precision: Precision | undefined;
  tolerance: number | undefined;
  maxIterations: number;
  threads: number;
  differentiable: boolean;
  polish: boolean;
  smoothing: number | undefined;
  infeasible: Infeasible;
  /** Whatever was given: `warmStartFactors` in solution.ts checks it. */
  warmStart: unknown;
  signal: AbortSignal | undefined;
  onProgress: ((progress: Progress) => void) | undefined;
}

type Checks = { [Name in keyof CheckedOptions]: (value: unknown) => CheckedOptions[Name] };

const checks: Checks = {
  device: (value = defaults.device) => readDevice(value),
  output: (value) => readOutput(value) ?? defaults.output,
  dtype: (value) => optional(value, () => oneOf('dtype', value, ['float64', 'float32'] as const)),
  precision: (value) =>
    optional(value, () => oneOf('precision', value, ['double', 'mixed', 'single'] as const)),
  tolerance: (value) => optional(value, () => positive('tolerance', value)),
  maxIterations: (value = defaults.maxIterations) => wholeNumber('maxIterations', value, 1, 0x7fffffff),
  threads: (value = defaults.threads) => wholeNumber('threads', value, 0, mostThreads),
  differentiable: (value = defaults.differentiable) => boolean('differentiable', value),
  polish: (value = defaults.polish) => boolean('polish', value),
  smoothing: (value) => optional(value, () => positive('smoothing', value)),
  infeasible: (value = defaults.infeasible) => oneOf('infeasible', value, ['status', 'closest'] as const),
  warmStart: (value) => value,
  signal: (value) => optional(value, () => abortSignal(value)),
  onProgress: (value) => optional(value, () => callback('onProgress', value)),
};

/** Reads every option once. Runs code of the caller's where there are getters or proxies. */
export function readOptions(options: unknown, mode: 'sync' | 'async'): CheckedOptions {
  const given = readObject('options', options);
  const names = Object.keys(checks).filter((name) => mode === 'async' || name !== 'onProgress');
  for (const key of Object.keys(given)) {
    if (names.includes(key)) continue;
    if (key === 'onProgress') throw optionError(key, 'onProgress needs the asynchronous qpSolveBatch');
    throw optionError(key, `options has an unknown key ${describe(key)}; expected ${names.join(', ')}`);
  }
  const checked: Partial<Record<keyof CheckedOptions, unknown>> = {};
  for (const name of Object.keys(checks) as (keyof CheckedOptions)[])
    checked[name] = checks[name](given[name]);
  return checked as CheckedOptions;
}

export function readOutput(value: unknown): Output | undefined {
  return optional(value, () => oneOf('output', value, ['host', 'device'] as const));
}

/** An optional object argument. */
export function readObject(name: string, value: unknown): Record<string, unknown> {
  if (value === undefined) return {};
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>;
  throw argumentError(name, `${name} is ${describe(value)}; expected an object`);
}

export function optionError(option: string, message: string): QpError {
  return new QpError('ERR_QP_OPTION', message, { argument: option });
}

function optional<T>(value: unknown, check: () => T): T | undefined {
  return value === undefined ? undefined : check();
}

function oneOf<T extends string>(option: string, value: unknown, expected: readonly T[]): T {
  if ((expected as readonly unknown[]).includes(value)) return value as T;
  const list = expected.map((name) => `'${name}'`).join(', ');
  throw optionError(option, `${option} is ${describe(value)}; expected one of ${list}`);
}

function positive(option: string, value: unknown): number {
  if (typeof value === 'number' && value > 0 && Number.isFinite(value)) return value;
  throw optionError(option, `${option} is ${describe(value)}; expected a positive number`);
}

function wholeNumber(option: string, value: unknown, low: number, high: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= low && value <= high) return value;
  throw optionError(
    option,
    `${option} is ${describe(value)}; expected a whole number from ${low} to ${high}`,
  );
}

export function boolean(option: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value;
  throw optionError(option, `${option} is ${describe(value)}; expected true or false`);
}

function callback<T>(option: string, value: unknown): T {
  if (typeof value === 'function') return value as T;
  throw optionError(option, `${option} is ${describe(value)}; expected a function`);
}

/** Any object that works like one: signals of other realms and of polyfills do. */
function abortSignal(value: unknown): AbortSignal {
  if (typeof value === 'object' && value !== null) {
    const { aborted, addEventListener, removeEventListener } = value as Partial<
      Record<keyof AbortSignal, unknown>
    >;
    const listens = typeof addEventListener === 'function' && typeof removeEventListener === 'function';
    if (typeof aborted === 'boolean' && listens) return value as AbortSignal;
  }
  throw optionError('signal', `signal is ${describe(value)}; expected an AbortSignal`);
}
