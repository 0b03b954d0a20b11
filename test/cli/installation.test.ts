// Remedies name commands of the package manager that installed the package.
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { packageManagerOf } from '../../lib/installation.js';
import { optnet } from '../support/cli.js';
import { root, runNode } from '../support/node.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'optnet-installed-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function touch(file: string): void {
  const at = path.join(folder, file);
  mkdirSync(path.dirname(at), { recursive: true });
  writeFileSync(at, '');
}

const plain = 'node_modules/optnet';
const isolated = 'node_modules/.pnpm/optnet@0.1.0/node_modules/optnet';

describe('the package manager', () => {
  const agents = {
    npm: 'npm/11.19.1 node/v20.20.2 linux x64 workspaces/false',
    pnpm: 'pnpm/10.34.9 npm/? node/v20.20.2 linux x64',
    yarn: 'yarn/4.18.1 npm/? node/v20.20.2 linux x64',
    yarnClassic: 'yarn/1.22.22 npm/? node/v20.20.2 linux x64',
    bun: 'bun/1.4.5 npm/? node/v26.3.0 linux x64',
  };

  it.each<[string, string, string[], string | undefined, string]>([
    ["pnpm's store in node_modules", isolated, [], agents.npm, 'pnpm rebuild optnet'],
    ["pnpm's global store", 'pnpm/store/v10/links/optnet/0.1.0', [], undefined, 'pnpm rebuild optnet'],
    [
      'pnpm without a store of its own',
      plain,
      ['node_modules/.modules.yaml'],
      agents.npm,
      'pnpm rebuild optnet',
    ],
    [
      "Yarn's Plug'n'Play",
      '.yarn/unplugged/optnet-npm-0.1.0/node_modules/optnet',
      [],
      undefined,
      'yarn rebuild optnet',
    ],
    ['Yarn with node_modules', plain, ['node_modules/.yarn-state.yml'], undefined, 'yarn rebuild optnet'],
    ['Yarn 1', plain, ['node_modules/.yarn-integrity'], agents.npm, 'yarn install --force'],
    [
      "Bun's store",
      'node_modules/.bun/optnet@0.1.0/node_modules/optnet',
      [],
      undefined,
      'bun install --force',
    ],
    ['Bun by its lock file', plain, ['bun.lock'], undefined, 'bun install --force'],
    ['npm', plain, ['node_modules/.package-lock.json', 'yarn.lock'], agents.pnpm, 'npm rebuild optnet'],
    ['pnpm, which runs it', plain, ['package-lock.json'], agents.pnpm, 'pnpm rebuild optnet'],
    ['Yarn, which runs it', plain, [], agents.yarn, 'yarn rebuild optnet'],
    ['Yarn 1, which runs it', plain, [], agents.yarnClassic, 'yarn install --force'],
    ['Bun, which runs it', plain, [], agents.bun, 'bun install --force'],
    [
      'pnpm by the lock file of a workspace',
      `packages/a/${plain}`,
      ['pnpm-lock.yaml'],
      undefined,
      'pnpm rebuild optnet',
    ],
    ['Yarn by its settings', plain, ['yarn.lock', '.yarnrc.yml'], undefined, 'yarn rebuild optnet'],
    ['Yarn 1 by its lock file', plain, ['yarn.lock'], undefined, 'yarn install --force'],
    ['npm where nothing tells', plain, [], undefined, 'npm rebuild optnet'],
    ['npm where who runs it is not known', plain, [], 'cnpm/9.2.0', 'npm rebuild optnet'],
  ])('is recognised: %s', (_, place, files, agent, rebuild) => {
    for (const file of files) touch(file);
    expect(packageManagerOf(path.join(folder, place), agent ?? '').rebuild).toBe(rebuild);
  });
});

describe.each([
  [
    'npm',
    plain,
    'node_modules/.package-lock.json',
    ['npm install-scripts approve optnet'],
    /pnpm|yarn|bun\b/,
  ],
  ['pnpm', isolated, 'pnpm-lock.yaml', ['pnpm approve-builds'], /\bnpm|npx|yarn|bun\b/],
  ['yarn', plain, 'node_modules/.yarn-state.yml', ['"built": true'], /npm|npx|bun\b/],
  ['bun', plain, 'bun.lock', ['bun pm trust optnet'], /npm|npx|yarn/],
])('where %s has installed a package without an addon', (manager, place, trace, approval, others) => {
  let installed: string;
  const env = { OPTNET_PREBUILD: '', npm_config_user_agent: '' };
  beforeEach(() => {
    installed = path.join(folder, place);
    for (const part of ['dist', 'package.json']) {
      cpSync(path.join(root, part), path.join(installed, part), { recursive: true });
    }
    const dependency = 'node_modules/node-gyp-build';
    cpSync(path.join(root, dependency), path.join(installed, dependency), { recursive: true });
    touch(trace);
  });

  it('the error names its commands, and those of no other', async () => {
    const script = `
      const { qpSolveBatchSync } = require(${JSON.stringify(installed)});
      try { qpSolveBatchSync({ Q: [[1]], p: [1] }); } catch ({ message }) { console.log(message); }`;
    const { stdout, stderr } = await runNode(script, { env });
    expect(stderr).toBe('');
    const remedies = stdout.slice(stdout.indexOf('what to do:'));
    for (const command of approval) expect(remedies).toContain(command);
    expect(remedies).toMatch(
      new RegExp(`OPTNET_BUILD_FROM_SOURCE=1 ${manager} (rebuild optnet|install --force)`),
    );
    expect(remedies).toContain(`rm -rf node_modules`);
    expect(remedies).toContain(`${manager} install`);
    expect(remedies).toMatch(/optnet doctor$/m);
    expect(remedies).not.toMatch(others);
  });

  it('and so do doctor and bench', async () => {
    const program = path.join(installed, 'dist/cli/main.js');
    const doctor = await optnet(['doctor'], { program, env });
    expect(doctor.stdout).toContain(approval[0]);
    const bench = await optnet(['bench'], { program, env });
    expect(doctor.stdout + bench.stdout).not.toMatch(others);
  });
});
