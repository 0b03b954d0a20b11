import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { checkArrays, readCheckpoint, writeCheckpoint } from '../../scripts/experiments/runner/checkpoint.js';
import { UsageError } from '../../scripts/experiments/usage.js';

let folder: string;
let file: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'optnet-'));
  file = path.join(folder, 'checkpoint.json');
});
afterAll(() => rmSync(folder, { recursive: true }));

test('a checkpoint has every digit, of both types, and numbers that JSON does not have', () => {
  const snapshot = {
    epoch: 2,
    done: 30,
    tally: { examples: 30, sums: { loss: 0.1 + 0.2 } },
    random: [1, 2, 3, 4] as [number, number, number, number],
    arrays: {
      a: Float64Array.of(1 / 3, 5e-324, -0),
      b: Float32Array.of(0.1, 3e38),
      empty: new Float32Array(),
    },
    history: [{ epoch: 0, test: { loss: NaN, error: Infinity } }],
    health: undefined,
  };
  const current = { part: 'x', seconds: 1.5, snapshot };
  writeCheckpoint(file, { experiment: 'e', settings: { seed: 1 }, results: {}, current });
  const read = readCheckpoint(file);
  expect(read.current).toEqual(current);
  expect(read.settings).toEqual({ seed: 1 });
  expect(readdirSync(folder)).toEqual(['checkpoint.json']);
});

test.each([
  ['not JSON', 'hello'],
  ['nothing', ''],
  ['something else', '{"format":"other"}'],
  ['null', 'null'],
  ['half of it', '{"format":"optnet-experiment-1"}'],
])('a file with %s is refused, in one line that names it', (_, text) => {
  const bad = path.join(folder, 'bad.json');
  writeFileSync(bad, text);
  const read = () => readCheckpoint(bad);
  expect(read).toThrow(UsageError);
  expect(read).toThrow(bad);
  rmSync(bad);
});

test('a file that is not there is refused', () => {
  expect(() => readCheckpoint(path.join(folder, 'none.json'))).toThrow('cannot be read (ENOENT)');
});

test.each([
  ['missing', {}],
  ['of another length', { A: new Float64Array(3) }],
  ['not finite', { A: Float64Array.of(1, NaN) }],
])('parameters that are %s are refused', (_, saved) => {
  const check = () => checkArrays('f.json', saved, { A: new Float64Array(2) });
  expect(check).toThrow(UsageError);
  expect(check).toThrow('f.json: not a checkpoint of this run (A is not 2 finite numbers)');
});
