/**
 * Batches of convex quadratic and linear programs, solved and differentiated: the OptNet layer (Amos and Kolter, ICML 2017).
 *
 * @packageDocumentation
 */
export { qpSolveBatch, qpSolveBatchSync } from './solve.js';
export { QpSolution } from './solution.js';
export { tensor } from './tensor.js';
export { DeviceTensor } from './device-tensor.js';
export { toDevice, toDeviceSync } from './to-device.js';
export { devices } from './device.js';
export { QpError } from './errors.js';

export type { AdjointResiduals, BackwardOptions, Gradients, Upstream, UpstreamGradient } from './backward.js';
export type {
  CpuDevice,
  CudaLibrary,
  Device,
  DeviceObstacle,
  DeviceRequest,
  GpuDevice,
  GpuName,
  GpuRequest,
  SolutionDevice,
  SolutionOnCpu,
  SolutionOnGpu,
  UnusableDevice,
} from './device.js';
export type { CudaArray } from './device-tensor.js';
export type { QpErrorCode } from './errors.js';
export type { JvpOptions, SolutionTangents, Tangents } from './jvp.js';
export type { Infeasible, Precision, Progress, SolveOptions, SyncSolveOptions } from './options.js';
export type { Output, ResultTensor } from './output.js';
export type { DatumName, QpDatum, QpProblem } from './problem.js';
export type {
  BackwardResult,
  Certificate,
  Derivative,
  DualInfeasibility,
  PrimalInfeasibility,
  Residuals,
  Status,
  Timings,
} from './solution.js';
export type { DType, DataByDType, NestedNumbers, NestedRows, Tensor, TensorLike } from './tensor.js';
