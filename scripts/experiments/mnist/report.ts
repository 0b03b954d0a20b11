import { drawChart, type Series } from '../runner/chart.js';
import type { Check, Picture, Report, Results, Settings } from '../runner/experiment.js';
import type { Table } from '../runner/table.js';
import type { EpochRecord } from '../runner/training.js';
import { NETWORKS, runsOf, type NetworkName } from './runs.js';
import type { LastLayerOutcome } from './task.js';

/** Best test errors in the paper (figure 4). */
const PAPER: Readonly<Record<NetworkName, number>> = { dense: 0.0154, optnet: 0.0143 };

const COLOURS: Readonly<Record<NetworkName, string>> = { dense: '#d1660f', optnet: '#1f5fa8' };

/** By then a quick run must have learned: at random, nine digits in ten are mistaken. */
const QUICK_ERROR = 0.15;

/** What came of a network from one seed. Errors are of the test digits. */
interface Trained {
  seed: number;
  history: readonly EpochRecord[];
  best: number;
  bestEpoch: number;
  final: number;
  /** With the last layer set back to its start. */
  without: number;
  unsolved: number;
  seconds: number;
}

export function report(results: Results, settings: Settings): Report {
  const trained = {
    dense: trainedOf('dense', results, settings),
    optnet: trainedOf('optnet', results, settings),
  };
  return {
    tables: [comparison(trained, settings.quick)],
    pictures: [curves(trained)],
    checks: settings.quick ? quickChecks(trained) : fullChecks(trained),
  };
}

type AllTrained = Readonly<Record<NetworkName, readonly Trained[]>>;

function trainedOf(network: NetworkName, results: Results, settings: Settings): Trained[] {
  return runsOf(settings)
    .filter((run) => run.network === network)
    .map(({ name, seed }) => {
      const { history, outcome, health, seconds } = results[name]!;
      const errors = history.map(({ test }) => test.error!);
      const best = Math.min(...errors);
      return {
        seed,
        history,
        best,
        bestEpoch: history[errors.indexOf(best)]!.epoch,
        final: errors.at(-1)!,
        without: (outcome as LastLayerOutcome).errorWithout,
        unsolved: health?.unsolved ?? 0,
        seconds,
      };
    });
}

function comparison(trained: AllTrained, quick: boolean): Table {
  const rows = NETWORKS.flatMap(({ name, title }) => {
    const each = trained[name].map(({ seed, best, bestEpoch, final, seconds }) => [
      `${title}, seed ${seed}`,
      percent(best),
      bestEpoch.toString(),
      percent(final),
      '',
      seconds.toFixed(0),
    ]);
    const means = [
      `${title}, mean`,
      percent(mean(trained[name], 'best')),
      '',
      percent(mean(trained[name], 'final')),
      percent(PAPER[name]),
      '',
    ];
    return [...each, means];
  });
  return {
    title: 'Test error on MNIST',
    headings: ['last layer', 'best', 'in epoch', 'final', 'paper, best', 'seconds'],
    rows,
    notes: quick
      ? ['A tenth of the digits, a smaller first layer and few epochs: not the paper’s setting.']
      : [],
  };
}

/** Of all runs; epoch 0, at 90 %, is left out. */
function curves(trained: AllTrained): Picture {
  const seriesOf = (
    name: NetworkName,
    suffix: string,
    value: (record: EpochRecord) => number | undefined,
    dash?: string,
  ): Series[] =>
    trained[name].map(({ history }) => ({
      name: `${NETWORKS.find((network) => network.name === name)!.title}, ${suffix}`,
      points: history.filter(({ epoch }) => epoch > 0).map((record) => [record.epoch, value(record)]),
      colour: COLOURS[name],
      ...(dash && { dash }),
    }));
  const names = NETWORKS.map(({ name }) => name);
  const x = { label: 'Epoch' };
  const svg = drawChart('MNIST', [
    {
      x,
      y: { label: 'Test error (%)' },
      series: names.flatMap((name) => seriesOf(name, 'test', ({ test }) => 100 * test.error!)),
    },
    {
      x,
      y: { label: 'Cross entropy', scale: 'log' },
      series: names.flatMap((name) => [
        ...seriesOf(name, 'test', ({ test }) => test.loss),
        ...seriesOf(name, 'train', ({ train }) => train?.loss, '5 4'),
      ]),
    },
  ]);
  return { name: 'mnist', svg };
}

function quickChecks(trained: AllTrained): Check[] {
  return [
    ...NETWORKS.map(({ name, title }) =>
      atMost(`${title}: test error`, Math.max(...trained[name].map(({ final }) => final)), QUICK_ERROR),
    ),
    ...solverChecks(trained, 1.3),
  ];
}

function fullChecks(trained: AllTrained): Check[] {
  const [dense, optnet] = [mean(trained.dense, 'best'), mean(trained.optnet, 'best')];
  return [
    atMost('Fully connected: best test error, mean of the seeds,', dense, 0.02),
    atMost('OptNet: best test error, mean of the seeds, no worse than fully connected:', optnet, dense),
    ...solverChecks(trained, 2),
  ];
}

/** Every problem was solved, and what the OptNet layer learned serves the network: the more, the longer it learned. */
function solverChecks({ optnet }: AllTrained, times: number): Check[] {
  const unsolved = optnet.reduce((sum, run) => sum + run.unsolved, 0);
  return [
    { claim: `problems not solved: ${unsolved}`, holds: unsolved === 0 },
    ...optnet.map(({ seed, final, without }) => ({
      claim:
        `seed ${seed}: the test error is ${percent(without)} with the OptNet layer’s parameters set back to their ` +
        `start, more than ${times} times the ${percent(final)} with those that it learned`,
      holds: without > times * final,
    })),
  ];
}

const atMost = (what: string, value: number, bound: number): Check => ({
  claim: `${what} ${percent(value)} ≤ ${percent(bound)}`,
  holds: value <= bound,
});

const mean = (runs: readonly Trained[], what: 'best' | 'final'): number =>
  runs.reduce((sum, run) => sum + run[what], 0) / runs.length;

const percent = (fraction: number): string => `${(100 * fraction).toFixed(2)} %`;
