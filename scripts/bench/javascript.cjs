'use strict';
// Times whole calls from JavaScript: node javascript.cjs FILE n m q batch seconds threads [box]. FILE holds the
// problems; box: also −1 ≤ z ≤ 1.
const fs = require('node:fs');
const { qpSolveBatch, qpSolveBatchSync } = require('optnet');

const [file, ...numbers] = process.argv.slice(2);
const [n, m, q, batch, seconds, threads] = numbers.map(Number);
const inBox = numbers.at(-1) === 'box';

function readProblem() {
  const bytes = fs.readFileSync(file);
  const numbers = new Float64Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
  let start = 0;
  const take = (...shape) => {
    const length = shape.reduce((product, size) => product * size, 1);
    return { shape, data: numbers.subarray(start, (start += length)) };
  };
  const [Q, p] = [take(batch, n, n), take(batch, n)];
  const inequalities = { G: take(batch, m, n), h: take(batch, m) };
  const bound = (value) => ({ shape: [n], data: new Float64Array(n).fill(value) });
  const box = inBox && { lb: bound(-1), ub: bound(1) };
  return { Q, p, ...inequalities, ...box, ...(q > 0 && { A: take(batch, q, n), b: take(batch, q) }) };
}

async function timed(call) {
  const start = performance.now();
  await call();
  return performance.now() - start;
}

async function main() {
  const problem = readProblem();
  const options = { threads };
  const calls = {
    sync: () => qpSolveBatchSync(problem, options).dispose(),
    async: async () => (await qpSolveBatch(problem, options)).dispose(),
  };
  const best = { sync: Infinity, async: Infinity };
  const end = performance.now() + 1000 * seconds;
  for (let round = 0; round < 3 || performance.now() < end; round++) {
    for (const name of Object.keys(calls)) best[name] = Math.min(best[name], await timed(calls[name]));
  }
  process.stdout.write(JSON.stringify(best));
}

main();
