import {
  DeviceTensor,
  devices,
  qpSolveBatch,
  qpSolveBatchSync,
  tensor,
  toDevice,
  toDeviceSync,
} from '../../lib/index.js';
import type { DType, QpProblem, Tensor } from '../../lib/index.js';
import { describeWithGpu, raw } from '../support/devices.js';
import { failure } from '../support/errors.js';
import { runNode } from '../support/node.js';
import { randomProblem } from '../support/problems.js';
import type { TensorProblem } from '../support/problems.js';

const names = ['Q', 'p', 'G', 'h', 'A', 'b'] as const;
const results = ['z', 'lambda', 'nu', 'slack'] as const;

/** A problem with the named data on the GPU. */
function placed(problem: TensorProblem, which: readonly string[]): QpProblem<'float64'> {
  const data: Record<string, unknown> = { ...problem };
  for (const name of which) data[name] = toDeviceSync(problem[name as 'Q']);
  return data as unknown as QpProblem<'float64'>;
}

/** Everything that was put on the GPU, back in host memory. */
function hosted(tensors: object): Record<string, Tensor> {
  const entries = Object.entries(tensors) as [string, DeviceTensor][];
  return Object.fromEntries(entries.map(([name, one]) => [name, one.toHostSync()]));
}

const pick = <T extends object>(from: T, keys: readonly (keyof T)[]) =>
  Object.fromEntries(keys.map((key) => [key, from[key]]));

describeWithGpu('a tensor on a GPU', (gpu) => {
  it.each<[string, () => Tensor]>([
    ['float64', () => tensor([[1, 2, 3], [4, 5, NaN]])], // prettier-ignore
    ['float32', () => tensor(Float32Array.of(0.1, -0, 3e38, 1e-40), [2, 2])],
    ['a number', () => tensor(Float64Array.of(7), [])],
    ['nothing', () => tensor([], [0, 5])],
    [
      'many numbers',
      () =>
        tensor(
          Float64Array.from({ length: 4e4 }, (_, i) => i),
          [200, 200],
        ),
    ],
  ])('comes back as it was: %s', async (_, make) => {
    const given = make();
    using there = await toDevice<DType>(given);
    expect([there.dtype, there.shape, there.device]).toEqual([given.dtype, given.shape, gpu.name]);
    expect(await there.toHost()).toEqual(given);
    using again = toDeviceSync<DType>(given, gpu.name);
    expect(again.toHostSync()).toEqual(given);
    expect(again.pointer === there.pointer).toBe(given.data.length === 0);
  });

  it('is made of whatever can stand for a tensor', async () => {
    const forms = [[1, 2], Float64Array.of(1, 2), { data: [1, 2], shape: [2] }, tensor([1, 2])];
    for (const form of forms) {
      using there = await toDevice(form as number[]);
      expect(there.toHostSync()).toEqual(tensor([1, 2]));
    }
    using rows = await toDevice([Float32Array.of(1, 2), Float32Array.of(3, 4)]);
    expect(rows.toHostSync()).toEqual(tensor(Float32Array.of(1, 2, 3, 4), [2, 2]));
  });

  it('has a copy: the numbers may be changed, or their buffer transferred, at once', async () => {
    const data = Float64Array.of(1, 2, 3);
    const promise = toDevice(data);
    data.fill(0);
    structuredClone(data, { transfer: [data.buffer] });
    using there = await promise;
    expect((await there.toHost()).data).toEqual(Float64Array.of(1, 2, 3));
  });

  it('stays the same when it is there already; memory of other code is copied', async () => {
    using there = await toDevice([1, 2, 3]);
    expect(await toDevice(there)).toBe(there);
    expect(toDeviceSync(there, gpu.name)).toBe(there);
    using copied = await toDevice(raw(there));
    using again = toDeviceSync(raw(there));
    for (const copy of [copied, again]) {
      expect(copy).not.toBe(there);
      expect(copy.toHostSync()).toEqual(there.toHostSync());
    }
  });

  it('cannot be changed in shape', () => {
    using there = toDeviceSync([1, 2, 3]);
    expect(Object.isFrozen(there.shape)).toBe(true);
  });

  it('can be disposed of, once or twice, by `using` too, and then says so', async () => {
    let kept: DeviceTensor<'float64'>;
    {
      using there = toDeviceSync([1, 2]);
      kept = there;
      expect(kept.disposed).toBe(false);
    }
    kept.dispose();
    expect(kept.disposed).toBe(true);
    await failure('ERR_QP_DISPOSED', () => kept.pointer);
    await failure('ERR_QP_DISPOSED', () => kept.toHost());
    await failure('ERR_QP_DISPOSED', () => kept.toHostSync());
    await failure('ERR_QP_DISPOSED', () => toDevice(kept));
    const problem = { Q: [[1, 0], [0, 1]], p: [1, 2] }; // prettier-ignore
    for (const solve of [qpSolveBatch, qpSolveBatchSync]) {
      const error = await failure('ERR_QP_DISPOSED', () => solve({ ...problem, p: kept }));
      expect([error.argument, error.message]).toEqual(['p', 'p was disposed of, and its memory with it']);
    }
    using solution = qpSolveBatchSync(problem, { device: gpu.name });
    const error = await failure('ERR_QP_DISPOSED', () => solution.backward({ dz: kept }));
    expect(error.argument).toBe('dz');
  });

  it('is kept by the calls that use it', async () => {
    const numbers = tensor(Float64Array.from({ length: 2e4 }, (_, i) => i));
    const there = await toDevice(numbers);
    const coming = there.toHost();
    there.dispose();
    expect(await coming).toEqual(numbers);

    const problem = randomProblem({ batch: 20, n: 8, m: 6, q: 2 }, 4);
    const expected = qpSolveBatchSync(problem, { device: gpu.name });
    const onGpu = placed(problem, names);
    const solving = qpSolveBatch(onGpu);
    for (const name of names) (onGpu[name] as DeviceTensor).dispose();
    const { z } = await solving;
    expect(z).toEqual(expected.z);
  });
});

