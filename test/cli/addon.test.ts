// A package as it is installed, on a machine that its addon is not for.
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import type { DoctorReport } from '../../lib/cli/doctor.js';
import { binaryPlatform, explainFailure, here, prebuiltPlatforms } from '../../lib/load-failure.js';
import { optnet, stackTrace } from '../support/cli.js';
import { root, runNode } from '../support/node.js';

const onLinux = process.platform === 'linux' ? describe : describe.skip;

const other = process.arch === 'x64' ? 'arm64' : 'x64';

/** The start of a shared library for Linux on a processor. */
function elf(arch: 'x64' | 'arm64'): Buffer {
  const file = Buffer.alloc(4096);
  file.write('\x7fELF\x02\x01\x01', 'latin1'); // 64 bits, little-endian
  file.writeUInt16LE(3, 16); // a shared object
  file.writeUInt16LE(arch === 'x64' ? 62 : 183, 18);
  file.writeUInt32LE(1, 20);
  return file;
}

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(os.tmpdir(), 'optnet-package-'));
  for (const part of ['dist', 'package.json']) {
    cpSync(path.join(root, part), path.join(folder, part), { recursive: true });
  }
  const dependency = 'node_modules/node-gyp-build';
  cpSync(path.join(root, dependency), path.join(folder, dependency), { recursive: true, dereference: true });
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function put(file: string, contents: Buffer | string): string {
  const at = path.join(folder, file);
  mkdirSync(path.dirname(at), { recursive: true });
  writeFileSync(at, contents);
  return at;
}

/** Both forms of the report on the package. */
async function visit() {
  const program = path.join(folder, 'dist/cli/main.js');
  const env = { OPTNET_PREBUILD: '' };
  const forPeople = await optnet(['doctor'], { program, env });
  const forPrograms = await optnet(['doctor', '--json'], { program, env });
  const report = JSON.parse(forPrograms.stdout) as DoctorReport;
  for (const { exitCode, stderr, stdout } of [forPeople, forPrograms]) {
    expect([exitCode, stderr]).toEqual([1, '']);
    expect(stdout).not.toMatch(stackTrace);
  }
  expect(report).toMatchObject({ exitCode: 1, addon: { loaded: false } });
  expect(report.devices.map(({ device }) => device.usable)).toEqual([false, false]);
  expect(forPeople.stdout).toContain(report.addon.reason);
  expect(report.addon.remedies.length).toBeGreaterThan(0);
  for (const remedy of report.addon.remedies) expect(forPeople.stdout).toContain(remedy);
  return report.addon;
}

onLinux('doctor, of a package', () => {
  it('without any addon says how to compile it', async () => {
    const { file, reason, remedies } = await visit();
    expect(file).toBeUndefined();
    expect(reason).toMatch(/^There is no addon: none was compiled here/);
    expect(remedies[0]).toContain('OPTNET_BUILD_FROM_SOURCE=1 npm rebuild optnet');
  });

  it('with prebuilt addons for other platforms only lists these', async () => {
    put(`prebuilds/linux-${other}/optnet.glibc.node`, elf(other));
    put('prebuilds/darwin-arm64/optnet.node', 'anything');
    const { reason } = await visit();
    expect(reason).toMatch(new RegExp(`^There is no addon for ${here}.*: the prebuilt ones are for `));
    expect(reason).toContain(`darwin-arm64, linux-${other} (glibc).`);
  });

  it('with an addon of another platform in place names both, and the file to remove', async () => {
    const file = put('build/Release/optnet.node', elf(other));
    const addon = await visit();
    expect(addon).toMatchObject({
      file,
      origin: 'compiled',
      reason: `The addon is for linux-${other}, and this is ${here}.`,
    });
    expect(addon.remedies[0]).toBe(`remove it: rm ${file}`);
  });

  it('the same where it is prebuilt', async () => {
    const file = put(`prebuilds/${here}/optnet.node`, elf(other));
    expect(await visit()).toMatchObject({ file, origin: 'prebuilt' });
  });

  it.each([
    ['cut short', Buffer.from('\x7fELF', 'latin1')],
    ['a text, such as the pointer to a file that was not fetched', 'version 1\nsize 4096\n'.padEnd(200, '.')],
  ])('with an addon that is %s says so', async (_, contents) => {
    put('build/Release/optnet.node', contents);
    expect((await visit()).reason).toMatch(/^The addon is damaged/);
  });

  it('and bench says why it cannot run', async () => {
    const program = path.join(folder, 'dist/cli/main.js');
    const { exitCode, stdout, stderr } = await optnet(['bench'], { program, env: { OPTNET_PREBUILD: '' } });
    expect([exitCode, stderr]).toEqual([1, '']);
    expect(stdout).toMatch(/FAILED: cpu: There is no addon/);
    expect(stdout).not.toMatch(stackTrace);
  });

  it('and the library throws an error with the reason and the remedies', async () => {
    put(`prebuilds/linux-${other}/optnet.glibc.node`, elf(other));
    const script = `
      const { devices, qpSolveBatchSync } = require(${JSON.stringify(folder)});
      try { qpSolveBatchSync({ Q: [[1]], p: [1] }); } catch ({ code, message }) { console.log(code, message); }
      console.log(JSON.stringify(devices()));`;
    const { stdout, stderr } = await runNode(script, { env: { OPTNET_PREBUILD: '' } });
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^ERR_QP_NATIVE .*: There is no addon for .*what to do:\n.*npx optnet doctor$/ms);
    const listed = JSON.parse(stdout.trim().split('\n').at(-1)!) as object[];
    expect(listed).toEqual([
      {
        name: 'cpu',
        usable: false,
        obstacle: 'noAddon',
        reason: expect.stringMatching(/^There is no .*\.$/) as string,
      },
      { name: 'cuda', usable: false, obstacle: 'noAddon', reason: expect.any(String) as string },
    ]);
  });
});

