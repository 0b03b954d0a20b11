import { stat } from 'node:fs/promises';
import { setImmediate, setTimeout } from 'node:timers/promises';

import { qpSolveBatch, qpSolveBatchSync } from '../../lib/index.js';
import type { Progress } from '../../lib/index.js';
import { failure } from '../support/errors.js';
import { longProblem } from '../support/long.js';
import { randomProblem } from '../support/problems.js';
import { watchNextSolve } from '../support/watched.js';

const lean = { device: 'cpu', differentiable: false, threads: 1 } as const;

/** Starts solving a batch that is far from its end when `stop` is called. */
function startLong(problem: ReturnType<typeof longProblem>) {
  const controller = new AbortController();
  let hasEnded = false;
  const solving = qpSolveBatch(problem, { ...lean, signal: controller.signal }).finally(() => {
    hasEnded = true;
  });
  const stop = async () => {
    controller.abort();
    await failure('ERR_QP_ABORTED', () => solving);
  };
  return { hasEnded: () => hasEnded, stop };
}

// Whether something waits for a solve shows in the order in which they end, which is the same however busy the machine is:
// the solves here are a hundred times and more as long as what is done beside them.
describe('while a batch is being solved', () => {
  it('the event loop goes on', async () => {
    const { hasEnded, stop } = startLong(longProblem(5000));
    for (let turn = 0; turn < 100; turn++) {
      await setImmediate();
      await setTimeout(1);
    }
    expect(hasEnded()).toBe(false);
    await stop();
  });

  it('files can be read, however many solves are queued', async () => {
    const problem = longProblem(2000);
    const solves = Array.from({ length: 8 }, () => startLong(problem)); // Node has four threads for files
    for (let call = 0; call < 5; call++) await stat(__filename);
    expect(solves.map(({ hasEnded }) => hasEnded())).not.toContain(true);
    await Promise.all(solves.map(({ stop }) => stop()));
  });

  it('progress is reported, forwards, and not too often', async () => {
    const batch = 600;
    const reports: Progress[] = [];
    const { timings } = await qpSolveBatch(longProblem(batch), {
      ...lean,
      onProgress: (progress) => reports.push(progress),
    });
    expect(reports.length).toBeGreaterThan(1);
    // One each 50 ms at most, and one at the end: slower solves have as many more.
    expect(reports.length).toBeLessThanOrEqual(timings.solve / 50 + 2);
    expect(reports.at(-1)).toEqual({ solved: batch, batch });
    const counts = reports.map(({ solved }) => solved);
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
  });

  it('what onProgress throws ends the solve', async () => {
    const mine = new Error('mine');
    const batch = 4000;
    const reports: Progress[] = [];
    const watching = watchNextSolve();
    const solving = qpSolveBatch(longProblem(batch), {
      ...lean,
      onProgress: (progress) => {
        reports.push(progress);
        throw mine;
      },
    });
    await expect(solving).rejects.toBe(mine);
    const { solved, ended } = await watching;
    await ended;
    expect(reports).toHaveLength(1);
    expect(solved()).toBeLessThan(batch / 2);
  });

  it('the data may be changed or transferred', async () => {
    const sizes = { batch: 300, n: 20, m: 20, q: 3 };
    const expected = qpSolveBatchSync(randomProblem(sizes, 9));
    const problem = randomProblem(sizes, 9);
    const solving = qpSolveBatch(problem);
    problem.Q.data.fill(NaN);
    structuredClone(problem.G.data, { transfer: [problem.G.data.buffer as ArrayBuffer] });
    const solution = await solving;
    expect(solution.z).toEqual(expected.z);

    const dz = expected.z.data.slice();
    const differentiating = solution.backward({ dz });
    structuredClone(dz, { transfer: [dz.buffer] });
    expect(await differentiating).toEqual(expected.backwardSync({ dz: expected.z }));
  });

  it('others can be solved, with the same results as alone', async () => {
    const problems = Array.from({ length: 12 }, (_, seed) =>
      randomProblem({ batch: 40, n: 12, m: 9, q: 2 }, seed),
    );
    const together = await Promise.all(problems.map((problem) => qpSolveBatch(problem)));
    together.forEach((solution, i) => expect(solution.z).toEqual(qpSolveBatchSync(problems[i]!).z));
  });
});

describe('aborting', () => {
  it('before the call ends it at once, with the reason as cause', async () => {
    const signal = AbortSignal.abort('changed my mind');
    const error = await failure('ERR_QP_ABORTED', () => qpSolveBatch({ Q: [[1]], p: [1] }, { signal }));
    expect(error.cause).toBe('changed my mind');
    await failure('ERR_QP_ABORTED', () => qpSolveBatchSync({ Q: [[1]], p: [1] }, { signal }));
  });

  it('during the call ends it before its work has stopped, which it does', async () => {
    const batch = 4000;
    const controller = new AbortController();
    const watching = watchNextSolve();
    const solving = qpSolveBatch(longProblem(batch), {
      ...lean,
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('enough')),
    });
    const { solved, ended } = await watching;
    const order: string[] = [];
    void ended.then(() => order.push('the work'));
    const error = await failure('ERR_QP_ABORTED', () => solving);
    order.push('the call');
    expect((error.cause as Error).message).toBe('enough');
    await ended;
    expect(order).toEqual(['the call', 'the work']);
    expect(solved()).toBeGreaterThan(0);
    expect(solved()).toBeLessThan(batch / 2);
  });

  it('after the call does nothing, and leaves no listener', async () => {
    const controller = new AbortController();
    const removed = jest.spyOn(controller.signal, 'removeEventListener');
    const solution = await qpSolveBatch({ Q: [[1]], p: [1] }, { signal: controller.signal });
    controller.abort();
    expect(removed).toHaveBeenCalledTimes(1);
    expect(solution.z.data[0]).toBeCloseTo(-1);
  });
});
