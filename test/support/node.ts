import { execFile } from 'node:child_process';
import path from 'node:path';

export const root = path.join(__dirname, '../..');

/** In milliseconds: of processes that hang, and of none that a busy machine slows down. Jest's own is longer. */
export const hangs = 300_000;

export interface Ran {
  exitCode: number | string | null;
  signal: string | null;
  stdout: string;
  stderr: string;
}

/** Runs a script in a process of its own, which sees the package by its name: in the repository, that is itself. */
export function runNode(
  script: string,
  { esm = false, flags = [] as string[], env = {}, cwd = root } = {},
): Promise<Ran> {
  const type = `--input-type=${esm ? 'module' : 'commonjs'}`;
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [...flags, type, '-e', script],
      { cwd, timeout: hangs, env: { ...process.env, ...env } },
      (error, stdout, stderr) => {
        resolve({
          exitCode: error ? (error.code ?? null) : 0,
          signal: error?.signal ?? null,
          stdout,
          stderr,
        });
      },
    );
  });
}
