import type { Factorization, GpuInfo, NativeFailure, Obstacle } from '../binding.js';

import { QpError, clause, describe, deviceError, errorOf, owner, sentence, unboundedRow } from './errors.js';
import { loadedAddon, native } from './native.js';
import type { Output } from './output.js';

/** A GPU by name: 'cuda:0' is the first one. */
export type GpuName = `cuda:${number}`;

/** A GPU that is asked for: 'cuda' is 'cuda:0'. */
export type GpuRequest = 'cuda' | GpuName;

/** A device that is asked for. */
export type DeviceRequest = 'auto' | 'cpu' | GpuRequest;

/** What a solve can run on, or why it cannot. `usable` and `name` tell which it is. */
export type Device = CpuDevice | GpuDevice | UnusableDevice;

/** The CPU. */
export interface CpuDevice {
  readonly name: 'cpu';
  readonly usable: true;
  /** The widest instruction set that the addon uses here: 'avx512', 'avx2', 'sse2' or 'neon'; 'generic' on other processors. */
  readonly instructionSet: string;
  /** How many threads a call uses by default. */
  readonly threads: number;
}

/** A GPU that can be used. */
export interface GpuDevice {
  readonly name: GpuName;
  readonly usable: true;
  /** The vendor's name for it: 'NVIDIA H200'. */
  readonly gpu: string;
  /** '9.0' */
  readonly computeCapability: string;
  /** Of the GPU, in bytes. */
  readonly totalMemory: number;
  /** What of it nobody uses, in bytes. */
  readonly freeMemory: number;
  /** What of it this thread of Node's holds: tensors, factors, and memory kept for reuse, in bytes. */
  readonly memoryHeld: number;
  /** The newest version of CUDA that the driver serves: '13.0'. */
  readonly driver: string;
  /** The driver's own version, '580.65.06', where it can be had. */
  readonly driverRelease?: string;
  /** The version of CUDA that the addon was built with. */
  readonly runtime: string;
  /** cuBLAS and cuSOLVER, which large problems need: those that were found. */
  readonly loaded: readonly CudaLibrary[];
  /** Why cuBLAS and cuSOLVER cannot be had, in one sentence; absent where they can. */
  readonly libraries?: string;
}

/** A library of CUDA's that was found. */
export interface CudaLibrary {
  /** 'cuBLAS' or 'cuSOLVER'. */
  readonly name: 'cuBLAS' | 'cuSOLVER';
  /** The file. */
  readonly path: string;
  /** Its own version, '13.1.0'; empty where it does not say. */
  readonly version: string;
}

/**
 * What keeps a device from being used.
 *
 * - `noAddon`: the native addon could not be loaded
 * - `noBackend`: the addon was compiled without CUDA
 * - `noDriver`: there is no NVIDIA driver
 * - `noGpu`: the driver finds no GPU that this process may use
 * - `driverTooOld`: the driver is older than the CUDA that the addon was built with
 * - `driverFails`: the driver does not start
 * - `noAnswer`: the GPU does not answer
 * - `tooOld`: the GPU is older than what works
 * - `forbidden`: its administrator has forbidden computing on it
 */
export type DeviceObstacle =
  | 'noAddon'
  | 'noBackend'
  | 'noDriver'
  | 'noGpu'
  | 'driverTooOld'
  | 'driverFails'
  | 'noAnswer'
  | 'tooOld'
  | 'forbidden';

/** What cannot be used. */
export interface UnusableDevice {
  /** 'cuda' where there is no GPU at all. */
  readonly name: 'cpu' | 'cuda' | GpuName;
  readonly usable: false;
  /** Why not, in one sentence. */
  readonly reason: string;
  /** The same for programs. */
  readonly obstacle: DeviceObstacle;
  /** The vendor's name for it, if it is a GPU. */
  readonly gpu?: string;
  /** The newest version of CUDA that the driver serves, where there is a driver. */
  readonly driver?: string;
  /** The driver's own version, where it can be had. */
  readonly driverRelease?: string;
  /** The version of CUDA that the addon was built with, if it was. */
  readonly runtime?: string;
}

/** What a solution was computed on. */
export type SolutionDevice = SolutionOnCpu | SolutionOnGpu;

/** How the CPU solved. */
export interface SolutionOnCpu {
  readonly name: 'cpu';
  /** Why this device, in one sentence; where a GPU was there, also what it does not serve. */
  readonly reason: string;
  /** Whose registers the kernels use: 'avx512', 'avx2', 'sse2', 'neon' or 'generic'. */
  readonly instructionSet: string;
  /** How many threads worked on it. */
  readonly threads: number;
  /**
   * The kernels: 'packed' (several problems in a register), 'blocked' (large problems), or 'general' (any convex problem:
   * without Q, with `smoothing`, or large and with `gl`, `lb` or `ub`). What the first two leave unsolved, as they do where
   * Q is singular or there is no solution, they hand on to the last.
   */
  readonly backend: string;
}

