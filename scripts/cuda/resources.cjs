'use strict';
// What each GPU kernel takes of each GPU: registers, spills, stack and shared memory.
//   node scripts/cuda/resources.cjs            compiles all kernels for all targets (minutes), and writes down what they take:
//                                              docs/gpu-kernels.json, to compare with later, and docs/gpu-kernels.md, to read
//   node scripts/cuda/resources.cjs --check    compares the kernels in build/ with that; prints, as JSON, how many, and
//                                              what has grown
// --allow-spills    writes down spills too
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { root, run, SetupError, step } = require('../setup/run.cjs');
const { ensureCudaHeaders } = require('../setup/cuda.cjs');
const { compilerOf, kernelsOf } = require('./ptxas.cjs');
const { document } = require('./document.cjs');

const BUDGET = path.join(root, 'docs', 'gpu-kernels.json');
const DOCUMENT = path.join(root, 'docs', 'gpu-kernels.md');
const RELEASE = path.join('.cache', 'cuda-release');
const NUMBERS = ['registers', 'spillStores', 'spillLoads', 'stack', 'shared'];

/** { checked, compiler, grown }: kernels compared, and one sentence for each that takes more than is written down. */
function check(build) {
  const kernels = kernelsOf(build);
  if (!kernels) return { checked: 0, compiler: null, grown: [] };
  const compiler = compilerOf(build);
  const budget = JSON.parse(fs.readFileSync(BUDGET, 'utf8'));
  // Other versions allocate registers differently, and that is nobody's fault here.
  if (compiler !== budget.compiler) return { checked: 0, compiler, grown: [] };
  const grown = kernels.flatMap((found) => excess(found, budget.kernels[found.kernel]?.[found.target]));
  return { checked: kernels.length, compiler, grown };
}

function excess({ kernel, target, ...found }, allowed) {
  if (!allowed) return [`${kernel} for ${target} is not in docs/gpu-kernels.json`];
  return NUMBERS.filter((name, i) => found[name] > allowed[i]).map(
    (name) => `${kernel} for ${target}: ${name} ${found[name]}, was ${allowed[NUMBERS.indexOf(name)]}`,
  );
}

function record({ allowSpills }) {
  ensureCudaHeaders();
  const jobs = os.availableParallelism().toString();
  const options = ['-DCMAKE_BUILD_TYPE=Release', '-DOPTNET_CUDA=ON', '-DOPTNET_CUDA_ARCHITECTURES=release'];
  step('Compiling the kernels for all targets', () => {
    run('cmake', [
      '-S',
      '.',
      '-B',
      RELEASE,
      ...options,
      '-DOPTNET_INSTRUCTION_SETS=sse2',
      '-DOPTNET_PLANS=ON',
    ]);
    run('cmake', ['--build', RELEASE, '--parallel', jobs, '--target', 'optnet_plans']);
  });
  const kernels = kernelsOf(RELEASE);
  const spilling = kernels.filter(({ spillStores, spillLoads }) => spillStores + spillLoads > 0);
  for (const { kernel, target, spillStores, spillLoads } of spilling) {
    process.stderr.write(
      `${kernel} for ${target} spills: ${spillStores} bytes stored, ${spillLoads} loaded\n`,
    );
  }
  if (spilling.length > 0 && !allowSpills) {
    throw new SetupError('Nothing was written down. With --allow-spills they become part of the budget.');
  }

  const compiler = compilerOf(RELEASE);
  const byKernel = {};
  for (const { kernel, target, ...found } of kernels) {
    (byKernel[kernel] ??= {})[target] = NUMBERS.map((name) => found[name]);
  }
  const plans = JSON.parse(
    execFileSync(path.join(root, RELEASE, 'scripts', 'cuda', 'optnet_plans'), { encoding: 'utf8' }),
  );
  fs.mkdirSync(path.dirname(BUDGET), { recursive: true });
  fs.writeFileSync(BUDGET, json({ compiler, numbers: NUMBERS, kernels: byKernel }));
  fs.writeFileSync(DOCUMENT, document({ compiler, kernels, plans }));
}

/** JSON with one line for each kernel and target, for diffs. */
function json(value) {
  return `${JSON.stringify(value, null, 2).replaceAll(/\[\s+([^[\]{}]*?)\s+\]/g, (_, items) => `[${items.replaceAll(/\s+/g, ' ')}]`)}\n`;
}

const { values } = parseArgs({
  options: {
    check: { type: 'boolean' },
    build: { type: 'string', default: 'build' },
    'allow-spills': { type: 'boolean' },
  },
});
try {
  if (values.check) process.stdout.write(`${JSON.stringify(check(values.build))}\n`);
  else record({ allowSpills: values['allow-spills'] });
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
