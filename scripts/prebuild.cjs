'use strict';
// `npm run prebuilds`: the addon for this platform in prebuilds/, where node-gyp-build finds it in the published package.
const path = require('node:path');
const prebuildify = require('prebuildify');

const root = path.join(__dirname, '..');

prebuildify(
  {
    cwd: root,
    napi: true,
    strip: true,
    tagLibc: true,
    name: require(path.join(root, 'package.json')).name,
    targets: [`node@${process.versions.node}`],
    nodeGyp: path.join(__dirname, 'node-gyp.cjs'),
  },
  (error) => {
    if (!error) return;
    console.error(error.message);
    process.exitCode = 1;
  },
);
