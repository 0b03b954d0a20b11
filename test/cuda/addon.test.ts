// One addon serves machines with CUDA and without: it must not ask the loader for any of CUDA's libraries.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

import { root } from '../support/node.js';

const addon = path.join(root, 'build/Release/optnet.node');
const linux = process.platform === 'linux' && existsSync(addon);

(linux ? it : it.skip)('the addon needs no library but those of C and C++', () => {
  const dynamic = execFileSync('readelf', ['-d', addon], { encoding: 'utf8' });
  const needed = [...dynamic.matchAll(/\(NEEDED\).*\[(.+?)\]/g)].map(([, library]) => library!);
  expect(needed.length).toBeGreaterThan(0);
  const plain = /^(libstdc\+\+|libgcc_s|libc|libm|libdl|librt|libpthread|libatomic|ld-linux.*)\.so/;
  expect(needed.filter((library) => !plain.test(library))).toEqual([]);
});
