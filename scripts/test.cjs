'use strict';
// `npm test`: sets up, then runs the C++ tests, and the JavaScript tests on each device: the CPU, an emulated GPU, and a real
// one where there is one; those of accuracy also as on older CPUs. Arguments go to jest, which then runs alone, on the CPU.
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { setup } = require('./setup.cjs');
const { root } = require('./setup/run.cjs');

const noGpu = { CUDA_VISIBLE_DEVICES: '' };

setup({ tests: true }).then(() => {
  // All run, whatever becomes of the first.
  const failed = suites(process.argv.slice(2)).filter((suite) => !passes(suite));
  process.exitCode = failed.length > 0 ? 1 : 0;
});

function suites(jestArgs) {
  if (jestArgs.length > 0) return [jest('CPU', jestArgs, noGpu)];
  const ctest = ['--test-dir', 'build', '--output-on-failure'];
  return [
    { name: 'C++', command: 'ctest', args: ctest, env: {} },
    jest('CPU', [], noGpu),
    ...older(),
    emulated(),
    real(),
  ];
}

function passes({ name, missing, command, args, env }) {
  console.log(missing === undefined ? `\n${name}` : `\nSkipped: ${name}: ${missing}`);
  if (missing !== undefined) return true;
  return (
    spawnSync(command, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } }).status === 0
  );
}

function jest(device, args, env) {
  const script = path.join(root, 'node_modules/jest/bin/jest.js');
  return { name: `JavaScript, ${device}`, command: process.execPath, args: [script, ...args], env };
}

/** Sums have another order where registers are narrower, and so other errors. */
function older() {
  const accuracy =
    '/test/(accuracy|bounds|closed-forms|derivatives|exactness|families|golden|gradients|maros-meszaros|reference).test';
  const { instructionSet } = require(path.join(root, 'dist/index.js')).devices()[0];
  const narrowFirst = ['sse2', 'avx2', 'avx512'];
  return narrowFirst
    .slice(0, Math.max(0, narrowFirst.indexOf(instructionSet)))
    .map((name) => jest(`CPU with ${name}`, [accuracy], { ...noGpu, OPTNET_INSTRUCTION_SET: name }));
}

function emulated() {
  const suite = jest('emulated GPU', ['--config', 'jest.cuda.config.cjs'], {});
  const built = fs.existsSync(path.join(root, 'build/emulated/optnet_emulated.node'));
  return built ? suite : { ...suite, missing: "CUDA's headers were not there when the tests were built." };
}

function real() {
  const suite = jest('GPU', [], {});
  const gpus = require(path.join(root, 'dist/index.js'))
    .devices()
    .filter(({ name }) => name !== 'cpu');
  if (gpus.some(({ usable }) => usable)) return suite;
  return { ...suite, missing: gpus.map(({ reason }) => reason).join(' ') };
}
