'use strict';
// `npm run prebuilds:check`: packs what would be published and uses it on systems that have nothing of ours: Debian as debootstrap
// makes it, with Node.js and libstdc++ added, current and the oldest that addons are for, and that one for arm64, emulated.
// As root, on Linux. Prints a table; fails where something does not work or is too large.
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { root, run, SetupError, step } = require('../setup/run.cjs');
const { ensureProgram } = require('../setup/system.cjs');
const { ensureTypeScript } = require('../setup/typescript.cjs');
const { requirements, unmet } = require('./symbols.cjs');
const { OLDEST, TARGETS } = require('./targets.cjs');

const LARGEST_TARBALL = 15e6;
const CONSUMERS = path.join(root, 'test', 'package', 'consumers');
const EXPECTED = {
  'train.cjs': '{"h":1.5,"learned":true,"error":"ERR_QP_NOT_FINITE"}',
  'train.mjs': '{"b":0.5,"same":true,"cpu":true}',
};
const SYSTEMS = [
  { suite: 'bookworm', arch: 'x64' },
  { suite: OLDEST.suite, arch: 'x64' },
  { suite: OLDEST.suite, arch: 'arm64' },
];

/** Times require('optnet') and the addon, and says how long each took, in milliseconds. */
const LOAD = `
const start = performance.now();
const optnet = require('optnet');
const required = performance.now();
optnet.qpSolveBatchSync({ Q: [[1]], p: [1] });
console.log(JSON.stringify([required - start, performance.now() - required]));
`;

