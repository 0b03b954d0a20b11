import { drawChart, type Panel, type Series } from '../runner/chart.js';
import type { Picture, PartResult } from '../runner/experiment.js';
import { curve } from '../runner/scores.js';
import { drawHeatMaps, sortedRows } from './heat-map.js';
import type { Plan } from './plan.js';
import type { Sweep } from './sweep.js';
import { EXAMPLES, type DenoiserOutcome } from './task.js';
import { differenceMatrix } from './total-variation.js';

/** What came out of each part. */
export interface Parts {
  sweep: Sweep;
  fullyConnected: PartResult;
  learned: PartResult;
  fineTuned: PartResult;
}

const COLOURS = {
  train: '#d55e00',
  test: '#0072b2',
  variation: '#222222',
  clean: '#222222',
  noisy: '#999999',
};

export function drawPictures(parts: Parts, plan: Plan): Picture[] {
  return [
    { name: 'curves', svg: learningCurves(parts) },
    { name: 'sweep', svg: sweepChart(parts.sweep) },
    { name: 'signals', svg: exampleChart(parts) },
    { name: 'differences', svg: differenceMaps(parts, plan) },
  ];
}

function learningCurves({ sweep, fullyConnected, learned, fineTuned }: Parts): string {
  const panel = (title: string, { history }: PartResult, scale: 'linear' | 'log'): Panel => ({
    title,
    x: { label: 'Epoch' },
    y: { label: 'Mean squared error', scale },
    series: [
      { name: 'train', colour: COLOURS.train, points: curve(history, 'train', 'mse') },
      { name: 'test', colour: COLOURS.test, points: curve(history, 'test', 'mse') },
      variationLevel(sweep, [0, history.length - 1]),
    ],
  });
  return drawChart(
    'Denoising: learning curves',
    [
      panel('Fully connected', fullyConnected, 'log'),
      panel('OptNet, D from random numbers', learned, 'log'),
      panel('OptNet from total variation', fineTuned, 'linear'),
    ],
    3,
  );
}

function sweepChart({ points, best }: Sweep): string {
  return drawChart(`Total-variation denoising: λ = ${best.lambda} is best in training`, [
    {
      x: { label: 'λ' },
      y: { label: 'Mean squared error' },
      series: [
        {
          name: 'train',
          colour: COLOURS.train,
          dots: true,
          points: points.map(({ lambda, train }) => [lambda, train]),
        },
        {
          name: 'test',
          colour: COLOURS.test,
          dots: true,
          points: points.map(({ lambda, test }) => [lambda, test]),
        },
      ],
    },
  ]);
}

function exampleChart({ sweep, learned, fineTuned }: Parts): string {
  const { clean, noisy } = sweep;
  const panels = Array.from({ length: EXAMPLES }, (_, i) => [
    signalPanel(noisy[i]!, clean[i]!, 'total variation', sweep.examples[i]!, '#009e73'),
    signalPanel(noisy[i]!, clean[i]!, 'OptNet from total variation', examplesOf(fineTuned)[i]!, '#0072b2'),
    signalPanel(noisy[i]!, clean[i]!, 'OptNet, D from random numbers', examplesOf(learned)[i]!, '#d55e00'),
  ]);
  return drawChart('Signals of the test, denoised', panels.flat(), 3);
}

function signalPanel(
  noisy: readonly number[],
  clean: readonly number[],
  name: string,
  found: readonly number[],
  colour: string,
): Panel {
  const signal = (values: readonly number[]): Series['points'] => values.map((value, i) => [i, value]);
  return {
    title: name,
    x: { label: 'Place' },
    y: { label: 'Height' },
    series: [
      { name: 'noisy', colour: COLOURS.noisy, line: false, points: signal(noisy) },
      { name: 'true', colour: COLOURS.clean, dash: '5 3', points: signal(clean) },
      { name, colour, points: signal(found) },
    ],
  };
}

function differenceMaps({ learned, fineTuned }: Parts, { length }: Plan): string {
  const { D: fromRandom } = learned.outcome as { D: number[][] };
  const { D } = fineTuned.outcome as { D: number[][] };
  const { data } = differenceMatrix(length);
  const change = D.map((row, i) => row.map((value, j) => value - data[i * length + j]!));
  return drawHeatMaps('What was learned in place of differences', [
    { title: 'D from random numbers, rows sorted', rows: sortedRows(fromRandom) },
    { title: 'Change of D from total variation', rows: change },
  ]);
}

function variationLevel({ best }: Sweep, [from, to]: readonly [number, number]): Series {
  return {
    name: 'test, total variation',
    colour: COLOURS.variation,
    dash: '6 4',
    points: [from, to].map((epoch) => [epoch, best.test]),
  };
}

const examplesOf = ({ outcome }: PartResult): number[][] => (outcome as DenoiserOutcome).examples;
