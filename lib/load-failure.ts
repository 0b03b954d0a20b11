// Why an addon does not load here, and what to do about it. The dynamic loader's own words mislead: of a file for
// another processor it says that it is not there.
import { fs, path } from './builtins.js';
import { packageManager } from './installation.js';
import type { PackageManager } from './installation.js';

/** An addon that could not be loaded. */
export interface LoadFailure {
  /** The one that was found, if one was. */
  readonly file?: string;
  /** What is wrong: one sentence. */
  readonly reason: string;
  /** What to do, each with the command to type. */
  readonly remedies: readonly string[];
  /** Whether the package is in a bundle. */
  readonly bundled?: true;
  readonly cause: unknown;
}

/** The command that compiles the addon, whatever came with the package. */
export const buildFromSource = (manager = packageManager()): string =>
  `OPTNET_BUILD_FROM_SOURCE=1 ${rebuild(manager)}`;

const rebuild = ({ rebuild, first }: PackageManager): string =>
  first === undefined ? rebuild : `${rebuild} (${first})`;

export const compileRemedy = (manager = packageManager()): string =>
  `compile it here: ${buildFromSource(manager)}. It needs CMake 3.25, make or Ninja, and a C++20 compiler:` +
  ' sudo apt-get install -y g++ cmake make, or sudo dnf install -y gcc-c++ cmake make';

const compileOnMuslRemedy = (manager: PackageManager): string =>
  `compile it here: apk add g++ cmake make linux-headers && ${buildFromSource(manager)}`;

/** The script is what compiles the addon where there is no prebuilt one. */
const scriptRemedy = (manager: PackageManager): string =>
  `if its install script did not run: ${rebuild(manager)}`;

const reinstallRemedy = ({ reinstall }: PackageManager): string =>
  `if node_modules came from another platform, or is damaged, install again: ${reinstall}`;

const bundleRemedies = ({ add }: PackageManager): string[] => [
  "with esbuild, keep the package out of the bundle: --external:optnet, or external: ['optnet']",
  "with webpack: externals: { optnet: 'commonjs optnet', 'optnet/tfjs': 'commonjs optnet/tfjs' }",
  "with Next.js, in next.config.js: serverExternalPackages: ['optnet']" +
    ' (before 15: experimental.serverComponentsExternalPackages)',
  "with Rollup: external: ['optnet', 'optnet/tfjs']; with Vite: ssr: { external: ['optnet'] }",
  `then have it in node_modules where the program runs: ${add}`,
];

/** The platform that this process needs an addon for: 'linux-x64'. */
export const here = `${process.platform}-${process.arch}`;

/** Nothing in `folder` is for this platform. */
export function explainAbsence(folder: string, cause: unknown): LoadFailure {
  const manager = packageManager();
  const platforms = prebuiltPlatforms(folder);
  const reason =
    platforms.length === 0
      ? 'There is no addon: none was compiled here, and the package has no prebuilt one.'
      : `There is no addon for ${here}${musl() ? ' with musl' : ''}: the prebuilt ones are for ${platforms.join(', ')}.`;
  const compile = musl() ? compileOnMuslRemedy : compileRemedy;
  return {
    reason,
    remedies: [compile, scriptRemedy, reinstallRemedy].map((remedy) => remedy(manager)),
    cause,
  };
}

/** The package was put into a bundle, and its addon stayed where it was. */
export function explainBundle(cause: unknown): LoadFailure {
  return {
    reason:
      'The package is in a bundle, and its addon is not: bundlers leave out files that are no JavaScript.',
    remedies: bundleRemedies(packageManager()),
    bundled: true,
    cause,
  };
}

/** `file` is there, and did not load. */
export function explainFailure(file: string, cause: unknown): LoadFailure {
  const manager = packageManager();
  const compile = compileRemedy(manager);
  const reinstall = reinstallRemedy(manager);
  const message = firstLine(cause);
  const built = binaryPlatform(file);
  if (built !== undefined && built !== here) {
    const reason = `The addon is for ${built}, and this is ${here}.`;
    return { file, reason, remedies: [removal(file), reinstall, compile], cause };
  }
  const refused = {
    reason: `The system refused the addon: ${message}`,
    remedies: [compile, reinstall],
  };
  return { file, ...(recognised(message, manager) ?? refused), cause };
}

/** What the dynamic loader's message means, where it is a known one. */
function recognised(
  message: string,
  manager: PackageManager,
): { reason: string; remedies: string[] } | undefined {
  for (const { pattern, explain } of symptoms) {
    const match = pattern.exec(message);
    if (match !== null) return explain(match, manager);
  }
  return undefined;
}

interface Symptom {
  /** In what the dynamic loader says. */
  pattern: RegExp;
  explain: (match: RegExpExecArray, manager: PackageManager) => { reason: string; remedies: string[] };
}

