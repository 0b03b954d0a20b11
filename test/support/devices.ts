import { devices } from '../../lib/index.js';
import type { CudaArray, DeviceTensor, GpuDevice } from '../../lib/index.js';

/** The first GPU that can be used. */
export const gpu = devices().find((device): device is GpuDevice => device.usable && device.name !== 'cpu');

const reasons = devices().flatMap((device) => (device.usable ? [] : [device.reason]));

/** `describe`, where there is a GPU; elsewhere it is skipped, and its name says why. */
export function describeWithGpu(name: string, body: (gpu: GpuDevice) => void): void {
  if (gpu !== undefined) describe(`${name} (${gpu.gpu})`, () => body(gpu));
  else
    describe.skip(`${name} (skipped, as it needs a GPU: ${reasons.join(' ')})`, () => body({} as GpuDevice));
}

/** `describe`, where there is no GPU. */
export function describeWithoutGpu(name: string, body: () => void): void {
  if (gpu === undefined) describe(name, body);
  else describe.skip(`${name} (skipped, as there is one: ${gpu.gpu})`, body);
}

/** The same memory as other CUDA code would hand it over. */
export function raw<D extends 'float64' | 'float32'>(tensor: DeviceTensor<D>): CudaArray<D> {
  const { pointer, shape, dtype, device } = tensor;
  return { pointer, shape, dtype, device };
}