describe('what the dynamic loader says', () => {
  const libc = "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by /a/optnet.node)";
  const libstdcxx =
    "/lib/x86_64-linux-gnu/libstdc++.so.6: version `GLIBCXX_3.4.32' not found (required by /a/optnet.node)";
  const missing = 'libstdc++.so.6: cannot open shared object file: No such file or directory';
  const onMusl =
    'Error loading shared library libstdc++.so.6: No such file or directory (needed by /a/optnet.node)';
  const loader =
    'Error loading shared library ld-linux-x86-64.so.2: No such file or directory (needed by /a/optnet.node)';
  const relocation = 'Error relocating /a/optnet.node: __memcpy_chk: symbol not found';
  const segment = '/a/optnet.node: failed to map segment from shared object';

  it.each<[string, string, RegExp, RegExp]>([
    [
      'a C library that is too old',
      libc,
      /too old .* needs glibc 2\.38\.$/,
      /OPTNET_BUILD_FROM_SOURCE=1 npm rebuild optnet/,
    ],
    ['a C++ library that is too old', libstdcxx, /needs GLIBCXX_3\.4\.32\.$/, /--only-upgrade libstdc\+\+6/],
    [
      'no C++ library',
      missing,
      /needs libstdc\+\+\.so\.6, which is not/,
      /apt-get install -y libstdc\+\+6, sudo dnf/,
    ],
    ['no C++ library, on Alpine', onMusl, /needs libstdc\+\+\.so\.6, which is not/, /apk add libstdc\+\+/],
    ['musl', loader, /for glibc, and .* is musl\.$/, /apk add g\+\+ cmake make linux-headers/],
    ['musl, by its symbols', relocation, /for glibc, and .* is musl\.$/, /apk add g\+\+/],
    [
      'Node.js that is too old',
      '/a/optnet.node: undefined symbol: napi_new',
      /lacks napi_new\.$/,
      /nvm install/,
    ],
    ['a folder where nothing may run', segment, /noexec/, /findmnt -T/],
    ['what nobody knows', 'something else', /^The system refused the addon: something else$/, /npm rebuild/],
  ])('of %s is understood', (_, message, reason, remedy) => {
    const cause = new Error(`${message}\nand more`);
    const failure = explainFailure('/a/optnet.node', cause);
    expect(failure).toMatchObject({ file: '/a/optnet.node', cause });
    expect(failure.reason).toMatch(reason);
    expect(failure.remedies.join('\n')).toMatch(remedy);
  });
});

describe('a binary', () => {
  it('is for this platform where it runs', () => {
    expect(binaryPlatform(process.execPath)).toBe(here);
  });

  it.each<[string, () => Buffer, string | undefined]>([
    ['Linux on arm64', () => elf('arm64'), 'linux-arm64'],
    [
      'macOS on arm64',
      () => Buffer.concat([Buffer.from('cffaedfe0c000001', 'hex'), Buffer.alloc(64)]),
      'darwin-arm64',
    ],
    ['no platform', () => Buffer.alloc(200, 'x'), undefined],
    ['nothing, being empty', () => Buffer.alloc(0), undefined],
  ])('is recognised: %s', (_, contents, platform) => {
    expect(binaryPlatform(put('binary', contents()))).toBe(platform);
  });

  it('of Windows is recognised', () => {
    const head = Buffer.alloc(512);
    head.write('MZ');
    head.writeUInt32LE(128, 0x3c);
    head.write('PE\0\0', 128);
    head.writeUInt16LE(0x8664, 132);
    expect(binaryPlatform(put('binary', head))).toBe('win32-x64');
  });

  it('that is prebuilt is listed with its C library', () => {
    for (const name of [
      'linux-x64/optnet.glibc.node',
      'linux-x64/optnet.musl.node',
      'darwin-x64/optnet.node',
    ]) {
      put(`prebuilds/${name}`, '');
    }
    expect(prebuiltPlatforms(folder)).toEqual(['darwin-x64', 'linux-x64 (glibc)', 'linux-x64 (musl)']);
  });
});
