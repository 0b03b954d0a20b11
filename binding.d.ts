/**
 * The native addon, as lib/native.ts sees it. Of its arguments it checks what memory safety needs, and the numbers in the
 * data: that they are finite, and Q symmetric and convex. All else lib/ does, so that every wrong input has an error that
 * names it. All arrays are row-major, the batch first.
 */

export type NumberArray = Float64Array | Float32Array;

/** An array in the memory of a GPU. A call that uses it keeps the memory until it has ended. */
export interface DeviceArray {
  /** Frees the memory (once running calls are done). Later uses fail with 'invalid'. */
  dispose(): void;
  /** In bytes; 0 once disposed. */
  readonly byteLength: number;
  /** Its address; 0 where there are no bytes. */
  readonly pointer: bigint;
  /** Of the GPU. */
  readonly ordinal: number;
}

/** Memory of a GPU that belongs to other CUDA code, which keeps it until the call has ended. */
export interface NativePointer {
  pointer: bigint;
  bytes: number;
  ordinal: number;
}

/** An array in host memory, or on the GPU that solves. */
export type NativeArray = NumberArray | DeviceArray | NativePointer;

/** A datum that has one value per problem, or one for the whole batch. */
export interface NativeDatum {
  data: NativeArray;
  batched: boolean;
}

/** All arrays have the same element type. G, h and gl are absent when m = 0, A and b when q = 0. */
export interface NativeProblem {
  /** What solves: -1 for the CPU, else the ordinal of a GPU, in whose memory arrays may be. */
  device: number;
  dtype: 'float64' | 'float32';
  batch: number;
  n: number;
  m: number;
  q: number;
  Q?: NativeDatum;
  p: NativeDatum;
  G?: NativeDatum;
  h?: NativeDatum;
  A?: NativeDatum;
  b?: NativeDatum;
  gl?: NativeDatum;
  lb?: NativeDatum;
  ub?: NativeDatum;
}

export interface NativeSettings {
  tolerance: number;
  maxIterations: number;
  /** 0: float64; 1: float32 factors refined in float64; 2: float32. */
  precision: 0 | 1 | 2;
  /** 0: as many as the machine has. */
  threads: number;
  /** Keep the factors for `backward` and `jvp`. */
  differentiable: boolean;
  polish: boolean;
  /** 0: differentiate at the solution. */
  smoothing: number;
  /** Solve the closest feasible problem. */
  closest: boolean;
  /** When the CPU solves instead of a GPU: 0 never, 1 where the GPU finds that it cannot, 2 at once. */
  fallback: 0 | 1 | 2;
  /** What a problem of the same sizes left behind, on the CPU, or on a GPU with another fallback than 0. */
  warmStart?: Factorization;
}

/**
 * Allocated by the caller, written by the addon. z, lambdaLb, lambdaUb: batch·n; lambda, lambdaGl, slack, shiftH: batch·m;
 * nu, shiftB: batch·q; the rest: batch. Those that may be on a device lie all in host memory, or all on the GPU that
 * solves. The multipliers of a bound are there when the bound is, the shifts with `closest`.
 */
export interface NativeResults {
  z: NumberArray | DeviceArray;
  lambda: NumberArray | DeviceArray;
  nu: NumberArray | DeviceArray;
  slack: NumberArray | DeviceArray;
  lambdaGl?: NumberArray | DeviceArray;
  lambdaLb?: NumberArray | DeviceArray;
  lambdaUb?: NumberArray | DeviceArray;
  shiftH?: NumberArray | DeviceArray;
  shiftB?: NumberArray | DeviceArray;
  objective: Float64Array;
  /** 0 solved, 1 maxIterations, 2 primalInfeasible, 3 dualInfeasible, 4 numericalError. */
  status: Uint8Array;
  iterations: Int32Array;
  primalResidual: Float64Array;
  dualResidual: Float64Array;
  gap: Float64Array;
  /** The least max(λᵢ, sᵢ) over all inequalities and bounds; Infinity without any. */
  margin: Float64Array;
  /** 0 activeSet, 1 centralPath, 2 none. */
  derivative: Uint8Array;
  /** Two elements, in milliseconds: copying and, on the CPU, checking the data; from then until the last problem was solved. */
  timings: Float64Array;
}

