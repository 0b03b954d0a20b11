'use strict';
// Puts into .gpu/ what scripts/gpu-check uses on a machine with a GPU at hand for a short time, and without a network:
//   node scripts/gpu-carry.cjs [--architectures '90']      compute capabilities: '80;90' for 8.0 and 9.0
// The programs (gpu_test, the benchmark, the addon) built for these GPUs, this Node, the compiled JavaScript, jest with what it
// needs, the headers of cuBLAS and cuSOLVER, and the peers of the benchmark. None of it is committed. Copy the repository
// with .gpu/ there, and run scripts/gpu-check. The programs run where the C library is as new as here, or newer.
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { probe, root, run, SetupError, step } = require('./setup/run.cjs');
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
const build = path.join('.cache', 'gpu-programs');

/** Long enough to see that programs have much in common: each has the same kernels inside. */
const DICTIONARY = '--lzma2=preset=6,dict=64MiB';

function main() {
  const { architectures } = parseArgs({
    options: { architectures: { type: 'string', default: '90' } },
  }).values;
  ensurePackages();
  ensureTypeScript();
  ensureCudaHeaders();
  clear();
  const prints = { sources: fingerprint('program_sources'), javascript: fingerprint('javascript_sources') };
  step(`Building the programs for sm_${architectures}`, () =>
    run('bash', ['scripts/gpu/build.sh', build, architectures]),
  );
  step('Packing the programs', () =>
    tar('programs', path.join(root, build, 'programs'), ['.'], [DICTIONARY]),
  );
  step('Packing Node', () => xz(fs.realpathSync(process.execPath), 'node.xz', ['-6']));
  step('Packing jest', () => {
    const packages = closure([...PACKAGES, 'node-api-headers']);
    const unneeded = ['*.map', '*.md', '*.flow', 'typescript/lib/*/*.json'];
    tar('node_modules', root, [...unneeded.flatMap((name) => ['--exclude', name]), ...packages], ['-6']);
  });
  copy('dist', 'dist');
  copy(path.join('.cache', 'cuda-headers'), 'cuda-headers');
  fetchPeers();
  describe({ ...prints, architectures });
  const { status } = spawnSync('bash', ['scripts/gpu-check', '--dry'], { cwd: root, stdio: 'inherit' });
  process.exitCode = status ?? 1;
}

/** What was there before, but for the peers: they may have been put there by hand. */
function clear() {
  fs.mkdirSync(carry, { recursive: true });
  for (const name of fs.readdirSync(carry)) {
    if (name !== 'peers') fs.rmSync(path.join(carry, name), { recursive: true, force: true });
  }
}

/** As gpu-check computes it, where there may be no Node yet. */
const fingerprint = (sources) =>
  run('bash', ['-c', `. scripts/gpu/carried.sh; fingerprint "\${${sources}[@]}"`]).trim();

/** For gpu-check, and for readers of its figures. */
function describe({ sources, javascript, architectures }) {
  const cache = fs.readFileSync(path.join(root, build, 'CMakeCache.txt'), 'utf8');
  const commit = probe('git', ['-C', root, 'rev-parse', '--short', 'HEAD'])?.trim();
  const changed = probe('git', ['-C', root, 'status', '--porcelain'])?.trim() ? ', with changes' : '';
  const lines = {
    sources,
    javascript,
    architectures,
    processor: run('uname', ['-m']).trim(),
    'instruction sets': /^OPTNET_INSTRUCTION_SETS:\w+=(.*)$/m.exec(cache)?.[1].replaceAll(';', ' '),
    commit: commit === undefined ? 'no commit' : `${commit}${changed}`,
  };
  const text = Object.entries(lines).map(([name, value]) => `${name}: ${value}\n`);
  fs.writeFileSync(path.join(carry, 'carried.txt'), text.join(''));
}

function fetchPeers() {
  const target = path.join(carry, 'peers');
  const options = ['-q', '--retries=2', '--no-deps', '--upgrade', '--target', target];
  try {
    step('Fetching the peers', () => run('python3', ['-m', 'pip', 'install', ...options, ...PEERS]));
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(
      'The peers cannot be had; put the folders qpth and qpax into .gpu/peers to measure them.\n',
    );
  }
}

function tar(name, folder, args, options) {
  const file = path.join(carry, `${name}.tar`);
  run('tar', ['-C', folder, '-cf', file, ...args]);
  xz(file, `${name}.tar.xz`, options);
  fs.rmSync(file);
}

function xz(file, name, options) {
  const output = fs.openSync(path.join(carry, name), 'w');
  try {
    run('xz', ['-T2', ...options, '-c', file], { stdio: ['ignore', output, 'pipe'] });
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
