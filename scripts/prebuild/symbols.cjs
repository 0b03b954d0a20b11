'use strict';
// What an addon asks of the system that loads it.
const { execFileSync } = require('node:child_process');
const { OLDEST } = require('./targets.cjs');

/** What every system with Node.js has. CUDA's libraries are looked for when they are used. */
const LIBRARIES = [
  'ld-linux-aarch64.so.1',
  'ld-linux-x86-64.so.2',
  'libc.so.6',
  'libdl.so.2',
  'libgcc_s.so.1',
  'libm.so.6',
  'libpthread.so.0',
  'librt.so.1',
  'libstdc++.so.6',
];

const OLDEST_VERSIONS = {
  GLIBC: OLDEST.glibc,
  GLIBCXX: OLDEST.glibcxx,
  CXXABI: OLDEST.cxxabi,
  GCC: OLDEST.gcc,
};

/**
 * { libraries: ['libc.so.6', …], versions: { GLIBC: '2.17', … }, strangers: [] }: what is needed, the newest of the symbols'
 * versions, and symbols that no library is known to have. Linking an addon does not fail for those, as Node.js has some.
 */
function requirements(addon) {
  const readelf = (option) => execFileSync('readelf', ['-W', option, addon], { encoding: 'utf8' });
  const libraries = [...readelf('--dynamic').matchAll(/\(NEEDED\).*\[(.+)\]/g)].map(([, name]) => name);
  const versions = {};
  // Of the section that says what is needed; another says what is defined.
  const needs = readelf('--version-info').split(/^Version needs section/m)[1] ?? '';
  for (const [, name, version] of needs.matchAll(/Name: ([A-Z]+)_([\d.]+)/g)) {
    if (versions[name] === undefined || compare(version, versions[name]) > 0) versions[name] = version;
  }
  const undefined_ = [...readelf('--dyn-syms').matchAll(/ GLOBAL +DEFAULT +UND (\S+)$/gm)].map(
    ([, name]) => name,
  );
  return { libraries, versions, strangers: undefined_.filter((name) => !/^napi_|@/.test(name)) };
}

/** One sentence for each thing that the oldest system does not have. */
function unmet({ libraries, versions, strangers }) {
  return [
    ...strangers.map((name) => `It needs ${name}, which none of its libraries has.`),
    ...libraries.filter((name) => !LIBRARIES.includes(name)).map((name) => `It needs ${name}.`),
    ...Object.entries(versions)
      .filter(([name, version]) => compare(version, OLDEST_VERSIONS[name] ?? '0') > 0)
      .map(
        ([name, version]) =>
          `It needs ${name}_${version}; the oldest system has ${OLDEST_VERSIONS[name] ?? 'none of that name'}.`,
      ),
  ];
}

function compare(a, b) {
  return a.localeCompare(b, 'en', { numeric: true });
}

module.exports = { requirements, unmet };
