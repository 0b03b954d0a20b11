'use strict';
// What calls from JavaScript take on a GPU, in ms, one JSON object a line, for gpu_table.py:
//   node scripts/bench/gpu-javascript.cjs [--device cuda:0] [--seconds 0.3] [n,m,q,batch …]
// For each shape a line of the GPU, one of the CPU with all its threads, and one of what goes to and from host memory.
const { parseArgs } = require('node:util');
const { drawProblems } = require('../../dist/cli/random-problems.js');
const { devices, qpSolveBatchSync, tensor, toDeviceSync } = require('../../dist/index.js');
const { disposeOf, median, sizesOf } = require('./gpu-data.cjs');

const shapes = [
  '10,10,0,4096',
  '32,64,8,4096',
  '100,100,0,128',
  '100,50,50,128',
  '64,64,40,150',
  '250,250,0,64',
  '500,500,0,32',
];

/** A batch of fewer distinct problems, again and again: drawing them takes longer than solving them. */
function drawBatch({ n, m, q, batch }) {
  const distinct = drawProblems({ n, m, q, batch: Math.min(batch, 16) });
  return Object.fromEntries(
    Object.entries(distinct).map(([name, { data, shape }]) => {
      const all = new Float64Array((data.length / shape[0]) * batch);
      for (let start = 0; start < all.length; start += data.length)
        all.set(data.subarray(0, Math.min(data.length, all.length - start)), start);
      return [name, tensor(all, [batch, ...shape.slice(1)])];
    }),
  );
}

/** The batch with the matrices and bounds of its first problem for all. */
const firstOf = (problem) =>
  Object.fromEntries(
    Object.entries(problem).map(([name, datum]) => {
      const shape = datum.shape.slice(1);
      const size = shape.reduce((product, length) => product * length, 1);
      return [name, name === 'p' ? datum : tensor(datum.data.slice(0, size), shape)];
    }),
  );

const toGpu = (problem, device) =>
  Object.fromEntries(Object.entries(problem).map(([name, datum]) => [name, toDeviceSync(datum, device)]));

/** A call with the gradients of everything. */
function both(problem, dz, options) {
  const solution = qpSolveBatchSync(problem, options);
  const gradients = solution.backwardSync({ dz });
  disposeOf(gradients);
  solution.dispose();
}

/** How it went: iterations, and the largest residuals. */
function report(problem, device) {
  const solution = qpSolveBatchSync(problem, { device, differentiable: false });
  const { status, iterations, residuals } = solution;
  solution.dispose();
  const most = (values) => values.reduce((a, b) => Math.max(a, b), 0);
  return {
    iterations: iterations.reduce((sum, count) => sum + count, 0) / status.length,
    solved: status.filter((each) => each === 'solved').length,
    primal: most(residuals.primal),
    dual: most(residuals.dual),
    gap: most(residuals.gap),
  };
}

function measure(sizes, device, seconds) {
  const { n, m, q, batch } = sizes;
  const problem = drawBatch(sizes);
  const dz = tensor(new Float64Array(batch * n).fill(1), [batch, n]);
  const there = toGpu(problem, device);
  const shared = toGpu(firstOf(problem), device);
  const dzThere = toDeviceSync(dz, device);
  const time = (call) => median(seconds, call);
  const onGpu = { device, output: 'device' };
  const line = { program: 'optnet', shape: [n, m, q], batch, precision: 'float64' };
  const cpu = devices()[0];
  const lines = [
    {
      ...line,
      tier: 'from JavaScript',
      forward: time(() => qpSolveBatchSync(there, { ...onGpu, differentiable: false }).dispose()),
      both: time(() => both(there, dzThere, onGpu)),
      shared: time(() => both(shared, dzThere, onGpu)),
      host: time(() => both(problem, dz, { device })),
      ...report(problem, device),
    },
    {
      ...line,
      tier: `CPU, ${cpu.threads} threads`,
      host: time(() => both(problem, dz, { device: 'cpu' })),
      ...report(problem, 'cpu'),
    },
    { copies: line.shape, batch, ...copies(problem, there, dz, device, time) },
  ];
  disposeOf(there, shared, { dzThere });
  return lines;
}

/** Q and G on their ways, and what a call from host memory is made of. */
function copies(problem, there, dz, device, time) {
  const { Q, G } = problem;
  const numbers = Q.data.length + G.data.length;
  const solution = qpSolveBatchSync(problem, { device });
  const backward = (options) => () => disposeOf(solution.backwardSync({ dz }, options));
  const times = {
    megabytes: Number(((8 * numbers) / 1e6).toPrecision(3)),
    // A page of memory that is new has to be had from the system.
    allocate: time(() => {
      const fresh = new Float64Array(numbers);
      for (let i = 0; i < numbers; i += 512) fresh[i] = 1;
    }),
    copy: time(() => [Q.data.slice(), G.data.slice()]),
    toDevice: time(() => disposeOf([toDeviceSync(Q, device), toDeviceSync(G, device)])),
    toHost: time(() => [there.Q.toHostSync(), there.G.toHostSync()]),
    solve: time(() => qpSolveBatchSync(problem, { device }).dispose()),
    backward: time(backward({})),
    backwardStays: time(backward({ output: 'device' })),
    backwardVectors: time(backward({ wrt: ['p', 'h'] })),
  };
  solution.dispose();
  return times;
}

function main() {
  const { values, positionals } = parseArgs({
    options: {
      device: { type: 'string', default: 'cuda:0' },
      seconds: { type: 'string', default: '0.3' },
    },
    allowPositionals: true,
  });
  for (const shape of positionals.length > 0 ? positionals : shapes) {
    for (const line of measure(sizesOf(shape), values.device, Number(values.seconds)))
      console.log(JSON.stringify(line));
  }
}

main();
