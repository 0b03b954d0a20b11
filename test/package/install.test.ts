// The package in the projects of its users, where there is no compiler: what it takes, and what works.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { root } from '../support/node.js';
import { Workbench, addonPath, installedPackages } from '../support/release.js';

const built = path.join(root, 'build/Release/optnet.node');
const consumers = path.join(root, 'test/package/consumers');

let bench: Workbench;
let tarball: string;
beforeAll(() => {
  bench = new Workbench();
  tarball = bench.tarball('published', { [addonPath]: built });
});
afterAll(() => bench.remove());

const lines = (text: string): unknown => JSON.parse(text);

describe.each([
  ['with install scripts', []],
  ['without install scripts', ['--ignore-scripts']],
])('installed %s', (title, options) => {
  let project: string;
  beforeAll(() => {
    const outcome = bench.install(tarball, title.replaceAll(' ', '-'), options);
    expect(outcome).toMatchObject({ status: 0 });
    project = outcome.project;
    for (const name of ['train.cjs', 'train.mjs']) {
      copyFileSync(path.join(consumers, name), path.join(project, name));
    }
  });

  it('brings along what loads the addon, and nothing else', () => {
    expect(installedPackages(project).sort()).toEqual(['node-gyp-build', 'optnet']);
  });

  it('compiled nothing', () => {
    expect(existsSync(path.join(project, 'node_modules/optnet/build'))).toBe(false);
  });

  it('solves, differentiates and trains for CommonJS', () => {
    const { status, stdout, stderr } = bench.run(project, ['train.cjs']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(lines(stdout)).toEqual({ h: 1.5, learned: true, error: 'ERR_QP_NOT_FINITE' });
  });

  it('solves, differentiates and trains for ES modules, of the same classes', () => {
    const { status, stdout, stderr } = bench.run(project, ['train.mjs']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(lines(stdout)).toEqual({ b: 0.5, same: true, cpu: true });
  });
});

describe('a TypeScript project', () => {
  let project: string;
  beforeAll(() => {
    project = bench.install(tarball, 'typescript', ['--ignore-scripts']).project;
    copyFileSync(path.join(consumers, 'train.ts'), path.join(project, 'train.ts'));
  });

  it.each(['commonjs', 'module'])('solves, differentiates and trains, compiled to %s', (type) => {
    writeFileSync(path.join(project, 'package.json'), JSON.stringify({ private: true, type }));
    writeFileSync(
      path.join(project, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          module: 'node16',
          target: 'es2022',
          lib: ['es2023', 'esnext.disposable', 'dom'],
          strict: true,
          noUncheckedIndexedAccess: true,
          types: [],
        },
        files: ['train.ts'],
      }),
    );
    const tsc = spawnSync(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc')], {
      cwd: project,
      encoding: 'utf8',
    });
    expect({ status: tsc.status, stdout: tsc.stdout }).toEqual({ status: 0, stdout: '' });
    const { status, stdout, stderr } = bench.run(project, ['train.js']);
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(lines(stdout)).toEqual({ z: [0.5, 2], type: 'Float32Array' });
  });
});

describe('installed where there is no published addon', () => {
  let sources: string;
  beforeAll(() => {
    sources = bench.tarball('sources', {});
  });

  it('says what a compilation is missing, and how to get it', () => {
    const { status, stderr } = bench.install(sources, 'no-compiler');
    expect(status).not.toBe(0);
    expect(stderr).toMatch(/Missing: a C\+\+ compiler, CMake, Ninja or make\. To install:/);
    expect(stderr).toMatch(/(apt-get|dnf|brew) install .*(g\+\+|gcc)/);
    expect(stderr).toContain('Then: npm rebuild optnet');
    expect(stderr).not.toMatch(/\n\s+at .*install\.cjs/);
  });

  it('without install scripts, says so when it is used', () => {
    const { project, status } = bench.install(sources, 'never-compiled', ['--ignore-scripts']);
    expect(status).toBe(0);
    const program =
      "import('optnet').then(({ qpSolveBatchSync }) => qpSolveBatchSync({ p: [1] })).catch((e) => console.log(e.code, e.message))";
    const { stdout } = bench.run(project, ['-e', program]);
    expect(stdout).toMatch(/^ERR_QP_NATIVE /);
    expect(stdout).toContain('npm rebuild optnet');
  });
});

it('has the versions of what compiles it, which the package does not depend on', () => {
  const file = readFileSync(path.join(root, 'package.json'), 'utf8');
  const { devDependencies } = JSON.parse(file) as { devDependencies: Record<string, string> };
  for (const name of ['cmake-js', 'node-addon-api']) expect(devDependencies[name]).toMatch(/^\d+\.\d+\.\d+$/);
});
