import { stat } from 'node:fs/promises';

import { qpSolveBatch, qpSolveBatchSync } from '../../lib/index.js';
import type { Progress } from '../../lib/index.js';
import { failure } from '../support/errors.js';
import { longProblem } from '../support/long.js';
import { randomProblem } from '../support/problems.js';

const lean = { device: 'cpu', differentiable: false } as const;

describe('while a batch is being solved', () => {
  it('the event loop goes on', async () => {
    const problem = longProblem(3.5);
    let last = performance.now();
    let worst = 0;
    let ticks = 0;
    const solving = qpSolveBatch(problem, lean);
    last = performance.now(); // copying the data, which is done now, is not what this is about
    const timer = setInterval(() => {
      const now = performance.now();
      worst = Math.max(worst, now - last);
      last = now;
      ticks++;
    }, 5);
    const { timings } = await solving;
    clearInterval(timer);
    expect(timings.solve).toBeGreaterThan(2000);
    expect(worst).toBeLessThan(250); // blocked, it would be the whole time
    expect(ticks).toBeGreaterThan(timings.solve / 20);
  });

  it('files are as fast as ever, however many solves are queued', async () => {
    const problem = longProblem(0.1);
    const solving = Promise.all(Array.from({ length: 24 }, () => qpSolveBatch(problem, lean)));
    let ended = false as boolean;
    void solving.finally(() => {
      ended = true;
    });
    let worst = 0;
    let calls = 0;
    while (!ended) {
      const start = performance.now();
      await stat(__filename);
      worst = Math.max(worst, performance.now() - start);
      calls++;
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(calls).toBeGreaterThan(20);
    expect(worst).toBeLessThan(250);
  });

  it('progress is reported, forwards, and not too often', async () => {
    const problem = longProblem(1);
    const batch = problem.p.shape[0]!;
    const reports: Progress[] = [];
    const { timings } = await qpSolveBatch(problem, {
      ...lean,
      onProgress: (progress) => reports.push(progress),
    });
    expect(reports.length).toBeGreaterThan(3);
    expect(reports.length).toBeLessThan(timings.solve / 45 + 2);
    expect(reports.at(-1)).toEqual({ solved: batch, batch });
    const counts = reports.map(({ solved }) => solved);
    expect(counts).toEqual([...counts].sort((a, b) => a - b));
  });

  it('what onProgress throws ends the solve', async () => {
    const mine = new Error('mine');
    const solving = qpSolveBatch(longProblem(1), {
      ...lean,
      onProgress: () => {
        throw mine;
      },
    });
    await expect(solving).rejects.toBe(mine);
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

  it('during the call ends it soon, and stops the work', async () => {
    const problem = longProblem(4);
    const controller = new AbortController();
    const start = performance.now();
    const solving = qpSolveBatch(problem, { ...lean, signal: controller.signal });
    setTimeout(() => controller.abort(new Error('enough')), 100);
    const error = await failure('ERR_QP_ABORTED', () => solving);
    expect((error.cause as Error).message).toBe('enough');
    await qpSolveBatch({ Q: [[1]], p: [1] }); // waits behind what is left of the other
    expect(performance.now() - start).toBeLessThan(2000);
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
