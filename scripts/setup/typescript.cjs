'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { root, runPackage, step } = require('./run.cjs');
const { fingerprint, isFresh, markFresh, markStale } = require('./stamp.cjs');

/** In this order: the experiments use the library as everyone does, through what its package exports. */
const PROJECTS = [
  {
    name: 'library',
    title: 'Compiling the library',
    project: 'tsconfig.json',
    sources: ['lib', 'binding.d.ts', 'tsconfig.json', 'package.json', 'package-lock.json'],
    output: 'dist',
  },
  {
    name: 'experiments',
    title: 'Compiling the experiments',
    project: 'scripts/experiments/tsconfig.json',
    sources: [
      'scripts/experiments',
      'lib',
      'binding.d.ts',
      'tsconfig.json',
      'package.json',
      'package-lock.json',
    ],
    output: '.cache/experiments',
  },
];

function ensureTypeScript() {
  for (const { name, title, project, sources, output } of PROJECTS) {
    const stamp = `.cache/${name}.stamp`;
    const value = fingerprint(sources);
    const folder = path.join(root, output);
    if (isFresh(stamp, value) && fs.existsSync(folder)) continue;
    step(title, () => {
      markStale(stamp);
      // What a deleted source left behind would still be there to import.
      fs.rmSync(folder, { recursive: true, force: true });
      runPackage('typescript/bin/tsc', ['-p', project]);
    });
    markFresh(stamp, value);
  }
}

module.exports = { ensureTypeScript };
