import { Random } from '../random.js';
import type { Experiment, Metric, Settings, SolverOptions, TrainingPart } from '../runner/experiment.js';
import type { Schedule } from '../runner/training.js';
import { startTensorFlow } from '../tensorflow.js';
import { drawDigits, loadDigits, type Digits } from './digits.js';
import { denseNetwork, optNetNetwork } from './network.js';
import { report } from './report.js';
import { runsOf, type Run } from './runs.js';
import { DigitTask } from './task.js';

/** How much is learned from, and how long. */
interface Size {
  /** Of the first layer. */
  hidden: number;
  train: number;
  test: number;
  schedule: Schedule;
}

const EPOCHS = 16;

/** Adam's usual rate at first, down to almost none along a cosine (Loshchilov and Hutter, 2017). */
const FULL: Size = {
  hidden: 600,
  train: 60_000,
  test: 10_000,
  schedule: {
    epochs: EPOCHS,
    batch: 64,
    rate: (epoch) => 0.5e-3 * (1 + Math.cos((Math.PI * (epoch - 1)) / EPOCHS)),
  },
};

const QUICK: Size = {
  hidden: 100,
  train: 6000,
  test: 1000,
  schedule: { epochs: 4, batch: 32, rate: () => 2e-3 },
};

const METRICS: Metric[] = [
  { name: 'loss', heading: 'loss', format: 'number' },
  { name: 'error', heading: 'error', format: 'percent' },
];

/** Streams of the seed. */
const DIGITS = 0;
const PARAMETERS = 1;

/** The paper's section 4.3: MNIST, with an OptNet layer in the place of a fully connected one. */
export const mnist: Experiment = {
  name: 'mnist',
  title: 'MNIST: an OptNet layer in a classifier',
  parts: (settings, solver) => runsOf(settings).map((run) => partOf(run, settings, solver)),
  report,
};

function partOf({ name, network, seed }: Run, { quick }: Settings, solver: SolverOptions): TrainingPart {
  const size = quick ? QUICK : FULL;
  return {
    kind: 'training',
    name,
    schedule: size.schedule,
    metrics: METRICS,
    async task() {
      await startTensorFlow();
      const { train, test } = digitsOf(size, seed);
      const random = Random.seeded(seed, PARAMETERS);
      const { hidden } = size;
      const untrained =
        network === 'dense' ? denseNetwork(hidden, random) : optNetNetwork(hidden, random, solver);
      return new DigitTask(untrained, train, test);
    },
  };
}

/** The same for both networks; in another order for another seed. */
function digitsOf({ train, test }: Size, seed: number): { train: Digits; test: Digits } {
  const random = Random.seeded(seed, DIGITS);
  const all = loadDigits();
  return { train: drawDigits(all.train, train, random), test: drawDigits(all.test, test, random) };
}
