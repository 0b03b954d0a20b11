import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import type { DoctorReport } from '../../lib/cli/doctor.js';
import { remediesForLibraries, remediesForUnusable } from '../../lib/cli/remedies.js';
import { countCards, supports } from '../../lib/cli/system.js';
import type { DeviceObstacle, GpuDevice } from '../../lib/index.js';
import { describeEmulated, machine, optnet, stackTrace } from '../support/cli.js';
import type { Preload, Told } from '../support/cli.js';

/** The addon of this checkout, which finds no GPU that it may use. */
const withoutGpu = { CUDA_VISIBLE_DEVICES: '' };

interface Visit {
  text: string;
  report: DoctorReport;
  exitCode: Told['exitCode'];
}

/** Both forms of the report, which must agree about what matters. */
async function visit(env: Record<string, string>, preload?: Preload): Promise<Visit> {
  const forPeople = await optnet(['doctor'], { env, preload });
  const forPrograms = await optnet(['doctor', '--json'], { env, preload });
  const report = JSON.parse(forPrograms.stdout) as DoctorReport;
  expect([forPeople.stderr, forPrograms.stderr]).toEqual(['', '']);
  expect(forPeople.stdout).not.toMatch(stackTrace);
  expect([forPeople.exitCode, forPrograms.exitCode]).toEqual([report.exitCode, report.exitCode]);
  for (const { device, notes, remedies } of report.devices) {
    expect(forPeople.stdout).toContain(device.name);
    for (const line of [...notes, ...remedies]) expect(forPeople.stdout).toContain(line);
  }
  expect(forPeople.stdout.trimEnd().split('\n').at(-1)).toBe(report.summary);
  return { text: forPeople.stdout, report, exitCode: forPeople.exitCode };
}

const deviceOf = ({ report }: Visit, name: string) =>
  report.devices.find(({ device }) => device.name === name)!;

describe('doctor, where there is no GPU', () => {
  it('says that this is well, and what solves', async () => {
    const visited = await visit(withoutGpu);
    const { report, text } = visited;
    expect(visited.exitCode).toBe(0);
    expect(report).toMatchObject({
      optnet: expect.stringMatching(/^\d+\.\d+\.\d+/) as string,
      node: { version: process.versions.node, supported: true },
      platform: process.platform,
      arch: process.arch,
      addon: { loaded: true, file: expect.stringMatching(/\.node$/) as string, remedies: [] },
      summary: 'All is well: cpu.',
    });
    expect(text).toContain(report.addon.file);
    expect(text).toContain('The CPU serves.');
    expect(deviceOf(visited, 'cuda')).toMatchObject({ state: 'absent', checks: [], remedies: [] });
  });

  it('has solved and differentiated a small and a large problem on the CPU', async () => {
    const cpu = deviceOf(await visit(withoutGpu), 'cpu');
    expect(cpu.state).toBe('ok');
    expect(cpu.checks.map(({ problem, backend }) => [problem, backend])).toEqual([
      ['small', 'packed'],
      ['large', 'blocked'],
    ]);
    for (const { passed, error, milliseconds, firstMilliseconds } of cpu.checks) {
      expect(passed).toBe(true);
      expect(error).toBeLessThan(1e-9);
      expect(milliseconds).toBeGreaterThan(0);
      expect(firstMilliseconds).toBeGreaterThan(0);
    }
  });

  it.each([
    ['a solution that is wrong', { change: 'z' }, /^The results of cpu are wrong: .* by 1e-3\.$/],
    ['a gradient that is wrong', { change: 'dp' }, /^The results of cpu are wrong: .* by \de-2\.$/],
    ['a status that is wrong', { change: 'status' }, /^A problem that has a solution ended as maxIterations/],
    ['a solver that throws', { change: 'throws' }, /^the solver is out of order$/],
    ['large problems that are wrong', { change: 'z', least: 100 }, /^The results of cpu are wrong/],
  ])('notices %s', async (_, settings, failure) => {
    const visited = await visit(withoutGpu, { module: 'wrong-solver.cjs', settings });
    expect(visited.exitCode).toBe(1);
    expect(visited.report.summary).toBe('The CPU does not solve as it should.');
    const cpu = deviceOf(visited, 'cpu');
    expect(cpu.state).toBe('failed');
    expect(cpu.checks.at(-1)!.failure).toMatch(failure);
    expect(cpu.checks[0]!.passed).toBe('least' in settings);
    expect(visited.text).toMatch(/FAILED: .*\n/);
    expect(cpu.remedies.join()).toContain('OPTNET_BUILD_FROM_SOURCE=1 npm rebuild optnet');
  });
});