/** Why a call was not served. Errors are made of it in lib/errors.ts. */
export interface NativeFailure {
  failure:
    | 'notFinite'
    | 'notSymmetric'
    | 'notConvex'
    | 'memory'
    | 'device'
    | 'unserved'
    | 'cancelled'
    | 'disposed'
    | 'invalid';
  /** The name of a datum, of an upstream gradient, or of a tangent. */
  argument?: string;
  /** Problem in the batch; absent for a datum that the batch shares. */
  index?: number;
  /** Where in the datum: row and column of a matrix, column of a vector; absent for upstream gradients and tangents. */
  row?: number;
  column?: number;
  /** 'memory': bytes asked for. */
  bytes?: number;
  /** 'device', 'invalid': what is wrong. 'unserved': why, where it is not that problem `index` stayed unsolved. 'memory': whose, "the memory of cuda:0", unless it is the machine's. */
  message?: string;
}

export interface NativeUpstream {
  dz?: NativeArray;
  dlambda?: NativeArray;
  dnu?: NativeArray;
  dlambdaGl?: NativeArray;
  dlambdaLb?: NativeArray;
  dlambdaUb?: NativeArray;
  /** batch elements of the problem's element type. */
  dobjective?: NativeArray;
}

/** Only what is asked for is present, each in the shape its datum was given in; all in the same memory. */
export interface NativeGradients {
  dQ?: NumberArray | DeviceArray;
  dp?: NumberArray | DeviceArray;
  dG?: NumberArray | DeviceArray;
  dh?: NumberArray | DeviceArray;
  dA?: NumberArray | DeviceArray;
  db?: NumberArray | DeviceArray;
  dgl?: NumberArray | DeviceArray;
  dlb?: NumberArray | DeviceArray;
  dub?: NumberArray | DeviceArray;
  /** batch elements, in host memory. */
  residuals?: Float64Array;
}

/** At least one, each in the shape its datum was given in, in host memory. */
export interface NativeTangents {
  dQ?: NumberArray;
  dp?: NumberArray;
  dG?: NumberArray;
  dh?: NumberArray;
  dA?: NumberArray;
  db?: NumberArray;
  dgl?: NumberArray;
  dlb?: NumberArray;
  dub?: NumberArray;
}

/** What is asked for, each in the shape of its result, in host memory. */
export interface NativeSolutionTangents {
  dz?: NumberArray;
  dlambda?: NumberArray;
  dnu?: NumberArray;
  dlambdaGl?: NumberArray;
  dlambdaLb?: NumberArray;
  dlambdaUb?: NumberArray;
  dobjective?: Float64Array;
}

/** The factors that a solve left behind. */
export interface Factorization {
  /** Blocks; writes `gradients`. */
  backwardSync(upstream: NativeUpstream, gradients: NativeGradients): NativeFailure | undefined;
  /** Copies what of `upstream` is in host memory, and returns; `done` is called on the event loop when `gradients` is written. */
  backward(
    upstream: NativeUpstream,
    gradients: NativeGradients,
    done: (failure: NativeFailure | undefined) => void,
  ): NativeFailure | undefined;
  /** Blocks; writes `outputs`. */
  jvpSync(tangents: NativeTangents, outputs: NativeSolutionTangents): NativeFailure | undefined;
  /** Copies `tangents` and returns; `done` is called on the event loop when `outputs` is written. */
  jvp(
    tangents: NativeTangents,
    outputs: NativeSolutionTangents,
    done: (failure: NativeFailure | undefined) => void,
  ): NativeFailure | undefined;
  /** Frees the factors (once running calls are done). Later calls fail with 'disposed'. */
  dispose(): void;
  /** Native memory held, in bytes. */
  readonly byteLength: number;
  /** How many threads work on a call; 0 on a GPU. */
  readonly threads: number;
  /** The kernels that tried first: 'packed', 'blocked' or 'general' on the CPU, 'lanes', 'block' or 'library' on a GPU. */
  readonly backend: string;
  /** Why the CPU solved and not the GPU, where the GPU was to try: 'unserved' or 'notConvex'. */
  readonly unserved: NativeFailure | undefined;
}

