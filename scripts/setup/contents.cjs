'use strict';
// What is in a build, beside its sources: which instruction sets, which CUDA, and whether the C++ tests. A command asks for
// some of it, and is served by a build that has more.
const fs = require('node:fs');
const os = require('node:os');
const { NO_CUDA, cudaOptions, cudaServes, cudaVersions, hasCudaCompiler } = require('./cuda.cjs');

const ALL = 'all';

/**
 * What a command asks for. `here`: what this machine can run, and no more; but if somebody names what to build or to run, then
 * that. `cuda` is undefined where it does not matter.
 */
function asked({ tests, here }) {
  return {
    tests,
    instructionSets: here && !process.env.OPTNET_INSTRUCTION_SET ? processor() : ALL,
    cuda: here && !cudaServes() ? undefined : cudaVersions(),
  };
}

/** Whether a build that has all this serves who asks for that. The tests have a fingerprint of their own. */
function serves(has, wanted) {
  return (
    [ALL, wanted.instructionSets].includes(has.instructionSets) && [undefined, has.cuda].includes(wanted.cuda)
  );
}

/**
 * What to build for who asks for that where there is, or was, a build that had all this: no less. What is no longer part of a
 * build has to be compiled anew when it is once more.
 */
function planned(had, wanted) {
  return {
    tests: wanted.tests || had?.tests === true,
    instructionSets: had?.instructionSets === ALL ? ALL : wanted.instructionSets,
    cuda: wanted.cuda ?? (had === undefined || had.cuda === NO_CUDA ? NO_CUDA : cudaVersions()),
  };
}

/** CMake's options for it, as cmake-js takes them. */
function cmakeOptions({ tests, instructionSets, cuda }) {
  return [
    `--CDOPTNET_TESTS=${tests ? 'ON' : 'OFF'}`,
    `--CDOPTNET_INSTRUCTION_SETS=${instructionSets === ALL ? ALL : 'native'}`,
    ...(cuda === NO_CUDA ? ['--CDOPTNET_CUDA=OFF'] : cudaOptions()),
  ];
}

/** A sentence on what a build leaves out that it could have; undefined where that is nothing. */
function leftOut(contents, wanted) {
  const parts = [
    ...(wanted.cuda === undefined && contents.cuda === NO_CUDA && hasCudaCompiler()
      ? ['CUDA (no GPU here)']
      : []),
    ...(contents.instructionSets === ALL ? [] : ["other processors' instruction sets"]),
  ];
  if (parts.length === 0) return undefined;
  return `Left out: ${parts.join(' and ')}. npm run build builds everything.`;
}

/**
 * Which processor this is, in words that are the same wherever CMake's OPTNET_INSTRUCTION_SETS=native gives the same; ALL
 * where all processors of its kind have the same instruction set.
 */
function processor() {
  if (process.arch !== 'x64') return ALL;
  try {
    return /^flags\s*:\s*(.*)/m.exec(fs.readFileSync('/proc/cpuinfo', 'utf8'))[1];
  } catch {
    return os.cpus()[0]?.model ?? ALL;
  }
}

module.exports = { asked, cmakeOptions, leftOut, planned, serves };
