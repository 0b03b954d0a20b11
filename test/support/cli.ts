import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { hangs, root } from './node.js';

/** How a command ended, and what it said. */
export interface Told {
  exitCode: number | string | null | undefined;
  stdout: string;
  stderr: string;
}

export const main = path.join(root, 'dist/cli/main.js');

/** What `preload`, a module of this folder, changes: see there. */
export interface Preload {
  module: string;
  settings: object;
}

/** The machine that the command is told that it runs on. */
export const machine = (around: object): Preload => ({
  module: 'surroundings.cjs',
  settings: { cards: 0, container: false, ...around },
});

/** Runs `optnet ARGS`, of this package or of the one with this `program`. */
export function optnet(
  args: readonly string[],
  {
    env = {},
    preload = machine({}),
    program = main,
  }: { env?: Record<string, string>; preload?: Preload | undefined; program?: string } = {},
): Promise<Told> {
  const flags = program === main ? ['--require', path.join(__dirname, preload.module)] : [];
  const settings = { OPTNET_TEST_PRELOAD: JSON.stringify(preload.settings) };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [...flags, program, ...args],
      { cwd: os.tmpdir(), timeout: hangs, env: { ...process.env, ...settings, ...env } },
      (error, stdout, stderr) => resolve({ exitCode: error ? error.code : 0, stdout, stderr }),
    );
  });
}

/** What no output may contain. */
export const stackTrace = /^\s+at .+:\d+:\d+|node:internal|Error:.*\n\s+at /m;

const emulatedAddon = path.join(root, 'build/emulated/optnet_emulated.node');

/** `describe`, where the addon with the emulated GPU was built; `env` puts it in the place of the other. */
export function describeEmulated(name: string, body: (env: Record<string, string>) => void): void {
  if (!existsSync(emulatedAddon)) {
    describe.skip(`${name} (skipped: the addon with the emulated GPU was not built)`, () => body({}));
    return;
  }
  describe(name, () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'optnet-emulated-'));
    mkdirSync(path.join(folder, 'build/Release'), { recursive: true });
    symlinkSync(emulatedAddon, path.join(folder, 'build/Release/optnet.node'));
    afterAll(() => rmSync(folder, { recursive: true, force: true }));
    body({ OPTNET_PREBUILD: folder });
  });
}
