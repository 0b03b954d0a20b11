// An application that is bundled: the addon cannot go into the bundle, so the package must stay outside, and says so.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, realpathSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { root, runNode } from '../support/node.js';
import { packPackage, removePackage } from '../support/packed.js';
import type { Packed } from '../support/packed.js';
import { addonPath } from '../support/release.js';

interface Told {
  z: unknown;
  layer: unknown;
  cpu: object;
}

let packed: Packed;
/** The application's folder, as Node calls it. */
let folder: string;
beforeAll(async () => {
  packed = packPackage();
  folder = realpathSync(packed.consumer);
  mkdirSync(path.join(packed.installed, path.dirname(addonPath)), { recursive: true });
  copyFileSync(path.join(root, 'build/Release/optnet.node'), path.join(packed.installed, addonPath));
  // The application has a name, and an addon of its own.
  writeFileSync(path.join(folder, 'package.json'), '{ "name": "application", "private": true }');
  mkdirSync(path.join(folder, 'build/Release'), { recursive: true });
  writeFileSync(path.join(folder, 'build/Release/application.node'), 'an addon');
  for (const name of ['bundled.mjs', 'bundled.cjs']) {
    copyFileSync(path.join(root, 'test/package/consumers', name), path.join(folder, name));
  }
  await bundleWithWebpack();
});
afterAll(() => removePackage(packed));

/** Runs a bundle. What it must print, it prints whatever becomes of the package. */
function run(bundle: string): Told {
  const env = { ...process.env, OPTNET_PREBUILD: '', CUDA_VISIBLE_DEVICES: '' };
  const { status, stdout, stderr } = spawnSync(process.execPath, [bundle], {
    cwd: folder,
    encoding: 'utf8',
    env,
  });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout) as Told;
}

/** The error of an application that has the package in its bundle; `searched` is where it was looked for. */
function expectAdvice(told: Told, searched: string | undefined): void {
  expect(told.layer).toEqual(told.z);
  expect(told.cpu).toMatchObject({
    usable: false,
    reason: expect.stringMatching(/^The package is in a bundle/) as string,
  });
  const { code, known, message } = told.z as { code: string; known: boolean; message: string };
  expect({ code, known }).toEqual({ code: 'ERR_QP_NATIVE', known: true });
  expect(message).toMatch(
    /^the native addon could not be loaded on .*: The package is in a bundle, and its addon is not: /,
  );
  for (const advice of [
    '--external:optnet',
    "external: ['optnet']",
    "externals: { optnet: 'commonjs optnet'",
    "serverExternalPackages: ['optnet']",
  ]) {
    expect(message).toContain(advice);
  }
  expect(message).not.toMatch(/compile|npm rebuild|rm -rf|doctor/);
  if (searched !== undefined) expect(message).toContain(`tried, in ${searched}:`);
}

function expectSolution({ z, layer, cpu }: Told): void {
  expect({ z, layer }).toEqual({ z: [1.5], layer: [1.5] });
  expect(cpu).toMatchObject({ name: 'cpu', usable: true });
}

describe('esbuild', () => {
  const bundle = (source: string, output: string, options: string[]): string => {
    const file = path.join(folder, output);
    const all = [
      source,
      '--bundle',
      '--platform=node',
      `--outfile=${file}`,
      '--log-level=warning',
      ...options,
    ];
    execFileSync(path.join(root, 'node_modules/.bin/esbuild'), all, { cwd: folder, stdio: 'pipe' });
    return file;
  };

  describe.each([
    ['import', 'bundled.mjs'],
    ['require', 'bundled.cjs'],
  ])('of %s', (_, source) => {
    it.each([
      ['as it is', []],
      ['minified', ['--minify']],
    ])('to CommonJS, %s: advice', (_, options) => {
      expectAdvice(run(bundle(source, 'dist/app.cjs', ['--format=cjs', ...options])), folder);
    });

    it('to an ES module, which has neither require nor __dirname: advice', () => {
      expectAdvice(run(bundle(source, 'dist/app.mjs', ['--format=esm'])), undefined);
    });

    it('to CommonJS, with the package external: the solution', () => {
      expectSolution(run(bundle(source, 'dist/external.cjs', ['--format=cjs', '--external:optnet'])));
    });
  });

  it('of import to an ES module, with the package external: the solution', () => {
    expectSolution(run(bundle('bundled.mjs', 'dist/external.mjs', ['--format=esm', '--external:optnet'])));
  });

  it('to CommonJS, with the prebuilt addons copied beside it: the solution', () => {
    const file = bundle('bundled.mjs', 'copied/dist/app.cjs', ['--format=cjs']);
    const copy = path.join(folder, 'copied', addonPath);
    mkdirSync(path.dirname(copy), { recursive: true });
    copyFileSync(path.join(packed.installed, addonPath), copy);
    expectSolution(run(file));
  });
});

/** All bundles of webpack's, made by one process. */
const webpacked: Record<string, object> = {
  default: {},
  mock: { node: { __dirname: 'mock', __filename: 'mock' } },
  left: { node: { __dirname: false, __filename: false } },
  module: { experiments: { outputModule: true }, output: { module: true, chunkFormat: 'module' } },
  external: { externals: { optnet: 'commonjs optnet', 'optnet/tfjs': 'commonjs optnet/tfjs' } },
};

const webpackFile = (name: string, source: string): string =>
  `${name}-${path.extname(source).slice(1)}.${name === 'module' ? 'mjs' : 'cjs'}`;

async function bundleWithWebpack(): Promise<void> {
  const configurations = Object.entries(webpacked).flatMap(([name, options]) =>
    ['bundled.mjs', 'bundled.cjs'].map((source) => ({
      context: folder,
      entry: `./${source}`,
      target: 'node',
      mode: 'production',
      optimization: { minimize: false },
      ...options,
      output: {
        ...(options as { output?: object }).output,
        path: path.join(folder, 'webpacked'),
        filename: webpackFile(name, source),
      },
    })),
  );
  const script = `
    const webpack = require('webpack');
    webpack(${JSON.stringify(configurations)}, (error, stats) => {
      if (error ?? stats.hasErrors()) throw error ?? new Error(stats.toString('errors-only'));
    });`;
  const { exitCode, stderr } = await runNode(script);
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
}

describe.each([
  ['import', 'bundled.mjs'],
  ['require', 'bundled.cjs'],
])('webpack of %s', (_, source) => {
  const built = (name: string): string => path.join(folder, 'webpacked', webpackFile(name, source));

  it.each([
    ['as it is by default', 'default', () => folder],
    ["with '/' for __dirname", 'mock', () => path.parse(folder).root],
    ['with __dirname left as it is', 'left', () => folder],
    ['to an ES module', 'module', () => undefined],
  ])('%s: advice', (_, name, searched) => {
    expectAdvice(run(built(name)), searched());
  });

  it('with the package external: the solution', () => {
    expectSolution(run(built('external')));
  });
});
