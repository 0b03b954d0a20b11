'use strict';
// nvdisasm and cuobjdump: of the CUDA toolkit, or, where it came without them, out of a Python package that has them.
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { root, SetupError, probe, run, step } = require('../setup/run.cjs');

const TOOLS = ['cuobjdump', 'nvdisasm'];
const PACKAGE = 'triton==3.8.0';
const FOLDER = path.join(root, '.cache', 'cuda-tools');

const EXTRACT = `
import glob, os, sys, zipfile
for wheel in glob.glob(os.path.join(sys.argv[1], "*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if os.path.basename(name) in sys.argv[3:]:
                path = os.path.join(sys.argv[2], os.path.basename(name))
                with open(path, "wb") as file:
                    file.write(archive.read(name))
                os.chmod(path, 0o755)
`;

/** The folder of the tools; undefined where they are not here. */
function find() {
  const { PATH = '', CUDA_HOME, CUDA_PATH } = process.env;
  const toolkits = [CUDA_HOME, CUDA_PATH, '/usr/local/cuda'].filter(Boolean);
  const folders = [
    ...PATH.split(path.delimiter),
    ...toolkits.map((toolkit) => path.join(toolkit, 'bin')),
    FOLDER,
  ];
  return folders.find((folder) => TOOLS.every((tool) => probe(path.join(folder, tool), ['--version'])));
}

/** Brings them if they are not here. Not an error where they cannot be had: then nobody looks at the machine code. */
function ensureDisassembler() {
  if (find() !== undefined) return;
  const download = fs.mkdtempSync(path.join(os.tmpdir(), 'optnet-tools-'));
  try {
    step('Fetching a disassembler for GPU kernels', () => {
      const options = ['--retries=2', '--no-deps', '--only-binary=:all:', '--dest', download];
      run('python3', ['-m', 'pip', 'download', ...options, PACKAGE]);
      fs.mkdirSync(FOLDER, { recursive: true });
      run('python3', ['-c', EXTRACT, download, FOLDER, ...TOOLS]);
    });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stderr.write('It cannot be had: the tests do not look at the stack of GPU kernels.\n');
  } finally {
    fs.rmSync(download, { recursive: true, force: true });
  }
}

/** The GPU code in an object file, a library or a .cubin: { target, text, reserved }, reserved: bytes of stack by kernel. */
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
