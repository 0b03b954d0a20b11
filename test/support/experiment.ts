import { spawn } from 'node:child_process';
import path from 'node:path';

import { root } from './node.js';

export interface Ended {
  code: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
}

/** Runs `npm run experiment`, without its set-up; sends it a signal, once, when it has told something. */
export function runExperiment(
  args: readonly string[],
  stop?: { at: RegExp; by: NodeJS.Signals },
): Promise<Ended> {
  const main = JSON.stringify(path.join(root, '.cache/experiments/main.js'));
  const script = `require(${main}).main(process.argv.slice(1)).then((code) => { process.exitCode = code; });`;
  const child = spawn(process.execPath, ['-e', script, '--', ...args], { cwd: root });
  return new Promise((resolve) => {
    const told = { stdout: '', stderr: '' };
    let stopped = false;
    child.stdout.on('data', (text) => (told.stdout += String(text)));
    child.stderr.on('data', (text) => {
      told.stderr += String(text);
      if (stop === undefined || stopped || !stop.at.test(told.stderr)) return;
      stopped = child.kill(stop.by);
    });
    child.on('close', (code, signal) => resolve({ code, signal, ...told }));
  });
}
