import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import type { Results } from '../../scripts/experiments/runner/experiment.js';
import { runExperiment } from '../support/experiment.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'optnet-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The curves of a run, to the last digit; times are left out. */
function curves(name: string) {
  const { results } = JSON.parse(readFileSync(path.join(folder, name, 'results.json'), 'utf8')) as {
    results: Results;
  };
  return Object.entries(results).map(([part, { history, health }]) => ({ part, history, health }));
}

test('killed, interrupted and resumed, a run ends where the uninterrupted one does, digit for digit', async () => {
  const out = (name: string): string => path.join(folder, name);
  const arguments_ = ['sudoku', '--quick', '--seed', '5', '--out'];
  expect(await runExperiment([...arguments_, out('whole')])).toMatchObject({ code: 0 });

  const killed = await runExperiment([...arguments_, out('parts')], { at: /epoch +2.*test/, by: 'SIGKILL' });
  expect(killed.signal).toBe('SIGKILL');

  const checkpoint = path.join(out('parts'), 'checkpoint.json');
  const interrupted = await runExperiment(['--resume', checkpoint], { at: /epoch +4.*test/, by: 'SIGINT' });
  expect(interrupted.code).toBe(130);
  expect(interrupted.stderr).toContain(`npm run experiment -- --resume ${checkpoint}`);
  expect(existsSync(path.join(out('parts'), 'results.json'))).toBe(false);

  expect(await runExperiment(['--resume', checkpoint])).toMatchObject({ code: 0 });
  expect(curves('parts')).toEqual(curves('whole'));
  // A run that is done is reported once more.
  expect(await runExperiment(['--resume', checkpoint])).toMatchObject({ code: 0 });
});

test.each([
  [['nothing'], "'nothing' is not an experiment; there are "],
  [['sudoku', '--seed', '-1'], '--seed'],
  [['sudoku', '--quick', 'more'], "Unexpected argument 'more'"],
  [['sudoku', '--slow'], "Unknown option '--slow'"],
  [['--resume', '/nowhere.json'], '/nowhere.json: cannot be read (ENOENT)'],
  [['sudoku', '--quick', '--device', 'abacus'], 'device'],
  [['sudoku', '--quick', '--out', '/dev/null/x'], '/dev/null/x: cannot be made (ENOTDIR)'],
])('%j is refused in one line, with an exit code of 2', async (args, message) => {
  const { code, stdout, stderr } = await runExperiment(args);
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr.trimEnd().split('\n').at(-1)).toContain(message);
  expect(stderr).not.toContain('    at ');
});

test('without a name it lists what there is', async () => {
  const { code, stdout } = await runExperiment([]);
  expect(code).toBe(2);
  expect(stdout).toContain('sudoku ');
});
