import { drawChart, EPOCHS } from '../runner/chart.js';
import { curve } from '../runner/scores.js';
import type { EpochRecord } from '../runner/training.js';

const TRAIN = { name: 'train', colour: '#d55e00', dots: true };
const TEST = { name: 'test', colour: '#0072b2', dots: true };
const STRICT = { name: 'test, strict (givens kept)', colour: '#222222', dash: '2 5' };

/** Learning curves of one run: its loss, and the share of boards that break a rule. */
export function sudokuCurves(history: readonly EpochRecord[], title: string): string {
  const x = EPOCHS;
  return drawChart(title, [
    {
      x,
      y: { label: 'Mean squared error', scale: 'log' },
      series: [
        { ...TRAIN, points: curve(history, 'train', 'loss') },
        { ...TEST, points: curve(history, 'test', 'loss') },
      ],
    },
    {
      x,
      y: { label: 'Boards in error (%)', scale: 'percent' },
      series: [
        { ...TRAIN, points: curve(history, 'train', 'error', 100) },
        { ...TEST, points: curve(history, 'test', 'error', 100) },
        { ...STRICT, points: curve(history, 'test', 'strictError', 100) },
      ],
    },
  ]);
}
