'use strict';
// `npm run lint`: eslint, typedoc, prettier, clang-format and clang-tidy. With --fix (`npm run format`): formats in place.
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { setup } = require('./setup.cjs');
const { root } = require('./setup/run.cjs');
const { clangTool } = require('./setup/system.cjs');

const CPP = /\.(c|cpp|cu|h|hpp|cuh)$/;
const TIDY_DATABASE = path.join(root, '.cache', 'clang-tidy');

const fix = process.argv.includes('--fix');
setup({ lint: true, tests: !fix }).then(async () => {
  const checks = fix
    ? formatters(['--write'], ['-i'])
    : [...tidy(), ...linters(), ...formatters(['--check'], ['--dry-run', '-Werror'])];
  process.exitCode = (await runAll(checks)) > 0 ? 1 : 0;
});

function linters() {
  return [
    nodeTool('eslint', 'eslint/bin/eslint.js', ['.', '--max-warnings', '0']),
    // What users can call, and has no comment or a link that leads nowhere.
    nodeTool('typedoc', 'typedoc/bin/typedoc', ['--emit', 'none']),
  ];
}

function formatters(prettierMode, clangFormatMode) {
  const sources = cppSources();
  return [
    nodeTool('prettier', 'prettier/bin/prettier.cjs', [...prettierMode, '--log-level', 'warn', '.']),
    ...(sources.length > 0
      ? [{ name: 'clang-format', command: clangTool('clang-format'), args: [...clangFormatMode, ...sources] }]
      : []),
  ];
}

/** One check for each C++ source of ours that the build compiles, headers with it. The longest go first. */
function tidy() {
  const commands = JSON.parse(fs.readFileSync(path.join(root, 'build', 'compile_commands.json'), 'utf8'));
  // A source that is compiled for several instruction sets is checked for one of them.
  const byFile = new Map(commands.filter(({ file }) => isOurs(file)).map((entry) => [entry.file, entry]));
  fs.mkdirSync(TIDY_DATABASE, { recursive: true });
  fs.writeFileSync(path.join(TIDY_DATABASE, 'compile_commands.json'), JSON.stringify([...byFile.values()]));
  return [...byFile.keys()]
    .sort((a, b) => Number(b.includes('/cpu/')) - Number(a.includes('/cpu/')))
    .map((file) => ({
      name: `clang-tidy ${path.relative(root, file)}`,
      command: clangTool('clang-tidy'),
      args: ['-p', TIDY_DATABASE, '--quiet', '--extra-arg=-Wno-unknown-pragmas', file],
    }));
}

// What is for nvcc is left out: tests compile it as C++ too, but not as it is meant.
function isOurs(file) {
  return path.relative(root, file).startsWith(`native${path.sep}`) && !file.endsWith('.cu');
}

function cppSources() {
  return ['native', 'cmake', 'test/native', 'scripts/bench', 'scripts/cuda', 'scripts/prebuild'].flatMap(
    (folder) => {
      const directory = path.join(root, folder);
      if (!fs.existsSync(directory)) return [];
      const names = fs.readdirSync(directory, { recursive: true });
      return names.filter((name) => CPP.test(name)).map((name) => path.join(folder, name));
    },
  );
}

function nodeTool(name, script, args) {
  return { name, command: process.execPath, args: [path.join(root, 'node_modules', script), ...args] };
}

/** Runs the checks, as many at a time as there are processors; gives how many failed. */
async function runAll(queue) {
  let failed = 0;
  const worker = async () => {
    for (let check = queue.shift(); check; check = queue.shift()) {
      const passed = await runCheck(check); // not within `failed +=`, which reads `failed` before it waits
      if (!passed) failed += 1;
    }
  };
  await Promise.all(Array.from({ length: os.availableParallelism() }, worker));
  return failed;
}

/** Shows what a tool has to say only when it fails. */
function runCheck({ name, command, args }) {
  return new Promise((resolve) => {
    const started = performance.now();
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks = [];
    child.stdout.on('data', (chunk) => chunks.push(chunk));
    child.stderr.on('data', (chunk) => chunks.push(chunk));
    child.on('error', (error) => chunks.push(Buffer.from(error.message)));
    child.on('close', (status) => {
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`);
      if (status !== 0) console.log(Buffer.concat(chunks).toString().trimEnd());
      resolve(status === 0);
    });
  });
}
