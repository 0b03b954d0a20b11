'use strict';
const { spawnSync } = require('node:child_process');
const os = require('node:os');
const path = require('node:path');

const root = path.join(__dirname, '..', '..');

/** Set-up cannot go on. The message is all that the user gets to see, so it says what to do. */
class SetupError extends Error {}

/** Says what is going on while it goes on, and how long it took. On stderr: stdout belongs to the program. */
function step(title, action) {
  const started = performance.now();
  const { isTTY } = process.stderr;
  process.stderr.write(isTTY ? `${title} ...` : `${title} ...\n`);
  try {
    const result = action();
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    if (isTTY) process.stderr.write(` ${seconds} s\n`);
    return result;
  } catch (error) {
    if (isTTY) process.stderr.write('\n');
    throw error;
  }
}

/** Runs a tool quietly. Its output is shown only when it fails. */
function run(command, args, options = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
    ...options,
  });
  // Ctrl-C reaches the tool too. It is not a failure to report.
  if (result.signal === 'SIGINT') process.exit(128 + os.constants.signals.SIGINT);
  if (result.status === 0) return result.stdout;
  throw failure(command, args, result.error ? result.error.message : `${result.stdout}${result.stderr}`);
}

/** The error of a tool that failed, and said this. */
function failure(command, args, output) {
  const ran = [path.basename(command), ...args].join(' ');
  return new SetupError(`${output.trim()}\n\nThis failed: ${ran}`);
}

/** The output of a tool, or undefined where it is missing or fails. */
function probe(command, args) {
  const result = spawnSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'], encoding: 'utf8' });
  return result.status === 0 ? result.stdout : undefined;
}

/** Runs a script that an installed package provides, on this Node. */
function runPackage(script, args, options) {
  return run(process.execPath, [path.join(root, 'node_modules', script), ...args], options);
}

module.exports = { failure, root, SetupError, step, run, probe, runPackage };