/** How a GPU solved. */
export interface SolutionOnGpu {
  readonly name: GpuName;
  /** Why this device, in one sentence. */
  readonly reason: string;
  /** The vendor's name for it. */
  readonly gpu: string;
  /** The kernels: 'lanes' (some lanes of a warp a problem), 'block' (a thread block), or 'library' (large problems). */
  readonly backend: string;
}

/**
 * Lists the CPU, and every NVIDIA GPU, or why there is none. Never throws. The first call in a process looks for the
 * GPUs, which takes a moment; memory is measured by each.
 */
export function devices(): Device[] {
  return [cpu(), ...gpus()];
}

function cpu(): Device {
  const outcome = loadedAddon();
  if ('addon' in outcome) return { name: 'cpu', usable: true, ...outcome.addon.cpuInfo() };
  return { name: 'cpu', usable: false, reason: outcome.failure.reason, obstacle: 'noAddon' };
}

function gpus(): Device[] {
  const outcome = loadedAddon();
  if ('addon' in outcome) return outcome.addon.devices(true).map(describeGpu);
  const reason = 'The native addon could not be loaded.';
  return [{ name: 'cuda', usable: false, reason, obstacle: 'noAddon' }];
}

function describeGpu(info: GpuInfo): GpuDevice | UnusableDevice {
  const { ordinal, name: gpu, computeCapability, totalMemory, freeMemory, libraries } = info;
  if (!info.usable) return describeUnusable(info);
  return {
    name: gpuName(ordinal),
    usable: true,
    gpu,
    computeCapability,
    totalMemory,
    freeMemory,
    memoryHeld: native().bytesHeld(ordinal) as number,
    driver: versionName(info.driverVersion),
    ...(info.driverRelease === '' ? {} : { driverRelease: info.driverRelease }),
    runtime: versionName(info.runtimeVersion),
    loaded: info.loaded as CudaLibrary[],
    ...(libraries === '' ? {} : { libraries: sentence(libraries) }),
  };
}

function describeUnusable(info: GpuInfo): UnusableDevice {
  const { name: gpu, driverVersion, driverRelease, runtimeVersion } = info;
  return {
    name: gpu === '' ? 'cuda' : gpuName(info.ordinal),
    usable: false,
    reason: sentence(info.reason),
    obstacle: info.obstacle as Exclude<Obstacle, 'none'>,
    ...(gpu === '' ? {} : { gpu }),
    ...(driverVersion === 0 ? {} : { driver: versionName(driverVersion) }),
    ...(driverRelease === '' ? {} : { driverRelease }),
    ...(runtimeVersion === 0 ? {} : { runtime: versionName(runtimeVersion) }),
  };
}

/** '13.0' for 13000. */
function versionName(version: number): string {
  return `${Math.floor(version / 1000)}.${Math.floor((version % 1000) / 10)}`;
}

export function gpuName(ordinal: number): GpuName {
  return `cuda:${ordinal}`;
}

const gpuPattern = /^cuda(?::(\d{1,3}))?$/;

/** The ordinal in the name of a GPU; undefined for what is none. */
function gpuOrdinal(name: unknown): number | undefined {
  const match = typeof name === 'string' ? gpuPattern.exec(name) : null;
  return match === null ? undefined : Number(match[1] ?? 0);
}

/** Checks the name of a device, not whether it can serve. */
export function readDevice(value: unknown): DeviceRequest {
  if (value === 'auto' || value === 'cpu' || gpuOrdinal(value) !== undefined) return value as DeviceRequest;
  throw new QpError(
    'ERR_QP_OPTION',
    `device is ${describe(value)}; expected 'auto', 'cpu', 'cuda' or 'cuda:1'`,
    {
      argument: 'device',
    },
  );
}

/** The ordinal of the GPU that the memory of an array is said to be on. */
export function readGpu(name: string, device: unknown): number {
  const ordinal = gpuOrdinal(device);
  if (ordinal !== undefined) return ordinal;
  throw deviceError(name, `${name}.device is ${describe(device)}; expected the name of a GPU, like 'cuda:0'`);
}

/** When the CPU solves instead of the GPU of a call: what was asked for by name stays an error. */
export type Fallback = 'never' | 'whereNeeded' | 'atOnce';

/** The device of a call. */
export interface Choice {
  /** Of the GPU that solves, or whose memory is used while the CPU does; -1: there is only the CPU. */
  ordinal: number;
  reason: string;
  fallback: Fallback;
}

/** An array on a GPU. */
export interface Placed {
  name: string;
  ordinal: number;
}

/** Where arrays lie on a GPU, from the first that does. @throws QpError ERR_QP_DEVICE when they are on several */
export function commonGpu(arrays: readonly Placed[]): Placed | undefined {
  const first = arrays[0];
  const other = arrays.find(({ ordinal }) => ordinal !== first!.ordinal);
  if (other === undefined) return first;
  throw deviceError(
    other.name,
    `${other.name} is on ${gpuName(other.ordinal)}, ${first!.name} on ${gpuName(first!.ordinal)}; expected one GPU`,
  );
}

/** What a GPU does not serve yet: the argument, and what to call it. */
export interface Unserved {
  argument: string;
  what: string;
}

