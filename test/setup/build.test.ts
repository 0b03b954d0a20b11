// What the commands build: some of them only what this machine can run, and none of them anything twice.
import { readFileSync } from 'node:fs';
import path from 'node:path';

import { Clone } from '../support/clone.js';

/** The only processors that have several instruction sets. */
const native = process.arch === 'x64' ? 'native' : 'all';
const onX64 = process.arch === 'x64' ? it : it.skip;

const here = { tests: 'OFF', sets: native, cuda: 'OFF', architectures: undefined };
const everything = { tests: 'OFF', sets: 'all', cuda: 'AUTO', architectures: '90' };
const nothing = { configured: [], built: [], code: 0 };
const fails = { DOUBLE_FAILS: 'yes' };

let clone: Clone;
beforeEach(() => {
  clone = new Clone();
});
afterEach(() => clone.remove());

describe('without a GPU', () => {
  it('start builds for this processor alone, says so, and runs', async () => {
    const ran = await clone.run('start');
    expect(ran).toMatchObject({ configured: [here], built: ['optnet'], code: 0, stdout: 'trained\n' });
    expect(ran.stderr).toContain('CUDA (no GPU here)');
    expect(ran.stderr.match(/^Left out: .* npm run build builds everything\.$/gm)).toHaveLength(1);
    const again = await clone.run('start');
    expect(again).toMatchObject({ ...nothing, stdout: 'trained\n', stderr: '' });
  });

  onX64('start says that it leaves out instruction sets', async () => {
    expect((await clone.run('start')).stderr).toContain("other processors' instruction sets");
  });

  it.each(['experiment', 'bench'] as const)('%s does the same', async (command) => {
    expect(await clone.run(command)).toMatchObject({ configured: [here] });
  });

  it('the build and the tests have everything, and leave out nothing', async () => {
    const built = await clone.run('build');
    expect(built).toMatchObject({ configured: [everything], built: ['optnet'] });
    const tested = await clone.run('test');
    expect(tested).toMatchObject({ configured: [{ ...everything, tests: 'ON' }], built: ['all'] });
    expect(built.stderr + tested.stderr).not.toContain('Left out');
  });
});

it('with a GPU start builds for it', async () => {
  const ran = await clone.run('start', { DOUBLE_GPU: '8.6' });
  expect(ran.configured).toEqual([{ ...here, cuda: 'AUTO', architectures: '86' }]);
  expect(ran.stderr).not.toContain('CUDA');
});

it('a GPU that was not there before is built for', async () => {
  await clone.run('start');
  const ran = await clone.run('start', { DOUBLE_GPU: '9.0' });
  expect(ran.configured).toEqual([{ ...here, cuda: 'AUTO', architectures: '90' }]);
});

describe('a full build', () => {
  it('serves start, and stays one when sources change', async () => {
    expect(await clone.run('start')).toMatchObject({ configured: [here], built: ['optnet'] });
    expect(await clone.run('test')).toMatchObject({
      configured: [{ ...everything, tests: 'ON' }],
      built: ['all'],
    });
    expect(await clone.run('start')).toMatchObject(nothing);
    expect(await clone.run('build')).toMatchObject(nothing);
    clone.write('native/solver/solve.h', '// changed\n');
    const ran = await clone.run('start');
    expect(ran).toMatchObject({ configured: [], built: ['optnet'], code: 0 });
    expect(ran.stderr).not.toContain('Left out');
    expect(await clone.run('start')).toMatchObject(nothing);
    expect(await clone.run('test')).toMatchObject({ configured: [], built: ['all'] });
    expect(await clone.run('test')).toMatchObject(nothing);
  });

  it('stays one when CMakeLists.txt changes', async () => {
    await clone.run('test');
    clone.write('CMakeLists.txt', '# changed\n');
    expect(await clone.run('start')).toMatchObject({ configured: [{ ...everything, tests: 'ON' }] });
  });

  it('serves start although only the sources of the tests have changed', async () => {
    await clone.run('test');
    clone.write('test/native/test.cpp', '// changed\n');
    expect(await clone.run('start')).toMatchObject(nothing);
    expect(await clone.run('test')).toMatchObject({ configured: [], built: ['all'] });
  });

  it('that was not finished is left for what start takes', async () => {
    await clone.run('start');
    expect(await clone.run('test', fails)).toMatchObject({ code: 1 });
    expect(await clone.run('start')).toMatchObject({ configured: [here], built: ['optnet'], code: 0 });
  });

  it('that was finished before stays one although building it anew fails', async () => {
    await clone.run('test');
    clone.write('native/solver/solve.h', 'wrong\n');
    expect(await clone.run('start', fails)).toMatchObject({ code: 1 });
    expect(await clone.run('start')).toMatchObject({ configured: [], built: ['optnet'], code: 0 });
  });
});

