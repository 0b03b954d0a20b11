// What the GPU kernels take, as ptxas says it, against what is written down in docs/gpu-kernels.json.
import { execFileSync } from 'node:child_process';

import { root } from '../support/node.js';

const script = (program: string) =>
  JSON.parse(execFileSync(process.execPath, ['-e', program], { cwd: root, encoding: 'utf8' })) as unknown;

interface Outcome {
  checked: number;
  compiler: string | null;
  grown: string[];
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
