// Every block of code in README.md and docs/ does what the page says. test/support/pages.ts says how they are written.
import { fork } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import ts from 'typescript';

import { commandUsage } from '../../lib/cli/usage.js';
import { gpu } from '../support/devices.js';
import { root } from '../support/node.js';
import { agrees, pages, parse, readPage, sectionsOf } from '../support/pages.js';
import type { Place, Section } from '../support/pages.js';

/** Pages take a second or so, and several where something is trained; on a busy machine much longer. */
const patience = 120_000;

/** Within the package, so that the modules find it by its name, as a program finds what it depends on. */
const folder = path.join(root, '.cache/docs');
const empty = mkdtempSync(path.join(os.tmpdir(), 'optnet-docs-'));
const emulated = path.join(root, 'build/emulated/optnet_emulated.node');

beforeAll(() => {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
});

afterAll(() => rmSync(empty, { recursive: true, force: true }));

/** Where a process looks for the addon, and for GPUs. */
function environment(place: Place): NodeJS.ProcessEnv {
  const noGpu = { ...process.env, CUDA_VISIBLE_DEVICES: '' };
  switch (place) {
    case 'cpu':
      return noGpu;
    case 'no-addon':
      return { ...noGpu, PREBUILDS_ONLY: '1', OPTNET_PREBUILD: empty };
    case 'gpu':
      if (gpu !== undefined) return process.env;
      symlink(emulated, path.join(empty, 'build/Release/optnet.node'));
      return { ...noGpu, OPTNET_PREBUILD: empty };
  }
}

