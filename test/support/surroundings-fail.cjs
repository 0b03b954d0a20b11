'use strict';
// Loaded before the command `optnet`: something that was not thought of.
const path = require('node:path');

require(path.join(__dirname, '../../dist/cli/system.js')).surroundings = () => {
  throw new Error('out of order');
};