describeWithGpu('a problem with data on a GPU', (gpu) => {
  const problem = randomProblem({ batch: 6, n: 7, m: 5, q: 2 }, 11);
  const shared = randomProblem({ batch: 6, n: 7, m: 5, q: 2 }, 12, true);

  it.each([...names.map((name) => [name]), ['Q', 'G', 'A'], ['p', 'h', 'b'], [...names]])(
    'has the results that it has with host data: %s',
    async (...which) => {
      for (const given of [problem, shared]) {
        using expected = qpSolveBatchSync(given, { device: gpu.name });
        using solution = await qpSolveBatch(placed(given, which));
        expect(pick(solution, [...results, 'objective', 'iterations', 'status', 'residuals'])).toEqual(
          pick(expected, [...results, 'objective', 'iterations', 'status', 'residuals']),
        );
        const dz = expected.z;
        expect(await solution.backward({ dz })).toEqual(await expected.backward({ dz }));
        expect(solution.backwardSync({ dz: toDeviceSync(dz) })).toEqual(expected.backwardSync({ dz }));
      }
    },
  );

  it('is solved there, and says why', () => {
    using p = toDeviceSync(problem.p);
    using solution = qpSolveBatchSync({ ...problem, p });
    expect(solution.device).toEqual({
      name: gpu.name,
      gpu: gpu.gpu,
      backend: expect.stringMatching(/^(lanes|block|library)$/) as unknown,
      reason: `p is on ${gpu.name}.`,
    });
  });

  it('is refused by the CPU, which would have to copy it', async () => {
    using p = toDeviceSync(problem.p);
    const error = await failure('ERR_QP_DEVICE', () => qpSolveBatch({ ...problem, p }, { device: 'cpu' }));
    expect([error.argument, error.message]).toEqual([
      'p',
      `p is on ${gpu.name}; expected it in host memory, or on device 'cpu'`,
    ]);
    using onCpu = qpSolveBatchSync(problem, { device: 'cpu' });
    using dz = toDeviceSync(onCpu.z);
    expect((await failure('ERR_QP_DEVICE', () => onCpu.backward({ dz }))).argument).toBe('dz');
  });

  it('may have other CUDA code as the owner', async () => {
    const tensors = names.map((name) => toDeviceSync(problem[name]));
    const given = Object.fromEntries(names.map((name, i) => [name, raw(tensors[i]!)]));
    using expected = qpSolveBatchSync(problem, { device: gpu.name });
    using solution = await qpSolveBatch(given as unknown as QpProblem<'float64'>);
    expect(solution.z).toEqual(expected.z);
    using dz = toDeviceSync(expected.z);
    expect(await solution.backward({ dz: raw(dz) })).toEqual(await expected.backward({ dz: expected.z }));
    for (const one of tensors) one.dispose();
  });

  it('is refused where an address is not that of so much memory', async () => {
    using p = toDeviceSync(problem.p);
    using solution = qpSolveBatchSync(problem, { device: gpu.name });
    for (const change of [{ pointer: 4096n }, { pointer: p.pointer + 2n ** 45n }]) {
      const wrong = { ...raw(p), ...change };
      const error = await failure('ERR_QP_DEVICE', () => qpSolveBatchSync({ ...problem, p: wrong }));
      expect(error.argument).toBe('p');
      expect((await failure('ERR_QP_DEVICE', () => solution.backward({ dz: wrong }))).argument).toBe('dz');
    }
    using after = qpSolveBatchSync({ ...problem, p });
    expect(after.z).toEqual(solution.z);
  });

  it('is refused where it is not finite, not symmetric or not convex, as with host data', async () => {
    const changed = (name: 'Q' | 'h', index: number, value: number) => {
      const data = problem[name].data.slice();
      data[index] = value;
      return { ...problem, [name]: toDeviceSync(tensor(data, problem[name].shape)) };
    };
    const nan = await failure('ERR_QP_NOT_FINITE', () => qpSolveBatch(changed('h', 3 * 5 + 1, NaN)));
    expect([nan.argument, nan.index]).toEqual(['h', 3]);
    const skew = await failure('ERR_QP_NOT_SYMMETRIC', () => qpSolveBatch(changed('Q', 2 * 49 + 1, 9)));
    expect([skew.argument, skew.index]).toEqual(['Q', 2]);
    const concave = await failure('ERR_QP_NOT_CONVEX', () => qpSolveBatch(changed('Q', 4 * 49 + 8, -9)));
    expect([concave.argument, concave.index]).toEqual(['Q', 4]);
    using solution = qpSolveBatchSync(problem, { device: gpu.name });
    using dz = toDeviceSync(tensor(Float64Array.of(...solution.z.data.slice(1), Infinity), [6, 7]));
    const upstream = await failure('ERR_QP_NOT_FINITE', () => solution.backward({ dz }));
    expect([upstream.argument, upstream.index]).toEqual(['dz', 5]);
  });

  it('is refused where dtypes are mixed', async () => {
    using p = toDeviceSync(Float32Array.from(problem.p.data.slice(0, 7)));
    const error = await failure('ERR_QP_DTYPE', () => qpSolveBatch({ ...problem, p } as never));
    expect(error.message).toMatch(/p is float32; expected float64, as Q is/);
    using single = qpSolveBatchSync({ Q: [[1]], p: toDeviceSync(Float32Array.of(-3)) });
    expect(single.z).toEqual({ dtype: 'float32', shape: [1, 1], data: Float32Array.of(3) });
  });
});

