'use strict';
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { cudaOptions, cudaVersions, ensureCudaHeaders } = require('./cuda.cjs');
const { root, run, runPackage, step } = require('./run.cjs');
const { fingerprint, isFresh, markFresh, markStale } = require('./stamp.cjs');
const { ensureBuildTools, toolVersions } = require('./system.cjs');

const SOURCES = ['native', 'CMakeLists.txt', 'cmake'];
const TEST_SOURCES = ['test/native'];

/** In the build's own folder, so that they go when it goes. */
const STAMP = {
  addon: 'build/addon.stamp',
  all: 'build/all.stamp',
  configuration: 'build/configuration.stamp',
};

/** CMake's words for a build folder that was moved, or made with another generator. */
const STARTS_ANEW = /is different than the directory|does not match the (source|generator)/i;

/** Builds the addon, and with `tests` the C++ tests, unless nothing that goes into them has changed. */
function ensureNative({ tests }) {
  if (isBuilt(prints(), tests)) return;
  ensureBuildTools();
  ensureCudaHeaders();
  const { addon, all, versions } = prints();
  const configuration = fingerprint(['CMakeLists.txt', 'cmake'], [...versions, root, tests ? 'tests' : '']);
  step(tests ? 'Building the solver and its C++ tests' : 'Building the solver', () => {
    markStale(STAMP.addon);
    markStale(STAMP.all);
    if (!isFresh(STAMP.configuration, configuration)) configure(tests);
    markFresh(STAMP.configuration, configuration);
    run('cmake', [
      '--build',
      'build',
      '--config',
      'Release',
      '--parallel',
      os.availableParallelism().toString(),
    ]);
  });
  markFresh(STAMP.addon, addon);
  if (tests) markFresh(STAMP.all, all);
}

/** What the addon is made from, and what the addon and the C++ tests are made from. */
function prints() {
  const versions = [
    ...toolVersions(),
    ...cudaVersions(),
    dependency('node-addon-api'),
    dependency('cmake-js'),
  ];
  return {
    versions,
    addon: fingerprint(SOURCES, versions),
    all: fingerprint([...SOURCES, ...TEST_SOURCES], versions),
  };
}

const isBuilt = ({ addon, all }, tests) => isFresh(STAMP.all, all) || (!tests && isFresh(STAMP.addon, addon));

function configure(tests) {
  markStale(STAMP.configuration);
  const options = [
    '--CDCMAKE_EXPORT_COMPILE_COMMANDS=ON',
    `--CDOPTNET_TESTS=${tests ? 'ON' : 'OFF'}`,
    ...cudaOptions(),
  ];
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

const dependency = (name) => require(path.join(root, 'node_modules', name, 'package.json')).version;

module.exports = { ensureNative };
