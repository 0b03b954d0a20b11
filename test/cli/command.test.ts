import { readFileSync } from 'node:fs';
import path from 'node:path';

import { main, optnet, stackTrace } from '../support/cli.js';
import { root, runNode } from '../support/node.js';

describe('the command', () => {
  it('is what package.json installs, and starts with Node.js', () => {
    const { bin } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
      bin: Record<string, string>;
    };
    expect(path.join(root, bin.optnet!)).toBe(main);
    expect(readFileSync(main, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/);
  });

  it('tells its version', async () => {
    const { version } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
      version: string;
    };
    expect(await optnet(['--version'])).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: '' });
  });

  it.each([
    [['--help'], /^Usage: optnet COMMAND .*\n\nCommands:\n {2}doctor .*\n {2}bench /],
    [['-h'], /^Usage: optnet COMMAND/],
    [['doctor', '--help'], /^Usage: optnet doctor [^]*Exit codes:\n {2}0 .*\n {2}1 .*\n {2}2 .*\n {2}64 /],
    [['bench', '--help'], /^Usage: optnet bench [^]*--quick[^]*--device DEVICE[^]*Exit codes:\n {2}0 /],
  ])('%j explains', async (args, text) => {
    const { exitCode, stdout, stderr } = await optnet(args);
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(text);
  });

  it.each([
    [[], 'a command is missing', 'COMMAND'],
    [['doctr'], "unknown command 'doctr'", 'COMMAND'],
    [['toString'], "unknown command 'toString'", 'COMMAND'],
    [['--jsno'], "unknown option '--jsno'", 'COMMAND'],
    [['doctor', '--jsno'], "unknown option '--jsno'", 'doctor'],
    [['doctor', '--quick'], "unknown option '--quick'", 'doctor'],
    [['doctor', 'now'], "unexpected argument 'now'", 'doctor'],
    [['doctor', '--json=yes'], "option '--json' does not take an argument", 'doctor'],
    [['bench', '-x'], "unknown option '-x'", 'bench'],
    [['bench', '--device'], "option '--device <value>' argument missing", 'bench'],
    [['bench', '--device', 'gpu'], "--device is 'gpu'; expected 'cpu', 'cuda' or 'cuda:1'", 'bench'],
    [['bench', '--device', 'auto'], "--device is 'auto'; expected 'cpu', 'cuda' or 'cuda:1'", 'bench'],
  ])('%j is refused, with what is wrong and how it is meant', async (args, message, command) => {
    const { exitCode, stdout, stderr } = await optnet(args);
    expect([exitCode, stdout]).toEqual([64, '']);
    expect(stderr.startsWith(`optnet: ${message}\n\nUsage: optnet ${command}`)).toBe(true);
    expect(stderr).not.toMatch(stackTrace);
  });

  it('says in one line what it did not expect', async () => {
    const preload = { module: 'surroundings-fail.cjs', settings: {} };
    const { exitCode, stdout, stderr } = await optnet(['doctor'], { preload });
    expect({ exitCode, stdout, stderr }).toEqual({
      exitCode: 70,
      stdout: '',
      stderr: 'optnet: out of order\n',
    });
  });

  it('does not mind that nobody reads what it prints', async () => {
    const { stdout } = await runNode(`
      const { spawn } = require('node:child_process');
      const child = spawn(process.execPath, [${JSON.stringify(main)}, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
      child.stdout.destroy();
      child.stderr.on('data', (text) => console.log(String(text)));
      child.on('close', (code) => console.log('ended', code));`);
    expect(stdout).toBe('ended 0\n');
  });
});

describe('the library', () => {
  const used = `
    const loaded = Object.keys(require.cache).filter((file) => file.includes('/dist/cli/'));
    if (loaded.length > 0) console.log('loaded', loaded);`;

  it.each([
    ['is required', `const { devices, qpSolveBatchSync } = require('optnet');`, used],
    ['is imported', `import { devices, qpSolveBatchSync } from 'optnet';`, ''],
    [
      'is imported with TensorFlow.js',
      `import { devices, qpSolveBatchSync } from 'optnet'; import 'optnet/tfjs';`,
      '',
    ],
  ])('prints nothing when it %s and used, also where that fails', async (_, load, after) => {
    const script = `${load}
      devices();
      qpSolveBatchSync({ Q: [[1]], p: [1] }, { device: 'cpu' }).backwardSync({ dz: [1] });
      try { qpSolveBatchSync({ Q: [[-1]], p: [1] }); } catch {}
      qpSolveBatchSync({ Q: [[1]], p: [0], G: [[1], [-1]], h: [1, -2] }, { device: 'cpu' }).dispose();
      ${after}`;
    const { exitCode, stdout, stderr } = await runNode(script, { esm: load.startsWith('import') });
    expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 0, stdout: '', stderr: '' });
  });

  it('prints nothing where there is no addon either', async () => {
    const script = `
      const { devices, qpSolveBatchSync } = require('optnet');
      devices();
      try { qpSolveBatchSync({ Q: [[1]], p: [1] }); } catch ({ code }) { process.exitCode = code === 'ERR_QP_NATIVE' ? 3 : 4; }`;
    const env = { PREBUILDS_ONLY: '1', OPTNET_PREBUILD: path.join(root, 'test') };
    const { exitCode, stdout, stderr } = await runNode(script, { env });
    expect({ exitCode, stdout, stderr }).toEqual({ exitCode: 3, stdout: '', stderr: '' });
  });
});
