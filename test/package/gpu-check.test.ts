// What is done on a machine with a GPU that is at hand for a short time: its plan, what is carried there, and that it ends in
// time whatever the programs do. There is no GPU in these tests.
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { root } from '../support/node.js';

let tree: string;
beforeEach(() => {
  tree = mkdtempSync(path.join(os.tmpdir(), 'optnet-gpu-check-'));
  for (const part of ['scripts/gpu-check', 'scripts/gpu', 'scripts/bench/gpu_table.py']) {
    cpSync(path.join(root, part), path.join(tree, part), { recursive: true });
  }
  put('native/kernels.cu', 'kernels');
  put('native/engine.cpp', 'engine');
  put('CMakeLists.txt', 'project');
  put('lib/index.ts', 'index');
});
afterEach(() => rmSync(tree, { recursive: true, force: true }));

function put(name: string, text: string, mode = 0o644): void {
  const file = path.join(tree, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
  chmodSync(file, mode);
}

const program = (name: string, ...lines: string[]): void =>
  put(name, ['#!/bin/sh', ...lines, ''].join('\n'), 0o755);

function bash(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync('bash', args, {
    cwd: tree,
    encoding: 'utf8',
    env: {
      ...process.env,
      PATH: `${path.join(tree, 'fakes')}:${process.env.PATH!}`,
      OUT: path.join(tree, 'out'),
    },
  });
  return { status, stdout, stderr };
}
const gpuCheck = (...args: string[]) => bash('scripts/gpu-check', ...args);
const inShell = (command: string): string => bash('-c', `. scripts/gpu/carried.sh; ${command}`).stdout.trim();

/** As scripts/gpu-carry.cjs does. */
function carry(programs: Record<string, string[]> = {}): void {
  for (const [name, lines] of Object.entries(programs)) program(`programs/${name}`, ...lines);
  mkdirSync(path.join(tree, '.gpu'), { recursive: true });
  mkdirSync(path.join(tree, 'programs'), { recursive: true });
  bash('-c', 'tar -cJf .gpu/programs.tar.xz -C programs . && rm -r programs');
  put('.gpu/dist/index.js', '');
  const lines = [
    `sources: ${inShell('fingerprint "${program_sources[@]}"')}`,
    `javascript: ${inShell('fingerprint "${javascript_sources[@]}"')}`,
    'architectures: 90',
    `processor: ${inShell('uname -m')}`,
  ];
  put('.gpu/carried.txt', `${lines.join('\n')}\n`);
}

describe('the plan', () => {
  const runs = (text: string) =>
    text
      .split(/^(?=Run )/m)
      .filter((part) => part.startsWith('Run '))
      .map((part) => ({
        most: Number(/at most (\d+) s/.exec(part)![1]),
        sum: Number(/one after the other (\d+) s/.exec(part)![1]),
        end: Number(/(\d+) s for the end/.exec(part)![1]),
        steps: [...part.matchAll(/^ {2}([\w-]+) +(\d+) s {2}(alone|beside)/gm)].map(
          ([, name, seconds, how]) => ({ name: name!, seconds: Number(seconds), how: how! }),
        ),
      }));

  it('has a limit for each step, and they fit into what a run may take', () => {
    const { status, stdout } = gpuCheck('--dry');
    expect(status).toBe(0);
    const [first, second] = runs(stdout);
    for (const { most, sum, end, steps } of [first!, second!]) {
      const alone = steps.filter(({ how }) => how === 'alone');
      expect(sum).toBe(alone.reduce((total, { seconds }) => total + seconds, 0));
      expect(sum + end).toBeLessThanOrEqual(most);
    }
    expect(first!.most).toBeLessThanOrEqual(300);
    expect(second!.most).toBeLessThanOrEqual(600);
    expect(stdout.length).toBeLessThan(12_000);
  });

  it('first asks whether it is right, then how fast, then what takes its time', () => {
    const [first] = runs(gpuCheck('--dry').stdout);
    const place = (name: string) => first!.steps.findIndex((step) => step.name === name);
    for (const correct of ['doctor', 'tests', 'calls']) expect(place(correct)).toBeLessThan(place('bench'));
    const beside = first!.steps.filter(({ how }) => how === 'beside').map(({ name }) => name);
    expect(beside.sort()).toEqual(['initcheck', 'jest', 'memcheck', 'racecheck', 'synccheck']);
    expect(first!.steps.slice(-beside.length).every(({ how }) => how === 'beside')).toBe(true);
  });

  it('names steps that there are', () => {
    const [first, second] = runs(gpuCheck('--dry').stdout);
    const names = [...first!.steps, ...second!.steps].map(({ name }) => name);
    const missing = bash(
      '-c',
      `. scripts/gpu/steps.sh; for step in ${names.join(' ')}; do declare -F $step >/dev/null || echo $step; done`,
    );
    expect(missing).toMatchObject({ status: 0, stdout: '' });
  });
});

describe('what is carried', () => {
  it('is nothing at first', () => {
    expect(gpuCheck('--dry').stdout).toContain('Carried: nothing.');
  });

  it('serves as long as the sources have the same names and contents, whatever their times', () => {
    carry();
    utimesSync(path.join(tree, 'native/engine.cpp'), 1e9, 1e9);
    const { status, stdout } = gpuCheck('--dry');
    expect(stdout).toMatch(/^programs: of these sources$/m);
    expect(stdout).toMatch(/^javascript: of these sources$/m);
    expect(status).toBe(0);
  });

  it.each<[string, () => void, RegExp]>([
    ['a changed source', () => put('native/engine.cpp', 'engine 2'), /^programs: .*other sources$/m],
    ['a new source', () => put('native/more.cpp', ''), /^programs: .*other sources$/m],
    [
      'a renamed source',
      () => renameSync(path.join(tree, 'native/engine.cpp'), path.join(tree, 'native/motor.cpp')),
      /^programs: .*other sources$/m,
    ],
    ['other JavaScript', () => put('lib/index.ts', 'index 2'), /^javascript: .*other sources$/m],
    ['too much', () => tooMuch(), /^ {2}total +61\.\d of at most 60\n {2}That is too much\.$/m],
  ])('does not serve with %s', (_, change, expected) => {
    carry();
    change();
    const { status, stdout } = gpuCheck('--dry');
    expect(stdout).toMatch(expected);
    expect(status).toBe(1);
  });
  function tooMuch(): void {
    put('.gpu/node.xz', '');
    truncateSync(path.join(tree, '.gpu/node.xz'), 61 * 2 ** 20);
  }

  it.each([
    ['90', '90', true],
    ['80', '86', true],
    ['80;90', '89', true],
    ['90', '89', false],
    ['89', '86', false],
    ['90', '100', false],
    ['100', '103', true],
    ['120', '20', false],
  ])('code for %s on a GPU of %s: %s', (built, capability, expected) => {
    expect(inShell(`serves '${built}' ${capability} && echo true || echo false`)).toBe(`${expected}`);
  });

  it.each([
    ['9.0', ''],
    ['8.0', 'they are for sm_90, the GPU is sm_80'],
  ])('is compared with a GPU of %s', (capability, expected) => {
    carry();
    program('fakes/nvidia-smi', `echo ${capability}`);
    expect(inShell('unfit_programs')).toBe(expected);
  });
});

describe('a run', () => {
  const line = {
    program: 'optnet',
    tier: 'block',
    shape: [5, 6, 0],
    batch: 3,
    precision: 'float64',
    forward: 1.25,
  };
  const archived = () => path.join(tree, 'out/gpu-check-1.tar.gz');
  const results = (stdout: string) =>
    Object.fromEntries<string | undefined>(
      [...stdout.matchAll(/^([\w-]+) {2,}(\S.*?) +\d+$/gm)].map(([, step, result]) => [step!, result]),
    );

  beforeEach(() => {
    program('fakes/nvidia-smi', 'echo 9.0');
    program('fakes/node', 'exit 1'); // what needs it is not there either
  });

  it('goes on after what fails, ends what hangs, prints little, and leaves one archive', () => {
    carry({
      gpu_test: ['yes "a long line of output that says nothing" | head -c 1000000', 'exit 3'],
      optnet_gpu_bench: [
        `[ "$1" != --dump ] || { touch "$2/$3.problems"; exit 0; }`,
        `echo '${JSON.stringify(line)}'`,
      ],
    });
    program('fakes/compute-sanitizer', 'case $* in *racecheck*) sleep 1000 ;; *--least*) exit 0 ;; esac');
    // Of its 180 s. If it were not ended, the test would not end either.
    const script = readFileSync(path.join(tree, 'scripts/gpu-check'), 'utf8');
    put('scripts/gpu-check', script.replace(/^racecheck +1 +180/m, 'racecheck 1 3'), 0o755);
    const { status, stdout, stderr } = gpuCheck('--run', '1');
    expect({ status, stderr }).toEqual({ status: 1, stderr: '' });
    expect(results(stdout)).toMatchObject({
      gpu: 'ok',
      unpack: 'ok',
      doctor: 'skipped',
      tests: 'failed (3)',
      bench: 'ok',
      first: 'ok',
      memcheck: 'ok',
      racecheck: 'out of time',
      initcheck: 'ok',
      jest: 'skipped',
    });
    expect(stdout).toContain('| (5, 6, 0) × 3');
    expect(stdout.length).toBeLessThan(12_000);
    expect(existsSync(path.join(tree, '.gpu/run/gpu_test'))).toBe(true);
    const files = bash('-c', `tar -tf ${archived()}`).stdout.split('\n');
    expect(files).toEqual(expect.arrayContaining(['bench.jsonl', 'steps.txt', 'table.md', 'tests.log']));
    expect(bash('-c', 'ls out').stdout).toBe('gpu-check-1.tar.gz\n');
  });

  it('compiles what does not run here, and says why', () => {
    carry({ gpu_test: ['exit 0'], optnet_gpu_bench: ['echo "no such library" >&2', 'exit 127'] });
    put('scripts/gpu/build.sh', '#!/bin/sh\necho "$@" >built\nexit 9\n', 0o755);
    const { status, stdout } = gpuCheck('--run', '1', '--only', 'tests');
    expect(status).toBe(1);
    expect(stdout).toContain('programs: compiled here, as they do not run here: no such library');
    expect(results(stdout)).toMatchObject({ compile: 'failed (9)', tests: 'failed (127)' });
    expect(readFileSync(path.join(tree, 'built'), 'utf8')).toMatch(/^\.gpu\/build 90 (avx2|sse2)\n$/);
  });
});

describe('hot spots', () => {
  interface HotSpots {
    hotSpots: (source: string, details?: string) => string;
  }
  // eslint-disable-next-line @typescript-eslint/no-require-imports
  const { hotSpots } = require('../../scripts/bench/hot-spots.cjs') as HotSpots;

  const source = [
    'Kernel Name,"solve_kernel(Argument)"',
    '"#","Source","# Samples","Instructions Executed","stall_barrier","stall_wait","stall_wait (Not Issued)"',
    '"1","    S2R R1, SR_TID.X ","0","4","0","0","0"',
    '"2","@!P0 LDL R2, [R1+0x10] ","60","1,000","50","10","900"',
    '"3","DFMA R4, R2, R2, ""x"" ","30","1,100","10","20","900"',
    '"4","      BAR.SYNC 0x0 ","10","4","10","0","0"',
    '',
  ].join('\n');
  const text = hotSpots(source);

  it('count instructions and samples by what they are for', () => {
    expect(text).toContain('4 instructions of machine code; 2.11e+3 executed, 100 samples');
    expect(text).toContain('executed, by kind: float64 52 %, local memory 47 %, ');
    expect(text).toContain('samples, by opcode: LDL 60 %, DFMA 30 %, BAR 10 %');
  });
  it('say what warps waited for, of what was issued', () => {
    expect(text).toContain('stalls: barrier 70 %, wait 30 %');
  });
  it('find the loop', () => {
    expect(text).toContain(
      '\n  1–2: 90 % of samples, 1000 times each; float64 52 %, local memory 48 %; barrier 67 %, wait 33 %',
    );
  });
  it('show single instructions', () => {
    expect(text).toContain('\n  1: 60 % @!P0 LDL R2, [R1+0x10]');
    expect(text).toContain('\n  2: 30 % DFMA R4, R2, R2, "x"');
  });
  it('begin with what bounds the kernel, where that was exported', () => {
    const details = [
      '==PROF== Connected',
      '"ID","Metric Name","Metric Unit","Metric Value"',
      '"0","Registers Per Thread","register/thread","128"',
      '"0","Duration","ms","2.09"',
      '"0","Elapsed Cycles","cycle","4,000"',
    ].join('\r\n');
    expect(hotSpots(source, details).split('\n', 1)).toEqual([
      'Duration 2.09 ms; Registers Per Thread 128 register/thread',
    ]);
  });
  it('are not read from another table', () => {
    expect(() => hotSpots('"a","b"\n"1","2"\n')).toThrow(/no line with the columns Source, # Samples/);
  });
});
