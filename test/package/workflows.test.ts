// What the workflows run is there, and they test what package.json promises.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

import { root } from '../support/node.js';

interface Workflow {
  permissions?: Record<string, string>;
  jobs: Record<string, Job>;
}

interface Job {
  'timeout-minutes'?: number;
  permissions?: Record<string, string>;
  strategy?: { matrix: Record<string, string[]> };
  steps: { uses?: string; run?: string; with?: Record<string, string | number> }[];
}

// eslint-disable-next-line @typescript-eslint/no-require-imports -- it has no types
const { safeLoad } = require('js-yaml') as { safeLoad: (text: string) => unknown };
const read = (name: string): string => readFileSync(path.join(root, name), 'utf8');
const package_ = JSON.parse(read('package.json')) as {
  engines: { node: string };
  scripts: Record<string, string>;
  devDependencies: Record<string, string>;
};

const folder = '.github/workflows';
const workflows = readdirSync(path.join(root, folder)).map((file) => ({
  file,
  ...(safeLoad(read(path.join(folder, file))) as Workflow),
}));
const jobs = workflows.flatMap(({ file, jobs }) =>
  Object.entries(jobs).map(([name, job]) => ({ name: `${file}: ${name}`, job })),
);
const commands = jobs.flatMap(({ job }) => job.steps.flatMap(({ run }) => run?.split('\n') ?? []));

/** What stands after a word in the commands. */
const after = (pattern: RegExp): string[] =>
  [...new Set(commands.flatMap((line) => [...line.matchAll(pattern)].map((match) => match[1]!)))].sort();

test('npm scripts, scripts and tools that the workflows run are there', () => {
  const scripts = [...after(/\bnpm run ([\w:-]+)/g), ...after(/\bnpm (test|start)\b/g)];
  expect(scripts).toEqual(expect.arrayContaining(['lint', 'prebuilds', 'test']));
  expect(scripts.filter((name) => package_.scripts[name] === undefined)).toEqual([]);

  const files = after(/(?:^|\s)((?:scripts|\.ci)\/[\w./-]+)/g);
  expect(files).toContain('scripts/gpu-check');
  expect(files.filter((name) => !existsSync(path.join(root, name)))).toEqual([]);

  // By the package that has them; optnet is what is tested.
  const packages: Record<string, string> = { attw: '@arethetypeswrong/cli', tsc: 'typescript' };
  const tools = after(/\bnpx ([\w-]+)/g).filter((name) => name !== 'optnet');
  expect(tools).toEqual(expect.arrayContaining(['attw', 'publint']));
  expect(tools.filter((name) => package_.devDependencies[packages[name] ?? name] === undefined)).toEqual([]);
});

test('the tests run on the oldest Node that is supported, and on each that is maintained', () => {
  const [, oldest] = /^>=(\d+\.\d+)$/.exec(package_.engines.node)!;
  const { matrix } = workflows.find(({ file }) => file === 'ci.yml')!.jobs.test!.strategy!;
  expect(matrix.node).toEqual([oldest, '22', '24']);
  const others = jobs.flatMap(({ job }) => job.steps.flatMap((step) => step.with?.['node-version'] ?? []));
  for (const version of others.map(String)) {
    expect([...matrix.node!, '${{ matrix.node }}']).toContain(version);
  }
});

test('jobs may not write to the repository, and end', () => {
  for (const { permissions } of workflows) expect(permissions).toEqual({ contents: 'read' });
  for (const { name, job } of jobs) {
    expect([name, typeof job['timeout-minutes']]).toEqual([name, 'number']);
    expect(
      Object.keys(job.permissions ?? {}).filter((key) => key !== 'contents' && key !== 'id-token'),
    ).toEqual([]);
    expect(job.permissions?.contents ?? 'read').toBe('read');
  }
});

test('the form for bugs asks for what the doctor says', () => {
  expect(read('.github/ISSUE_TEMPLATE/bug.yml')).toContain('`npx optnet doctor --json`');
});
