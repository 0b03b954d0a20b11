import type { DeviceArray, NativePointer } from '../binding.js';

import { checkMemory, elementCount, format, gpuMemory, readArray } from './arrays.js';
import type { GpuRequest } from './device.js';
import { openNamed, readDevice } from './device.js';
import { DeviceTensor, deviceArrayOf, isDeviceTensor } from './device-tensor.js';
import type { CudaArray } from './device-tensor.js';
import { describe, shapeError } from './errors.js';
import { allocate } from './memory.js';
import type { DType, NumberArray } from './memory.js';
import { native } from './native.js';
import { optionError } from './options.js';
import { finished, served } from './outcome.js';
import { convert } from './tensor.js';
import type { NestedNumbers, NestedRows, TensorLike } from './tensor.js';

/**
 * Copies numbers to the memory of a GPU, where they stay until they are disposed of: what is the same in many calls
 * then need not be copied by each. The event loop is not blocked, and the numbers may be changed as soon as the call
 * has returned.
 *
 * A {@link DeviceTensor} that is on that GPU already is returned as it is; from another GPU, and from memory of other
 * CUDA code, a copy is made by way of the host.
 *
 * @param values numbers (then float64) or typed arrays in nested arrays, a tensor, or a typed array, by itself a vector
 * @param device 'cuda' is 'cuda:0'
 * @returns a promise, which rejects with a QpError ERR_QP_DEVICE, ERR_QP_SHAPE, ERR_QP_DTYPE, ERR_QP_ARGUMENT,
 * ERR_QP_OPTION, ERR_QP_BUFFER, ERR_QP_DISPOSED or ERR_QP_MEMORY
 *
 * @example
 * using Q = await toDevice(tensor(data, [n, n]));
 * using solution = await qpSolveBatch({ Q, p });         // on cuda:0, as Q is there
 */
export function toDevice(
  values: Float64Array | NestedRows<'float64'> | NestedNumbers,
  device?: GpuRequest,
): Promise<DeviceTensor<'float64'>>;
export function toDevice(
  values: Float32Array | NestedRows<'float32'>,
  device?: GpuRequest,
): Promise<DeviceTensor<'float32'>>;
export function toDevice<D extends DType = 'float64'>(
  values: TensorLike<D> | CudaArray<D>,
  device?: GpuRequest,
): Promise<DeviceTensor<D>>;
export async function toDevice(values: unknown, device: unknown = 'cuda'): Promise<DeviceTensor> {
  const copy = prepare(values, device);
  if (isDeviceTensor(copy)) return copy;
  const { from, data } = copy;
  const filled = data.length > 0;
  if (filled && from !== undefined) await finished((done) => native().download(from, data, done));
  const { tensor, array } = place(copy);
  try {
    if (filled) await finished((done) => native().upload(data, array, done));
  } catch (error) {
    tensor.dispose();
    throw error;
  }
  return tensor;
}

/** {@link toDevice}, blocking. @throws QpError */
export function toDeviceSync(
  values: Float64Array | NestedRows<'float64'> | NestedNumbers,
  device?: GpuRequest,
): DeviceTensor<'float64'>;
export function toDeviceSync(
  values: Float32Array | NestedRows<'float32'>,
  device?: GpuRequest,
): DeviceTensor<'float32'>;
export function toDeviceSync<D extends DType = 'float64'>(
  values: TensorLike<D> | CudaArray<D>,
  device?: GpuRequest,
): DeviceTensor<D>;
export function toDeviceSync(values: unknown, device: unknown = 'cuda'): DeviceTensor {
  const copy = prepare(values, device);
  if (isDeviceTensor(copy)) return copy;
  const { from, data } = copy;
  const filled = data.length > 0;
  if (filled && from !== undefined) served(native().downloadSync(from, data));
  const { tensor, array } = place(copy);
  try {
    if (filled) served(native().uploadSync(data, array));
  } catch (error) {
    tensor.dispose();
    throw error;
  }
  return tensor;
}

interface Copy {
  ordinal: number;
  dtype: DType;
  shape: readonly number[];
  /** What is on a GPU comes from there, … */
  from: DeviceArray | NativePointer | undefined;
  /** … by way of this. */
  data: NumberArray;
}

/** What there is to copy, or the tensor that is there already. */
function prepare(values: unknown, device: unknown): Copy | DeviceTensor {
  const name = 'values';
  const request = readDevice(device);
  if (request === 'auto' || request === 'cpu') {
    throw optionError('device', `device is ${describe(device)}; expected 'cuda' or 'cuda:1'`);
  }
  const given = readArray(name, values);
  const length = checkMemory(given);
  const shape = given.shape ?? [length];
  if (elementCount(name, shape) !== length) {
    throw shapeError(name, `values has ${length} elements; the shape ${format(shape)} has another number`);
  }
  const { ordinal } = openNamed(request);
  const dtype = given.dtype ?? 'float64';
  if (given.data !== undefined) {
    return { ordinal, dtype, shape, from: undefined, data: convert(name, given.data, given.dtype, dtype) };
  }
  if (isDeviceTensor(given.source) && given.ordinal === ordinal) return given.source;
  return { ordinal, dtype, shape, from: gpuMemory(given), data: allocate(dtype, length) };
}

function place({ ordinal, dtype, shape }: Copy) {
  const tensor = new DeviceTensor(ordinal, dtype, shape);
  return { tensor, array: deviceArrayOf(tensor, 'the tensor') };
}
