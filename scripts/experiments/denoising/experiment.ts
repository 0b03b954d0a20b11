import { Random } from '../random.js';
import type { Experiment, Metric, Part, Settings, SolverOptions } from '../runner/experiment.js';
import { noSolves, type Health, type Schedule } from '../runner/training.js';
import { startTensorFlow } from '../tensorflow.js';
import { FineTuned } from './fine-tuned.js';
import { FullyConnected } from './fully-connected.js';
import { LearnedDifferences } from './learned-differences.js';
import { planFor, type Plan } from './plan.js';
import { NAMES, report } from './report.js';
import { makeSignals, range, type SignalSets } from './signals.js';
import { sweep, type Sweep } from './sweep.js';
import { countingOptions, DenoisingTask, type Denoiser } from './task.js';

/** Streams of the seed, beside that of the shuffles. */
const SIGNALS = 0;
const DENSE = 3;
const DIFFERENCES = 4;
const MIRRORS = 5;

const METRICS: readonly Metric[] = [{ name: 'mse', heading: 'MSE', format: 'number' }];

/** Section 4.2: signals of constant pieces, found again under noise. */
export const denoising: Experiment = {
  name: 'denoising',
  title: 'Total-variation denoising',
  parts,
  report: (results, { quick }) => report(results, planFor(quick), quick),
};

function parts({ seed, quick }: Settings, solver: SolverOptions): Part[] {
  const plan = planFor(quick);
  const signals = (): SignalSets => makeSets(plan, Random.seeded(seed, SIGNALS));
  const training = (
    name: string,
    schedule: Schedule,
    start: (health: Health, sweep: Sweep) => Denoiser,
  ): Part => ({
    kind: 'training',
    name,
    schedule,
    metrics: METRICS,
    task: async (before) => {
      await startTensorFlow();
      const health = noSolves();
      return new DenoisingTask(
        start(health, before[NAMES.totalVariation]!.outcome as Sweep),
        signals(),
        Random.seeded(seed, MIRRORS),
        health,
      );
    },
  });
  const { length, hidden, sparsity, schedules } = plan;
  return [
    {
      kind: 'measurement',
      name: NAMES.totalVariation,
      measure: async (_, tell) => {
        await startTensorFlow();
        return sweep(signals(), plan.lambdas, plan.chosenOn, solver, tell);
      },
    },
    training(
      NAMES.fullyConnected,
      schedules.fullyConnected,
      () => new FullyConnected(length, hidden, Random.seeded(seed, DENSE)),
    ),
    training(NAMES.learned, schedules.learned, (health) => {
      const random = Random.seeded(seed, DIFFERENCES);
      return new LearnedDifferences(length, sparsity, random, countingOptions(health, solver));
    }),
    training(
      NAMES.fineTuned,
      schedules.fineTuned,
      (health, { best }) => new FineTuned(length, best.lambda, countingOptions(health, solver)),
    ),
  ];
}

function makeSets({ length, train, test }: Plan, random: Random): SignalSets {
  const all = makeSignals(train + test, length, random);
  return { train: range(all, 0, train), test: range(all, train, train + test) };
}
