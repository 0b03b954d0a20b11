'use strict';
// `npm test`: sets up, then runs the C++ tests and the JavaScript tests. Arguments go to jest, which then runs alone.
const { spawnSync } = require('node:child_process');
const path = require('node:path');
const { setup } = require('./setup.cjs');
const { root } = require('./setup/run.cjs');

setup({ tests: true });

const jestArgs = process.argv.slice(2);
const suites = [
  ...(jestArgs.length > 0 ? [] : [['ctest', ['--test-dir', 'build', '--output-on-failure']]]),
  [process.execPath, [path.join(root, 'node_modules/jest/bin/jest.js'), ...jestArgs]],
];
// Both run, whatever becomes of the first.
const failed = suites.filter(
  ([command, args]) => spawnSync(command, args, { cwd: root, stdio: 'inherit' }).status !== 0,
);
process.exitCode = failed.length > 0 ? 1 : 0;
