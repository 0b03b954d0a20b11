// The only file that loads the addon.
import type nodeGypBuild from 'node-gyp-build';

import type * as Binding from '../binding.js';

import { createRequire, fs, path } from './builtins.js';
import { QpError } from './errors.js';
import { packageDirectory, packageManager } from './installation.js';
import { explainAbsence, explainBundle, explainFailure, here } from './load-failure.js';
import type { LoadFailure } from './load-failure.js';

type NativeAddon = typeof Binding;

/** What became of loading the addon. */
export type Loaded = { addon: NativeAddon; file: string } | { failure: LoadFailure };

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
  const bundled = isBundled();
  let file: string;
  try {
    file = findAddon(bundled);
  } catch (cause) {
    return { failure: bundled ? explainBundle(cause) : explainAbsence(searchedDirectory()!, cause) };
  }
  try {
    return { addon: createRequire(file)(file) as NativeAddon, file };
  } catch (cause) {
    return { failure: explainFailure(file, cause) };
  }
}

/** Whether this code was put into another file: then the folder above it is that of something else. */
function isBundled(): boolean {
  if (packageDirectory === undefined) return true;
  try {
    const text = fs.readFileSync(path.join(packageDirectory, 'package.json'), 'utf8');
    return (JSON.parse(text) as { name?: unknown }).name !== 'optnet';
  } catch {
    return true;
  }
}

/** The file to load. @throws Error when there is none */
function findAddon(bundled: boolean): string {
  const folder = searchedDirectory();
  if (folder === undefined) throw new Error('the bundle does not know its folder: it has no __dirname');
  // Not before: in some bundles it cannot be loaded.
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const finder = require('node-gyp-build') as typeof nodeGypBuild;
  const file = path.resolve(finder.path(folder));
  // What is built beside a bundle may be the application's own.
  if (bundled && !path.basename(file).startsWith('optnet')) throw new Error(`${file} is another addon`);
  return file;
}

/** Where node-gyp-build looks: it takes a variable for another folder than the package's. */
function searchedDirectory(): string | undefined {
  const { OPTNET_PREBUILD: named } = process.env;
  return named === undefined || named === '' ? packageDirectory : path.resolve(named);
}

function explain({ file, reason, remedies, bundled, cause }: LoadFailure): string {
  const doctor = bundled === true ? [] : [`see what else there is: ${packageManager().run} doctor`];
  const lines = [
    `the native addon could not be loaded on ${here}, Node.js ${process.versions.node}: ${reason}`,
    ...tried(),
    ...(file === undefined ? [] : [`  the file was ${file}`]),
    '  the last error was:',
    `    ${cause instanceof Error ? cause.message.trim().split('\n', 1)[0] : String(cause)}`,
    '  what to do:',
    ...[...remedies, ...doctor].map((remedy) => `    - ${remedy}`),
  ];
  return lines.join('\n');
}

function tried(): string[] {
  const directory = searchedDirectory();
  if (directory === undefined) return [];
  const folders = ['build/Release', 'build/Debug', 'prebuilds'];
  return [
    `  tried, in ${directory}:`,
    ...folders.map((folder) => `    ${folder}: ${contents(path.join(directory, folder))}`),
  ];
}

function contents(directory: string): string {
  if (!fs.existsSync(directory)) return 'not there';
  const files = fs
    .readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.node'));
  return files.length === 0 ? 'no addon in it' : files.join(', ');
}
