import { tf, dense, startTensorFlow } from '../tensorflow.js';
import type { Random } from '../random.js';
import type { Runner } from '../stopwatch.js';

/** A linear layer n → n of TensorFlow.js (WebAssembly, float32), on x [batch, n]: forward, and all its gradients. */
export async function linearLayer(batch: number, n: number, random: Random): Promise<LinearLayer> {
  await startTensorFlow();
  const draw = (...shape: number[]): tf.Tensor =>
    tf.tensor(
      Float32Array.from({ length: shape.reduce((product, size) => product * size, 1) }, () =>
        random.normal(),
      ),
      shape,
    );
  const [x, weights, bias, upstream] = [draw(batch, n), draw(n, n), draw(n), tf.ones([batch, n])] as const;
  const [input, matrix, gradient] = [x, weights, upstream] as tf.Tensor2D[] as [
    tf.Tensor2D,
    tf.Tensor2D,
    tf.Tensor2D,
  ];
  return {
    forward: {
      name: `linear layer of ${n}`,
      prepare: () => () => tf.tidy(() => dense(input, matrix, bias).dataSync()),
    },
    backward: {
      name: `linear layer of ${n}, backward`,
      prepare: () => () =>
        tf.tidy(() => gradientsOf(input, matrix, gradient).map((result) => result.dataSync())),
    },
    dispose: () => tf.dispose([x, weights, bias, upstream]),
  };
}

export interface LinearLayer {
  forward: Runner;
  backward: Runner;
  dispose(): void;
}

/** Of the loss whose gradient for x·W + b is dy: for x, W and b. Transposed first, as the backend likes it. */
function gradientsOf(x: tf.Tensor2D, weights: tf.Tensor2D, dy: tf.Tensor2D): tf.Tensor[] {
  return [tf.matMul(dy, tf.transpose(weights)), tf.matMul(tf.transpose(x), dy), tf.sum(dy, 0)];
}
