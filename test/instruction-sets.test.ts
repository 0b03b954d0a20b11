// The instruction sets that this machine and this build have give the same results.
import { execFileSync } from 'node:child_process';

import { largest } from './support/kkt.js';
import { root } from './support/node.js';
import { expectWithin } from './support/within.js';

interface Outcome {
  instructionSet: string;
  results: Record<string, number[]>[];
}

/** Solves and differentiates random problems of every kind in a process of its own. */
const script = `
  const { qpSolveBatchSync } = require('optnet');
  let state = 1;
  const random = () => (state = (state * 48271) % 2147483647) / 2147483647 - 0.5;
  const results = [];
  const shapes = [[5, 12, 16, 3], [5, 8, 40, 2], [5, 6, 0, 2], [2, 155, 60, 4], [2, 20, 160, 2], [5, 12, 10, 3, true]];
  for (const [batch, n, m, q, bounded] of shapes) {
    for (const precision of ['double', 'mixed']) {
      const draw = (...shape) => ({
        shape,
        data: Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 2 * random()),
      });
      const Q = draw(batch, n, n);
      for (let k = 0; k < batch; k++) {
        for (let i = 0; i < n; i++) {
          for (let j = 0; j < i; j++) Q.data[(k * n + j) * n + i] = Q.data[(k * n + i) * n + j] /= n;
          Q.data[(k * n + i) * n + i] = 2 + i / n;
        }
      }
      const ones = (width) => ({ shape: [batch, width], data: new Float64Array(batch * width).fill(1) });
      const zeros = { shape: [batch, q], data: new Float64Array(batch * q) };
      const sides = bounded && { gl: { shape: [m], data: new Float64Array(m).fill(-1) }, lb: ones(n), ub: ones(n) };
      if (bounded) sides.lb.data.fill(-0.2);
      if (bounded) sides.ub.data.fill(0.2);
      const problem = { ...sides, Q, p: draw(batch, n), G: draw(batch, m, n), h: ones(m), A: draw(batch, q, n), b: zeros };
      const solution = qpSolveBatchSync(problem, { device: 'cpu', tolerance: 1e-13, precision });
      const gradients = solution.backwardSync({ dz: ones(n), dlambda: ones(m), dnu: ones(q) });
      const { z, lambda, nu, slack } = solution;
      const tensors = Object.entries({ z, lambda, nu, slack, ...gradients });
      results.push(Object.fromEntries(tensors.map(([name, { data }]) => [name, [...data]])));
      if (!solution.allSolved) throw new Error(solution.status.join());
      var instructionSet = solution.device.instructionSet;
      solution.dispose();
    }
  }
  process.stdout.write(JSON.stringify({ instructionSet, results }));
`;

function outcome(instructionSet: string): Outcome {
  const env = { ...process.env, OPTNET_INSTRUCTION_SET: instructionSet };
  const stdout = execFileSync(process.execPath, ['-e', script], { cwd: root, env, maxBuffer: 2 ** 28 });
  return JSON.parse(stdout.toString()) as Outcome;
}

const asked = ['sse2', 'avx2', 'avx512', 'neon'];
/** One that cannot be had gives way to the best there is. */
const outcomes = asked.map((name) => ({ name, ...outcome(name) }));

describe('results and gradients agree to 1e-9 between the best instruction set and', () => {
  const best = outcome('');
  for (const { name, instructionSet, results } of outcomes) {
    const test = name === instructionSet ? it : it.skip;
    test(name, () => {
      results.forEach((result, i) => {
        const reference = best.results[i]!;
        expect(Object.keys(result)).toEqual(Object.keys(reference));
        for (const [key, values] of Object.entries(reference)) {
          const difference = largest(values.map((x, j) => x - result[key]![j]!));
          expectWithin({ [`${key} of problem ${i}`]: difference / (1 + largest(values)) }, 1e-9);
        }
      });
    });
  }
});
