import type { Arrays, Health, Tally, Task } from '../runner/training.js';
import { add, emptyTally } from '../runner/training.js';
import { tf } from '../tensorflow.js';
import { batchOf, CLASSES, PIXELS, type Batch, type Digits } from './digits.js';
import type { DigitNetwork } from './network.js';

const TEST_BATCH = 500;

/** What the last layer of a network has learned. */
export interface LastLayerOutcome {
  /** The test error once the last layer is set back to its start, and all else is as trained. */
  errorWithout: number;
}

/** Learns to tell digits apart: the loss is the mean cross entropy, an error is a digit taken for another. */
export class DigitTask implements Task {
  readonly health?: Health;
  readonly #network: DigitNetwork;
  readonly #train: Digits;
  readonly #test: Digits;
  /** Of the last layer, by parameter. */
  readonly #start: Arrays;

  constructor(network: DigitNetwork, train: Digits, test: Digits) {
    this.#network = network;
    this.#train = train;
    this.#test = test;
    this.#start = pick(network.parameters.save(), network.lastLayer);
    if (network.health) this.health = network.health;
  }

  get examples(): number {
    return this.#train.count;
  }

  trainOn(indices: Uint32Array, rate: number): Tally {
    const batch = batchOf(this.#train, indices);
    let mistaken = 0;
    const loss = this.#network.parameters.minimize(() => {
      const logits = this.#logits(batch);
      mistaken = this.#mistaken(logits, batch);
      return crossEntropy(logits, batch);
    }, rate);
    return { examples: batch.count, sums: { loss: loss * batch.count, error: mistaken } };
  }

  test(): Tally {
    let sum = emptyTally();
    for (let start = 0; start < this.#test.count; start += TEST_BATCH) {
      const length = Math.min(TEST_BATCH, this.#test.count - start);
      const indices = Uint32Array.from({ length }, (_, i) => start + i);
      sum = add(sum, this.#measure(batchOf(this.#test, indices)));
    }
    return sum;
  }

  save(): Arrays {
    return this.#network.parameters.save();
  }

  load(arrays: Arrays): void {
    this.#network.parameters.load(arrays);
  }

  outcome(): LastLayerOutcome {
    const trained = this.save();
    this.load({ ...trained, ...this.#start });
    const { sums, examples } = this.test();
    this.load(trained);
    return { errorWithout: sums.error! / examples };
  }

  dispose(): void {
    this.#network.parameters.dispose();
  }

  #measure(batch: Batch): Tally {
    return tf.tidy(() => {
      const logits = this.#logits(batch);
      const loss = crossEntropy(logits, batch).dataSync()[0]!;
      return {
        examples: batch.count,
        sums: { loss: loss * batch.count, error: this.#mistaken(logits, batch) },
      };
    });
  }

  #logits({ pixels, count }: Batch): tf.Tensor2D {
    return this.#network.logits(tf.tensor2d(pixels, [count, PIXELS]));
  }

  /** How many of the batch get another digit, or none, which is noted in `health`. */
  #mistaken(logits: tf.Tensor2D, { labels }: Batch): number {
    const values = logits.dataSync<'float32'>();
    if (this.health) this.health.nonFinite += values.filter((value) => !Number.isFinite(value)).length;
    return labels.reduce((sum, label, row) => sum + (likeliest(values, row) === label ? 0 : 1), 0);
  }
}

/** The mean of −log softmax(logits) at the labels. */
function crossEntropy(logits: tf.Tensor2D, { oneHot, count }: Batch): tf.Scalar {
  const likelihoods = tf.logSoftmax(logits).mul(tf.tensor2d(oneHot, [count, CLASSES]));
  return likelihoods.sum<tf.Scalar>().div(-count);
}

/** The class of the greatest value in a row. NaN is never the greatest. */
function likeliest(values: Float32Array, row: number): number {
  let best = -1;
  let most = -Infinity;
  for (let label = 0; label < CLASSES; label++) {
    const value = values[row * CLASSES + label]!;
    if (value > most) [best, most] = [label, value];
  }
  return best;
}

const pick = (arrays: Arrays, names: readonly string[]): Arrays =>
  Object.fromEntries(names.map((name) => [name, arrays[name]!]));
