import type { BackwardResult } from 'optnet';

import { Random } from '../random.js';
import { drawChart, type Series } from '../runner/chart.js';
import type {
  Check,
  Experiment,
  MeasuredPart,
  Results,
  Settings,
  SolverOptions,
} from '../runner/experiment.js';
import type { Table } from '../runner/table.js';
import {
  formatSeconds,
  threeDigits,
  timeInTurn,
  timesAsLong,
  type Runner,
  type Times,
} from '../stopwatch.js';
import { linearLayer } from './linear.js';
import { deviationFromDifferences, ownData, QpLayer, sharedData } from './qp.js';

const BATCH = 128;
const SIZES = [10, 50, 100, 500] as const;
/** Sizes at which gradients are compared with differences. Beyond them the differences are the less exact ones. */
const COMPARED = 100;
const AGREEMENT = 1e-5;

/** Seconds of the paper's QP layer on a Titan X GPU, with batches of 128, at each of the sizes. */
const PAPER = {
  forward: [0.064, 0.11, 0.2, 4.79],
  backward: [0.0025, 0.0028, 0.0052, 0.151],
};

const KINDS = ['linear', 'shared', 'own'] as const;
type Kind = (typeof KINDS)[number];
type Pass = 'forward' | 'backward';

interface Measured {
  n: number;
  /** Of each kind of layer. */
  times: Record<Kind, Record<Pass, Times>>;
  solved: number;
  finite: boolean;
  /** Of gradients from central differences, relative; the median over the batch. */
  deviation: number | null;
}

/** The paper's comparison of a linear layer and a QP layer of as many inequalities as variables (section 4.1). */
export const layerTiming: Experiment = {
  name: 'layer-timing',
  title: 'What a QP layer costs, beside a linear layer (section 4.1)',
  parts: (settings, options) => sizesOf(settings).map((n) => part(n, settings, options)),
  report(results, settings) {
    const sizes = sizesOf(settings).map((n) => results[nameOf(n)]!.outcome as Measured);
    return {
      tables: [table(sizes)],
      pictures: [{ name: 'layer-timing', svg: picture(sizes) }],
      checks: sizes.flatMap(checks),
    };
  },
};

const sizesOf = ({ quick }: Settings): number[] => SIZES.filter((n) => !quick || n <= 100);
const nameOf = (n: number): string => `n = ${n}`;

function part(n: number, settings: Settings, options: SolverOptions): MeasuredPart {
  return {
    kind: 'measurement',
    name: nameOf(n),
    measure: (_: Results, tell) => measure(n, settings, options, tell),
  };
}

async function measure(
  n: number,
  { seed, quick }: Settings,
  options: SolverOptions,
  tell: (message: string) => void,
): Promise<Measured> {
  const random = Random.seeded(seed, n);
  tell('drawing problems');
  const problems = ownData(BATCH, n, random);
  const { Q, p, G, h } = problems;
  const layers = {
    shared: new QpLayer(sharedData(problems, random), options),
    own: new QpLayer({ Q, p, G, h }, options),
  };
  const linear = await linearLayer(BATCH, n, random);
  const passes: Record<Kind, Record<Pass, Runner>> = {
    linear,
    shared: runnersOf('QP layer, shared data', layers.shared),
    own: runnersOf('QP layer', layers.own),
  };
  const effort = quick ? { rounds: 5, seconds: 0.03, limit: 2 } : { rounds: 9, seconds: 0.1, limit: 60 };
  const all = KINDS.flatMap((kind) => [passes[kind].forward, passes[kind].backward]);
  const times = await timeInTurn(all, effort, tell);
  const gradients = await layers.own.backward();
  const solved = Math.min(layers.own.solved, layers.shared.solved);
  for (const disposable of [linear, layers.shared, layers.own]) disposable.dispose();
  tell('gradients, by differences');
  return {
    n,
    times: Object.fromEntries(
      KINDS.map((kind, i) => [kind, { forward: times[2 * i], backward: times[2 * i + 1] }]),
    ) as Measured['times'],
    solved,
    finite: allFinite(gradients),
    deviation: n <= COMPARED ? await deviationFromDifferences(problems, random, options) : null,
  };
}

function runnersOf(name: string, layer: QpLayer): Record<Pass, Runner> {
  return {
    forward: { name: `${name}, forward`, prepare: () => () => layer.forward() },
    backward: { name: `${name}, backward`, prepare: () => () => layer.backward() },
  };
}

const allFinite = ({ dQ, dp, dG, dh }: BackwardResult<'float64'>): boolean =>
  [dQ!, dp, dG!, dh!].every(({ data }) => data.every(Number.isFinite));

function table(sizes: readonly Measured[]): Table {
  const passes = ['forward', 'backward'] as const;
  return {
    title: `Time of a layer on a batch of ${BATCH}: n inputs, n outputs, n inequalities`,
    headings: [
      'n',
      ...passes.flatMap((pass) => [`${pass}: linear`, 'QP, shared', 'QP', 'paper’s QP', 'times as fast']),
    ],
    rows: sizes.map(({ n, times }) => [
      n.toString(),
      ...passes.flatMap((pass) => {
        const paper = PAPER[pass][SIZES.indexOf(n as (typeof SIZES)[number])]!;
        return [
          ...KINDS.map((kind) => formatSeconds(times[kind][pass].median)),
          formatSeconds(paper),
          `${threeDigits(paper / times.own[pass].median)}×`,
        ];
      }),
    ]),
    notes: [
      'QP: each problem has a Q, p, G and h of its own, as in the paper’s code, and gradients are taken for all of them. ' +
        'QP, shared: one Q, G and h for all, a p for each. All in float64. The paper’s times are of a Titan X GPU, in float32.',
      'The linear layer is TensorFlow.js’s (WebAssembly on one thread, float32), its gradients those for input, weights and bias.',
    ],
  };
}

function picture(sizes: readonly Measured[]): string {
  const measured = (name: string, kind: Kind, pass: Pass): Series => ({
    name,
    dots: true,
    points: sizes.map(({ n, times }) => [n, times[kind][pass].median]),
  });
  const panel = (pass: Pass) => ({
    title: pass,
    x: { label: 'n: variables, and inequalities', scale: 'log' as const },
    y: { label: `time for a batch of ${BATCH} (s)`, scale: 'log' as const },
    series: [
      measured('linear layer', 'linear', pass),
      measured('QP layer, shared data', 'shared', pass),
      measured('QP layer', 'own', pass),
      {
        name: 'paper’s QP layer, on a GPU',
        dots: true,
        dash: '4 3',
        points: sizes.map(({ n }, i) => [n, PAPER[pass][i]] as const),
      },
    ],
  });
  return drawChart(`A QP layer and a linear layer, batch of ${BATCH}`, [panel('forward'), panel('backward')]);
}

function checks({ n, times, solved, finite, deviation }: Measured): Check[] {
  const ratio = 1 / timesAsLong(times.own.forward, times.own.backward);
  return [
    {
      claim: `n = ${n}: backward takes ${(100 * ratio).toFixed(0)} % of the time of forward, less than 100 %`,
      holds: ratio < 1,
    },
    { claim: `n = ${n}: ${solved} of ${BATCH} problems are solved`, holds: solved === BATCH },
    { claim: `n = ${n}: all gradients are finite`, holds: finite },
    ...(deviation === null
      ? []
      : [
          {
            claim: `n = ${n}: gradients are central differences to ${deviation.toExponential(1)} ≤ ${AGREEMENT.toExponential(0)}`,
            holds: deviation <= AGREEMENT,
          },
        ]),
  ];
}
