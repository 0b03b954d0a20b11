import { devices, qpSolveBatch, qpSolveBatchSync, toDevice, toDeviceSync } from '../../lib/index.js';
import type { CudaArray, DeviceObstacle, QpErrorCode, QpSolution } from '../../lib/index.js';
import { describeWithGpu, describeWithoutGpu, gpu } from '../support/devices.js';
import { failure } from '../support/errors.js';
import { runNode } from '../support/node.js';

const problem = {
  Q: [
    [2, 0],
    [0, 2],
  ],
  p: [-2, -5],
  G: [[1, 1]],
  h: [1],
};

/** Memory that other CUDA code would have. Nothing is there. */
const elsewhere = (shape: number[], changes: object = {}): CudaArray<'float64'> => ({
  pointer: 4096n,
  shape,
  dtype: 'float64',
  device: 'cuda:0',
  ...changes,
});

const solve = (changes: object, options?: object) =>
  qpSolveBatchSync({ ...problem, ...changes }, options as undefined);

describe('devices()', () => {
  it('has the CPU first, and then at least one that is a GPU or says why there is none', () => {
    const [cpu, ...others] = devices();
    expect(cpu).toEqual({
      name: 'cpu',
      usable: true,
      instructionSet: expect.any(String) as unknown,
      threads: expect.any(Number) as unknown,
    });
    expect(others.length).toBeGreaterThan(0);
    for (const device of others) {
      expect(device.name).toMatch(device.usable ? /^cuda:\d+$/ : /^cuda(:\d+)?$/);
      if (!device.usable) expect(device.reason).toMatch(/^[A-Z].*[^.]\.$/);
    }
  });

  it('says of a GPU what it is and how much memory it has', () => {
    for (const device of devices()) {
      if (!device.usable || device.name === 'cpu') continue;
      expect(device.gpu).not.toBe('');
      expect(device.computeCapability).toMatch(/^\d+\.\d$/);
      expect(device.driver).toMatch(/^\d+\.\d$/);
      expect(device.runtime).toMatch(/^\d+\.\d$/);
      // Both libraries are there, or there is a reason.
      expect(device.loaded.length === 2).toBe(device.libraries === undefined);
      for (const { name, path, version } of device.loaded) {
        expect(name).toMatch(/^cu(BLAS|SOLVER)$/);
        expect(path).toMatch(/^\/.*lib(cublas|cusolver)\.so/);
        expect(version).toMatch(/^\d+\.\d+\.\d+$/);
      }
      expect(device.totalMemory).toBeGreaterThan(2 ** 28);
      expect(device.freeMemory).toBeLessThanOrEqual(device.totalMemory);
      expect(device.memoryHeld).toBeGreaterThanOrEqual(0);
    }
  });
});

describe('a device that is named', () => {
  it('is the one that solves', () => {
    using solution = qpSolveBatchSync(problem, { device: 'cpu', threads: 1 });
    expect(solution.device).toMatchObject({
      name: 'cpu',
      threads: 1,
      backend: 'packed',
      reason: 'The CPU was asked for.',
    });
  });

  it('and cannot serve is an error with the reason', async () => {
    const error = await failure('ERR_QP_DEVICE', () => qpSolveBatch(problem, { device: 'cuda:99' }));
    expect(error.message).toMatch(/^device 'cuda:99' cannot be used: [^A-Z]/);
    expect(error.argument).toBe('device');
  });

  it.each(['gpu', 'cuda:', 'cuda:-1', 'CUDA', 'cuda:1.5', 'cuda:1000', '', null, 0])(
    'and unknown is an error: %p',
    async (device) => {
      expect((await failure('ERR_QP_OPTION', () => solve({}, { device }))).argument).toBe('device');
    },
  );
});