/**
 * Chooses the device, and says why.
 *
 * @param data where data lie on a GPU
 * @param unserved what of the call only the CPU serves
 * @param output where results are wanted
 * @throws QpError ERR_QP_DEVICE when the one that was named cannot serve, or data lie on another
 */
export function chooseDevice(
  request: DeviceRequest,
  data: Placed | undefined,
  unserved: Unserved | undefined,
  output: Output,
): Choice {
  if (request === 'auto' && unserved !== undefined) return chooseCpu(data, unserved, output);
  if (request !== 'cpu' && unserved !== undefined) {
    throw unservedError(unserved, `; device '${request}' was asked for`);
  }
  if (data !== undefined) return chooseForData(request, data);
  if (request === 'cpu') return { ordinal: -1, reason: 'The CPU was asked for.', fallback: 'never' };
  if (request === 'auto') return (automatic ??= chooseAutomatically());
  return openNamed(request);
}

/** The same for every call. */
let automatic: Choice | undefined;

function chooseAutomatically(): Choice {
  let problem: string | undefined;
  for (const { usable, ordinal, reason } of listed()) {
    const failure = usable ? open(ordinal) : reason;
    if (failure === undefined) {
      const reason = `The GPU ${gpuName(ordinal)} is the first that can be used.`;
      return { ordinal, reason, fallback: 'whereNeeded' };
    }
    problem ??= failure;
  }
  return { ordinal: -1, reason: `No GPU can be used: ${clause(problem!)}.`, fallback: 'never' };
}

/** The CPU, and the GPU where data are, or results are to be. */
function chooseCpu(data: Placed | undefined, { what }: Unserved, output: Output): Choice {
  const reason = `GPUs do not serve ${what} yet.`;
  if (data === undefined && output === 'host') return { ordinal: -1, reason, fallback: 'never' };
  const place = data === undefined ? (automatic ??= chooseAutomatically()) : chooseForData('auto', data);
  return place.ordinal < 0 ? place : { ...place, reason, fallback: 'atOnce' };
}

/** The error for what a GPU does not serve. */
export function unservedError({ argument, what }: Unserved, detail = ''): QpError {
  return deviceError(argument, `${what} cannot be served by a GPU yet${detail}`);
}

function chooseForData(request: DeviceRequest, { name, ordinal }: Placed): Choice {
  const place = gpuName(ordinal);
  if (request !== 'auto') {
    if (gpuOrdinal(request) === ordinal) return openNamed(request);
    throw deviceError(name, `${name} is on ${place}; expected it in host memory, or on device '${request}'`);
  }
  const failure = open(ordinal);
  if (failure === undefined) return { ordinal, reason: `${name} is on ${place}.`, fallback: 'whereNeeded' };
  throw deviceError(name, `${name} is on ${place}, which cannot be used: ${clause(failure)}`);
}

/** @throws QpError ERR_QP_DEVICE */
export function openNamed(request: DeviceRequest): Choice {
  const ordinal = gpuOrdinal(request)!;
  const failure = open(ordinal);
  if (failure === undefined) {
    return { ordinal, reason: `The GPU ${gpuName(ordinal)} was asked for.`, fallback: 'never' };
  }
  throw deviceError('device', `device '${request}' cannot be used: ${clause(failure)}`);
}

/** Gets a GPU ready; says why that cannot be. */
function open(ordinal: number): string | undefined {
  const failure: NativeFailure | undefined = native().openDevice(ordinal);
  if (failure === undefined) return undefined;
  return failure.failure === 'device' ? failure.message! : errorOf(failure).message;
}

let list: readonly GpuInfo[] | undefined;

/** The GPUs; figures of memory are out of date. */
function listed(): readonly GpuInfo[] {
  return (list ??= native().devices());
}

let instructionSet: string | undefined;

/** What a solution says of its device. */
export function describeUse(choice: Choice, factorization: Factorization): SolutionDevice {
  const { ordinal, fallback } = choice;
  const { backend, threads, unserved } = factorization;
  if (ordinal >= 0 && fallback !== 'atOnce' && unserved === undefined) {
    const gpu = listed().find((info) => info.ordinal === ordinal)?.name ?? '';
    return { name: gpuName(ordinal), reason: choice.reason, gpu, backend };
  }
  const reason = unserved === undefined ? choice.reason : fallbackReason(unserved, ordinal);
  instructionSet ??= native().cpuInfo().instructionSet;
  return { name: 'cpu', reason, instructionSet, threads, backend };
}

/** Why the CPU solved what a GPU was to. */
function fallbackReason(unserved: NativeFailure, ordinal: number): string {
  const { failure, index, message } = unserved;
  if (failure === 'notConvex')
    return `${owner(unserved)} is not positive definite, which GPUs do not serve yet.`;
  if (unserved.argument !== undefined) return `${unboundedRow(unserved)}.`;
  if (message !== undefined) return `Problems of this size take libraries on a GPU: ${clause(message)}.`;
  return `Problem ${index} was left unsolved by ${gpuName(ordinal)}, and the CPU has a solver for such problems.`;
}