export interface SolveTask {
  /** Ends the call early: `done` then gets a 'cancelled' failure. */
  cancel(): void;
}

/** Blocks; writes `results`. */
export function solveSync(
  problem: NativeProblem,
  settings: NativeSettings,
  results: NativeResults,
): Factorization | NativeFailure;

/**
 * Copies what of `problem` is in host memory, and returns; `done` is called on the event loop when `results` is written.
 * `progress`, if given, is called on the event loop now and then with the number of problems done.
 */
export function solve(
  problem: NativeProblem,
  settings: NativeSettings,
  results: NativeResults,
  done: (outcome: Factorization | NativeFailure) => void,
  progress?: (solved: number) => void,
): SolveTask | NativeFailure;

export interface CpuInfo {
  /** 'avx512', 'avx2', 'sse2' or 'neon'; 'generic' on other processors. */
  instructionSet: string;
  threads: number;
}

export function cpuInfo(): CpuInfo;

/** What keeps a GPU from being used; native/cuda/environment.h explains each. */
export type Obstacle =
  | 'none'
  | 'noBackend'
  | 'noDriver'
  | 'noGpu'
  | 'driverTooOld'
  | 'driverFails'
  | 'noAnswer'
  | 'tooOld'
  | 'forbidden';

/** A library of CUDA's that was loaded. */
export interface LibraryFile {
  /** 'cuBLAS' */
  name: string;
  path: string;
  /** '13.1.0'; empty where it does not say. */
  version: string;
}

/** A GPU, or the reason why there is none. */
export interface GpuInfo {
  usable: boolean;
  /** Why not: a clause. */
  reason: string;
  obstacle: Obstacle;
  ordinal: number;
  /** The vendor's; empty where there is no GPU. */
  name: string;
  /** '9.0' */
  computeCapability: string;
  /** Of the GPU, in bytes, whoever uses it. */
  totalMemory: number;
  freeMemory: number;
  /** CUDA's, 13000 for 13.0. */
  driverVersion: number;
  runtimeVersion: number;
  /** The driver's own version; empty where nobody can tell. */
  driverRelease: string;
  /** Why cuBLAS and cuSOLVER cannot be had: a clause; empty where they were found or not looked for. */
  libraries: string;
  /** Those of the two that were found. */
  loaded: LibraryFile[];
}

/** Every GPU; never empty. Where the libraries are looked for, they are loaded. */
export function devices(lookForLibraries?: boolean): GpuInfo[];

/** Gets a GPU ready, which otherwise happens when it is first used; 'device' says why that cannot be. */
export function openDevice(ordinal: number): NativeFailure | undefined;

/** Bytes that this environment holds on a GPU: arrays, factors, and memory kept for reuse. */
export function bytesHeld(ordinal: number): number | NativeFailure;

/** Its contents are not initialised. */
export function allocateDevice(ordinal: number, bytes: number): DeviceArray | NativeFailure;

/** Copies an array of at least one element to one of the same size; blocks. */
export function uploadSync(array: NumberArray, deviceArray: DeviceArray): NativeFailure | undefined;

/** `array` is read before it returns; `done` is called on the event loop when it has arrived. */
export function upload(
  array: NumberArray,
  deviceArray: DeviceArray,
  done: (failure: NativeFailure | undefined) => void,
): NativeFailure | undefined;

/** Copies an array of at least one element to one of the same size; blocks. */
export function downloadSync(
  deviceArray: DeviceArray | NativePointer,
  array: NumberArray,
): NativeFailure | undefined;

/** `done` is called on the event loop when `array` is written. */
export function download(
  deviceArray: DeviceArray | NativePointer,
  array: NumberArray,
  done: (failure: NativeFailure | undefined) => void,
): NativeFailure | undefined;
