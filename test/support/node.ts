import { execFile } from 'node:child_process';
import path from 'node:path';

export const root = path.join(__dirname, '../..');

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
      { cwd, timeout: 25_000, env: { ...process.env, ...env } },
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
