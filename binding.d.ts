/**
 * The native addon, as lib/native.ts sees it. Nothing here checks its arguments beyond what memory safety needs: lib/
 * does, so that every wrong input has an error that names it. All arrays are row-major, the batch first.
 */

export type NumberArray = Float64Array | Float32Array;

/** A datum that has one value per problem, or one for the whole batch. */
export interface NativeDatum {
  data: NumberArray;
  batched: boolean;
}

/** All arrays have the same element type. G and h are absent when m = 0, A and b when q = 0. */
export interface NativeProblem {
  batch: number;
  n: number;
  m: number;
  q: number;
  Q: NativeDatum;
  p: NativeDatum;
  G?: NativeDatum;
  h?: NativeDatum;
  A?: NativeDatum;
  b?: NativeDatum;
}

export interface NativeSettings {
  tolerance: number;
  maxIterations: number;
  /** 0: float64; 1: float32 factors refined in float64; 2: float32. */
  precision: 0 | 1 | 2;
  /** 0: as many as the machine has. */
  threads: number;
  /** Keep the factors for `backward`. */
  differentiable: boolean;
}

/** Allocated by the caller, written by the addon. z: batch·n, lambda and slack: batch·m, nu: batch·q, the rest: batch. */
export interface NativeResults {
  z: NumberArray;
  lambda: NumberArray;
  nu: NumberArray;
  slack: NumberArray;
  objective: Float64Array;
  /** 0 solved, 1 maxIterations, 2 primalInfeasible, 3 dualInfeasible, 4 numericalError. */
  status: Uint8Array;
  iterations: Int32Array;
  primalResidual: Float64Array;
  dualResidual: Float64Array;
  gap: Float64Array;
  /** Two elements, in milliseconds: copying and checking the data; from then until the last problem was solved. */
  timings: Float64Array;
}

/** Why a call was not served. Errors are made of it in lib/errors.ts. */
export interface NativeFailure {
  failure: 'notFinite' | 'notSymmetric' | 'notConvex' | 'memory' | 'cancelled' | 'disposed' | 'invalid';
  /** 'Q', 'p', 'G', 'h', 'A', 'b', 'dz', 'dlambda' or 'dnu'. */
  argument?: string;
  /** Problem in the batch; absent for a datum that the batch shares. */
  index?: number;
  /** Where in the datum: row and column of a matrix, column of a vector; absent for an upstream gradient. */
  row?: number;
  column?: number;
  /** 'memory': bytes asked for. */
  bytes?: number;
  message?: string;
}

export interface NativeUpstream {
  dz?: NumberArray;
  dlambda?: NumberArray;
  dnu?: NumberArray;
}

/** Only what is asked for is present, each in the shape its datum was given in. */
export interface NativeGradients {
  dQ?: NumberArray;
  dp?: NumberArray;
  dG?: NumberArray;
  dh?: NumberArray;
  dA?: NumberArray;
  db?: NumberArray;
}

/** The factors that a solve left behind. */
export interface Factorization {
  /** Blocks; writes `gradients`. */
  backwardSync(upstream: NativeUpstream, gradients: NativeGradients): NativeFailure | undefined;
  /** Copies `upstream` and returns; `done` is called on the event loop when `gradients` is written. */
  backward(
    upstream: NativeUpstream,
    gradients: NativeGradients,
    done: (failure: NativeFailure | undefined) => void,
  ): NativeFailure | undefined;
  /** Frees the factors (once running calls are done). Later calls fail with 'disposed'. */
  dispose(): void;
  /** Native memory held, in bytes. */
  readonly byteLength: number;
  /** How many threads work on a call. */
  readonly threads: number;
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
 * Copies `problem` and returns; `done` is called on the event loop when `results` is written.
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
  /** 'avx512', 'avx2', 'sse2' or 'neon'. */
  instructionSet: string;
  threads: number;
}

export function cpuInfo(): CpuInfo;