const symptoms: readonly Symptom[] = [
  {
    pattern: /version [`']GLIBC_([\d.]+)' not found/,
    explain: ([, version], manager) => ({
      reason: `The C library here is too old for the addon: it needs glibc ${version!}.`,
      remedies: [
        compileRemedy(manager),
        `use a system with glibc ${version!} or newer (ldd --version shows it)`,
      ],
    }),
  },
  {
    pattern: /version [`']((?:GLIBCXX|CXXABI)_[\d.]+)' not found/,
    explain: ([, version], manager) => ({
      reason: `The C++ library here, libstdc++, is too old for the addon: it needs ${version!}.`,
      remedies: [
        'update it: sudo apt-get install -y --only-upgrade libstdc++6, or sudo dnf upgrade -y libstdc++',
        'if LD_LIBRARY_PATH or an environment of conda brings an older one, leave it: unset LD_LIBRARY_PATH',
        compileRemedy(manager),
      ],
    }),
  },
  {
    pattern: /(libstdc\+\+\.so\.6|libgcc_s\.so\.1|libatomic\.so\.1):? .*(?:cannot open|No such file)/,
    explain: ([, library]) => ({
      reason: `The addon needs ${library!}, which is not installed.`,
      remedies: [installRemedies[library!]!],
    }),
  },
  {
    // What musl says of a glibc build.
    pattern: /shared library (ld-linux[\w.-]*|libc\.so\.6)|Error relocating|symbol not found/,
    explain: (_, manager) => ({
      reason: 'The addon is for glibc, and the C library here is musl.',
      remedies: [compileOnMuslRemedy(manager), 'use an image with glibc, such as node:22-slim'],
    }),
  },
  {
    pattern: /undefined symbol: (napi_\w+|node_api_\w+)/,
    explain: ([, symbol]) => ({
      reason: `Node.js ${process.versions.node} is too old for the addon: it lacks ${symbol!}.`,
      remedies: ['install Node.js 20.17 or newer: nvm install 22'],
    }),
  },
  {
    pattern: /file too short|invalid ELF header|not a valid (?:Win32|mach-o)|slice is not valid|too small/i,
    explain: (_, manager) => ({
      reason: 'The addon is damaged: the file is no program for this system, or only a part of one.',
      remedies: [reinstallRemedy(manager), compileRemedy(manager)],
    }),
  },
  {
    pattern: /failed to map segment|Permission denied|not permitted/,
    explain: () => ({
      reason:
        'The system does not let the addon be run from where it is: its folder forbids it (noexec, permissions).',
      remedies: [
        'look at the options of the file system it is on: findmnt -T node_modules (noexec forbids it)',
        'install the package where programs may run, or mount it again: sudo mount -o remount,exec MOUNTPOINT',
      ],
    }),
  },
];

const installRemedies: Readonly<Record<string, string>> = {
  'libstdc++.so.6':
    'install it: sudo apt-get install -y libstdc++6, sudo dnf install -y libstdc++, or apk add libstdc++',
  'libgcc_s.so.1':
    'install it: sudo apt-get install -y libgcc-s1, sudo dnf install -y libgcc, or apk add libgcc',
  'libatomic.so.1':
    'install it: sudo apt-get install -y libatomic1, sudo dnf install -y libatomic, or apk add libatomic',
};

const removal = (file: string): string => `remove it: rm ${file}`;

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.trim().split('\n', 1)[0]!;
}

/** What there are prebuilt addons for in `folder`: 'linux-x64 (glibc)'. */
export function prebuiltPlatforms(folder: string): string[] {
  const prebuilds = path.join(folder, 'prebuilds');
  if (!fs.existsSync(prebuilds)) return [];
  return fs
    .readdirSync(prebuilds, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap(({ name }) => {
      const files = fs.readdirSync(path.join(prebuilds, name)).filter((file) => file.endsWith('.node'));
      const libcs = files.map((file) => /\.(glibc|musl)\./.exec(file)?.[1]);
      return [...new Set(libcs)].map((libc) => (libc === undefined ? name : `${name} (${libc})`));
    })
    .sort();
}

/** Whether the C library is that of Alpine, as far as node-gyp-build cares. */
const musl = (): boolean => process.platform === 'linux' && fs.existsSync('/etc/alpine-release');

/** Processors by their number in an ELF header. */
const elfMachines: Readonly<Record<number, string>> = {
  3: 'ia32',
  20: 'ppc',
  21: 'ppc64',
  22: 's390x',
  40: 'arm',
  62: 'x64',
  183: 'arm64',
  243: 'riscv64',
  258: 'loong64',
};

/** Processors by their number in a Mach-O header. */
const machMachines: Readonly<Record<number, string>> = { 0x01000007: 'x64', 0x0100000c: 'arm64' };

/** Processors by their number in a PE header. */
const peMachines: Readonly<Record<number, string>> = { 0x14c: 'ia32', 0x8664: 'x64', 0xaa64: 'arm64' };

/** What a binary was built for, 'linux-arm64', by the first bytes of it; undefined where they do not tell. */
export function binaryPlatform(file: string): string | undefined {
  const head = readHead(file);
  if (head.length < 64) return undefined;
  const named = (system: string, names: Readonly<Record<number, string>>, machine: number) =>
    `${system}-${names[machine] ?? 'another processor'}`;
  if (head.readUInt32BE(0) === 0x7f454c46) {
    const machine = head[5] === 2 ? head.readUInt16BE(18) : head.readUInt16LE(18);
    const system = process.platform === 'freebsd' ? 'freebsd' : 'linux';
    return named(system, elfMachines, machine);
  }
  if (head.readUInt32LE(0) === 0xfeedfacf) return named('darwin', machMachines, head.readUInt32LE(4));
  if (head.toString('latin1', 0, 2) !== 'MZ') return undefined;
  const header = head.readUInt32LE(0x3c);
  return header + 6 <= head.length ? named('win32', peMachines, head.readUInt16LE(header + 4)) : undefined;
}

function readHead(file: string): Buffer {
  try {
    const descriptor = fs.openSync(file, 'r');
    try {
      const head = Buffer.alloc(1024);
      return head.subarray(0, fs.readSync(descriptor, head, 0, head.length, 0));
    } finally {
      fs.closeSync(descriptor);
    }
  } catch {
    return Buffer.alloc(0);
  }
}
