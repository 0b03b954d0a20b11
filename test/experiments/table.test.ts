import { epochTable } from '../../scripts/experiments/runner/scores.js';
import { markdownTable, plainTable } from '../../scripts/experiments/runner/table.js';

const table = {
  title: 'T',
  headings: ['a', 'bb'],
  rows: [
    ['x', '1'],
    ['long', '22'],
  ],
  notes: ['n'],
};

test('on a terminal columns line up, figures to the right', () => {
  expect(plainTable(table).split('\n')).toEqual([
    'T',
    '',
    'a     bb',
    '────  ──',
    'x      1',
    'long  22',
    'n',
  ]);
});

test('in a page it is a table of Markdown', () => {
  expect(markdownTable(table)).toBe('**T**\n\n| a | bb |\n| --- | --: |\n| x | 1 |\n| long | 22 |\n\nn');
});

test('a table of epochs has a line for each, with what there is', () => {
  const metrics = [
    { name: 'loss', heading: 'loss', format: 'number' },
    { name: 'error', heading: 'error', format: 'percent' },
  ] as const;
  const history = [
    { epoch: 0, test: { loss: 1.4, error: 1 } },
    { epoch: 1, train: { loss: 0.01, error: 0.002 }, test: { loss: 0.005, error: 0 } },
  ];
  expect(epochTable(history, metrics)).toMatchObject({
    headings: ['epoch', 'train loss', 'test loss', 'train error', 'test error'],
    rows: [
      ['0', '–', '1.40', '–', '100.00 %'],
      ['1', '0.0100', '0.00500', '0.20 %', '0.00 %'],
    ],
  });
});
