// The same classes and functions as the CommonJS module has, under the names that ESM importers expect.
export {
  DeviceTensor,
  QpError,
  QpSolution,
  devices,
  qpSolveBatch,
  qpSolveBatchSync,
  tensor,
  toDevice,
  toDeviceSync,
} from './index.js';
export type * from './index.js';
