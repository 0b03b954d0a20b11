'use strict';
// A CommonJS user: learns the constraint of a projection from its results, by gradient descent.
const { qpSolveBatch, QpError } = require('optnet');

async function main() {
  // Projections onto {z : z₁ + z₂ ≤ 1.5}; h is to be found out from where they land.
  const points = [
    [2, 1],
    [1, 3],
    [2, 2],
  ];
  const targets = points.map(([x, y]) => [x - (x + y - 1.5) / 2, y - (x + y - 1.5) / 2]).flat();
  const Q = [
    [1, 0],
    [0, 1],
  ];
  const p = points.map((point) => point.map((x) => -x));
  let h = 0;
  let loss = Infinity;
  for (let step = 0; step < 60; ++step) {
    const solution = await qpSolveBatch({ Q, p, G: [[1, 1]], h: [h] });
    const error = Array.from(solution.z.data, (z, i) => z - targets[i]);
    loss = error.reduce((sum, e) => sum + e * e, 0);
    const dz = [0, 1, 2].map((k) => error.slice(2 * k, 2 * k + 2).map((e) => 2 * e));
    const { dh } = await solution.backward({ dz }, { wrt: ['h'] });
    h -= 0.1 * dh.data[0];
    solution.dispose();
  }
  const message = await qpSolveBatch({ Q, p: [[1, Number.NaN]] }).catch((error) => {
    if (!(error instanceof QpError)) throw error;
    return error.code;
  });
  console.log(JSON.stringify({ h: Number(h.toFixed(6)), learned: loss < 1e-10, error: message }));
}

main();
