import { setImmediate } from 'node:timers/promises';

import type { SolverOptions } from '../runner/experiment.js';
import { tf } from '../tensorflow.js';
import { range, type Signals, type SignalSets } from './signals.js';
import { chunks, denoised, EXAMPLES, rounded } from './task.js';
import { differenceMatrix, variationLayer } from './total-variation.js';

/** Mean squared errors of total-variation denoising with a λ. */
export interface SweepPoint {
  lambda: number;
  train: number;
  test: number;
}

export interface Sweep {
  points: SweepPoint[];
  /** Of the least training error; its training error is over all training signals. */
  best: SweepPoint;
  /** The first test signals, and the same denoised with the best λ. */
  clean: number[][];
  noisy: number[][];
  examples: number[][];
}

/** Total variation with each λ. It is chosen on the first `chosenOn` training signals. */
export async function sweep(
  { train, test }: SignalSets,
  lambdas: readonly number[],
  chosenOn: number,
  solver: SolverOptions,
  tell: (message: string) => void,
): Promise<Sweep> {
  const sample = range(train, 0, chosenOn);
  const points: SweepPoint[] = [];
  for (const lambda of lambdas) {
    await setImmediate(); // for signals to be noticed
    const denoise = totalVariation(train.length, lambda, solver);
    const point: SweepPoint = { lambda, train: meanSquare(denoise, sample), test: meanSquare(denoise, test) };
    tell(`λ ${lambda}: MSE ${point.train.toFixed(2)} in training, ${point.test.toFixed(2)} in the test`);
    points.push(point);
  }
  const chosen = points.reduce((best, point) => (point.train < best.train ? point : best));
  const denoise = totalVariation(train.length, chosen.lambda, solver);
  const shown = range(test, 0, EXAMPLES);
  return {
    points,
    best: { ...chosen, train: meanSquare(denoise, train) },
    clean: rows(shown.clean, shown.length),
    noisy: rows(shown.noisy, shown.length),
    examples: denoised(denoise, shown),
  };
}

type Denoise = (x: tf.Tensor2D) => tf.Tensor2D;

function totalVariation(length: number, lambda: number, solver: SolverOptions): Denoise {
  const layer = variationLayer(length, lambda, solver);
  const { data, shape } = differenceMatrix(length);
  return (x) => layer(tf.tensor2d(data, shape), x);
}

function meanSquare(denoise: Denoise, signals: Signals): number {
  const sum = chunks(signals).reduce((total, { count, length, clean, noisy }) => {
    const error = tf.tidy(
      () =>
        tf.losses
          .meanSquaredError(tf.tensor2d(clean, [count, length]), denoise(tf.tensor2d(noisy, [count, length])))
          .dataSync<'float32'>()[0]!,
    );
    return total + count * error;
  }, 0);
  return sum / signals.count;
}

function rows(values: Float32Array, length: number): number[][] {
  return Array.from({ length: values.length / length }, (_, i) =>
    Array.from(values.subarray(i * length, (i + 1) * length), rounded),
  );
}