describe('what somebody asks for is built', () => {
  it.each([
    ['OPTNET_CUDA', 'ON', { cuda: 'ON', architectures: '90' }],
    ['OPTNET_CUDA', 'AUTO', { cuda: 'AUTO', architectures: '90' }],
    ['OPTNET_CUDA', 'OFF', { cuda: 'OFF' }],
    ['OPTNET_CUDA_ARCHITECTURES', '80;90', { cuda: 'AUTO', architectures: '80;90' }],
    ['OPTNET_INSTRUCTION_SET', 'sse2', { cuda: 'OFF', sets: 'all' }],
  ])('%s=%s', async (name, value, configured) => {
    const ran = await clone.run('start', { [name]: value });
    expect(ran.configured).toMatchObject([configured]);
    if (name !== 'OPTNET_INSTRUCTION_SET') expect(ran.stderr).not.toContain('CUDA');
    expect(await clone.run('start', { [name]: value })).toMatchObject(nothing);
    // It has all that start needs by itself.
    expect(await clone.run('start')).toMatchObject(nothing);
  });

  it('also after something else was built', async () => {
    await clone.run('start');
    expect((await clone.run('start', { OPTNET_CUDA: 'OFF' })).configured).toEqual([]);
    expect((await clone.run('start', { OPTNET_CUDA: 'ON' })).configured).toMatchObject([{ cuda: 'ON' }]);
    expect((await clone.run('test')).configured).toMatchObject([{ cuda: 'AUTO', sets: 'all' }]);
    expect((await clone.run('start', { OPTNET_CUDA: 'OFF' })).configured).toMatchObject([{ cuda: 'OFF' }]);
  });
});

onX64('on another processor start builds anew, unless the build is for all', async () => {
  const moved = (): void => {
    const file = path.join(clone.folder, 'build/finished.json');
    const finished = JSON.parse(readFileSync(file, 'utf8')) as { contents: { instructionSets: string } };
    if (finished.contents.instructionSets !== 'all')
      finished.contents.instructionSets = 'fpu sse sse2 abacus';
    clone.write('build/finished.json', JSON.stringify(finished));
  };
  await clone.run('start');
  moved();
  expect(await clone.run('start')).toMatchObject({ built: ['optnet'] });
  await clone.run('build');
  moved();
  expect(await clone.run('start')).toMatchObject(nothing);
});

it('a build that fails shows what the tool said, and with what command', async () => {
  const { code, stdout, stderr } = await clone.run('start', fails);
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toContain('one.cpp:1: error: so it is');
  expect(stderr).toMatch(/^This failed: cmake --build build /m);
  expect(stderr).not.toMatch(/^\s+at /m);
});

it('a build that is interrupted ends at once, without an error, and is taken up again', async () => {
  const { code, stdout, stderr } = await clone.run(
    'start',
    { DOUBLE_WAITS: 'yes' },
    { interruptAt: /build/ },
  );
  expect([code, stdout]).toEqual([130, '']);
  expect(stderr).not.toMatch(/failed|^\s+at /m);
  expect(await clone.run('start')).toMatchObject({ built: ['optnet'], code: 0 });
});
