'use strict';
// What ptxas said of the kernels of a build: cmake/keep-ptxas-output.sh keeps it beside each object file.
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { root } = require('../setup/run.cjs');

/** Each kernel of ptxas's output: its mangled name, its target (sm_90), and bytes, but for registers. */
function parse(output) {
  return output
    .split(/Compiling entry function /)
    .slice(1)
    .map((text) => {
      const [, symbol, target] = /^'(.+?)' for '(.+?)'/.exec(text);
      const numbers = (pattern) => [...text.matchAll(pattern)].map(([, number]) => Number(number));
      // Functions that were not inlined have stacks and spills of their own.
      const sum = (pattern) => numbers(pattern).reduce((total, number) => total + number, 0);
      return {
        symbol,
        target,
        registers: sum(/Used (\d+) registers/g),
        spillStores: sum(/(\d+) bytes spill stores/g),
        spillLoads: sum(/(\d+) bytes spill loads/g),
        stack: Math.max(0, ...numbers(/(\d+) bytes (?:stack frame|cumulative stack size)/g)),
        shared: sum(/(\d+) bytes smem/g),
      };
    });
}

/** The object files with kernels of a build folder; none where it has no CUDA backend. */
function objectsOf(build) {
  const objects = path.resolve(root, build, 'CMakeFiles', 'optnet_cuda.dir', 'native', 'cuda');
  if (!fs.existsSync(objects)) return [];
  return (
    fs
      .readdirSync(objects)
      .filter((file) => /\.cu\.o(bj)?$/.test(file) && fs.existsSync(path.join(objects, `${file}.ptxas`)))
      // Of a source that is gone, they stay.
      .filter((file) => fs.existsSync(path.join(root, 'native', 'cuda', file.replace(/\.o(bj)?$/, ''))))
      .map((file) => path.join(objects, file))
  );
}

/** The kernels that a build folder holds, by readable name and target. Undefined where it has no CUDA backend. */
function kernelsOf(build) {
  const logs = objectsOf(build).map((file) => `${file}.ptxas`);
  if (logs.length === 0) return undefined;
  const kernels = logs.flatMap((file) => parse(fs.readFileSync(file, 'utf8')));
  const names = demangle(kernels.map(({ symbol }) => symbol));
  return kernels
    .map((kernel, i) => ({ ...kernel, kernel: readable(names[i]) }))
    .sort((a, b) => compare(a.kernel, b.kernel) || compare(a.target, b.target));
}

const compare = (a, b) => a.localeCompare(b, 'en', { numeric: true });

function demangle(symbols) {
  const { status, stdout } = spawnSync('c++filt', [], { input: symbols.join('\n'), encoding: 'utf8' });
  return status === 0 ? stdout.split('\n') : symbols;
}

/** void optnet::cuda::add<double, (int)4>(double*) is add<double, 4>. */
function readable(name) {
  const plain = name
    .replaceAll(/\(anonymous namespace\)::|optnet::(cuda::)?|\((unsigned )?(int|long|bool)\)/g, '')
    .replace(/^void /, '')
    // Values of an enumeration come as numbers.
    .replaceAll('(FormKind)0', 'range space')
    .replaceAll('(FormKind)1', 'condensed')
    .replaceAll('(FormKind)2', 'full KKT');
  let depth = 0;
  for (let i = 0; i < plain.length; i++) {
    if (plain[i] === '<') depth++;
    else if (plain[i] === '>') depth--;
    else if (plain[i] === '(' && depth === 0) return plain.slice(0, i);
  }
  return plain;
}

/** The compiler of a build, as 13.0.88. */
function compilerOf(build) {
  const folder = path.resolve(root, build, 'CMakeFiles');
  const files = fs
    .readdirSync(folder)
    .map((version) => path.join(folder, version, 'CMakeCUDACompiler.cmake'));
  const file = files.find((candidate) => fs.existsSync(candidate));
  return file && /CMAKE_CUDA_COMPILER_VERSION "(.+?)"/.exec(fs.readFileSync(file, 'utf8'))?.[1];
}

module.exports = { compilerOf, demangle, kernelsOf, objectsOf, parse, readable };
