import { Random, type RandomState } from '../random.js';
import type { SolverOptions } from '../runner/experiment.js';
import {
  add,
  emptyTally,
  noSolves,
  type Arrays,
  type Health,
  type Tally,
  type Task,
} from '../runner/training.js';
import { tf, type Parameters } from '../tensorflow.js';
import { choose, mirror, range, type Signals, type SignalSets } from './signals.js';
import type { LayerOptions } from './total-variation.js';

/** What maps noisy signals to clean ones. */
export interface Denoiser {
  readonly parameters: Parameters<string>;
  /** Whether each signal takes a solve. */
  readonly solves: boolean;
  /** x [batch, length] to [batch, length]. */
  denoise(x: tf.Tensor2D): tf.Tensor2D;
  /** Added to the mean squared error that is minimised. */
  penalty?(): tf.Scalar;
  /** What there is to show of its parameters. */
  show?(): object;
}

/** What pictures show of a trained denoiser. */
export interface DenoiserOutcome {
  /** The first test signals, denoised. */
  examples: number[][];
}

/** As many test signals are kept for pictures. */
export const EXAMPLES = 3;

/** Signals that are denoised at once when nothing is learned from them. */
const CHUNK = 250;

/**
 * Trains a denoiser to the least mean squared error. Signals are mirrored at random, which makes four of each: with so
 * many parameters, those of 9,000 signals alone are soon learned by heart.
 */
export class DenoisingTask implements Task {
  readonly examples: number;
  readonly health: Health;
  readonly #denoiser: Denoiser;
  readonly #signals: SignalSets;
  #random: Random;

  /** `random` mirrors the signals. */
  constructor(denoiser: Denoiser, signals: SignalSets, random: Random, health: Health = noSolves()) {
    this.examples = signals.train.count;
    this.health = health;
    this.#denoiser = denoiser;
    this.#signals = signals;
    this.#random = random;
  }

  trainOn(indices: Uint32Array, rate: number): Tally {
    const { parameters } = this.#denoiser;
    const batch = choose(this.#signals.train, indices);
    mirror(batch, this.#random);
    let error = NaN;
    parameters.minimize(() => {
      const loss = this.#meanSquare(batch);
      error = loss.dataSync<'float32'>()[0]!;
      return this.#denoiser.penalty ? tf.add(loss, this.#denoiser.penalty()) : loss;
    }, rate);
    return this.#tally(batch.count, error);
  }

  test(): Tally {
    const { test } = this.#signals;
    let tally = emptyTally();
    for (const chunk of chunks(test)) {
      const error = tf.tidy(() => this.#meanSquare(chunk).dataSync<'float32'>()[0]!);
      tally = add(tally, this.#tally(chunk.count, error));
    }
    return tally;
  }

  save(): Arrays {
    return { ...this.#denoiser.parameters.save(), random: Float64Array.from(this.#random.state()) };
  }

  load(arrays: Arrays): void {
    this.#denoiser.parameters.load(arrays);
    this.#random = Random.restored(Array.from(arrays.random!) as RandomState);
  }

  outcome(): DenoiserOutcome {
    const examples = denoised((x) => this.#denoiser.denoise(x), range(this.#signals.test, 0, EXAMPLES));
    return { examples, ...this.#denoiser.show?.() };
  }

  dispose(): void {
    this.#denoiser.parameters.dispose();
  }

  #meanSquare({ count, length, clean, noisy }: Signals): tf.Scalar {
    const found = this.#denoiser.denoise(tf.tensor2d(noisy, [count, length]));
    return tf.mean(tf.squaredDifference(found, tf.tensor2d(clean, [count, length])));
  }

  #tally(examples: number, error: number): Tally {
    if (this.#denoiser.solves) this.health.solves += examples;
    if (!Number.isFinite(error)) this.health.nonFinite++;
    return { examples, sums: { mse: examples * error } };
  }
}

/** Options for the layer of a task, which counts in `health` what the layer could not solve. */
export function countingOptions(health: Health, solver: SolverOptions): LayerOptions {
  return {
    ...solver,
    onUnsolved: ({ status }) => {
      health.unsolved += status.filter((each) => each !== 'solved').length;
    },
  };
}

/** A few at a time, for the sake of memory. */
export function chunks(signals: Signals): Signals[] {
  return Array.from({ length: Math.ceil(signals.count / CHUNK) }, (_, i) =>
    range(signals, i * CHUNK, Math.min(signals.count, (i + 1) * CHUNK)),
  );
}

/** A row for each signal, for pictures. */
export function denoised(
  denoise: (x: tf.Tensor2D) => tf.Tensor2D,
  { count, length, noisy }: Signals,
): number[][] {
  const rows = tf.tidy(() => denoise(tf.tensor2d(noisy, [count, length])).arraySync());
  return rows.map((row) => row.map(rounded));
}

/** To four digits, as pictures need no more. */
export const rounded = (value: number): number => Number(value.toPrecision(4));
