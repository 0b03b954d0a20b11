'use strict';
const fs = require('node:fs');
const path = require('node:path');
const { asked, cmakeOptions, leftOut, planned, serves } = require('./contents.cjs');
const { NO_CUDA, ensureCudaHeaders } = require('./cuda.cjs');
const { build, longStep } = require('./progress.cjs');
const { root, runPackage } = require('./run.cjs');
const { fingerprint, isFresh, markFresh, markStale } = require('./stamp.cjs');
const { ensureBuildTools, toolVersions } = require('./system.cjs');

const SOURCES = ['native', 'CMakeLists.txt', 'cmake'];
const TEST_SOURCES = ['test/native'];

/** In the build's own folder, so that they go when it goes. */
const CONFIGURATION = 'build/configuration.stamp';
/**
 * What the last build that was finished has, and the prints of what it was made from. While another is under way, there are no
 * prints.
 */
const FINISHED = 'build/finished.json';

/** CMake's words for a build folder that was moved, or made with another generator. */
const STARTS_ANEW = /is different than the directory|does not match the (source|generator)/i;

/**
 * Builds the addon, and with `tests` the C++ tests, unless nothing that goes into them has changed. `here`: only for this
 * machine, unless it was built for all before.
 */
async function ensureNative({ tests, here }) {
  const finished = readFinished();
  if (isBuilt(finished, asked({ tests, here }))) return;
  ensureBuildTools();
  if (planned(finished?.contents, asked({ tests, here })).cuda !== NO_CUDA) ensureCudaHeaders();
  const wanted = asked({ tests, here });
  const contents = planned(finished?.contents, wanted);
  const { addon, all } = prints();
  const missing = leftOut(contents, wanted);
  if (missing !== undefined) process.stderr.write(`${missing}\n`);
  await longStep(
    tests ? 'Building the solver and its C++ tests' : 'Building the solver',
    async (progress) => {
      writeFinished({ contents: finished?.contents });
      ensureConfigured(contents);
      await build('build', ['--config', 'Release', ...(tests ? [] : ['--target', 'optnet'])], progress);
    },
  );
  writeFinished({ contents, addon, ...(tests ? { all } : {}) });
}

/** Of what the addon is made from, and of what the addon and the C++ tests are made from. */
function prints() {
  const versions = buildVersions();
  return {
    addon: fingerprint(SOURCES, versions),
    all: fingerprint([...SOURCES, ...TEST_SOURCES], versions),
  };
}

const buildVersions = () => [...toolVersions(), dependency('node-addon-api'), dependency('cmake-js')];

function isBuilt(finished, wanted) {
  if (!finished?.contents || !serves(finished.contents, wanted)) return false;
  const { addon, all } = prints();
  return wanted.tests ? finished.all === all : finished.addon === addon;
}

function ensureConfigured(contents) {
  const texts = [...buildVersions(), root, JSON.stringify(contents)];
  const configuration = fingerprint(['CMakeLists.txt', 'cmake'], texts);
  if (isFresh(CONFIGURATION, configuration)) return;
  markStale(CONFIGURATION);
  configure(['--CDCMAKE_EXPORT_COMPILE_COMMANDS=ON', ...cmakeOptions(contents)]);
  markFresh(CONFIGURATION, configuration);
}

function configure(options) {
  if (fs.existsSync(path.join(root, 'build', 'CMakeCache.txt'))) {
    try {
      runPackage('cmake-js/bin/cmake-js', ['configure', ...options]);
      return;
    } catch (error) {
      if (!STARTS_ANEW.test(error.message)) throw error;
    }
  }
  runPackage('cmake-js/bin/cmake-js', ['reconfigure', ...options]);
}

function readFinished() {
  try {
    return JSON.parse(fs.readFileSync(path.join(root, FINISHED), 'utf8'));
  } catch {
    return undefined;
  }
}

const writeFinished = (finished) => markFresh(FINISHED, JSON.stringify(finished));

const dependency = (name) => require(path.join(root, 'node_modules', name, 'package.json')).version;

module.exports = { ensureNative };
