'use strict';
const { SetupError, probe, run, step } = require('./run.cjs');

const OLDEST_CMAKE = [3, 25];
/** Other versions format and warn differently, so lint has one. */
const CLANG = '16';

/** What the build needs from the system: a test whether it is there, and its name in each package manager. */
const BUILD_TOOLS = [
  { name: 'a C++ compiler', found: () => compiler() !== undefined, apt: 'g++', dnf: 'gcc-c++', brew: 'gcc' },
  { name: 'CMake', found: () => cmakeVersion() !== undefined, apt: 'cmake', dnf: 'cmake', brew: 'cmake' },
  {
    name: 'Ninja or make',
    found: () => ['ninja', 'make'].some((tool) => probe(tool, ['--version'])),
    apt: 'ninja-build',
    dnf: 'ninja-build',
    brew: 'ninja',
  },
];

const LINT_TOOLS = ['clang-format', 'clang-tidy'].map((tool) => ({
  name: `${tool} ${CLANG}`,
  found: () => clangTool(tool) !== undefined,
  apt: `${tool}-${CLANG}`,
  dnf: `clang-tools-extra-${CLANG}*`,
  brew: `llvm@${CLANG}`,
}));

function checkNode(range) {
  const oldest = range.replace('>=', '').split('.').map(Number);
  const here = process.versions.node.split('.').map(Number);
  if (compare(here, oldest) < 0) {
    throw new SetupError(
      `Node ${oldest.join('.')} or newer is needed, this is ${process.version}: https://nodejs.org`,
    );
  }
}

function ensureBuildTools() {
  ensure(BUILD_TOOLS);
  const old = oldCMake();
  if (old !== undefined) throw new SetupError(old);
}

/** What is missing for a build, and how to install it, in words; undefined where nothing is. */
function missingBuildTools() {
  const missing = BUILD_TOOLS.filter((tool) => !tool.found());
  return missing.length > 0 ? describe(missing) : oldCMake();
}

function oldCMake() {
  const version = cmakeVersion();
  if (compare(version, OLDEST_CMAKE) >= 0) return undefined;
  return `CMake ${OLDEST_CMAKE.join('.')} or newer is needed, this is ${version.join('.')}: https://cmake.org/download`;
}

function ensureLintTools() {
  ensure(LINT_TOOLS);
}

/** A program, from a package that is called like it in every package manager, or `source`. */
function ensureProgram(name, source = name) {
  const found = () => probe(name, ['--version']);
  ensure([{ name, found, apt: source, dnf: source, brew: source }]);
}

/** Installs what is missing where that needs nobody's leave, else says with what command to do it. */
function ensure(tools) {
  const missing = tools.filter((tool) => !tool.found());
  if (missing.length === 0) return;
  const packages = missing.map((tool) => tool.apt);

  if (probe('apt-get', ['--version']) && process.getuid?.() === 0) {
    step(`Installing ${packages.join(' ')} (apt)`, () => installByApt(packages));
    const still = missing.filter((tool) => !tool.found());
    if (still.length > 0)
      throw new SetupError(`Installed ${packages.join(' ')}, and still cannot find: ${namesOf(still)}`);
    return;
  }
  throw new SetupError(describe(missing));
}

const describe = (missing) => `Missing: ${namesOf(missing)}. To install:\n\n  ${installCommand(missing)}\n`;

const namesOf = (tools) => tools.map((tool) => tool.name).join(', ');

function installByApt(packages) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['install', '-y', '--no-install-recommends', ...packages];
  try {
    run('apt-get', install, { env });
  } catch {
    // An image as it comes has no package lists, or old ones.
    run('apt-get', ['update'], { env });
    run('apt-get', install, { env });
  }
}

function installCommand(missing) {
  const names = (manager) => missing.map((tool) => tool[manager]).join(' ');
  if (process.platform === 'darwin') return `brew install ${names('brew')}`;
  if (probe('dnf', ['--version'])) return `sudo dnf install ${names('dnf')}`;
  return `sudo apt-get install -y ${names('apt')}`;
}

/** The first line of the version of the compiler that CMake will take. */
function compiler() {
  const candidates = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++'];
  for (const command of candidates) {
    const version = probe(command, ['--version']);
    if (version) return version.split('\n', 1)[0];
  }
  return undefined;
}

function cmakeVersion() {
  const version = /version (\d+)\.(\d+)\.(\d+)/.exec(probe('cmake', ['--version']) ?? '');
  return version?.slice(1).map(Number);
}

/** The command that runs a clang tool of the pinned version. */
function clangTool(name) {
  return [`${name}-${CLANG}`, name].find((command) =>
    new RegExp(`version ${CLANG}\\.`).test(probe(command, ['--version']) ?? ''),
  );
}

/** Whatever may change what a build gives. */
const toolVersions = () => [compiler() ?? '', String(cmakeVersion()), process.platform, process.arch];

function compare(a, b) {
  const i = b.findIndex((part, k) => a[k] !== part);
  return i < 0 ? 0 : a[i] - b[i];
}

module.exports = {
  checkNode,
  clangTool,
  ensureBuildTools,
  ensureLintTools,
  ensureProgram,
  missingBuildTools,
  toolVersions,
};
