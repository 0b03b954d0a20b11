// An ES module, with the blocking calls.
import console from 'node:console';
import { createRequire } from 'node:module';

import { QpError, devices, qpSolveBatchSync, tensor } from 'optnet';

// The multiplier of Σz = b is minus the derivative of the objective: learn the b at which it is 1/2.
let b = 0;
for (let step = 0; step < 80; ++step) {
  const solution = qpSolveBatchSync({
    Q: [
      [2, 0],
      [0, 2],
    ],
    p: [0, 0],
    A: tensor([1, 1], [1, 2]),
    b: [b],
  });
  const dnu = [[2 * (solution.nu.data[0] + 0.5)]];
  const { db } = solution.backwardSync({ dnu });
  b -= 0.2 * db.data[0];
  solution.dispose();
}
const same = createRequire(import.meta.url)('optnet').QpError === QpError;
console.log(JSON.stringify({ b: Number(b.toFixed(6)), same, cpu: devices()[0].usable }));
