#!/usr/bin/env node
'use strict';
// prebuildify knows node-gyp only. This answers its `node-gyp rebuild` with cmake-js; node-gyp's arguments choose Node
// headers, which a Node-API addon does not need, and what is built is in the environment that main.cjs sets.
const path = require('node:path');
const { spawnSync } = require('node:child_process');
const { TARGETS } = require('./targets.cjs');

const root = path.join(__dirname, '..', '..');
const { OPTNET_PREBUILD_FOLDER: folder, OPTNET_PREBUILD_ARCH: arch, OPTNET_SYSROOT: sysroot } = process.env;
const { triple, machine, cuda } = TARGETS[arch];

const definitions = {
  CMAKE_TOOLCHAIN_FILE: path.join(__dirname, 'toolchain.cmake'),
  OPTNET_SYSROOT: sysroot,
  OPTNET_TRIPLE: triple,
  OPTNET_MACHINE: machine,
  OPTNET_CUDA: cuda,
  OPTNET_CUDA_ARCHITECTURES: 'release',
  OPTNET_CUDA_ORACLE: 'OFF',
};
const options = Object.entries(definitions).map(([name, value]) => `--CD${name}=${value}`);
const common = ['--directory', root, '--out', path.join(folder, 'build'), '--arch', arch];
const cmakeJs = require.resolve('cmake-js/bin/cmake-js');
// Not `rebuild`: kernels for all GPUs take long to compile, and CMake knows what has changed.
const failed = ['configure', 'build'].some((command) => {
  const { status } = spawnSync(process.execPath, [cmakeJs, command, ...common, ...options], {
    stdio: 'inherit',
  });
  return status !== 0;
});
process.exitCode = failed ? 1 : 0;
