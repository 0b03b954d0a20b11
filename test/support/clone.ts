// A clone in which nothing is compiled: the set-up is ours, and all that it calls is a double that writes down how it was called.
import { spawn } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { root } from './node.js';

/** What a build was configured with. */
export interface Configured {
  tests: string;
  sets: string;
  cuda: string;
  architectures: string | undefined;
}

export interface Commanded {
  code: number | null;
  stdout: string;
  stderr: string;
  configured: Configured[];
  /** The target of each build; 'all' where it is everything that was configured. */
  built: string[];
}

const scripts = 'scripts/setup.cjs';
export const commands = {
  start: ['scripts/start.cjs'],
  experiment: ['scripts/experiment.cjs'],
  bench: ['scripts/bench/run.cjs'],
  build: [scripts],
  /** What `npm test` and the lint do first. */
  test: ['-e', `require('./${scripts}').setup({ tests: true })`],
};

/** Programs in the path, for sh. */
const programs = {
  'c++': 'echo "c++ 12.2.0"',
  ninja: 'echo 1.11.1',
  nvcc: 'echo "Cuda compilation tools, release 13.0, V13.0.88"',
  'nvidia-smi': '[ -n "$DOUBLE_GPU" ] && echo "$DOUBLE_GPU"',
  cmake: `
    case $1 in
      --version) echo "cmake version 3.25.1"; exit ;;
      --build) ;;
      *) exit ;;
    esac
    echo "build $*" >>"$DOUBLE_LOG"
    echo '[0/2] Re-checking globbed directories...'
    echo '[1/2] Building CXX object one.o'
    [ -z "$DOUBLE_WAITS" ] || exec sleep 30
    [ -z "$DOUBLE_FAILS" ] || { echo 'one.cpp:1: error: so it is'; exit 1; }
    echo '[2/2] Linking CXX shared module'`,
};

/** Scripts of packages. */
const packages = {
  'cmake-js/bin/cmake-js': `
    require('node:fs').appendFileSync(process.env.DOUBLE_LOG, process.argv.slice(2).join(' ') + '\\n');`,
  'typescript/bin/tsc': `
    const fs = require('node:fs');
    const program = "exports.main = async () => { console.log('trained'); return 0; };";
    fs.mkdirSync('dist', { recursive: true });
    fs.mkdirSync('.cache/experiments/sudoku', { recursive: true });
    for (const name of ['main.js', 'sudoku/main.js']) fs.writeFileSync('.cache/experiments/' + name, program);`,
};

export class Clone {
  readonly folder = mkdtempSync(path.join(os.tmpdir(), 'optnet-clone-'));

  constructor() {
    for (const name of ['scripts', 'package.json']) {
      cpSync(path.join(root, name), path.join(this.folder, name), { recursive: true });
    }
    const files = ['package-lock.json', 'node_modules/.package-lock.json'];
    for (const name of files) this.write(name, JSON.stringify({ packages: {} }));
    for (const name of ['cmake-js', 'node-addon-api'])
      this.write(`node_modules/${name}/package.json`, JSON.stringify({ version: '1.0.0' }));
    for (const [name, text] of Object.entries(packages)) this.write(`node_modules/${name}`, text);
    for (const [name, text] of Object.entries(programs)) {
      chmodSync(this.write(`bin/${name}`, `#!/bin/sh\n${text}\n`), 0o755);
    }
    for (const name of ['cublas_v2.h', 'cusolverDn.h']) this.write(`.cache/cuda-headers/${name}`, '');
    for (const name of ['native/solver/solve.h', 'test/native/test.cpp', 'CMakeLists.txt'])
      this.write(name, '');
  }

  write(name: string, text: string): string {
    const file = path.join(this.folder, name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  }

  /** Runs a command, and says what it compiled. `at`: once it has said this, it is interrupted. */
  run(
    command: keyof typeof commands,
    env: Record<string, string> = {},
    { interruptAt }: { interruptAt?: RegExp } = {},
  ): Promise<Commanded> {
    const log = path.join(this.folder, 'log');
    rmSync(log, { force: true });
    const asked = ['OPTNET_CUDA', 'OPTNET_CUDA_ARCHITECTURES', 'OPTNET_INSTRUCTION_SET', 'CXX', 'CUDACXX'];
    const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !asked.includes(name)));
    const PATH = `${path.join(this.folder, 'bin')}:${process.env['PATH'] ?? ''}`;
    const child = spawn(process.execPath, commands[command], {
      cwd: this.folder,
      env: { ...own, PATH, DOUBLE_LOG: log, ...env },
    });
    const told = { stdout: '', stderr: '' };
    child.stdout.on('data', (text) => (told.stdout += String(text)));
    child.stderr.on('data', (text) => (told.stderr += String(text)));
    const wait =
      interruptAt &&
      setInterval(() => {
        if (existsSync(log) && interruptAt.test(readFileSync(log, 'utf8'))) child.kill('SIGINT');
      }, 50);
    return new Promise((resolve) => {
      child.on('exit', (code) => {
        clearInterval(wait);
        const lines = existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : [];
        resolve({ code, ...told, ...compiled(lines) });
      });
    });
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

function compiled(log: string[]): { configured: Configured[]; built: string[] } {
  const option = (line: string, name: string): string | undefined =>
    new RegExp(`--CDOPTNET_${name}=(\\S*)`).exec(line)?.[1];
  return {
    configured: log
      .filter((line) => line.includes('--CDOPTNET_'))
      .map((line) => ({
        tests: option(line, 'TESTS')!,
        sets: option(line, 'INSTRUCTION_SETS')!,
        cuda: option(line, 'CUDA')!,
        architectures: option(line, 'CUDA_ARCHITECTURES'),
      })),
    built: log
      .filter((line) => line.startsWith('build '))
      .map((line) => /--target (\S+)/.exec(line)?.[1] ?? 'all'),
  };
}
