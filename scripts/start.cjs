'use strict';
// `npm start`: sets up, then trains the mini-Sudoku layer.
const path = require('node:path');
const { setup } = require('./setup.cjs');
const { root } = require('./setup/run.cjs');

setup({ here: true }).then(async () => {
  const { main } = require(path.join(root, '.cache/experiments/sudoku/main.js'));
  process.exitCode = await main(process.argv.slice(2));
});
