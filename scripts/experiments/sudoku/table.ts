import type { EpochRecord } from './trainer.js';

const HEADINGS = [
  ['epoch', ''],
  ['train', 'loss'],
  ['test', 'loss'],
  ['train', 'error'],
  ['test', 'error'],
  ['train', 'strict'],
  ['test', 'strict'],
] as const;

const WIDTH = 10;

/** Loss and errors of every epoch, ready to print. */
export function epochTable(history: readonly EpochRecord[]): string {
  const lines = [0, 1].map((line) => row(HEADINGS.map((heading) => heading[line as 0 | 1])));
  const body = history.map(({ epoch, train, test }) =>
    row([
      epoch.toString(),
      loss(train?.loss),
      loss(test.loss),
      percent(train?.error),
      percent(test.error),
      percent(train?.strictError),
      percent(test.strictError),
    ]),
  );
  return [
    ...lines,
    ...body,
    '',
    'error: boards that break a rule (the paper’s); strict: that break a rule or change a given.',
    'train: over the epoch, while the layer changed; test: at its end. Epoch 0 is before training.',
  ].join('\n');
}

export const loss = (value: number | undefined): string => value?.toPrecision(3) ?? '–';

export const percent = (value: number | undefined): string =>
  value === undefined ? '–' : `${(100 * value).toFixed(2)} %`;

const row = (cells: readonly string[]): string =>
  cells.map((cell, i) => cell.padStart(i === 0 ? 5 : WIDTH)).join('');