describe('memory of a GPU is refused', () => {
  it.each<[string, QpErrorCode, object, object, string, RegExp]>([
    ['by the CPU', 'ERR_QP_DEVICE', { p: elsewhere([2]) }, { device: 'cpu' }, 'p', /p is on cuda:0; .*'cpu'/],
    [
      'by another GPU',
      'ERR_QP_DEVICE',
      { p: elsewhere([2], { device: 'cuda:3' }) },
      { device: 'cuda' },
      'p',
      /p is on cuda:3; .*'cuda'/,
    ],
    [
      'together with that of another',
      'ERR_QP_DEVICE',
      { Q: elsewhere([2, 2]), h: elsewhere([1], { device: 'cuda:1' }) },
      {},
      'h',
      /h is on cuda:1, Q on cuda:0; expected one GPU/,
    ],
    [
      'of a GPU that is not there',
      'ERR_QP_DEVICE',
      { p: elsewhere([2], { device: 'cuda:99' }) },
      {},
      'p',
      /p is on cuda:99, which cannot be used: /,
    ],
    [
      'of no GPU',
      'ERR_QP_DEVICE',
      { p: elsewhere([2], { device: 'cpu' }) },
      {},
      'p',
      /p\.device is "cpu"; expected the name of a GPU/,
    ],
    [
      'without a device',
      'ERR_QP_DEVICE',
      { p: elsewhere([2], { device: undefined }) },
      {},
      'p',
      /p\.device is undefined/,
    ],
    [
      'without a dtype',
      'ERR_QP_DTYPE',
      { p: elsewhere([2], { dtype: undefined }) },
      {},
      'p',
      /'float64' or 'float32'/,
    ],
    [
      'of another dtype',
      'ERR_QP_DTYPE',
      { p: elsewhere([2], { dtype: 'float32' }) },
      { dtype: 'float64' },
      'p',
      /p is float32; expected float64/,
    ],
    [
      'without a shape',
      'ERR_QP_SHAPE',
      { p: elsewhere([2], { shape: undefined }) },
      {},
      'p',
      /the shape of p/,
    ],
    ['of another shape', 'ERR_QP_SHAPE', { p: elsewhere([3]) }, {}, 'p', /p has shape \[3\]; expected \[2\]/],
    [
      'at an address that is a number',
      'ERR_QP_ARGUMENT',
      { p: elsewhere([2], { pointer: 4096 }) },
      {},
      'p',
      /expected a BigInt/,
    ],
    [
      'at a negative address',
      'ERR_QP_ARGUMENT',
      { p: elsewhere([2], { pointer: -8n }) },
      {},
      'p',
      /expected a BigInt/,
    ],
    [
      'past the last address',
      'ERR_QP_ARGUMENT',
      { p: elsewhere([2], { pointer: 2n ** 64n }) },
      {},
      'p',
      /expected a BigInt/,
    ],
    [
      'at null',
      'ERR_QP_ARGUMENT',
      { p: elsewhere([2], { pointer: 0n }) },
      {},
      'p',
      /not the address of float64/,
    ],
    [
      'in the middle of an element',
      'ERR_QP_ARGUMENT',
      { p: elsewhere([2], { pointer: 4100n }) },
      {},
      'p',
      /not the address of float64/,
    ],
    [
      'past what memory can hold',
      'ERR_QP_MEMORY',
      { p: elsewhere([2 ** 40, 2 ** 40]) },
      {},
      'p',
      /memory can hold/,
    ],
  ])('%s', async (_, code, changes, options, argument, message) => {
    const error = await failure(code, () => solve(changes, options));
    expect(error.message).toMatch(message);
    expect(error.argument).toBe(argument);
  });

  it('in backward, of a solution that was computed on the CPU', async () => {
    using solution = qpSolveBatchSync(problem, { device: 'cpu' });
    const error = await failure('ERR_QP_DEVICE', () => solution.backward({ dz: elsewhere([1, 2]) }));
    expect([error.argument, error.message]).toEqual([
      'dz',
      'dz is on cuda:0; the problem was solved on the CPU',
    ]);
  });
});

describe('what a GPU does not serve yet', () => {
  const unserved: [string, object, object, string][] = [
    ['gl', { gl: [0] }, {}, 'gl'],
    ['lb', { lb: [0, 0] }, {}, 'lb'],
    ['ub', { ub: [9, 9] }, {}, 'ub'],
    ['a problem without Q', { Q: undefined, lb: undefined }, {}, 'Q'],
    ['smoothing', {}, { smoothing: 1e-3 }, 'smoothing'],
    ["infeasible: 'closest'", {}, { infeasible: 'closest' }, 'infeasible'],
    ['warmStart', {}, { warmStart: {} }, 'warmStart'],
  ];

  it.each(unserved)('%s is refused by one that is named', async (what, changes, options, argument) => {
    const error = await failure('ERR_QP_DEVICE', () => solve(changes, { ...options, device: 'cuda' }));
    expect([error.argument, error.message]).toEqual([
      argument,
      `${what} cannot be served by a GPU yet; device 'cuda' was asked for`,
    ]);
  });

  it.each(unserved)(
    '%s is refused by it where data are there, too',
    async (what, changes, options, argument) => {
      const call = () => solve({ p: elsewhere([2]), ...changes }, { ...options, device: 'cuda:0' });
      const error = await failure('ERR_QP_DEVICE', call);
      expect([error.argument, error.message]).toEqual([
        argument,
        `${what} cannot be served by a GPU yet; device 'cuda:0' was asked for`,
      ]);
    },
  );

  it('is what the CPU solves where the choice is free, and the solution says so', () => {
    using solution = qpSolveBatchSync(problem, { smoothing: 1e-3 });
    expect(solution.device).toMatchObject({ name: 'cpu', reason: 'GPUs do not serve smoothing yet.' });
    using bounded = qpSolveBatchSync({ ...problem, lb: [0, 0] });
    expect(bounded.device).toMatchObject({ name: 'cpu', reason: 'GPUs do not serve lb yet.' });
  });
});

