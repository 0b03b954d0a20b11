'use strict';
// The C and C++ libraries of the oldest system that a published addon loads on, to compile and link it against: a linker
// that sees only these cannot take a newer symbol.
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { root, run, SetupError, step } = require('../setup/run.cjs');
const { ensureProgram } = require('../setup/system.cjs');
const { OLDEST } = require('./targets.cjs');

const PACKAGES = [
  'libc6',
  'libc6-dev',
  'libcrypt1',
  'libcrypt-dev',
  'libgcc-s1',
  'libstdc++6',
  'linux-libc-dev',
];

function ensureCompiler({ triple }) {
  ensureProgram(`${triple}-g++`, `g++-${triple.replaceAll('_', '-')}`);
}

/** The folder of them, made when there is none, or OPTNET_SYSROOT. */
function ensureSysroot(arch, { debian, triple }) {
  if (process.env.OPTNET_SYSROOT) return process.env.OPTNET_SYSROOT;
  const sysroot = path.join(root, '.cache', 'sysroot', `${OLDEST.suite}-${arch}`);
  if (fs.existsSync(sysroot)) return sysroot;
  ensureProgram('debootstrap');
  step(`Fetching the libraries of Debian ${OLDEST.suite} for ${arch}`, () => {
    const work = fs.mkdtempSync(path.join(os.tmpdir(), 'optnet-sysroot-'));
    try {
      unpack(path.join(work, 'system'), path.join(work, 'sysroot'), debian, triple);
      fs.mkdirSync(path.dirname(sysroot), { recursive: true });
      fs.cpSync(path.join(work, 'sysroot'), sysroot, { recursive: true, verbatimSymlinks: true });
    } finally {
      fs.rmSync(work, { recursive: true, force: true });
    }
  });
  return sysroot;
}

/** Has debootstrap fetch the packages (their signatures checked), without installing them, and unpacks those of the list. */
function unpack(system, sysroot, debian, triple) {
  const options = ['--foreign', '--variant=minbase', `--arch=${debian}`, `--include=${PACKAGES.join(',')}`];
  run('debootstrap', [...options, OLDEST.suite, system]);
  const archives = path.join(system, 'var', 'cache', 'apt', 'archives');
  const files = fs.readdirSync(archives);
  for (const name of PACKAGES) {
    const file = files.find((candidate) => candidate.startsWith(`${name}_`));
    if (file === undefined) throw new SetupError(`debootstrap fetched no ${name} for ${debian}.`);
    run('dpkg-deb', ['-x', path.join(archives, file), sysroot]);
  }
  makeLinksRelative(sysroot, sysroot);
  // The name under which the linker looks for it is in a package of the compiler's.
  fs.symlinkSync('libstdc++.so.6', path.join(sysroot, 'usr', 'lib', triple, 'libstdc++.so'));
}

/** A link to /lib/x means the sysroot's, not this machine's. */
function makeLinksRelative(folder, sysroot) {
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) makeLinksRelative(file, sysroot);
    if (!entry.isSymbolicLink() || !path.isAbsolute(fs.readlinkSync(file))) continue;
    const target = path.join(sysroot, fs.readlinkSync(file));
    fs.unlinkSync(file);
    fs.symlinkSync(path.relative(folder, target), file);
  }
}

module.exports = { ensureCompiler, ensureSysroot };
