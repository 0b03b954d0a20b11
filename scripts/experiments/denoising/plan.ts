import type { Schedule } from '../runner/training.js';

/** Sizes of the experiment, which decide how long it takes. */
export interface Plan {
  length: number;
  train: number;
  test: number;
  hidden: number;
  lambdas: readonly number[];
  /** Training signals that λ is chosen on. */
  chosenOn: number;
  /** Of ‖D‖₁ in the loss of the layer that starts from random numbers. */
  sparsity: number;
  schedules: Readonly<Record<'fullyConnected' | 'learned' | 'fineTuned', Schedule>>;
}

const FULL: Plan = {
  length: 100,
  train: 9000,
  test: 1000,
  hidden: 1000,
  lambdas: [5, 9, 11, 13, 15, 16, 17, 18, 19, 20, 21, 22, 24, 28, 36],
  chosenOn: 2000,
  sparsity: 0.1,
  schedules: {
    fullyConnected: { epochs: 100, batch: 150, rate: cosine(100, 1e-3) },
    learned: { epochs: 24, batch: 150, rate: cosine(24, 1e-2) },
    fineTuned: { epochs: 16, batch: 150, rate: cosine(16, 6e-4) },
  },
};

/** Fewer and shorter signals, in smaller batches. */
const QUICK: Plan = {
  length: 40,
  train: 2000,
  test: 500,
  hidden: 200,
  lambdas: [6, 9, 12, 15, 20, 30],
  chosenOn: 1000,
  sparsity: 0.1,
  schedules: {
    fullyConnected: { epochs: 8, batch: 50, rate: cosine(8, 2e-3) },
    learned: { epochs: 8, batch: 50, rate: cosine(8, 1e-2) },
    fineTuned: { epochs: 10, batch: 50, rate: cosine(10, 1e-3) },
  },
};

export const planFor = (quick: boolean): Plan => (quick ? QUICK : FULL);

/** Half a period of a cosine: from `rate` in the first epoch nearly to zero in the last. */
function cosine(epochs: number, rate: number): (epoch: number) => number {
  return (epoch) => (rate * (1 + Math.cos((Math.PI * (epoch - 1)) / epochs))) / 2;
}
