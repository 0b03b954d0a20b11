'use strict';
// What npm runs where this package is installed: keeps a prebuilt addon that loads, otherwise compiles one.
const { spawnSync } = require('node:child_process');
const path = require('node:path');

const root = path.join(__dirname, '..');
const compileAsked = process.env.npm_config_build_from_source === 'true';

function prebuiltLoads() {
  try {
    require('node-gyp-build')(root);
    return true;
  } catch {
    return false;
  }
}

function compile() {
  console.error('optnet: no prebuilt addon for this system; compiling one.');
  const cmakeJs = require.resolve('cmake-js/bin/cmake-js');
  const { status } = spawnSync(process.execPath, [cmakeJs, 'compile', '-d', root], { stdio: 'inherit' });
  if (status === 0) return;
  console.error(
    [
      '',
      'optnet could not be compiled. It needs a C++20 compiler, CMake 3.25 or newer, and make or Ninja:',
      '  Debian, Ubuntu:  sudo apt-get install -y g++ cmake make',
      '  Fedora:          sudo dnf install gcc-c++ cmake make',
      '  macOS:           xcode-select --install && brew install cmake',
      'Then: npm rebuild optnet',
    ].join('\n'),
  );
  process.exitCode = 1;
}

if (compileAsked || !prebuiltLoads()) compile();
