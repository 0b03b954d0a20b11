#!/usr/bin/env node
'use strict';
// prebuildify knows node-gyp only. This answers its `node-gyp rebuild --arch=…` with cmake-js; the other arguments
// choose Node headers, which a Node-API addon does not need.
const { spawnSync } = require('node:child_process');
const path = require('node:path');

const args = [require.resolve('cmake-js/bin/cmake-js'), 'rebuild', '-d', path.join(__dirname, '..')];
const arch = process.argv.find((argument) => argument.startsWith('--arch='));
if (arch) args.push('--arch', arch.slice('--arch='.length));
if (process.argv.includes('--debug')) args.push('--debug');
process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1;
