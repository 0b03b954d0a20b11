'use strict';
// Loaded before the command `optnet`: a solver whose results are wrong. Settings: what of a solution to change, 'z', 'dp' or
// 'status', or 'throws'; on which device, if not on all; for problems of at least how many variables.
const path = require('node:path');

const folder = path.join(__dirname, '../../dist');
const solver = require(path.join(folder, 'solve.js'));
const { qpSolveBatch } = solver;
const { change, device, least = 0 } = JSON.parse(process.env.OPTNET_TEST_PRELOAD);
require(path.join(folder, 'cli/system.js')).surroundings = () => ({ cards: 0, container: false });

solver.qpSolveBatch = async (problem, options) => {
  const solution = await qpSolveBatch(problem, options);
  const n = solution.z.shape[1];
  if ((device !== undefined && device !== options.device) || n < least) return solution;
  if (change === 'throws') throw new Error('the solver is out of order');
  if (change === 'z') solution.z.data[1] += 1e-3;
  if (change === 'status') solution.status[0] = 'maxIterations';
  if (change === 'dp') {
    const backward = solution.backward.bind(solution);
    solution.backward = async (...args) => {
      const gradients = await backward(...args);
      for (let i = 0; i < gradients.dp.data.length; i++) gradients.dp.data[i] *= 1.02;
      return gradients;
    };
  }
  return solution;
};
