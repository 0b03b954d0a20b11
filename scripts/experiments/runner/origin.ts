import { execFileSync } from 'node:child_process';
import os from 'node:os';
import path from 'node:path';

import { devices } from 'optnet';

const ROOT = path.join(__dirname, '../../..');
/** What results depend on. */
const SOURCES = ['lib', 'native', 'scripts/experiments', 'package-lock.json'];

/** Where results come from: what they can be had again with, and on what they were had. */
export interface Origin {
  settings: unknown;
  commit: string;
  machine: string;
  date: string;
  seconds: number;
  /** All of it, for people. */
  summary: string;
}

export function origin(settings: unknown, seconds: number): Origin {
  const commit = sourceCommit();
  const { instructionSet } = devices()[0] as { instructionSet?: string };
  const cores = os.availableParallelism();
  const machine =
    `${cores} core${cores === 1 ? '' : 's'} of ${os.cpus()[0]?.model.trim() ?? 'an unknown processor'}` +
    `${instructionSet === undefined ? '' : `, ${instructionSet}`}, Node ${process.version}`;
  const date = new Date().toISOString().slice(0, 10);
  const { seed } = settings as { seed?: number };
  const summary = `Seed ${seed ?? '–'}, commit ${commit}, ${duration(seconds)} on ${machine}, ${date}.`;
  return { settings, commit, machine, date, seconds, summary };
}

/** With a plus where files differ from it. */
function sourceCommit(): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    const changed = git('status', '--porcelain', '--', ...SOURCES) !== '';
    return git('rev-parse', '--short=10', 'HEAD') + (changed ? '+' : '');
  } catch {
    return 'unknown';
  }
}

export function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return `${Math.round(seconds / 60)} min`;
}