describeWithGpu('of a solution that a GPU computed, as it was asked for', () => {
  it.each<[string, (solution: QpSolution) => unknown, string]>([
    ['the gradient of the objective', (s) => s.backward({ dobjective: [1] }), 'dobjective'],
    ['residuals of the gradients', (s) => s.backward({ dz: [1, 0] }, { residuals: true }), 'residuals'],
    ['derivatives along a direction', (s) => s.jvp({ dp: [1, 0] }), 'tangents'],
    ['a warm start on the CPU', (s) => qpSolveBatch(problem, { warmStart: s, device: 'cpu' }), 'warmStart'],
  ])('%s is refused', async (_, call, argument) => {
    using solution = qpSolveBatchSync(problem, { device: 'cuda' });
    expect((await failure('ERR_QP_DEVICE', () => call(solution))).argument).toBe(argument);
  });

  it('the margin and the kind of derivative are those of the CPU', () => {
    using solution = qpSolveBatchSync(problem, { device: 'cuda' });
    using known = qpSolveBatchSync(problem, { device: 'cpu' });
    expect(solution.margin[0]).toBeCloseTo(known.margin[0]!, 9);
    expect(solution.derivative).toEqual(known.derivative);
  });
});

describe("output: 'device'", () => {
  it('is refused by the CPU', async () => {
    const options = { device: 'cpu', output: 'device' } as const;
    const error = await failure('ERR_QP_DEVICE', () => qpSolveBatch(problem, options));
    expect([error.argument, error.message]).toEqual([
      'output',
      "output is 'device', which needs a GPU: the CPU was asked for",
    ]);
  });

  it('is refused by backward of a solution that was computed on the CPU', async () => {
    using solution = qpSolveBatchSync(problem, { device: 'cpu' });
    const error = await failure('ERR_QP_DEVICE', () =>
      solution.backwardSync({ dz: [1, 0] }, { output: 'device' }),
    );
    expect(error.argument).toBe('output');
  });

  it.each(['gpu', 'cuda:0', null, true])('may not be %p', async (output) => {
    using solution = qpSolveBatchSync(problem);
    expect((await failure('ERR_QP_OPTION', () => solve({}, { output }))).message).toMatch(
      /expected one of 'host', 'device'/,
    );
    const backward = () => solution.backwardSync({ dz: [1, 0] }, { output } as object);
    expect((await failure('ERR_QP_OPTION', backward)).argument).toBe('output');
  });
});

describe('toDevice refuses', () => {
  it.each<[string, QpErrorCode, unknown, unknown, RegExp]>([
    ['the CPU', 'ERR_QP_OPTION', [1], 'cpu', /device is "cpu"; expected 'cuda'/],
    ['to choose', 'ERR_QP_OPTION', [1], 'auto', /device is "auto"; expected 'cuda'/],
    ['an unknown device', 'ERR_QP_OPTION', [1], 'gpu', /device is "gpu"/],
    ['a GPU that is not there', 'ERR_QP_DEVICE', [1], 'cuda:99', /device 'cuda:99' cannot be used: /],
    ['nothing', 'ERR_QP_ARGUMENT', undefined, 'cuda', /values is undefined/],
    ['ragged rows', 'ERR_QP_SHAPE', [[1], [1, 2]], 'cuda', /ragged/],
    [
      'rows of both kinds',
      'ERR_QP_DTYPE',
      [new Float64Array(1), new Float32Array(1)],
      'cuda',
      /^values\[1\] is a Float32Array; expected a Float64Array/,
    ],
    ['integers of another type', 'ERR_QP_DTYPE', new Int32Array(2), 'cuda', /Int32Array/],
    ['a shape of another size', 'ERR_QP_SHAPE', { data: [1, 2], shape: [3] }, 'cuda', /2 elements/],
  ])('%s', async (_, code, values, device, message) => {
    const error = await failure(code, () => toDeviceSync(values as number[], device as 'cuda'));
    expect(error.message).toMatch(message);
    const promised = await failure(code, () => toDevice(values as number[], device as 'cuda'));
    expect(promised.message).toBe(error.message);
  });
});

