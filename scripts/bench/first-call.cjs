'use strict';
// What the first call in a process takes, part by part, in ms: node scripts/bench/first-call.cjs n,m,q,batch [--device cuda:0].
// One JSON object a line, for gpu_table.py. Each part is measured once: run it in a fresh process.
const { parseArgs } = require('node:util');
let last = performance.now();
const lines = [];

/** What has passed since the last one. */
function line(first) {
  lines.push({ program: 'JavaScript', first, ms: Number((performance.now() - last).toPrecision(5)) });
  last = performance.now();
}

function main() {
  const { values, positionals } = parseArgs({
    options: { device: { type: 'string', default: 'cuda:0' } },
    allowPositionals: true,
  });
  const [shape = '10,10,0,64'] = positionals;
  const device = values.device;
  last = performance.now();
  const { devices, qpSolveBatchSync } = require('../../dist/index.js');
  line('loading the package');
  devices();
  line('devices(): the addon, the driver');
  const { drawProblems } = require('../../dist/cli/random-problems.js');
  const problem = drawProblems(require('./gpu-data.cjs').sizesOf(shape));
  last = performance.now();
  for (const which of ['first', 'second', 'third']) {
    const solution = qpSolveBatchSync(problem, { device });
    line(`${shape}: ${which} solve, by ${solution.device.backend}`);
    solution.backwardSync({ dz: solution.z });
    line(`${shape}: ${which} backward`);
    solution.dispose();
  }
  for (const each of lines) console.log(JSON.stringify(each));
}

main();
