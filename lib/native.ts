// The only file that loads the addon.
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';

import nodeGypBuild from 'node-gyp-build';

import type * as Binding from '../binding.js';

import { QpError } from './errors.js';
import { explainAbsence, explainFailure, here } from './load-failure.js';
import type { LoadFailure } from './load-failure.js';

type NativeAddon = typeof Binding;

/** What became of loading the addon. */
export type Loaded = { addon: NativeAddon; file: string } | { failure: LoadFailure };

export const packageDirectory = path.join(__dirname, '..');

let loaded: Loaded | undefined;
let error: QpError | undefined;

/**
 * The addon, loaded when it is first needed, so that importing the package cannot fail and every failure is a QpError.
 *
 * @throws QpError ERR_QP_NATIVE: what was tried, and what to do.
 */
export function native(): NativeAddon {
  const outcome = (loaded ??= load());
  if ('addon' in outcome) return outcome.addon;
  throw (error ??= new QpError('ERR_QP_NATIVE', explain(outcome.failure), { cause: outcome.failure.cause }));
}

/** The addon and the file it is from, or why there is none; for diagnosis. */
export function loadedAddon(): Loaded {
  return (loaded ??= load());
}

function load(): Loaded {
  let file: string;
  try {
    file = nodeGypBuild.path(packageDirectory);
  } catch (cause) {
    return { failure: explainAbsence(searchedDirectory(), cause) };
  }
  try {
    return { addon: createRequire(__filename)(file) as NativeAddon, file };
  } catch (cause) {
    return { failure: explainFailure(file, cause) };
  }
}

/** Where node-gyp-build looks: it takes a variable for another folder than the package's. */
function searchedDirectory(): string {
  const { OPTNET_PREBUILD: named } = process.env;
  return named === undefined || named === '' ? packageDirectory : named;
}

function explain({ file, reason, remedies, cause }: LoadFailure): string {
  const lines = [
    `the native addon could not be loaded on ${here}, Node.js ${process.versions.node}: ${reason}`,
    '  tried:',
    ...['build/Release', 'build/Debug', 'prebuilds'].map((folder) => `    ${folder}: ${contents(folder)}`),
    ...(file === undefined ? [] : [`  the file was ${file}`]),
    '  the last error was:',
    `    ${cause instanceof Error ? cause.message.trim().split('\n', 1)[0] : String(cause)}`,
    '  what to do:',
    ...[...remedies, 'see what else there is: npx optnet doctor'].map((remedy) => `    - ${remedy}`),
  ];
  return lines.join('\n');
}

function contents(folder: string): string {
  const directory = path.join(searchedDirectory(), folder);
  if (!existsSync(directory)) return 'not there';
  const files = readdirSync(directory, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.node'),
  );
  return files.length === 0 ? 'no addon in it' : files.join(', ');
}
