'use strict';
// Whether the stack of each GPU kernel is as deep as its calls go, from the machine code.
//   node scripts/cuda/stack.cjs [FILE|BUILD …]    object files, libraries, .cubin files or build folders (build)
// Prints each kernel with the bytes that a launch reserves for a thread, those that its deepest path of calls takes, and
// its instructions; the exit status says whether one has too few.
const fs = require('node:fs');
const path = require('node:path');
const { root, SetupError } = require('../setup/run.cjs');
const { disassemble } = require('./disassembler.cjs');
const { demangle, objectsOf, readable } = require('./ptxas.cjs');
const { measureAll } = require('./sass.cjs');

/** { kernel, target, reserved, deepest, path, instructions } of the kernels in files and build folders. */
function stacks(places) {
  const files = places.flatMap((place) => {
    const full = path.resolve(root, place);
    if (!fs.existsSync(full)) throw new SetupError(`There is no ${place}.`);
    return fs.statSync(full).isDirectory() ? objectsOf(place) : [full];
  });
  const kernels = files.flatMap(disassemble).flatMap(({ text, reserved }) => {
    const target = /^\s*\.target\s+(\w+)/m.exec(text)?.[1];
    return measureAll(text).map(({ symbol, bytes, ...rest }) => {
      return { symbol, target, reserved: reserved.get(symbol), deepest: bytes, ...rest };
    });
  });
  const names = demangle(kernels.map(({ symbol }) => symbol));
  return kernels.map((one, i) => ({ ...one, kernel: readable(names[i]) }));
}

/** What is wrong with a kernel, in a sentence; undefined where nothing is. */
function overflow({ kernel, target, reserved, deepest, path: calls }) {
  if (deepest <= reserved) return undefined;
  const names = demangle(calls).map(plain).join(' → ');
  const needs = deepest === Infinity ? 'a stack that nobody can size' : `${deepest} bytes of stack`;
  return `${kernel} for ${target} has ${reserved} bytes of stack and takes ${needs}: ${names}`;
}

/** Of `double const* optnet::Solve<B, (optnet::FormKind)0>::next()` only `next`. */
function plain(name) {
  let simple = readable(name);
  while (/<[^<>]*>/.test(simple)) simple = simple.replaceAll(/<[^<>]*>/g, '');
  return simple.trim().split(/::| /).at(-1);
}

function main(places) {
  const found = stacks(places.length > 0 ? places : ['build']);
  const width = Math.max(0, ...found.map(({ kernel }) => kernel.length));
  for (const { kernel, target, reserved, deepest, instructions } of found) {
    const columns = [
      target.padEnd(7),
      String(reserved).padStart(6),
      String(deepest).padStart(8),
      String(instructions).padStart(7),
    ];
    process.stdout.write(`${kernel.padEnd(width)} ${columns.join(' ')}\n`);
  }
  const wrong = found.map(overflow).filter(Boolean);
  for (const sentence of wrong) process.stdout.write(`\n${sentence}\n`);
  process.stdout.write(`\n${found.length} kernels, ${wrong.length} with too small a stack\n`);
  process.exitCode = wrong.length > 0 || found.length === 0 ? 1 : 0;
}

module.exports = { overflow, stacks };

if (require.main === module) {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 2;
  }
}
