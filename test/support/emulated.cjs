'use strict';
// Puts the addon with the emulated GPU in the place of the other one, in the tests and in what they start: both look for
// it with node-gyp-build, which takes the variable OPTNET_PREBUILD for the folder to look in.
const fs = require('node:fs');
const path = require('node:path');
const compile = require('./compile.cjs');

const root = path.join(__dirname, '../..');

module.exports = () => {
  compile();
  const addon = path.resolve(
    root,
    process.env.OPTNET_EMULATED_ADDON ?? 'build/emulated/optnet_emulated.node',
  );
  if (!fs.existsSync(addon)) throw new Error(`${addon} is missing: the C++ tests build it`);
  const folder = path.join(root, 'build/emulated/package');
  const link = path.join(folder, 'build/Release/optnet.node');
  fs.mkdirSync(path.dirname(link), { recursive: true });
  fs.rmSync(link, { force: true });
  fs.symlinkSync(addon, link);
  process.env.OPTNET_PREBUILD = folder;
};
