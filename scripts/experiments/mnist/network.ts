import type { Random } from '../random.js';
import type { SolverOptions } from '../runner/experiment.js';
import { noSolves, type Health } from '../runner/training.js';
import { dense, denseInitial, firstDense, Parameters, tf } from '../tensorflow.js';
import { CLASSES, PIXELS } from './digits.js';
import { optNetInitial, optNetLayer } from './optnet-layer.js';

/** As the authors have it. */
const WEIGHT_DECAY = 1e-4;

/** A network that tells digits apart, in the two forms that the paper compares (section 4.3). */
export interface DigitNetwork {
  readonly parameters: Parameters<string>;
  /** The parameters of the last layer, the only one that differs. */
  readonly lastLayer: readonly string[];
  /** Of problems solved, in a network that solves some. */
  readonly health?: Health;
  /** Scores of the ten classes before the softmax [batch, 10], for pixels [batch, 784]. */
  logits(pixels: tf.Tensor2D): tf.Tensor2D;
}

/** FC–ReLU–FC10–ReLU–FC10. `hidden` is the size of the first layer. */
export function denseNetwork(hidden: number, random: Random): DigitNetwork {
  const body = bodyInitial(hidden, random);
  const last = denseInitial(random, CLASSES, CLASSES);
  const parameters = new Parameters({ ...body, weights3: last.weights, bias3: last.bias }, WEIGHT_DECAY);
  const { tensors } = parameters;
  return {
    parameters,
    lastLayer: ['weights3', 'bias3'],
    logits: (pixels) => dense(tf.relu(bodyOutput(pixels, tensors)), tensors.weights3, tensors.bias3),
  };
}

/**
 * FC–ReLU–FC10–OptNet10. The inequalities of the last layer make it piecewise linear, so that it needs no ReLU before it,
 * which would take half of what it can tell digits by. The same random numbers start the first two layers as in
 * `denseNetwork`.
 */
export function optNetNetwork(hidden: number, random: Random, solver: SolverOptions = {}): DigitNetwork {
  const body = bodyInitial(hidden, random);
  const last = optNetInitial(random);
  const parameters = new Parameters({ ...body, ...last }, WEIGHT_DECAY);
  const { tensors } = parameters;
  const health = noSolves();
  const layer = optNetLayer(health, solver);
  return {
    parameters,
    lastLayer: Object.keys(last),
    health,
    logits: (pixels) => layer(bodyOutput(pixels, tensors), tensors),
  };
}

function bodyInitial(hidden: number, random: Random) {
  const first = denseInitial(random, PIXELS, hidden);
  const second = denseInitial(random, hidden, CLASSES);
  return { weights1: first.weights, bias1: first.bias, weights2: second.weights, bias2: second.bias };
}

/** FC–ReLU–FC10 [batch, 10]. */
function bodyOutput(
  pixels: tf.Tensor2D,
  { weights1, bias1, weights2, bias2 }: Readonly<Record<keyof ReturnType<typeof bodyInitial>, tf.Tensor>>,
): tf.Tensor2D {
  const hidden = tf.relu(firstDense(pixels, weights1, bias1));
  return dense(hidden, weights2, bias2);
}
