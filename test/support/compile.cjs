'use strict';
// Compiles lib/ and the experiments before the tests: those that start processes and threads need JavaScript.
const { execFileSync } = require('node:child_process');
const path = require('node:path');

module.exports = () => {
  const root = path.join(__dirname, '../..');
  const compiler = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin/tsc');
  for (const project of ['.', 'scripts/experiments']) {
    execFileSync(process.execPath, [compiler, '-p', path.join(root, project)], { stdio: 'inherit' });
  }
};
