// What npm would publish: which files, what `require` and `import` make of them, and whether others' tools agree.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

import { root, runNode } from '../support/node.js';
import { packPackage, removePackage } from '../support/packed.js';
import type { Packed } from '../support/packed.js';

let packed: Packed;
beforeAll(() => {
  packed = packPackage();
});
afterAll(() => removePackage(packed));

describe('the package', () => {
  /** The files of a folder whose names end so, relative to the root. */
  const sources = (folder: string, pattern: RegExp): string[] =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: 'utf8' })
      .map((name) => path.join(folder, name).replaceAll(path.sep, '/'))
      .filter((name) => pattern.test(name));

  /** A script, and all that it requires of ours. */
  const withRequired = (script: string): string[] => {
    const text = readFileSync(path.join(root, script), 'utf8');
    const required = [...text.matchAll(/require\('(\.[^']+\.cjs)'\)/g)].map((match) => match[1]!);
    return [
      script,
      ...required.flatMap((name) => withRequired(path.posix.join(path.posix.dirname(script), name))),
    ];
  };

  /** JavaScript, declarations, and the maps of both. */
  const compiled = (source: string): string[] => {
    const base = source.replace(/^lib/, 'dist').replace(/ts$/, '');
    return [`${base}js`, `${base}js.map`, `${base.replace(/\.(m?)$/, '.d.$1')}ts`].flatMap((name) =>
      name.endsWith('ts') ? [name, `${name}.map`] : [name],
    );
  };

  it('has what the library is compiled to, what the addon is compiled from, and nothing else', () => {
    const library = sources('lib', /\.m?ts$/);
    const expected = [
      ...new Set(withRequired('scripts/install.cjs')),
      'package.json',
      'README.md',
      'LICENSE',
      'CHANGELOG.md',
      'CMakeLists.txt',
      ...sources('cmake', /\.(cmake|cpp|sh)$/),
      'binding.d.ts',
      ...sources('native', /\.(cpp|cu|h)$/),
      ...library,
      ...library.filter((name) => !name.endsWith('.d.ts')).flatMap(compiled),
    ];
    const prebuilt = /^prebuilds\/[a-z\d]+-[a-z\d]+\/optnet(\.(glibc|musl))?\.node$/;
    const found = packed.files.filter((name) => !prebuilt.test(name));
    expect(found.sort()).toEqual(expected.sort());
  });

  it('has the sources that its maps lead to', () => {
    const maps = packed.files.filter((name) => name.endsWith('.map'));
    const missing = maps.flatMap((map) => {
      const { sources } = JSON.parse(readFileSync(path.join(packed.installed, map), 'utf8')) as {
        sources: string[];
      };
      return sources.filter((source) => !existsSync(path.join(packed.installed, path.dirname(map), source)));
    });
    expect(missing).toEqual([]);
    expect(maps.length).toBeGreaterThan(0);
  });

  it.each([
    ['publint', ['run', '--strict']],
    // Under every way in which TypeScript looks for modules, from CommonJS and from ESM.
    ['attw', ['--no-color', '--no-emoji']],
  ])('is found to be in order by %s', (tool, options) => {
    const command = path.join(root, 'node_modules/.bin', tool);
    const { status, stdout, stderr, error } = spawnSync(command, [...options, packed.tarball], {
      encoding: 'utf8',
    });
    if (error !== undefined) throw error;
    expect({ status, output: status === 0 ? '' : stdout + stderr }).toEqual({ status: 0, output: '' });
  });
});

describe('require and import', () => {
  /** In the project that has nothing but the package; the addon is that of the repository. */
  async function run(script: string, esm: boolean): Promise<unknown> {
    const { exitCode, stdout, stderr } = await runNode(script, {
      esm,
      cwd: packed.consumer,
      env: { OPTNET_PREBUILD: process.env.OPTNET_PREBUILD ?? root },
    });
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    return JSON.parse(stdout);
  }

  it.each(['optnet', 'optnet/tfjs'])('give the same classes and functions of %s', async (name) => {
    const script = `
      import * as imported from '${name}';
      import { createRequire } from 'node:module';
      const required = createRequire(process.cwd() + '/')('${name}');
      const names = Object.keys(required).sort();
      console.log(JSON.stringify({
        names,
        imported: Object.keys(imported).sort(),
        different: names.filter((name) => required[name] !== imported[name]),
      }));`;
    const { names, imported, different } = (await run(script, true)) as Record<string, string[]>;
    expect(imported).toEqual(names);
    expect(different).toEqual([]);
    expect(names).toEqual(
      expect.arrayContaining(name === 'optnet' ? ['QpError', 'QpSolution'] : ['qpLayer']),
    );
  });

  it('know each other’s instances', async () => {
    const script = `
      const required = require('optnet');
      import('optnet').then(async (imported) => {
        const errorOf = (promise) => promise.then(() => undefined, (error) => error);
        const problem = { Q: [[1]], p: [1] };
        const of = await required.qpSolveBatch(problem);
        const other = await imported.qpSolveBatch(problem, { warmStart: of });
        console.log(JSON.stringify([
          of instanceof imported.QpSolution,
          other instanceof required.QpSolution,
          await errorOf(required.qpSolveBatch({})) instanceof imported.QpError,
          await errorOf(imported.qpSolveBatch({})) instanceof required.QpError,
        ]));
      });`;
    expect(await run(script, false)).toEqual([true, true, true, true]);
  });

  // The project has no TensorFlow.js, so neither entry can have loaded it.
  it.each([
    ['require of optnet', "const { devices } = require('optnet');", false],
    ['import of optnet', "import { devices } from 'optnet';", true],
    [
      'import of optnet/tfjs',
      "import { qpLayer } from 'optnet/tfjs'; const { devices } = await import('optnet');",
      true,
    ],
  ])('%s loads no addon before it is needed', async (_, load, esm) => {
    const script = `
      ${load}
      const addons = () => process.report.getReport().sharedObjects.filter((name) => name.endsWith('.node'));
      const before = addons();
      console.log(JSON.stringify({ before, usable: devices()[0].usable, after: addons().length }));`;
    expect(await run(script, esm)).toEqual({ before: [], usable: true, after: 1 });
  });
});
