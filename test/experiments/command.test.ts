import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import type { Results } from '../../scripts/experiments/runner/experiment.js';
import { root } from '../support/node.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'optnet-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The command, without its set-up. */
function begin(...args: string[]): ChildProcess {
  const main = path.join(root, '.cache/experiments/main.js');
  const script = `require(${JSON.stringify(main)}).main(process.argv.slice(1)).then((c) => { process.exitCode = c; });`;
  return spawn(process.execPath, ['-e', script, '--', ...args], { cwd: root });
}

interface Ended {
  code: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
}

/** Waits for its end; sends it a signal, once, when it has told something. */
function ended(child: ChildProcess, stop?: { at: RegExp; by: NodeJS.Signals }): Promise<Ended> {
  return new Promise((resolve) => {
    const told = { stdout: '', stderr: '' };
    let stopped = false;
    child.stdout!.on('data', (text) => (told.stdout += String(text)));
    child.stderr!.on('data', (text) => {
      told.stderr += String(text);
      if (stop === undefined || stopped || !stop.at.test(told.stderr)) return;
      stopped = child.kill(stop.by);
    });
    child.on('close', (code, signal) => resolve({ code, signal, ...told }));
  });
}

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
  expect(await ended(begin(...arguments_, out('whole')))).toMatchObject({ code: 0 });

  const killed = await ended(begin(...arguments_, out('parts')), { at: /epoch +2.*test/, by: 'SIGKILL' });
  expect(killed.signal).toBe('SIGKILL');

  const checkpoint = path.join(out('parts'), 'checkpoint.json');
  const interrupted = await ended(begin('--resume', checkpoint), { at: /epoch +4.*test/, by: 'SIGINT' });
  expect(interrupted.code).toBe(130);
  expect(interrupted.stderr).toContain(`npm run experiment -- --resume ${checkpoint}`);
  expect(existsSync(path.join(out('parts'), 'results.json'))).toBe(false);

  expect(await ended(begin('--resume', checkpoint))).toMatchObject({ code: 0 });
  expect(curves('parts')).toEqual(curves('whole'));
  // A run that is done is reported once more.
  expect(await ended(begin('--resume', checkpoint))).toMatchObject({ code: 0 });
}, 120_000);

test.each([
  [['nothing'], "'nothing' is not an experiment; there are "],
  [['sudoku', '--seed', '-1'], '--seed'],
  [['sudoku', '--quick', 'more'], "Unexpected argument 'more'"],
  [['sudoku', '--slow'], "Unknown option '--slow'"],
  [['--resume', '/nowhere.json'], '/nowhere.json: cannot be read (ENOENT)'],
  [['sudoku', '--quick', '--device', 'abacus'], 'device'],
  [['sudoku', '--quick', '--out', '/dev/null/x'], '/dev/null/x: cannot be made (ENOTDIR)'],
])('%j is refused in one line, with an exit code of 2', async (args, message) => {
  const { code, stdout, stderr } = await ended(begin(...args));
  expect([code, stdout]).toEqual([2, '']);
  expect(stderr.trimEnd().split('\n').at(-1)).toContain(message);
  expect(stderr).not.toContain('    at ');
});

test('without a name it lists what there is', async () => {
  const { code, stdout } = await ended(begin());
  expect(code).toBe(2);
  expect(stdout).toContain('sudoku ');
});
