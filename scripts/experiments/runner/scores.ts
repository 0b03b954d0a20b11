import type { Metric } from './experiment.js';
import type { Table } from './table.js';
import type { EpochRecord } from './training.js';

export const figure = (value: number | undefined): string => value?.toPrecision(3) ?? '–';

export const percent = (fraction: number | undefined): string =>
  fraction === undefined ? '–' : `${(100 * fraction).toFixed(2)} %`;

export const formatScore = ({ format }: Metric, value: number | undefined): string =>
  format === 'percent' ? percent(value) : figure(value);

/** Every metric of every epoch, on the training examples and on those held back. */
export function epochTable(history: readonly EpochRecord[], metrics: readonly Metric[]): Table {
  return {
    headings: ['epoch', ...metrics.flatMap(({ heading }) => [`train ${heading}`, `test ${heading}`])],
    rows: history.map(({ epoch, train, test }) => [
      epoch.toString(),
      ...metrics.flatMap((metric) => [
        formatScore(metric, train?.[metric.name]),
        formatScore(metric, test[metric.name]),
      ]),
    ]),
  };
}

/** The scores of a metric by epoch, for a chart; of the training examples or of those held back. */
export function curve(history: readonly EpochRecord[], examples: 'train' | 'test', name: string, scale = 1) {
  return history.map(({ epoch, [examples]: scores }) => {
    const value = scores?.[name];
    return [epoch, value === undefined ? undefined : scale * value] as const;
  });
}
