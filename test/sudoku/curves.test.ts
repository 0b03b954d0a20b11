import { drawCurves } from '../../scripts/experiments/sudoku/curves.js';
import { epochTable } from '../../scripts/experiments/sudoku/table.js';
import type { EpochRecord } from '../../scripts/experiments/sudoku/trainer.js';

const scores = (loss: number, error: number) => ({ loss, error, strictError: error });
const history: EpochRecord[] = [
  { epoch: 0, test: scores(1.4, 1) },
  { epoch: 1, train: scores(0.2, 0.9), test: scores(0.07, 0.6) },
  { epoch: 2, train: scores(0.01, 0.002), test: scores(0.005, 0) },
];

test('the curves are well-formed XML, with both axes named, and a point for every epoch', () => {
  const svg = drawCurves(history, 'Boards <1 & "2">');
  expect(unbalancedTags(svg)).toEqual([]);
  expect(svg).toContain('Boards &lt;1 &amp; &quot;2&quot;&gt;');
  for (const name of ['Mean squared error', 'Boards in error (%)', 'Epoch'])
    expect(svg).toContain(`>${name}<`);
  expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  const lengths = [...svg.matchAll(/<polyline points="([^"]*)"/g)].map(
    (match) => match[1]!.split(' ').length,
  );
  expect(lengths).toEqual([2, 3, 2, 3, 3]); // loss: train, test; error: train, test, strict
});

test('a run of no epochs, and one that went wrong, can be drawn too', () => {
  const wrong = { epoch: 1, train: scores(NaN, 1), test: scores(NaN, 1) };
  for (const records of [history.slice(0, 1), [history[0]!, wrong]]) {
    const svg = drawCurves(records, 'x');
    expect(unbalancedTags(svg)).toEqual([]);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  }
});

test('the table has a line for every epoch, with what there is', () => {
  const lines = epochTable(history).split('\n');
  expect(lines[2]!.trim().split(/\s{2,}/)).toEqual(['0', '–', '1.40', '–', '100.00 %', '–', '100.00 %']);
  expect(lines[4]!.trim().split(/\s{2,}/)).toEqual([
    '2',
    '0.0100',
    '0.00500',
    '0.20 %',
    '0.00 %',
    '0.20 %',
    '0.00 %',
  ]);
});

/** Tags that are opened and not closed, or closed in the wrong place. */
function unbalancedTags(xml: string): string[] {
  const open: string[] = [];
  for (const [, close, name, attributes] of xml.matchAll(/<(\/?)(\w+)((?:\s+[\w-]+="[^"<]*")*)\s*\/?>/g)) {
    if (close && open.pop() !== name) return [name!];
    if (!close && !xml.includes(`<${name!}${attributes!}/>`)) open.push(name!);
  }
  return open;
}
