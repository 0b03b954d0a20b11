'use strict';
// What npm runs where this package is installed: keeps a published addon that loads, otherwise compiles one. Needs nothing
// that is not in the package; where something else is needed, says what.
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { root, SetupError } = require('./setup/run.cjs');
const { missingBuildTools } = require('./setup/system.cjs');
const { cudaOptions } = require('./setup/cuda.cjs');

/** What compiles the addon. No dependencies: hardly anyone needs them, and they bring along dozens of others. */
const TOOLS = ['cmake-js', 'node-addon-api'];

function main() {
  // In a clone, commands build what they need (scripts/setup.cjs).
  if (fs.existsSync(path.join(root, 'test'))) return;
  if (!compileAsked() && prebuiltLoads()) return;
  say(`compiling the native addon for ${process.platform}-${process.arch}; this takes some minutes.`);
  const missing = missingBuildTools();
  if (missing !== undefined) throw new SetupError(`${missing}\nThen: ${rebuild()}`);
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'optnet-tools-'));
  try {
    fetchTools(folder);
    compile(path.join(folder, 'node_modules'));
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
  say('the native addon is compiled.');
}

/** OPTNET_BUILD_FROM_SOURCE=1, or, as elsewhere, `npm rebuild optnet --build-from-source`, which npm 12 no longer takes. */
function compileAsked() {
  const { npm_config_build_from_source: flag, OPTNET_BUILD_FROM_SOURCE: variable } = process.env;
  return flag === 'true' || flag === 'optnet' || (variable !== undefined && variable !== '0');
}

function prebuiltLoads() {
  try {
    require('node-gyp-build')(root);
    return true;
  } catch (error) {
    say(`no published addon loads here: ${error.message.trim().split('\n', 1)[0]}`);
    return false;
  }
}

/** By npm, so that the registry, proxy and cache are those of the user. */
function fetchTools(folder) {
  const { devDependencies } = require('../package.json');
  const packages = TOOLS.map((name) => `${name}@${devDependencies[name]}`);
  const args = ['install', '--prefix', folder, '--no-save', '--ignore-scripts', '--no-audit', '--no-fund'];
  // Another package manager may have started this; npm comes with Node.
  const script = process.env.npm_execpath;
  const [command, first] = /npm-cli\.c?js$/.test(script ?? '') ? [process.execPath, [script]] : ['npm', []];
  // Of the install that runs this: where to install to, and what to do there.
  const inherited = Object.entries(process.env).filter(
    ([name]) => !/^npm_config_(global|prefix|local_prefix|save|workspace|dry_run|omit)/i.test(name),
  );
  const { status, stderr, error } = spawnSync(command, [...first, ...args, ...packages], {
    cwd: folder,
    env: Object.fromEntries(inherited),
    encoding: 'utf8',
  });
  if (status === 0) return;
  const reason = error?.message ?? stderr.trim();
  throw new SetupError(
    `npm could not fetch what compiles the addon, ${packages.join(' and ')}:\n${reason}\nThen: ${rebuild()}`,
  );
}

function compile(modules) {
  const cmakeJs = path.join(modules, 'cmake-js', 'bin', 'cmake-js');
  const { status } = spawnSync(process.execPath, [cmakeJs, 'rebuild', '-d', root, ...cudaOptions()], {
    cwd: root,
    // cmake-js asks Node where node-addon-api is.
    env: { ...process.env, NODE_PATH: modules },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) throw new SetupError('The compiler failed; what it says is above.');
  require('node-gyp-build')(root);
}

/** What runs this once more. */
function rebuild() {
  return require('../dist/installation.js').packageManager().rebuild;
}

function say(text) {
  process.stderr.write(`optnet: ${text}\n`);
}

try {
  main();
} catch (error) {
  say(error instanceof SetupError ? error.message : (error.stack ?? String(error)));
  process.exitCode = 1;
}
