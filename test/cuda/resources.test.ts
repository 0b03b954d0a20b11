// What the GPU kernels take, as ptxas says it, against what is written down in docs/gpu-kernels.json; and whether their
// stack is as deep as their calls go, as their machine code says it.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { root } from '../support/node.js';

const script = (program: string) =>
  JSON.parse(execFileSync(process.execPath, ['-e', program], { cwd: root, encoding: 'utf8' })) as unknown;

interface Outcome {
  checked: number;
  grown: string[];
  disassembled: number;
  overflowing: string[];
}

const checked = JSON.parse(
  execFileSync(process.execPath, ['scripts/cuda/resources.cjs', '--check', 'build'], {
    cwd: root,
    encoding: 'utf8',
  }),
) as Outcome;

// A build without CUDA has none, and another compiler allocates registers differently.
(checked.checked > 0 ? it : it.skip)('no kernel spills or takes more registers than is written down', () => {
  expect(checked.grown).toEqual([]);
});

// Nor is there a disassembler everywhere.
(checked.disassembled > 0 ? it : it.skip)('no kernel has less stack than its calls take', () => {
  expect(checked.overflowing).toEqual([]);
});

const nvcc = script(`console.log(JSON.stringify(require('./scripts/setup/cuda.cjs').nvcc()))`) as string;
const compiles = checked.disassembled > 0 && nvcc !== '';
const targets = ['sm_75', 'sm_80', 'sm_90', 'sm_100', 'sm_120'];

(compiles ? describe : describe.skip)('of functions that are not inlined', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'optnet-stack-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true });
  });

  it.each(targets)(
    'the stack of a chain has room, that of a circle and of pointers has none: %s',
    (target) => {
      const cubin = path.join(folder, `${target}.cubin`);
      execFileSync(nvcc, [`-arch=${target}`, '-cubin', path.join(__dirname, 'stack.cu'), '-o', cubin]);
      const program = `
      const { overflow, stacks } = require('./scripts/cuda/stack.cjs');
      const found = stacks([${JSON.stringify(cubin)}]);
      console.log(JSON.stringify(Object.fromEntries(found.map((one) => [one.kernel, [one.deepest, overflow(one) ?? null]]))));`;
      const found = script(program) as Record<string, [number | null, string | null]>;
      const [deepest, wrong] = found.chain!;
      expect(deepest).toBeGreaterThanOrEqual((64 + 128) * 4);
      expect(wrong).toBeNull();
      expect(found.circle![1]).toMatch(
        /^circle for sm_\d+ has \d+ bytes of stack and takes a stack that nobody can size: circle → /,
      );
      expect(found.pointers![1]).toMatch(/nobody can size: pointers → pointer$/);
    },
  );
});

it('counts the deepest path of calls, and takes a call to within a function for the jump that it is', () => {
  const text = [
    '.text.kernel:',
    '        /*0000*/                   LDC R1, c[0x0][0x28] ;',
    '        /*0010*/                   VIADD R1, R1, 0xffffffe0 ;',
    '        /*0020*/               @P0 CALL.REL.NOINC `(.L_x_1) ;',
    '        /*0030*/                   CALL.REL.NOINC `($kernel$outer) ;',
    '.L_x_1:',
    '        /*0040*/                   EXIT ;',
    '$kernel$outer:',
    '        /*0050*/                   IADD3 R1, PT, PT, R1, -0x8, RZ ;',
    '        /*0060*/                   BRA `($kernel$inner) ;',
    '$kernel$inner:',
    '        /*0070*/                   IADD3 R1, R1, -0x18, RZ ;',
    '        /*0080*/                   LOP3.LUT R1, R1, 0xfffffff0, RZ, 0xc0, !PT ;',
    '.L_x_2:',
    '        /*0090*/              @!P1 BRA `(.L_x_2) ;',
    '        /*00a0*/                   RET.REL.NODEC R20 `(kernel) ;',
  ].join('\n');
  const program = `const { measureAll } = require('./scripts/cuda/sass.cjs'); console.log(JSON.stringify(measureAll(${JSON.stringify(text)})))`;
  expect(script(program)).toEqual([
    { symbol: 'kernel', bytes: 32 + 8 + 32, path: ['kernel', 'outer', 'inner'], instructions: 11 },
  ]);
});

it('reads what ptxas says', () => {
  const output = [
    "ptxas info    : Compiling entry function '_ZN6optnet4cuda5solveIdLi32EEEvNS0_9ArgumentsE' for 'sm_90'",
    'ptxas info    : Function properties for _ZN6optnet4cuda5solveIdLi32EEEvNS0_9ArgumentsE',
    '    8 bytes stack frame, 4 bytes spill stores, 12 bytes spill loads',
    'ptxas info    : Used 246 registers, used 1 barriers, 24 bytes cumulative stack size, 128 bytes smem, 400 bytes cmem[0]',
    "ptxas info    : Compiling entry function '_Z3addPd' for 'sm_75'",
    'ptxas info    : Function properties for _Z3addPd',
    '    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads',
    'ptxas info    : Used 10 registers, used 0 barriers',
  ].join('\n');
  const program = `const { parse } = require('./scripts/cuda/ptxas.cjs'); console.log(JSON.stringify(parse(${JSON.stringify(output)})))`;
  expect(script(program)).toEqual([
    {
      symbol: '_ZN6optnet4cuda5solveIdLi32EEEvNS0_9ArgumentsE',
      target: 'sm_90',
      registers: 246,
      spillStores: 4,
      spillLoads: 12,
      stack: 24,
      shared: 128,
    },
    {
      symbol: '_Z3addPd',
      target: 'sm_75',
      registers: 10,
      spillStores: 0,
      spillLoads: 0,
      stack: 0,
      shared: 0,
    },
  ]);
});

it.each([
  ['void optnet::cuda::solve<double, 32>(optnet::cuda::Arguments)', 'solve<double, 32>'],
  [
    'void optnet::cuda::(anonymous namespace)::solve<optnet::cuda::Lanes<(int)8>, true>(float*)',
    'solve<Lanes<8>, true>',
  ],
  ['optnet::cuda::add(double*)', 'add'],
])('gives a kernel the name that its source has: %s', (mangled, name) => {
  const program = `const { readable } = require('./scripts/cuda/ptxas.cjs'); console.log(JSON.stringify(readable(${JSON.stringify(mangled)})))`;
  expect(script(program)).toBe(name);
});
