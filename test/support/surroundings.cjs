'use strict';
// Loaded before the command `optnet`: what it is told of the machine, instead of what the machine has.
const path = require('node:path');

const system = require(path.join(__dirname, '../../dist/cli/system.js'));
const settings = JSON.parse(process.env.OPTNET_TEST_PRELOAD);
system.surroundings = () => ({ visibleDevices: undefined, ...settings });
