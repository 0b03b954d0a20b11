'use strict';
// What addons are published for.

/**
 * The oldest system that they load on: Debian 11. Node.js itself asks for glibc 2.28, and Ubuntu 20.04, RHEL 9 and all that
 * is newer has what is named here.
 */
const OLDEST = { suite: 'bullseye', glibc: '2.31', glibcxx: '3.4.28', cxxabi: '1.3.12', gcc: '10.0' };

/** By Node's names of the architectures. `cuda`: with the CUDA backend in it. */
const TARGETS = {
  x64: { debian: 'amd64', triple: 'x86_64-linux-gnu', machine: 'x86_64', cuda: 'ON' },
  // What cross-compiles CUDA for it is not in every toolkit: see CONTRIBUTING.md.
  arm64: { debian: 'arm64', triple: 'aarch64-linux-gnu', machine: 'aarch64', cuda: 'OFF' },
};

module.exports = { OLDEST, TARGETS };