describeWithoutGpu('without a GPU', () => {
  const reason = devices()
    .map((device) => (device.usable ? '' : device.reason))
    .join('');

  it('there is one entry for CUDA, with the reason in one sentence', () => {
    expect(devices()).toHaveLength(2);
    expect(devices()[1]).toMatchObject({ name: 'cuda', usable: false });
    expect(reason).toMatch(/^[A-Z](?:[^.]|\.\d)+\.$/);
  });

  it('the CPU solves, and says why', () => {
    using solution = qpSolveBatchSync(problem);
    const { device } = solution;
    expect(device.name).toBe('cpu');
    expect(device.reason).toMatch(/^No GPU can be used: (?:[^.]|\.\d)+\.$/);
    expect(device.reason.slice(-20)).toBe(reason.slice(-20));
  });

  it.each<[string, () => unknown, string]>([
    ['a device by name', () => qpSolveBatch(problem, { device: 'cuda' }), 'device'],
    ['output on the device', () => qpSolveBatch(problem, { output: 'device' }), 'output'],
    ['data on a device', () => qpSolveBatch({ ...problem, h: elsewhere([1]) }), 'h'],
    ['toDevice', () => toDevice([1, 2]), 'device'],
    ['toDeviceSync', () => toDeviceSync([1, 2]), 'device'],
  ])('%s is refused, with that reason', async (_, call, argument) => {
    const error = await failure('ERR_QP_DEVICE', call);
    expect(error.message.slice(-20)).toBe(reason.slice(0, -1).slice(-20));
    expect(error.argument).toBe(argument);
  });
});

// What the machine has can be chosen only where it is emulated.
const describeEmulated = gpu?.gpu === 'Emulated GPU' ? describe : describe.skip;

describeEmulated('the same addon, on a machine without (needs an emulated one)', () => {
  const script = `
    const { devices, qpSolveBatchSync } = require('optnet');
    const solved = (options) => {
      const solution = qpSolveBatchSync({ Q: [[2]], p: [-4], G: [[1]], h: [1] }, options);
      return [solution.device.name, solution.z.data[0].toFixed(6)];
    };
    const [, cuda] = devices();
    console.log(JSON.stringify({ cuda, auto: solved(), cpu: solved({ device: 'cpu' }) }));`;

  it.each<[string, Record<string, string>, DeviceObstacle, RegExp]>([
    ['a driver', { OPTNET_EMULATED_DRIVER: '0' }, 'noDriver', /^No NVIDIA driver was found\.$/],
    [
      'a driver that is new enough',
      { OPTNET_EMULATED_DRIVER: '12020' },
      'driverTooOld',
      /^The NVIDIA driver supports CUDA 12\.2, this build needs \d+\.\d+: update it\.$/,
    ],
    [
      'a GPU',
      { OPTNET_EMULATED_DEVICES: '0' },
      'noGpu',
      /^The NVIDIA driver finds no GPU that it may use\.$/,
    ],
    [
      'a GPU that is new enough',
      { OPTNET_EMULATED_COMPUTE_CAPABILITY: '61' },
      'tooOld',
      /^The GPU is too old: it has compute capability 6\.1, and 7\.5 is the oldest that works\.$/,
    ],
  ])('%s: the CPU serves, and the reason is one sentence', async (_, env, obstacle, reason) => {
    const { stdout, stderr, exitCode } = await runNode(script, { env });
    expect([stderr, exitCode]).toEqual(['', 0]);
    const { cuda, auto, cpu } = JSON.parse(stdout) as Record<string, { usable: boolean; reason: string }>;
    expect(cuda).toMatchObject({ usable: false, obstacle });
    expect(cuda!.reason).toMatch(reason);
    expect([auto, cpu]).toEqual([
      ['cpu', '1.000000'],
      ['cpu', '1.000000'],
    ]);
  });

  it('cuBLAS: what needs no library is solved on the GPU, and devices() says what is missing', async () => {
    const { stdout, stderr, exitCode } = await runNode(script, { env: { OPTNET_EMULATED_LIBRARIES: '0' } });
    expect([stderr, exitCode]).toEqual(['', 0]);
    const { cuda, auto, cpu } = JSON.parse(stdout) as Record<string, { usable: boolean; libraries: string }>;
    expect(cuda).toMatchObject({
      usable: true,
      loaded: [],
      libraries: expect.stringMatching(/^cuBLAS [^.]+\.$/) as string,
    });
    expect([auto, cpu]).toEqual([
      ['cuda:0', '1.000000'],
      ['cpu', '1.000000'],
    ]);
  });
});
