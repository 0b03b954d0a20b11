import path from 'node:path';

import * as tf from '@tensorflow/tfjs';
import { setWasmPaths } from '@tensorflow/tfjs-backend-wasm';

import { Adam } from './adam.js';
import type { Random } from './random.js';
import type { Arrays } from './runner/training.js';

export { tf };

/** Chooses TensorFlow.js's fastest backend that is made of npm packages alone: WebAssembly, on one thread. */
export async function startTensorFlow(): Promise<void> {
  const wasm = path.dirname(require.resolve('@tensorflow/tfjs-backend-wasm/package.json'));
  setWasmPaths(path.join(wasm, 'dist', path.sep));
  await tf.setBackend('wasm');
  await tf.ready();
}

/** The trainable tensors of a network, and the Adam that changes them. */
export class Parameters<Name extends string> {
  /** Use these in the loss. */
  readonly tensors: Readonly<Record<Name, tf.Variable>>;
  readonly #variables: tf.Variable[];
  readonly #values: Float32Array[];
  readonly #adam: Adam<Float32Array>;

  constructor(initial: Readonly<Record<Name, { shape: number[]; data: Float32Array }>>, weightDecay = 0) {
    const entries = Object.entries(initial) as [Name, { shape: number[]; data: Float32Array }][];
    this.#values = entries.map(([, { data }]) => data);
    this.#variables = entries.map(([, { data, shape }]) => tf.variable(tf.tensor(data, shape)));
    this.tensors = Object.fromEntries(
      entries.map(([name], i) => [name, this.#variables[i]!]),
    ) as unknown as Record<Name, tf.Variable>;
    this.#adam = new Adam(this.#values, undefined, undefined, undefined, weightDecay);
  }

  /** One step of Adam down the gradient of a loss. Gives the loss before it. */
  minimize(loss: () => tf.Scalar, rate: number): number {
    return tf.tidy(() => {
      const { value, grads } = tf.variableGrads(loss, this.#variables);
      const gradients = this.#variables.map(({ name }) => grads[name]!.dataSync<'float32'>());
      this.#adam.step(gradients, rate);
      this.#upload();
      return value.dataSync<'float32'>()[0]!;
    });
  }

  /** The values as they are now, not copies. */
  values(): Readonly<Record<Name, Float32Array>> {
    return Object.fromEntries(Object.keys(this.tensors).map((name, i) => [name, this.#values[i]!])) as Record<
      Name,
      Float32Array
    >;
  }

  save(): Arrays {
    const { steps, first, second } = this.#adam.save();
    const arrays: Record<string, Float32Array | Float64Array> = { steps: Float64Array.of(steps) };
    Object.keys(this.tensors).forEach((name, i) => {
      arrays[name] = this.#values[i]!.slice();
      arrays[`${name}.first`] = first[i]!;
      arrays[`${name}.second`] = second[i]!;
    });
    return arrays;
  }

  load(arrays: Arrays): void {
    const names = Object.keys(this.tensors);
    names.forEach((name, i) => this.#values[i]!.set(arrays[name]!));
    this.#adam.load({
      steps: arrays.steps![0]!,
      first: names.map((name) => arrays[`${name}.first`] as Float32Array),
      second: names.map((name) => arrays[`${name}.second`] as Float32Array),
    });
    this.#upload();
  }

  dispose(): void {
    tf.dispose(this.#variables);
  }

  #upload(): void {
    tf.tidy(() => {
      this.#variables.forEach((variable, i) => variable.assign(tf.tensor(this.#values[i]!, variable.shape)));
    });
  }
}

/**
 * a·b, with gradients that transpose first: the WebAssembly backend multiplies by a transpose a tenth as fast.
 * a [rows, inner], b [inner, columns].
 */
export const product = tf.customGrad((...args) => {
  const [a, b] = args as unknown as [tf.Tensor2D, tf.Tensor2D];
  const save = args.at(-1) as unknown as tf.GradSaveFunc;
  save([a, b]);
  return {
    value: tf.matMul(a, b),
    gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => [
      tf.matMul(dy, tf.transpose(saved[1] as tf.Tensor2D)),
      tf.matMul(tf.transpose(saved[0] as tf.Tensor2D), dy),
    ],
  };
}) as (a: tf.Tensor2D, b: tf.Tensor2D) => tf.Tensor2D;

/** x·W + b, for x [batch, in], W [in, out], b [out]. */
export function dense(x: tf.Tensor2D, weights: tf.Tensor, bias: tf.Tensor): tf.Tensor2D {
  return product(x, weights as tf.Tensor2D).add(bias);
}

/** `dense` for the first layer of a network: x is data, and no time goes into a gradient for it. */
export function firstDense(x: tf.Tensor2D, weights: tf.Tensor, bias: tf.Tensor): tf.Tensor2D {
  const ofWeights = tf.customGrad((...args) => {
    const save = args[1] as unknown as tf.GradSaveFunc;
    save([x]);
    return {
      value: tf.matMul(x, args[0] as tf.Tensor2D),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.matMul(tf.transpose(saved[0] as tf.Tensor2D), dy),
    };
  });
  return ofWeights(weights).add(bias);
}

/** Weights and bias of a layer, both uniform in ±1/√in, as PyTorch starts its layers. */
export function denseInitial(random: Random, inputs: number, outputs: number) {
  const bound = 1 / Math.sqrt(inputs);
  const uniform = (length: number): Float32Array =>
    Float32Array.from({ length }, () => bound * (2 * random.uniform() - 1));
  return {
    weights: { shape: [inputs, outputs], data: uniform(inputs * outputs) },
    bias: { shape: [outputs], data: uniform(outputs) },
  };
}
