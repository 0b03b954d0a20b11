'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { root, run, step } = require('./run.cjs');

/** Installs the npm packages of the lock file, unless they are there. */
function ensurePackages() {
  if (installedAsLocked()) return;
  // Scripts are for those who install this package; here the addon is built by the next step.
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund'];
  const npm = process.env.npm_execpath;
  step('Installing npm packages', () => (npm ? run(process.execPath, [npm, ...args]) : run('npm', args)));
}

/** npm writes what it has installed into node_modules, in the format of the lock file. */
function installedAsLocked() {
  const locked = readPackages('package-lock.json');
  const installed = readPackages(path.join('node_modules', '.package-lock.json'));
  if (!installed) return false;
  return Object.entries(locked).every(
    ([name, { version, optional }]) =>
      name === '' || (optional && !installed[name]) || installed[name]?.version === version,
  );
}

function readPackages(file) {
  try {
    return JSON.parse(fs.readFileSync(path.join(root, file), 'utf8')).packages;
  } catch {
    return undefined;
  }
}

module.exports = { ensurePackages };
