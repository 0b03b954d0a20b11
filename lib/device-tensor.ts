/// <reference lib="esnext.disposable" preserve="true" />
import type { DeviceArray } from '../binding.js';

import { gpuName } from './device.js';
import type { GpuName } from './device.js';
import { QpError, argumentError } from './errors.js';
import { allocate, bytesPerElement } from './memory.js';
import type { DType } from './memory.js';
import { native } from './native.js';
import { finished, served } from './outcome.js';
import type { Tensor } from './tensor.js';

/**
 * An array in the memory of a GPU, as other CUDA code may hold one: with these properties, any object can stand for a
 * tensor. Its elements must have been written by the time it is passed, and stay as they are until the call has ended.
 */
export interface CudaArray<D extends DType = DType> {
  /** The address of the first element in the memory of the GPU, row-major. */
  readonly pointer: bigint;
  /** Sizes, the batch first. */
  readonly shape: readonly number[];
  /** The type of its elements. */
  readonly dtype: D;
  /** 'cuda:0' */
  readonly device: GpuName;
}

let memoryOf: (tensor: DeviceTensor) => DeviceArray | undefined;

/** Whether it is one that was made here: neither a proxy nor an object with the same prototype. */
export let isDeviceTensor: (value: object) => value is DeviceTensor;

/**
 * A dense array in the memory of a GPU, made by `toDevice`, or the result of a call with `output: 'device'`. It can stand
 * wherever a tensor can, and is a {@link CudaArray} for other CUDA code.
 *
 * Let go of its memory with `using` or {@link DeviceTensor.dispose}, or leave that to the garbage collector. In a loop
 * of synchronous calls do it yourself: the collector's finalizers wait for a turn of the event loop. Calls that are
 * running keep the memory that they use.
 */
export class DeviceTensor<D extends DType = DType> implements CudaArray<D>, Disposable {
  /** The type of its elements. */
  readonly dtype: D;
  /** Sizes, the batch first. */
  readonly shape: readonly number[];
  /** 'cuda:0' */
  readonly device: GpuName;

  #array: DeviceArray | undefined;

  static {
    memoryOf = (tensor) => tensor.#array;
    isDeviceTensor = (value): value is DeviceTensor => #array in value;
  }

  /** @internal Made by toDevice and qpSolveBatch; the elements are not initialised. @throws QpError */
  constructor(ordinal: number, dtype: D, shape: readonly number[]) {
    const bytes = countOf(shape) * bytesPerElement[dtype];
    this.#array = served(native().allocateDevice(ordinal, bytes));
    this.dtype = dtype;
    this.shape = Object.freeze([...shape]);
    this.device = gpuName(ordinal);
  }

  /**
   * The address of the first element in the memory of the GPU, row-major; 0n without elements.
   *
   * @throws QpError ERR_QP_DISPOSED
   */
  get pointer(): bigint {
    return deviceArrayOf(this, 'the tensor').pointer;
  }

  /** Whether {@link DeviceTensor.dispose} was called. */
  get disposed(): boolean {
    return this.#array === undefined;
  }

  /**
   * Copies the elements to a tensor in host memory, without blocking the event loop.
   *
   * @returns a promise that rejects with a QpError ERR_QP_DISPOSED, ERR_QP_MEMORY or ERR_QP_DEVICE
   */
  async toHost(): Promise<Tensor<D>> {
    const { array, copy } = this.#prepareCopy();
    if (copy.data.length > 0) await finished((done) => native().download(array, copy.data, done));
    return copy;
  }

  /** {@link DeviceTensor.toHost}, blocking. */
  toHostSync(): Tensor<D> {
    const { array, copy } = this.#prepareCopy();
    if (copy.data.length > 0) served(native().downloadSync(array, copy.data));
    return copy;
  }

  /** Frees the memory, once calls that use it are done; later uses fail with ERR_QP_DISPOSED. Twice is fine. */
  dispose(): void {
    this.#array?.dispose();
    this.#array = undefined;
  }

  /** {@link DeviceTensor.dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #prepareCopy() {
    const array = deviceArrayOf(this, 'the tensor');
    const { dtype, shape } = this;
    const data = allocate(dtype, countOf(shape));
    return { array, copy: { dtype, shape: [...shape], data } as unknown as Tensor<D> };
  }
}

/** The memory of a tensor, for the addon. @throws QpError ERR_QP_DISPOSED, with the name of the argument */
export function deviceArrayOf(tensor: DeviceTensor, name: string): DeviceArray {
  if (!isDeviceTensor(tensor))
    throw argumentError(name, `${name} is a proxy or an imitation of a DeviceTensor`);
  const array = memoryOf(tensor);
  if (array !== undefined) return array;
  throw new QpError('ERR_QP_DISPOSED', `${name} was disposed of, and its memory with it`, { argument: name });
}

function countOf(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}