describeWithGpu('results on a GPU', (gpu) => {
  const problem = randomProblem({ batch: 6, n: 7, m: 5, q: 2 }, 21);
  const { Q, p, G, h } = problem;
  const onGpu = { device: gpu.name, output: 'device' } as const;

  it.each([
    ['all data', problem],
    ['no equalities', { Q, p, G, h }],
    ['no constraints', { Q, p }],
  ])('are those that host memory gets: %s', async (_, given) => {
    using expected = await qpSolveBatch(given, { device: gpu.name });
    using solution = await qpSolveBatch(given, onGpu);
    using sync = qpSolveBatchSync(given, onGpu);
    for (const { z, lambda, nu, slack, objective, residuals, status } of [solution, sync]) {
      expect(z).toBeInstanceOf(DeviceTensor);
      expect(hosted({ z, lambda, nu, slack })).toEqual(pick(expected, results));
      expect({ objective, residuals, status }).toEqual(pick(expected, ['objective', 'residuals', 'status']));
    }
    const gradients = await expected.backward({ dz: expected.z });
    expect(hosted(await solution.backward({ dz: expected.z }))).toEqual(gradients);
    expect(hosted(sync.backwardSync({ dz: solution.z }))).toEqual(gradients);
  });

  it('are where backward is told to put them', async () => {
    using inHost = qpSolveBatchSync(problem, { device: gpu.name });
    using there = qpSolveBatchSync(problem, onGpu);
    const { z: dz } = inHost;
    const expected = inHost.backwardSync({ dz }, { wrt: ['p', 'A'] });
    const dp: DeviceTensor<'float64'> = inHost.backwardSync({ dz }, { output: 'device', wrt: ['p'] }).dp;
    expect(dp.toHostSync()).toEqual(expected.dp);
    const { dA }: { dA: Tensor<'float64'> } = await there.backward({ dz }, { wrt: ['A'], output: 'host' });
    expect(dA).toEqual(expected.dA);
  });

  it('have their types: what is on a GPU has no data to look at', () => {
    using inHost = qpSolveBatchSync(problem);
    using there = qpSolveBatchSync(problem, onGpu);
    const data: Float64Array = inHost.z.data;
    expect(data).toHaveLength(42);
    // @ts-expect-error: a DeviceTensor
    expect(there.z.data).toBeUndefined();
    const pointer: bigint = there.z.pointer;
    expect(pointer).not.toBe(0n);
  });

  it('go on into the next call without being in host memory', async () => {
    const step = (p: Tensor<'float64'>) => qpSolveBatchSync({ ...problem, p }, { device: gpu.name }).z;
    const expected = step(step(step(p)));
    let current = await toDevice(p);
    for (let i = 0; i < 3; i++) {
      using solution = await qpSolveBatch({ ...problem, p: current }, { output: 'device' });
      current.dispose();
      current = solution.z;
    }
    expect(await current.toHost()).toEqual(expected);
  });

  it('outlive the solution', async () => {
    using inHost = qpSolveBatchSync(problem, { device: gpu.name });
    const solution = await qpSolveBatch(problem, onGpu);
    const { dp } = await solution.backward({ dz: solution.z });
    solution.dispose();
    expect(await solution.z.toHost()).toEqual(inHost.z);
    expect(await dp.toHost()).toEqual(inHost.backwardSync({ dz: inHost.z }).dp);
  });

  it('are there for many calls at the same time', async () => {
    using expected = qpSolveBatchSync(problem, { device: gpu.name });
    const gradients = expected.backwardSync({ dz: expected.z });
    const all = await Promise.all(Array.from({ length: 8 }, () => qpSolveBatch(problem, onGpu)));
    const backward = await Promise.all(all.map((solution) => solution.backward({ dz: solution.z })));
    for (const one of backward) expect(hosted(one)).toEqual(gradients);
  });
});

