'use strict';
// Whether calls from JavaScript are right on a GPU: node scripts/bench/gpu-calls.cjs [--device cuda:0]. Solutions and
// gradients are checked against the data, and those from data on the GPU, and of asynchronous calls, against the others.
const { parseArgs } = require('node:util');
const { drawProblems } = require('../../dist/cli/random-problems.js');
const { verify } = require('../../dist/cli/verify.js');
const { qpSolveBatch, qpSolveBatchSync, toDeviceSync } = require('../../dist/index.js');
const { disposeOf, sizesOf } = require('./gpu-data.cjs');

/** By each of the kernels. */
const shapes = ['10,10,0,64', '5,3,2,7', '32,64,8,16', '100,100,0,8', '250,200,10,2'].map(sizesOf);

/** To the last bit: it is the same arithmetic. */
const same = (a, b) => a.length === b.length && a.every((x, i) => Object.is(x, b[i]));

const downloaded = (tensors) =>
  Object.fromEntries(Object.entries(tensors).map(([name, held]) => [name, held.toHostSync()]));

/** What is wrong; undefined: nothing. */
async function problemOf(sizes, device) {
  const problem = drawProblems(sizes);
  const solution = qpSolveBatchSync(problem, { device });
  const dz = solution.z;
  const gradients = solution.backwardSync({ dz });
  const wrong = verify(sizes, problem, solution, gradients);
  if (wrong !== undefined) return wrong;

  const later = await qpSolveBatch(problem, { device });
  const laterGradients = await later.backward({ dz });
  if (!same(later.z.data, solution.z.data)) return 'an asynchronous call has another solution';

  const there = Object.fromEntries(
    Object.entries(problem).map(([name, datum]) => [name, toDeviceSync(datum, device)]),
  );
  const stayed = qpSolveBatchSync(there, { device, output: 'device' });
  const stayedGradients = stayed.backwardSync({ dz: stayed.z }, { output: 'device' });
  const [z, found] = [stayed.z.toHostSync(), downloaded(stayedGradients)];
  if (!same(z.data, solution.z.data)) return 'from data on the GPU comes another solution';
  for (const name of Object.keys(gradients)) {
    if (!same(laterGradients[name].data, gradients[name].data))
      return `an asynchronous call has another ${name}`;
    if (!same(found[name].data, gradients[name].data)) return `from data on the GPU comes another ${name}`;
  }
  disposeOf(there, stayedGradients);
  for (const each of [solution, later, stayed]) each.dispose();
  return undefined;
}

async function main() {
  const { device } = parseArgs({ options: { device: { type: 'string', default: 'cuda:0' } } }).values;
  for (const sizes of shapes) {
    const problem = await problemOf(sizes, device);
    const { n, m, q, batch } = sizes;
    console.log(`(${n}, ${m}, ${q}) × ${batch}: ${problem ?? 'right'}`);
    if (problem !== undefined) process.exitCode = 1;
  }
}

main();