function symlink(target: string, link: string): void {
  mkdirSync(path.dirname(link), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(target, link);
}

interface Outcome {
  lines: string[];
  error?: string;
}

interface Ran {
  outcomes: Outcome[];
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

/** Runs modules in a process of their own. */
function run(files: readonly string[], place: Place): Promise<Ran> {
  const child = fork(path.join(root, 'test/support/run-page.cjs'), files, {
    cwd: root,
    env: environment(place),
    silent: true,
    execArgv: [],
  });
  const ran: Ran = { outcomes: [], exitCode: null, stdout: '', stderr: '' };
  child.stdout!.on('data', (chunk) => (ran.stdout += String(chunk)));
  child.stderr!.on('data', (chunk) => (ran.stderr += String(chunk)));
  child.on('message', (outcomes) => (ran.outcomes = outcomes as Outcome[]));
  return new Promise((resolve) => {
    child.on('close', (exitCode) => resolve({ ...ran, exitCode }));
  });
}

function write(page: string, sections: readonly Section[]): string[] {
  return sections.map(({ language, place, source }, i) => {
    const name = `${page.replace(/\W+/g, '-')}-${place}-${i}`;
    const file = path.join(folder, `${name}.${language === 'js' ? 'mjs' : 'mts'}`);
    writeFileSync(file, source);
    return language === 'js' ? file : compile(file);
  });
}

/** Checks the types, and writes JavaScript. */
function compile(file: string): string {
  const { config } = ts.readConfigFile(path.join(root, 'tsconfig.json'), ts.sys.readFile.bind(ts.sys)) as {
    config: { compilerOptions: object };
  };
  const { options } = ts.convertCompilerOptionsFromJson(
    {
      ...config.compilerOptions,
      target: 'es2022',
      rootDir: '.',
      outDir: '.cache/docs',
      declaration: false,
      declarationMap: false,
      sourceMap: false,
      noEmitOnError: true,
    },
    root,
  );
  const program = ts.createProgram([file], { ...options, rootDir: folder, outDir: folder });
  const { diagnostics } = program.emit();
  const found = [...ts.getPreEmitDiagnostics(program), ...diagnostics];
  expect(found.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([]);
  return file.replace(/mts$/, 'mjs');
}

/** What TensorFlow.js says when it is loaded in Node.js without its own addon. */
const banner = /^\n?={10,}\n.*TensorFlow\.js in Node\.js[^=]*={10,}\n?$/;

async function check(page: string, all: readonly Section[], place: Place): Promise<void> {
  const sections = all.filter((section) => section.place === place);
  const { outcomes, exitCode, stdout, stderr } = await run(write(page, sections), place);
  sections.forEach(({ title, line, expected }, i) => {
    const where = `${page}:${line} (${title})`;
    const { lines = [], error } = outcomes[i] ?? { error: 'the process ended before it' };
    expect({ where, error }).toEqual({ where, error: undefined });
    const fits = lines.length === expected.length && lines.every((text, k) => agrees(expected[k]!, text));
    if (!fits) expect({ where, prints: lines }).toEqual({ where, prints: expected });
  });
  expect({ page, exitCode, stdout, stderr: stderr.replace(banner, '') }).toEqual({
    page,
    exitCode: 0,
    stdout: '',
    stderr: '',
  });
}

describe.each(pages)('%s', (page) => {
  const parsed = parse(readPage(page));

  it('has blocks of known kinds only', () => {
    expect(() => sectionsOf(parsed)).not.toThrow();
  });

  it('names commands that exist', () => {
    const unknown = parsed.blocks.flatMap(({ kind, code, line }) =>
      commandsOf(kind, code)
        .filter((command) => !isKnown(command))
        .map((command) => `${page}:${line}: ${command}`),
    );
    expect(unknown).toEqual([]);
  });

  const sections = sectionsOfOrNone(parsed);
  const has = (place: Place) => sections.some((section) => section.place === place);

  if (has('cpu')) it('prints what it says', () => check(page, sections, 'cpu'), patience);
  if (has('no-addon'))
    it('prints what it says, without the addon', () => check(page, sections, 'no-addon'), patience);
  if (has('gpu')) {
    const place = gpu !== undefined ? 'on the GPU' : 'on an emulated GPU';
    const possible = gpu !== undefined || existsSync(emulated);
    if (possible) it(`prints what it says, ${place}`, () => check(page, sections, 'gpu'), patience);
    else
      it.skip('prints what it says, on a GPU (there is none, and the emulated one was not built)', () => {});
  }
});

function sectionsOfOrNone(parsed: ReturnType<typeof parse>): Section[] {
  try {
    return sectionsOf(parsed);
  } catch {
    return []; // the first test says so
  }
}

/** The commands in a block; of an indented block, those lines that look like some. */
function commandsOf(kind: string, code: string): string[] {
  const lines = code.split('\n').map((line) => line.replace(/\s#\s.*$/, '').trim());
  switch (kind) {
    case 'sh':
      return lines.filter((line) => line !== '' && !line.startsWith('#'));
    case 'console':
      return lines.filter((line) => line.startsWith('$ ')).map((line) => line.slice(2));
    case 'indented':
      return lines.filter((line) => /^([A-Z_]+=\S+ )*(npm|npx|node|scripts\/\S+)( |$)/.test(line));
    default:
      return [];
  }
}

const { scripts } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};

/** Of the system, in the remedies of docs/troubleshooting.md. */
const ofTheSystem =
  /^(apt install|apk add|pip install|conda install|nvidia-smi|ldd --version|(export )?OPTNET_CUDA_LIBRARIES=)( |\/|$)/;

function isKnown(command: string): boolean {
  return command.split(' && ').every((part) => {
    const [program, ...args] = part.replace(/^([A-Z_]+=('[^']*'|\S+) )+/, '').split(/\s+/);
    const word = args[0] ?? '';
    switch (program) {
      case 'npm':
        if (word === 'run') return args[1]! in scripts;
        if (['test', 'start'].includes(word)) return word in scripts;
        return ['install', 'rebuild', 'ci'].includes(word);
      case 'npx':
        return word === 'optnet' && args[1]! in commandUsage;
      case 'node':
        return existsSync(path.join(root, word)) || /^[a-z-]+\.m?js$/.test(word);
      default:
        return existsSync(path.join(root, program!)) || ofTheSystem.test(part);
    }
  });
}

describe('docs/troubleshooting.md', () => {
  const page = parse(readPage('docs/troubleshooting.md'));
  const errors = readFileSync(path.join(root, 'lib/errors.ts'), 'utf8');
  const union = /export type QpErrorCode =([^;]*);/.exec(errors)![1]!;
  const codes = [...union.matchAll(/'(ERR_QP_\w+)'/g)].map(([, code]) => code!).sort();
  const headings = page.headings.map(({ text }) => text.replaceAll('`', ''));

  it('has a heading for every code of an error, and for none else', () => {
    expect(codes.length).toBeGreaterThan(10);
    expect(headings.filter((text) => text.startsWith('ERR_QP_')).sort()).toEqual(codes);
  });

  it.each(codes)('provokes %s', (code) => {
    const told = sectionsOfOrNone(page).filter(({ title }) => title.replaceAll('`', '') === code);
    expect(told.flatMap(({ expected }) => expected).join('\n')).toContain(code);
  });
});