describeWithGpu('a call on a GPU', (gpu) => {
  const problem = randomProblem({ batch: 40, n: 12, m: 9, q: 2 }, 31);

  it('reports progress at least at its end', async () => {
    const reports: unknown[] = [];
    const onProgress = (progress: unknown) => reports.push(progress);
    (await qpSolveBatch(problem, { device: gpu.name, onProgress })).dispose();
    expect(reports.at(-1)).toEqual({ solved: 40, batch: 40 });
  });

  it('can be aborted', async () => {
    const controller = new AbortController();
    const solving = qpSolveBatch(problem, { output: 'device', device: gpu.name, signal: controller.signal });
    controller.abort('enough');
    expect((await failure('ERR_QP_ABORTED', () => solving)).cause).toBe('enough');
    using solution = await qpSolveBatch(problem, { device: gpu.name });
    expect(solution.allSolved).toBe(true);
  });

  it('leaves the event loop to others', async () => {
    const small = randomProblem({ batch: 10, n: 24, m: 24, q: 4 }, 32);
    const calls = 20;
    const turnsWhileSolving = async () => {
      let [turns, running] = [0, true];
      const turn = () => {
        turns++;
        if (running) setImmediate(turn);
      };
      const solving = Array.from({ length: calls }, () => qpSolveBatch(small, { device: gpu.name }));
      turn();
      await Promise.all(solving);
      running = false;
      return turns;
    };
    // Calls that blocked would leave it one turn each. A fast GPU may be done before a busy machine has come to more: again.
    let most = 0;
    for (let round = 0; round < 10 && most <= calls; round++)
      most = Math.max(most, await turnsWhileSolving());
    expect(most).toBeGreaterThan(calls);
  });
});

