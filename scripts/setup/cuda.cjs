'use strict';
// The CUDA backend is built where there is a CUDA compiler. Nothing here is an error: without it the CPU solves.
const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { root, SetupError, probe, step } = require('./run.cjs');
const { extractFromWheels } = require('./wheels.cjs');

/** The wheels that hold the headers of cuBLAS and cuSOLVER, where the toolkit came without them. */
const HEADERS = { cuda: '13.', packages: ['nvidia-cublas==13.1.1.3', 'nvidia-cusolver==12.0.4.66'] };
const HEADERS_FOLDER = path.join(root, '.cache', 'cuda-headers');

/** The words for a build that is to have none. */
const NO_CUDA = 'no CUDA (OFF)';

/** Where there is no GPU to ask: what a build without any still compiles, to see that it compiles. */
const DEFAULT_ARCHITECTURE = '90';

/** The include folders of these wheels. Their libraries are hundreds of MB, and are looked for at run time. */
const HEADERS_IN_WHEELS = '/include/';

/** Brings the libraries' headers, if a CUDA compiler is here and they are not. */
function ensureCudaHeaders() {
  const version = nvccVersion();
  if (!version?.startsWith(HEADERS.cuda) || wanted() === 'OFF' || headersFound()) return;
  try {
    step('Fetching the headers of cuBLAS and cuSOLVER', () =>
      extractFromWheels(HEADERS.packages, HEADERS_IN_WHEELS, HEADERS_FOLDER),
    );
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    const [first] = error.message.split('\n').filter((line) => /error/i.test(line));
    process.stderr.write(`No CUDA backend: these headers cannot be had (${first ?? 'pip failed'}).\n`);
  }
}

/** What a build for CUDA depends on, in words. */
function cudaVersions() {
  const version = nvccVersion();
  if (wanted() === 'OFF') return NO_CUDA;
  if (version === undefined) return `no CUDA (${wanted()})`;
  return [`CUDA ${version}`, wanted(), headersFound() ? 'headers' : 'no headers', architectures()].join(', ');
}

/** Whether what is built for CUDA could run here, or somebody has said what to build. */
function cudaServes() {
  const { OPTNET_CUDA, OPTNET_CUDA_ARCHITECTURES } = process.env;
  return Boolean(OPTNET_CUDA || OPTNET_CUDA_ARCHITECTURES) || capabilities().length > 0;
}

/** Whether CUDA would be built, if it were asked for. */
const hasCudaCompiler = () => nvccVersion() !== undefined;

function cudaOptions() {
  return [`--CDOPTNET_CUDA=${wanted()}`, `--CDOPTNET_CUDA_ARCHITECTURES=${architectures()}`];
}

const wanted = () => process.env.OPTNET_CUDA || 'AUTO';

/** A build for use here: the GPUs that are here, and no others. Kernels take long to compile. */
function architectures() {
  if (process.env.OPTNET_CUDA_ARCHITECTURES) return process.env.OPTNET_CUDA_ARCHITECTURES;
  const found = capabilities().map((capability) => capability.replace('.', ''));
  return found.join(';') || DEFAULT_ARCHITECTURE;
}

/** The compute capabilities of the GPUs that are here. */
let found;
function capabilities() {
  found ??=
    probe('nvidia-smi', ['--query-gpu=compute_cap', '--format=csv,noheader'])?.match(/\d+\.\d+/g) ?? [];
  return [...new Set(found)];
}

/** Looks where cmake/cuda.cmake looks. */
function headersFound() {
  // The compiler that is in the path may be a link, or a script that calls another.
  const settings = spawnSync(nvcc(), ['--dryrun', '-x', 'cu', '-c', os.devNull], { encoding: 'utf8' });
  const toolkit = /TOP=(.*)/.exec(settings.stderr)?.[1] ?? '';
  const target = /_TARGET_DIR_=(.+)/.exec(settings.stderr)?.[1] ?? '';
  const toolkits = [
    path.join(toolkit, target),
    toolkit,
    process.env.CUDA_HOME,
    process.env.CUDA_PATH,
    '/usr',
  ];
  const folders = [HEADERS_FOLDER, ...toolkits.filter(Boolean).map((folder) => path.join(folder, 'include'))];
  return ['cublas_v2.h', 'cusolverDn.h'].every((header) =>
    folders.some((folder) => fs.existsSync(path.join(folder, header))),
  );
}

const nvccVersion = () =>
  /release (\d+\.\d+), V([\d.]+)/.exec(nvcc() ? probe(nvcc(), ['--version']) : '')?.[2];

/** Where programs of CUDA may be, beside the path. */
function programFolders() {
  const { CUDA_HOME, CUDA_PATH } = process.env;
  return [CUDA_HOME, CUDA_PATH, '/usr/local/cuda']
    .filter(Boolean)
    .map((toolkit) => path.join(toolkit, 'bin'));
}

/** The CUDA compiler; '' where there is none. Where cmake/cuda.cmake finds it too. */
let compiler;
function nvcc() {
  const candidates = [
    process.env.CUDACXX,
    'nvcc',
    ...programFolders().map((folder) => path.join(folder, 'nvcc')),
  ];
  compiler ??= candidates.find((command) => command && probe(command, ['--version'])) ?? '';
  return compiler;
}

module.exports = {
  NO_CUDA,
  cudaServes,
  cudaOptions,
  cudaVersions,
  ensureCudaHeaders,
  hasCudaCompiler,
  nvcc,
  programFolders,
};
