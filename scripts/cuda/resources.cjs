'use strict';
// What each GPU kernel takes of each GPU: registers, spills, stack and shared memory, and how long its code is.
//   node scripts/cuda/resources.cjs            compiles all kernels for all targets (minutes), and writes down what they
//                                              take: docs/gpu-kernels.json, to compare with, docs/gpu-kernels.md, to read
//   node scripts/cuda/resources.cjs --from build        writes down what a build has, and leaves other targets as they were
//   node scripts/cuda/resources.cjs --check build       compares a build with what is written down; prints, as JSON, how
//                                                       many kernels, which have grown, and whose stack is too small
// --allow-spills    writes down spills too
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { build, longStep } = require('../setup/progress.cjs');
const { root, run, SetupError } = require('../setup/run.cjs');
const { ensureCudaHeaders } = require('../setup/cuda.cjs');
const { ensureDisassembler, findDisassembler } = require('./disassembler.cjs');
const { document } = require('./document.cjs');
const { compilerOf, kernelsOf, objectsOf } = require('./ptxas.cjs');
const { overflow, stacks } = require('./stack.cjs');

const BUDGET = path.join(root, 'docs', 'gpu-kernels.json');
const DOCUMENT = path.join(root, 'docs', 'gpu-kernels.md');
const ALL_TARGETS = path.join('.cache', 'cuda-all');
const NUMBERS = ['registers', 'spillStores', 'spillLoads', 'stack', 'shared', 'instructions'];

/**
 * { checked, grown, disassembled, overflowing }: kernels compared, and a sentence for each that takes more than is
 * written down; kernels whose machine code was read, and a sentence for each whose stack is too small.
 */
function check(build) {
  const { kernels, code } = measured(build);
  const { compiler, kernels: allowed } = readBudget();
  // Other versions allocate registers differently, and that is nobody's fault here.
  const same = kernels.length > 0 && (compiler === undefined || compilerOf(build) === compiler);
  const compared = same ? kernels : [];
  return {
    checked: compared.length,
    grown: compared.flatMap((found) => excess(found, allowed[found.kernel]?.[found.target])),
    disassembled: code.length,
    overflowing: code.map(overflow).filter(Boolean),
  };
}

/** What ptxas said of a build's kernels, and what their machine code shows, as far as it can be read here. */
function measured(build) {
  const kernels = kernelsOf(build) ?? [];
  const code = findDisassembler() === undefined ? [] : stacks([build]);
  const instructions = new Map(code.map((one) => [`${one.kernel} ${one.target}`, one.instructions]));
  return {
    kernels: kernels.map((one) => ({
      ...one,
      instructions: instructions.get(`${one.kernel} ${one.target}`),
    })),
    code,
  };
}

function excess({ kernel, target, ...found }, allowed) {
  if (!allowed) return [`${kernel} for ${target} is not in docs/gpu-kernels.json`];
  return NUMBERS.filter((name, i) => found[name] > allowed[i]).map(
    (name) => `${kernel} for ${target}: ${name} ${found[name]}, was ${allowed[NUMBERS.indexOf(name)]}`,
  );
}

function record(build, { allowSpills }) {
  if (objectsOf(build).length === 0) throw new SetupError(`${build} has no GPU kernels.`);
  ensureDisassembler();
  const compiler = compilerOf(build);
  const { kernels, code } = measured(build);
  const [overflowing] = code.map(overflow).filter(Boolean);
  if (overflowing !== undefined) throw new SetupError(`Nothing was written down: ${overflowing}`);
  const spilling = kernels.filter(({ spillStores, spillLoads }) => spillStores + spillLoads > 0);
  for (const { kernel, target, spillStores, spillLoads } of spilling) {
    process.stderr.write(
      `${kernel} for ${target} spills: ${spillStores} bytes stored, ${spillLoads} loaded\n`,
    );
  }
  if (spilling.length > 0 && !allowSpills) {
    throw new SetupError('Nothing was written down. With --allow-spills they become part of the budget.');
  }

  const before = readBudget();
  const budget = { compiler, numbers: NUMBERS, kernels: {}, plans: plansOf(build) ?? before.plans };
  for (const { kernel, target, ...found } of kernels) {
    budget.kernels[kernel] ??= before.compiler === compiler ? { ...before.kernels[kernel] } : {};
    budget.kernels[kernel][target] = NUMBERS.map((name) => found[name]);
  }
  fs.mkdirSync(path.dirname(BUDGET), { recursive: true });
  fs.writeFileSync(BUDGET, json(budget));
  fs.writeFileSync(DOCUMENT, document(budget));
}

async function compile() {
  ensureCudaHeaders();
  const options = ['-DCMAKE_BUILD_TYPE=Release', '-DOPTNET_CUDA=ON', '-DOPTNET_CUDA_ARCHITECTURES=all'];
  await longStep('Compiling the kernels for all targets', async (progress) => {
    const contents = ['-DOPTNET_INSTRUCTION_SETS=sse2', '-DOPTNET_PLANS=ON'];
    run('cmake', ['-S', '.', '-B', ALL_TARGETS, ...options, ...contents]);
    await build(ALL_TARGETS, ['--target', 'optnet_plans'], progress);
  });
  return ALL_TARGETS;
}

/** What the planner decides for each GPU, if the build has the program that says it. */
function plansOf(build) {
  const program = path.resolve(root, build, 'scripts', 'cuda', 'optnet_plans');
  if (fs.existsSync(program)) return JSON.parse(execFileSync(program, { encoding: 'utf8' }));
  return undefined;
}

function readBudget() {
  if (!fs.existsSync(BUDGET)) return { compiler: undefined, kernels: {}, plans: [] };
  return JSON.parse(fs.readFileSync(BUDGET, 'utf8'));
}

/** JSON with one line for each kernel and target, and for each plan, for diffs. */
function json(value) {
  const lines = JSON.stringify(value, null, 2).replaceAll(
    /(\[|\{)\s+([^[\]{}]*?)\s+[\]}]/g,
    (_, open, items) => {
      const line = items.replaceAll(/\s+/g, ' ');
      return open === '[' ? `[${line}]` : `{ ${line} }`;
    },
  );
  return `${lines}\n`;
}

const { values } = parseArgs({
  options: { check: { type: 'string' }, from: { type: 'string' }, 'allow-spills': { type: 'boolean' } },
});
(async () => {
  if (values.check) process.stdout.write(`${JSON.stringify(check(values.check))}\n`);
  else record(values.from ?? (await compile()), { allowSpills: values['allow-spills'] });
})().catch((error) => {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
