'use strict';
// `npm run experiment`: sets up, then runs one of the paper's experiments.
const path = require('node:path');
const { setup } = require('./setup.cjs');
const { root } = require('./setup/run.cjs');

setup({ here: true }).then(async () => {
  const { main } = require(path.join(root, '.cache/experiments/main.js'));
  process.exitCode = await main(process.argv.slice(2));
});
