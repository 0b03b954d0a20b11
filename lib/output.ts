// Where results are put.
import type { DeviceArray } from '../binding.js';

import { elementCount } from './arrays.js';
import { DeviceTensor, deviceArrayOf, isDeviceTensor } from './device-tensor.js';
import { allocate } from './memory.js';
import type { DType, NumberArray } from './memory.js';
import type { Tensor } from './tensor.js';

/** In host memory, or in that of the GPU that solves. */
export type Output = 'host' | 'device';

interface TensorByOutput<D extends DType> {
  host: Tensor<D>;
  device: DeviceTensor<D>;
}

/** A tensor that a call made. */
export type ResultTensor<D extends DType = DType, O extends Output = 'host'> = TensorByOutput<D>[O];

type AnyTensor = ResultTensor<DType, Output>;

/**
 * Tensors of the given shapes, all of them or none; on a GPU their elements are not initialised.
 *
 * @param ordinal of the GPU, for the output 'device'
 * @throws QpError ERR_QP_MEMORY
 */
export function allocateTensors<Name extends string>(
  output: Output,
  ordinal: number,
  dtype: DType,
  shapes: Readonly<Partial<Record<Name, readonly number[]>>>,
): Partial<Record<Name, AnyTensor>> {
  const tensors: Partial<Record<Name, AnyTensor>> = {};
  try {
    for (const name of Object.keys(shapes) as Name[]) {
      const shape = shapes[name]!;
      const count = elementCount(name, shape);
      tensors[name] =
        output === 'device'
          ? new DeviceTensor(ordinal, dtype, shape)
          : { dtype, shape, data: allocate(dtype, count) };
    }
  } catch (error) {
    disposeAll(tensors);
    throw error;
  }
  return tensors;
}

/** What the addon writes. */
export function nativeOutput(tensor: AnyTensor): NumberArray | DeviceArray {
  return isDeviceTensor(tensor) ? deviceArrayOf(tensor, 'the tensor') : tensor.data;
}

/** Frees those on a GPU. */
export function disposeAll(tensors: Readonly<Partial<Record<string, AnyTensor>>>): void {
  for (const tensor of Object.values(tensors)) {
    if (tensor !== undefined && isDeviceTensor(tensor)) tensor.dispose();
  }
}