describeEmulated('doctor, on a machine with an NVIDIA GPU (emulated)', (emulated) => {
  it('finds all well: the GPU, its memory, driver and libraries, and has solved on it', async () => {
    const visited = await visit(emulated);
    expect(visited.exitCode).toBe(0);
    expect(visited.report.summary).toBe('All is well: cpu, cuda:0.');
    const { state, device, checks, remedies } = deviceOf(visited, 'cuda:0');
    expect([state, remedies]).toEqual(['ok', []]);
    expect(device).toMatchObject({
      usable: true,
      gpu: 'Emulated GPU',
      computeCapability: '9.0',
      totalMemory: 2 ** 32,
      driver: expect.stringMatching(/^\d+\.\d$/) as string,
      runtime: expect.stringMatching(/^\d+\.\d$/) as string,
      loaded: [
        {
          name: 'cuBLAS',
          path: '/emulated/libcublas.so',
          version: expect.stringMatching(/^\d+\.\d+\.\d+$/) as string,
        },
        {
          name: 'cuSOLVER',
          path: '/emulated/libcusolver.so',
          version: expect.stringMatching(/^\d+\.\d+\.\d+$/) as string,
        },
      ],
    });
    expect(checks.map(({ problem, backend, passed }) => [problem, backend, passed])).toEqual([
      ['small', 'lanes', true],
      ['large', 'library', true],
    ]);
    for (const fact of ['Emulated GPU', 'compute capability 9.0', '4.0 GiB', '/emulated/libcusolver.so']) {
      expect(visited.text).toContain(fact);
    }
  });

  it('finds a driver that is too old, and says which to install', async () => {
    const visited = await visit({ ...emulated, OPTNET_EMULATED_DRIVER: '12020' });
    expect(visited.exitCode).toBe(2);
    expect(deviceOf(visited, 'cpu').state).toBe('ok');
    const { state, device, notes, remedies } = deviceOf(visited, 'cuda');
    expect(state).toBe('failed');
    expect(device).toMatchObject({ obstacle: 'driverTooOld', driver: '12.2' });
    expect(notes[0]).toMatch(
      /^The NVIDIA driver supports CUDA 12\.2, this build needs \d+\.\d: update it\.$/,
    );
    expect(remedies).toHaveLength(1);
    expect(remedies[0]).toMatch(/^install NVIDIA's driver, \d{3} or newer: sudo .*; then: sudo reboot$/);
  });

  it('finds that cuBLAS is missing, and says how to get it', async () => {
    const visited = await visit({ ...emulated, OPTNET_EMULATED_LIBRARIES: '0' });
    expect(visited.exitCode).toBe(2);
    const { state, checks, notes, remedies } = deviceOf(visited, 'cuda:0');
    expect(state).toBe('failed');
    expect(checks.map(({ problem, passed }) => [problem, passed])).toEqual([['small', true]]);
    expect(notes).toEqual([
      'Large problems cannot be solved on this GPU. cuBLAS could not be loaded: the emulated machine has none.',
    ]);
    expect(remedies.join('\n')).toMatch(
      /pip install nvidia-cublas nvidia-cusolver; .*OPTNET_CUDA_LIBRARIES=/,
    );
    expect(remedies.join('\n')).toMatch(/sudo apt-get install -y libcublas-13-0 libcusolver-13-0/);
  });

  it('finds a GPU that fails when it is used', async () => {
    const visited = await visit({ ...emulated, OPTNET_EMULATED_LOSE_AT_LAUNCH: '1' });
    expect(visited.exitCode).toBe(2);
    const { state, checks, remedies } = deviceOf(visited, 'cuda:0');
    expect(state).toBe('failed');
    expect(checks[0]).toMatchObject({ passed: false, code: 'ERR_QP_DEVICE' });
    expect(remedies[0]).toContain('nvidia-smi');
  });

  it('finds a GPU that solves wrong, and a CPU that does not', async () => {
    const settings = { change: 'z', device: 'cuda:0' };
    const visited = await visit(emulated, { module: 'wrong-solver.cjs', settings });
    expect(visited.exitCode).toBe(2);
    expect(visited.report.summary).toBe('The CPU works; cuda:0 does not, or not fully.');
    expect(deviceOf(visited, 'cpu').state).toBe('ok');
  });

  it('tells each of two GPUs', async () => {
    const visited = await visit({ ...emulated, OPTNET_EMULATED_DEVICES: '2' });
    expect(visited.report.summary).toBe('All is well: cpu, cuda:0, cuda:1.');
  });

  it.each<[string, Record<string, string>, object, number, string, RegExp]>([
    [
      'no driver and no GPU',
      { OPTNET_EMULATED_DRIVER: '0' },
      {},
      0,
      'absent',
      /has no NVIDIA GPU\. The CPU serves/,
    ],
    [
      'no driver for its GPU',
      { OPTNET_EMULATED_DRIVER: '0' },
      { cards: 1 },
      2,
      'failed',
      /sudo ubuntu-drivers install/,
    ],
    [
      'a GPU that its container does not see',
      { OPTNET_EMULATED_DRIVER: '0' },
      { cards: 1, container: true },
      2,
      'failed',
      /docker run --gpus all/,
    ],
    ['a driver without a GPU', { OPTNET_EMULATED_DEVICES: '0' }, {}, 0, 'absent', /The CPU serves/],
    [
      'a driver that finds no GPU',
      { OPTNET_EMULATED_DEVICES: '0' },
      { cards: 2 },
      2,
      'failed',
      /2 NVIDIA GPUs in/,
    ],
    [
      'GPUs that are hidden on purpose',
      { OPTNET_EMULATED_DEVICES: '0' },
      { cards: 2, visibleDevices: '' },
      0,
      'absent',
      /CUDA_VISIBLE_DEVICES='' leaves this process no GPU/,
    ],
    [
      'GPUs that are hidden by mistake',
      { OPTNET_EMULATED_DEVICES: '0' },
      { cards: 2, visibleDevices: '7' },
      2,
      'failed',
      /CUDA_VISIBLE_DEVICES='7' may hide: unset CUDA_VISIBLE_DEVICES/,
    ],
    [
      'a GPU that is too old',
      { OPTNET_EMULATED_COMPUTE_CAPABILITY: '61' },
      { cards: 1 },
      2,
      'failed',
      /use another GPU, or the CPU/,
    ],
  ])('tells %s', async (_, env, around, exitCode, state, text) => {
    const visited = await visit({ ...emulated, ...env }, machine(around));
    expect([visited.exitCode, visited.report.devices[1]!.state]).toEqual([exitCode, state]);
    expect(visited.text).toMatch(text);
  });
});

describe('remedies', () => {
  const around = { cards: 1, container: false, visibleDevices: undefined };
  const obstacles: [DeviceObstacle, RegExp][] = [
    ['noBackend', /OPTNET_BUILD_FROM_SOURCE=1 npm rebuild optnet/],
    ['noDriver', /sudo apt-get install -y nvidia-driver/],
    ['noGpu', /nvidia-smi/],
    ['driverTooOld', /580 or newer/],
    ['driverFails', /sudo reboot/],
    ['noAnswer', /sudo dmesg/],
    ['tooOld', /device: 'cpu'/],
    ['forbidden', /sudo nvidia-smi --compute-mode=DEFAULT/],
  ];
  it.each(obstacles)('for %s names a command', (obstacle, command) => {
    const device = {
      name: 'cuda',
      usable: false,
      reason: '',
      obstacle,
      driver: '12.2',
      runtime: '13.0',
    } as const;
    expect(remediesForUnusable(device, around).join('\n')).toMatch(command);
  });

  it('for a driver that serves an older CUDA which suffices has to compile for that', () => {
    const device = {
      name: 'cuda',
      usable: false,
      reason: '',
      obstacle: 'driverTooOld',
      runtime: '13.0',
    } as const;
    const compile = (driver: string) =>
      remediesForUnusable({ ...device, driver }, around).some((remedy) => remedy.includes('or compile'));
    expect([compile('12.8'), compile('12.2')]).toEqual([true, false]);
  });

  it('for a missing library has the packages of the CUDA that the driver serves, and only those', () => {
    const cuBlas = { name: 'cuBLAS', path: '', version: '' } as const;
    const remedy = (driver: string, loaded: GpuDevice['loaded']) =>
      remediesForLibraries({ driver, loaded } as GpuDevice)[0];
    expect(remedy('12.9', [])).toMatch(/pip install nvidia-cublas-cu12 nvidia-cusolver-cu12;/);
    expect(remedy('13.0', [cuBlas])).toMatch(/pip install nvidia-cusolver;/);
  });
});

describe('the machine', () => {
  it('has as many NVIDIA GPUs as the PCI bus has controllers for graphics or computing of that vendor', () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'optnet-pci-'));
    const add = (name: string, vendor: string, kind: string) => {
      mkdirSync(path.join(folder, name));
      writeFileSync(path.join(folder, name, 'vendor'), `${vendor}\n`);
      writeFileSync(path.join(folder, name, 'class'), `${kind}\n`);
    };
    try {
      add('0000:00:02.0', '0x8086', '0x030000');
      expect(countCards(folder)).toBe(0);
      add('0000:17:00.0', '0x10de', '0x030200');
      add('0000:65:00.0', '0x10de', '0x030000');
      add('0000:65:00.1', '0x10de', '0x040300'); // the sound of a graphics card
      expect(countCards(folder)).toBe(2);
      expect(countCards(path.join(folder, 'nowhere'))).toBe(0);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  it.each([
    ['20.17.0', true],
    ['20.16.9', false],
    ['18.20.4', false],
    ['22.0.0', true],
  ])('supports Node.js %s: %p', (version, supported) => {
    expect(supports('>=20.17', version)).toBe(supported);
  });
});
