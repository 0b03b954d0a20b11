'use strict';
// Brings a checkout, fresh or not, to where its programs run. Node built-ins only: nothing is installed yet.
const path = require('node:path');
const { root, SetupError } = require('./setup/run.cjs');
const { checkNode, ensureLintTools } = require('./setup/system.cjs');
const { ensurePackages } = require('./setup/packages.cjs');
const { ensureNative } = require('./setup/native.cjs');
const { ensureTypeScript } = require('./setup/typescript.cjs');
const { ensureDisassembler } = require('./cuda/disassembler.cjs');
const { objectsOf } = require('./cuda/ptxas.cjs');

/**
 * `tests`: build the C++ tests too. `lint`: get the tools that lint needs too. `here`: build only what this machine can run,
 * which takes far less time. Ends the process where it fails.
 */
async function setup({ tests = false, lint = false, here = false } = {}) {
  try {
    checkNode(require(path.join(root, 'package.json')).engines.node);
    ensurePackages();
    await ensureNative({ tests, here });
    if (tests && objectsOf('build').length > 0) ensureDisassembler();
    ensureTypeScript();
    if (lint) ensureLintTools();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(`\n${error.message}`);
    process.exit(1);
  }
}

module.exports = { setup };

if (require.main === module) void setup();
