'use strict';
// Puts into .gpu/ what scripts/gpu-check uses on a machine with a GPU but without a network: this Node, the compiled
// JavaScript, jest with what it needs, the headers of cuBLAS and cuSOLVER, and the peers of the benchmark. None of it
// is committed. Copy the repository with .gpu/ there (about 40 MB), and run scripts/gpu-check.
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { root, run, SetupError, step } = require('./setup/run.cjs');
const { ensurePackages } = require('./setup/packages.cjs');
const { ensureTypeScript } = require('./setup/typescript.cjs');
const { ensureCudaHeaders } = require('./setup/cuda.cjs');

/** What the tests import, but for TensorFlow.js, which is larger than everything else together. */
const PACKAGES = [
  'jest',
  'ts-jest',
  'typescript',
  '@types/jest',
  '@types/node',
  'node-gyp-build',
  'node-addon-api',
];
const PEERS = ['qpth==0.0.18', 'qpax==0.1.4'];
const carry = path.join(root, '.gpu');

function main() {
  ensurePackages();
  ensureTypeScript();
  ensureCudaHeaders();
  fs.mkdirSync(carry, { recursive: true });
  step('Packing Node', () => xz(fs.realpathSync(process.execPath), 'node.xz'));
  step('Packing jest', () => {
    const packages = closure([...PACKAGES, 'node-api-headers']);
    const unneeded = ['*.map', '*.md', '*.flow', 'typescript/lib/*/*.json'].flatMap((name) => [
      '--exclude',
      name,
    ]);
    run('tar', ['-C', root, '-cf', path.join(carry, 'node_modules.tar'), ...unneeded, ...packages]);
    xz(path.join(carry, 'node_modules.tar'), 'node_modules.tar.xz');
    fs.rmSync(path.join(carry, 'node_modules.tar'));
  });
  copy('dist', 'dist');
  copy(path.join('.cache', 'cuda-headers'), 'cuda-headers');
  try {
    step('Fetching the peers', () =>
      run('python3', [
        '-m',
        'pip',
        'install',
        '-q',
        '--retries=2',
        '--no-deps',
        '--upgrade',
        '--target',
        path.join(carry, 'peers'),
        ...PEERS,
      ]),
    );
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(
      'The peers cannot be had; put the folders qpth and qpax into .gpu/peers to measure them.\n',
    );
  }
  for (const name of fs.readdirSync(carry).sort()) {
    process.stdout.write(`${execFileSync('du', ['-sh', name], { cwd: carry, encoding: 'utf8' })}`);
  }
}

function xz(file, name) {
  const output = fs.openSync(path.join(carry, name), 'w');
  try {
    run('xz', ['-T2', '-6', '-c', file], { stdio: ['ignore', output, 'pipe'] });
  } finally {
    fs.closeSync(output);
  }
}

function copy(from, to) {
  fs.rmSync(path.join(carry, to), { recursive: true, force: true });
  if (fs.existsSync(path.join(root, from)))
    fs.cpSync(path.join(root, from), path.join(carry, to), { recursive: true });
}

/** The folders of these packages and of all that they need, by the lock file, as far as they are installed. */
function closure(names) {
  const { packages } = JSON.parse(fs.readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  const found = new Set();
  const visit = (name, from) => {
    // As Node looks for it: beside whoever asks, then further out.
    for (let folder = from; ; folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))) {
      const candidate = `${folder ? `${folder}/` : ''}node_modules/${name}`;
      if (packages[candidate] && fs.existsSync(path.join(root, candidate))) {
        if (found.has(candidate)) return;
        found.add(candidate);
        const { dependencies, optionalDependencies, peerDependencies } = packages[candidate];
        for (const needed of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
          visit(needed, candidate);
        }
        return;
      }
      if (folder === '') return;
    }
  };
  for (const name of names) visit(name, '');
  // What lies in the folder of another of them comes with it.
  return [...found].filter((folder) => ![...found].some((other) => folder.startsWith(`${other}/`)));
}

try {
  main();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
