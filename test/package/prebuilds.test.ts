// What published addons ask of the system that loads them, as scripts/prebuild reads it.
import { existsSync } from 'node:fs';
import path from 'node:path';

import { root } from '../support/node.js';

interface Requirements {
  libraries: string[];
  versions: Record<string, string>;
  strangers: string[];
}

interface Symbols {
  requirements: (addon: string) => Requirements;
  unmet: (requirements: Requirements) => string[];
}

// eslint-disable-next-line @typescript-eslint/no-require-imports
const { requirements, unmet } = require('../../scripts/prebuild/symbols.cjs') as Symbols;

const nothing = { libraries: [], versions: {}, strangers: [] };

it.each([
  ['a newer C library', { versions: { GLIBC: '2.34' } }, /GLIBC_2\.34; the oldest system has 2\.31/],
  ['a newer C++ library', { versions: { GLIBCXX: '3.4.30' } }, /GLIBCXX_3\.4\.30/],
  ['a library of CUDA', { libraries: ['libcublas.so.13'] }, /libcublas\.so\.13/],
  ['a symbol of nobody', { strangers: ['__libc_single_threaded'] }, /__libc_single_threaded/],
])('an addon must not need %s', (_, needed, message) => {
  expect(unmet({ ...nothing, ...needed })).toEqual([expect.stringMatching(message)]);
});

it('versions are compared as numbers', () => {
  expect(unmet({ ...nothing, versions: { GLIBC: '2.4', GLIBCXX: '3.4.9' } })).toEqual([]);
});

const onLinux = process.platform === 'linux' ? it : it.skip;

onLinux('reads what the addon that was built here needs: no library of CUDA, and no symbol of nobody', () => {
  const needed = requirements(path.join(root, 'build/Release/optnet.node'));
  expect(needed.libraries).toContain('libstdc++.so.6');
  expect(needed.versions).toMatchObject({ GLIBC: expect.stringMatching(/^2\./) as string });
  expect(needed.strangers).toEqual([]);
  // It may be newer than a published one.
  expect(unmet({ ...needed, versions: {} })).toEqual([]);
});

describe.each(['x64', 'arm64'])('the published addon for %s', (arch) => {
  const addon = path.join(root, 'prebuilds', `linux-${arch}`, 'optnet.glibc.node');
  (existsSync(addon) ? it : it.skip)('loads on the oldest system', () => {
    expect(unmet(requirements(addon))).toEqual([]);
  });
});