function main() {
  const { source } = parseArgs({ options: { source: { type: 'boolean', default: false } } }).values;
  ensureProgram('debootstrap');
  ensureProgram('qemu-aarch64-static', 'qemu-user-static');
  ensureTypeScript();
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'optnet-check-'));
  try {
    const tarballs = pack(work);
    const rows = [
      ...Object.keys(TARGETS).map(checkAddon),
      checkSize(tarballs.optnet),
      checkLoad(work, tarballs),
      ...SYSTEMS.map((system) => checkSystem(work, tarballs, system)),
      ...(source ? [checkSource(work, tarballs)] : []),
    ];
    for (const [what, result] of rows) process.stdout.write(`${what.padEnd(34)} ${result}\n`);
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

function pack(work) {
  const packed = (folder) =>
    JSON.parse(run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', work, folder]))[0]
      .filename;
  return {
    optnet: path.join(work, packed(root)),
    dependency: path.join(work, packed(path.join(root, 'node_modules', 'node-gyp-build'))),
  };
}

function checkAddon(arch) {
  const addon = path.join(root, 'prebuilds', `linux-${arch}`, 'optnet.glibc.node');
  if (!fs.existsSync(addon)) throw new SetupError(`First: npm run prebuilds -- --arch ${arch}`);
  const needed = requirements(addon);
  const problems = unmet(needed);
  if (problems.length > 0) throw new SetupError(`${addon}\n${problems.join('\n')}`);
  const versions = Object.entries(needed.versions).map(([name, version]) => `${name} ${version}`);
  return [`linux-${arch}`, `${megabytes(fs.statSync(addon).size)}; needs ${versions.join(', ')}`];
}

function checkSize(tarball) {
  const { size } = fs.statSync(tarball);
  if (size > LARGEST_TARBALL) {
    throw new SetupError(`The tarball has ${megabytes(size)}, more than ${megabytes(LARGEST_TARBALL)}.`);
  }
  return ['tarball', `${megabytes(size)} of ${megabytes(LARGEST_TARBALL)}`];
}

function checkLoad(work, tarballs) {
  const project = install(work, tarballs, 'load');
  const times = Array.from({ length: 15 }, () =>
    JSON.parse(run(process.execPath, ['-e', LOAD], { cwd: project, env: withoutGpu() })),
  );
  const median = (k) =>
    times
      .map((time) => time[k])
      .sort((a, b) => a - b)[7]
      .toFixed(1);
  return ['load, median of 15', `require ${median(0)} ms, the addon and a first solve ${median(1)} ms`];
}

/** The package in an empty project of this machine, by its npm, from files alone. */
function install(work, { optnet, dependency }, name) {
  const project = path.join(work, name);
  fs.mkdirSync(project);
  fs.writeFileSync(path.join(project, 'package.json'), '{ "private": true }');
  run('npm', ['install', '--offline', '--ignore-scripts', '--no-audit', '--no-fund', dependency, optnet], {
    cwd: project,
  });
  for (const file of Object.keys(EXPECTED))
    fs.copyFileSync(path.join(CONSUMERS, file), path.join(project, file));
  return project;
}

function checkSystem(work, tarballs, { suite, arch }) {
  const tree = ensureTree(suite, arch);
  const name = `${suite}-${arch}`;
  const emulated = arch !== os.arch();
  const node = emulated ? runEmulated(work, tree, arch) : runInside(tree);
  const project = install(work, tarballs, name);
  const inside = path.join(tree, 'srv', 'project');
  fs.rmSync(inside, { recursive: true, force: true });
  if (emulated) {
    // npm itself takes minutes under emulation; without install scripts it does the same everywhere.
    fs.cpSync(project, inside, { recursive: true });
  } else {
    fs.mkdirSync(inside, { recursive: true });
    for (const file of [...Object.keys(EXPECTED), 'package.json'])
      fs.copyFileSync(path.join(project, file), path.join(inside, file));
    fs.writeFileSync(path.join(inside, 'package.json'), '{ "private": true }');
    for (const tarball of Object.values(tarballs))
      fs.copyFileSync(tarball, path.join(inside, path.basename(tarball)));
    const files = Object.values(tarballs).map((tarball) => `./${path.basename(tarball)}`);
    node(['/usr/lib/npm/bin/npm-cli.js', 'install', '--offline', '--no-audit', '--no-fund', ...files]);
  }
  for (const [file, expected] of Object.entries(EXPECTED)) {
    const output = node([file]).trim();
    if (output !== expected) throw new SetupError(`${name}: ${file} printed ${output}; expected ${expected}`);
  }
  return [
    `Debian ${suite}, ${arch}`,
    `installs, solves, differentiates and trains${emulated ? ' (emulated)' : ''}`,
  ];
}

/** Debian's smallest system, with libstdc++. */
function ensureTree(suite, arch) {
  const tree = path.join(root, '.cache', 'systems', `${suite}-${arch}`);
  if (fs.existsSync(tree)) return tree;
  const unfinished = `${tree}.unfinished`;
  fs.rmSync(unfinished, { recursive: true, force: true });
  fs.mkdirSync(path.dirname(tree), { recursive: true });
  step(`Making a Debian ${suite} for ${arch}`, () => {
    // What is for another processor cannot be configured here; unpacked, its libraries are in place.
    const foreign = arch === os.arch() ? [] : ['--foreign'];
    const options = [
      '--variant=minbase',
      `--arch=${TARGETS[arch].debian}`,
      '--include=libstdc++6',
      ...foreign,
    ];
    run('debootstrap', [...options, suite, unfinished]);
    if (foreign.length > 0) {
      const archives = path.join(unfinished, 'var', 'cache', 'apt', 'archives');
      const [file] = fs.readdirSync(archives).filter((one) => one.startsWith('libstdc++6_'));
      run('dpkg-deb', ['-x', path.join(archives, file), unfinished]);
    }
  });
  fs.renameSync(unfinished, tree);
  return tree;
}

function runInside(tree) {
  fs.copyFileSync(fs.realpathSync(process.execPath), path.join(tree, 'usr', 'bin', 'node'));
  const npm = path.join(fs.realpathSync(run('which', ['npm']).trim()), '..', '..');
  fs.rmSync(path.join(tree, 'usr', 'lib', 'npm'), { recursive: true, force: true });
  fs.cpSync(npm, path.join(tree, 'usr', 'lib', 'npm'), { recursive: true, verbatimSymlinks: true });
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/tmp' };
  return (args) =>
    run('chroot', [tree, '/bin/sh', '-c', 'cd /srv/project && exec /usr/bin/node "$@"', 'sh', ...args], {
      env,
    });
}

/** Node.js for another processor, which npm has as a package. */
function runEmulated(work, tree, arch) {
  const folder = path.join(work, `node-${arch}`);
  const [{ filename }] = JSON.parse(
    run('npm', ['pack', '--json', '--pack-destination', work, `node-linux-${arch}@${process.versions.node}`]),
  );
  fs.mkdirSync(folder);
  run('tar', ['-xzf', path.join(work, filename), '-C', folder]);
  const node = path.join(folder, 'package', 'bin', 'node');
  return (args) =>
    run('qemu-aarch64-static', ['-L', tree, node, ...args], { cwd: path.join(tree, 'srv', 'project') });
}

/** Without a published addon, and with a compiler. */
function checkSource(work, tarballs) {
  const project = install(work, tarballs, 'source');
  fs.rmSync(path.join(project, 'node_modules', 'optnet', 'prebuilds'), { recursive: true });
  step('Compiling the package', () =>
    run('npm', ['rebuild', 'optnet', '--foreground-scripts'], {
      cwd: project,
      env: { ...withoutGpu(), OPTNET_CUDA: 'OFF' },
    }),
  );
  const output = run(process.execPath, ['train.cjs'], { cwd: project, env: withoutGpu() }).trim();
  if (output !== EXPECTED['train.cjs']) throw new SetupError(`Compiled, train.cjs printed ${output}`);
  return ['without a published addon', 'compiles with what npm fetches for it, and works'];
}

const withoutGpu = () => ({ ...process.env, CUDA_VISIBLE_DEVICES: '' });
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

try {
  main();
} catch (error) {
  if (!(error instanceof SetupError) && !error.code?.startsWith('ERR_PARSE_ARGS')) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