describeWithGpu('memory of a GPU stays bounded', (gpu) => {
  const held = () => {
    const found = devices().find(({ name }) => name === gpu.name);
    return found?.usable && found.name !== 'cpu' ? found.memoryHeld : NaN;
  };
  const problem = randomProblem({ batch: 16, n: 6, m: 6, q: 2 }, 41);
  const numbers = new Float64Array(1e5);

  it.each<[string, () => Promise<void>]>([
    ['over tensors that are disposed of', async () => (await toDevice(numbers)).dispose()],
    ['over solutions that are disposed of', async () => {
      using solution = await qpSolveBatch(problem, { device: gpu.name, output: 'device' });
      const gradients = await solution.backward({ dz: solution.z });
      const { z, lambda, nu, slack } = solution;
      for (const one of [z, lambda, nu, slack, ...Object.values(gradients)]) one.dispose();
    }], // prettier-ignore
    ['over calls that fail', async () => {
      const wrong = { ...problem, h: tensor(problem.h.data.map(() => NaN), [16, 6]) };
      await failure('ERR_QP_NOT_FINITE', () => qpSolveBatch(wrong, { device: gpu.name, output: 'device' }));
    }], // prettier-ignore
  ])('%s', async (_, step) => {
    for (let i = 0; i < 3; i++) await step();
    const before = held();
    for (let i = 0; i < 20; i++) await step();
    expect(held()).toBeLessThanOrEqual(before);
  });

  it('over tensors that are left to the garbage collector', async () => {
    const { stdout, stderr } = await runNode(
      `const { devices, toDevice } = require('optnet');
       const held = () => devices().find(({ name }) => name === ${JSON.stringify(gpu.name)}).memoryHeld;
       (async () => {
         const numbers = new Float64Array(1e6);
         let most = 0;
         for (let i = 0; i < 60; i++) {
           await toDevice(numbers, ${JSON.stringify(gpu.name)});
           if (i % 5 === 0) global.gc();
           await new Promise(setImmediate);
           most = Math.max(most, held());
         }
         console.log(Math.ceil(most / 8e6));
       })();`,
      { flags: ['--expose-gc'] },
    );
    expect(stderr).toBe('');
    expect(Number(stdout)).toBeLessThan(30);
  });

  it('when a worker thread is terminated in the middle of calls', async () => {
    const worker = `
      const { qpSolveBatch, toDeviceSync } = require('optnet');
      const { parentPort } = require('node:worker_threads');
      const eye = Array.from({ length: 12 }, (_, i) => Array.from({ length: 12 }, (_, j) => +(i === j)));
      const p = toDeviceSync(Array.from({ length: 24 }, () => eye[0]));
      const next = async () => {
        const { z } = await qpSolveBatch({ Q: eye, p, G: eye, h: eye[1] }, { output: 'device' });
        parentPort.postMessage('one more');
        await z.toHost();
        return next();
      };
      for (let i = 0; i < 4; i++) next();`;
    const { stdout, stderr, exitCode } = await runNode(`
      const { Worker } = require('node:worker_threads');
      (async () => {
        for (let i = 0; i < 4; i++) {
          const worker = new Worker(${JSON.stringify(worker)}, { eval: true });
          await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
          await new Promise((resolve) => setTimeout(resolve, 15 * i));
          await worker.terminate();
        }
        console.log('fine');
      })();`);
    expect({ stdout, stderr, exitCode }).toEqual({ stdout: 'fine\n', stderr: '', exitCode: 0 });
  });
});
