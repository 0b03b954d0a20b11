// The only file that loads the addon.
import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';

import nodeGypBuild from 'node-gyp-build';

import type * as Binding from '../binding.js';

import { QpError } from './errors.js';

type NativeAddon = typeof Binding;

const packageDirectory = path.join(__dirname, '..');

let addon: NativeAddon | undefined;
let failure: QpError | undefined;

/**
 * The addon, loaded when it is first needed, so that importing the package cannot fail and every failure is a QpError.
 *
 * @throws QpError ERR_QP_NATIVE: what was tried, and what to do.
 */
export function native(): NativeAddon {
  if (addon !== undefined) return addon;
  if (failure !== undefined) throw failure;
  try {
    return (addon = nodeGypBuild(packageDirectory) as NativeAddon);
  } catch (error) {
    failure = new QpError('ERR_QP_NATIVE', explain(error), { cause: error });
    throw failure;
  }
}

function explain(error: unknown): string {
  const lines = [
    `the native addon could not be loaded on ${process.platform}-${process.arch}, Node.js ${process.versions.node}`,
    '  tried:',
    ...['build/Release', 'build/Debug', 'prebuilds'].map((folder) => `    ${folder}: ${contents(folder)}`),
    '  the last error was:',
    `    ${error instanceof Error ? error.message.trim().split('\n', 1)[0] : String(error)}`,
    '  what to do:',
    '    - compile it here: npm rebuild optnet --build-from-source (needs CMake 3.25 and a C++20 compiler)',
    '    - if installing ran with --ignore-scripts, or node_modules came from another platform, install again',
  ];
  return lines.join('\n');
}

function contents(folder: string): string {
  const directory = path.join(packageDirectory, folder);
  if (!existsSync(directory)) return 'not there';
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.node'),
  );
  return files.length === 0 ? 'no addon in it' : files.join(', ');
}
