'use strict';
// `npm run prebuilds [-- --arch x64|arm64]`: the addon in prebuilds/, where node-gyp-build finds it in the published package.
// It is built against an older system, so that it loads there and on all that is newer (targets.cjs says how old).
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const zlib = require('node:zlib');
const prebuildify = require('prebuildify');
const { root, SetupError } = require('../setup/run.cjs');
const { ensureBuildTools } = require('../setup/system.cjs');
const { ensureCudaHeaders } = require('../setup/cuda.cjs');
const { ensureCompiler, ensureSysroot } = require('./sysroot.cjs');
const { requirements, unmet } = require('./symbols.cjs');
const { TARGETS } = require('./targets.cjs');

function main() {
  const { arch } = parseArgs({ options: { arch: { type: 'string', default: os.arch() } } }).values;
  const target = TARGETS[arch];
  if (process.platform !== 'linux' || target === undefined) {
    const known = Object.keys(TARGETS).join(', ');
    throw new SetupError(
      `Addons are built on Linux, for ${known}; this asks for ${process.platform}-${arch}.`,
    );
  }
  ensureBuildTools();
  ensureCompiler(target);
  ensureCudaHeaders();
  build(arch, target, ensureSysroot(arch, target));
}

function build(arch, target, sysroot) {
  // Beside the build of the developer, which stays as it is.
  const folder = path.join(root, '.cache', 'prebuild', arch);
  fs.mkdirSync(folder, { recursive: true });
  const environment = { OPTNET_PREBUILD_FOLDER: folder, OPTNET_PREBUILD_ARCH: arch, OPTNET_SYSROOT: sysroot };
  Object.assign(process.env, environment);
  prebuildify(
    {
      arch,
      cwd: folder,
      out: root,
      napi: true,
      strip: true,
      stripBin: `${target.triple}-strip`,
      tagLibc: true,
      libc: 'glibc',
      name: require(path.join(root, 'package.json')).name,
      targets: [`node@${process.versions.node}`],
      nodeGyp: path.join(__dirname, 'node-gyp.cjs'),
    },
    (error) => (error ? fail(error) : verify(arch)),
  );
}

function verify(arch) {
  const addon = path.join(root, 'prebuilds', `linux-${arch}`, 'optnet.glibc.node');
  const needed = requirements(addon);
  const versions = Object.entries(needed.versions).map(([name, version]) => `${name} ${version}`);
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;
  const packed = zlib.gzipSync(fs.readFileSync(addon), { level: 9 }).length;
  process.stderr.write(
    `${path.relative(root, addon)}: ${megabytes(fs.statSync(addon).size)}, ${megabytes(packed)} packed; needs ${versions.join(', ')}\n`,
  );
  const problems = unmet(needed);
  if (problems.length > 0) fail(new SetupError(problems.join('\n')));
}

function fail(error) {
  console.error(error.message);
  process.exitCode = 1;
}

try {
  main();
} catch (error) {
  if (!(error instanceof SetupError) && !error.code?.startsWith('ERR_PARSE_ARGS')) throw error;
  fail(error);
}
