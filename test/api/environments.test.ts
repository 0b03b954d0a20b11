import { runNode } from '../support/node.js';

/** Runs a script, which must end by itself and well; returns what it printed. */
async function run(script: string, settings?: Parameters<typeof runNode>[1]): Promise<string> {
  const { exitCode, signal, stdout, stderr } = await runNode(script, settings);
  expect({ exitCode, signal, stderr }).toEqual({ exitCode: 0, signal: null, stderr: '' });
  return stdout;
}

/**
 * Defines `problem(batch)`, n = m = 40, and `long()`, which takes the CPU seconds to solve. Batches are smaller where the
 * GPU is an emulated one.
 */
const problems = `
  const { devices, qpSolveBatch, qpSolveBatchSync, tensor } = require('optnet');
  const emulated = devices().some(({ gpu }) => gpu === 'Emulated GPU');
  function problem(most, n = 40) {
    const batch = emulated ? Math.min(most, 4) : most;
    const Q = new Float64Array(batch * n * n), G = new Float64Array(batch * n * n);
    for (let k = 0; k < batch * n * n; k++) {
      Q[k] = k % (n * n) % (n + 1) === 0 ? 2 : 0;
      G[k] = Math.sin(k);
    }
    const vector = (f) => tensor(Float64Array.from({ length: batch * n }, (_, k) => f(k)), [batch, n]);
    const h = vector(() => 0.1);
    return { Q: tensor(Q, [batch, n, n]), p: vector((k) => Math.cos(k)), G: tensor(G, [batch, n, n]), h };
  }
  function long(batch = emulated ? 8 : 30000) {
    const { Q, G } = problem(1, 150);
    const vector = (f) => tensor(Float64Array.from({ length: batch * 150 }, (_, k) => f(k)), [batch, 150]);
    return { Q: tensor(Q.data, [150, 150]), G: tensor(G.data, [150, 150]), p: vector(Math.cos), h: vector(() => 0.1) };
  }
`;

describe('a process', () => {
  it('waits for calls that are running, and then exits by itself', async () => {
    const output = await run(`${problems}
      qpSolveBatch(problem(64)).then(async (solution) => {
        await solution.backward({ dz: solution.z });
        console.log(solution.allSolved);
      });`);
    expect(output).toBe('true\n');
  });

  it('can exit in the middle of a call', async () => {
    await run(`${problems}
      qpSolveBatch(long(), { differentiable: false });
      setTimeout(() => process.exit(0), 50);`);
  });

  it('does not wait, when it exits, for what is left of a call', async () => {
    // Two at once, on a thread each: one has twice the work of the other, and leaves it at its first progress.
    const solve = (share: number, onProgress: string) => `${problems}
      qpSolveBatch(long(${4000 * share}), { device: 'cpu', threads: 1, differentiable: false, onProgress: ${onProgress} });`;
    const order: string[] = [];
    await Promise.all([
      run(solve(1, '() => {}')).then(() => order.push('solved')),
      run(solve(2, '() => process.exit(0)')).then(() => order.push('left')),
    ]);
    expect(order).toEqual(['left', 'solved']);
  });

  it('sees an exception of its own that is thrown after a solve as uncaught', async () => {
    const { exitCode, stderr } = await runNode(`${problems}
      qpSolveBatch(problem(2)).then(() => { throw new Error('mine'); });`);
    expect(exitCode).toBe(1);
    expect(stderr).toMatch(/Error: mine/);
  });

  it('gets the same classes from import and from require', async () => {
    const output = await run(
      `import * as esm from 'optnet';
       import { createRequire } from 'node:module';
       const cjs = createRequire(process.cwd() + '/')('optnet');
       const names = Object.keys(cjs).sort();
       console.log(names.join() === Object.keys(esm).sort().join(), names.every((name) => cjs[name] === esm[name]));
       const solution = await esm.qpSolveBatch({ Q: [[1]], p: [1] });
       console.log(solution instanceof cjs.QpSolution);
       await cjs.qpSolveBatch({}).catch((error) => console.log(error instanceof esm.QpError));`,
      { esm: true },
    );
    expect(output).toBe('true true\ntrue\ntrue\n');
  });

  it('is told what to do when there is no addon for it', async () => {
    const output = await run(`
      process.env.PREBUILDS_ONLY = '1';
      process.env.OPTNET_PREBUILD = require('node:os').tmpdir();
      const { devices, qpSolveBatch } = require('optnet');
      qpSolveBatch({ Q: [[1]], p: [1] }).catch(({ code, message }) => console.log(code, message));
      console.log(devices()[0].usable);`);
    expect(output).toMatch(/^false$/m);
    expect(output).toMatch(/ERR_QP_NATIVE the native addon could not be loaded on /);
    expect(output).toMatch(/tried, in .*:\n.*build\/Release/);
    expect(output).toMatch(/what to do:\n.*npm rebuild optnet/);
  });
});

describe('memory stays bounded', () => {
  const measure = `
    const megabytes = () => process.memoryUsage().rss / 2 ** 20;
    async function grown(step) {
      for (let i = 0; i < 40; i++) await step();
      const before = megabytes();
      for (let i = 0; i < 120; i++) await step();
      console.log(Math.round(megabytes() - before));
    }`;
  // Each round handles about 9 MB of data, gradients and factors: 120 rounds that leak would take 1 GB.
  it.each([
    [
      'asynchronous calls with dispose',
      'const s = await qpSolveBatch(data); await s.backward({ dz: s.z }); s.dispose();',
    ],
    [
      'asynchronous calls without dispose',
      'const s = await qpSolveBatch(data); await s.backward({ dz: s.z });',
    ],
    [
      'synchronous calls with dispose',
      'const s = qpSolveBatchSync(data); s.backwardSync({ dz: s.z }); s.dispose();',
    ],
    [
      'calls that fail',
      'await qpSolveBatch(wrong).catch(() => {}); try { qpSolveBatchSync(wrong); } catch {}',
    ],
    [
      'calls that are aborted',
      'const c = new AbortController(); const r = qpSolveBatch(data, { signal: c.signal }); c.abort(); await r.catch(() => {}); await new Promise(setImmediate);',
    ],
  ])('over %s', async (_, step) => {
    const output = await run(`${problems}${measure}
      const data = problem(128);
      const wrong = problem(128);
      wrong.Q.data[wrong.Q.data.length - 1600] = -1;
      grown(async () => { ${step} });`);
    expect(Number(output)).toBeLessThan(250);
  });
});

describe('a worker thread', () => {
  const inWorker = (body: string, outside: string) => `${problems}
    const { Worker } = require('node:worker_threads');
    const source = ${JSON.stringify(problems)} + ${JSON.stringify(body)};
    ${outside}`;

  it('solves, while the main thread and other workers do the same', async () => {
    const output = await run(
      inWorker(
        `const { parentPort } = require('node:worker_threads');
         qpSolveBatch(problem(64)).then(async (solution) => {
           const { dp } = await solution.backward({ dz: solution.z });
           parentPort.postMessage([solution.z.data, dp.data]);
         });`,
        `const ask = () => new Promise((resolve, reject) => {
           new Worker(source, { eval: true }).on('message', resolve).on('error', reject);
         });
         const own = async () => {
           const solution = await qpSolveBatch(problem(64));
           return [solution.z.data, (await solution.backward({ dz: solution.z })).dp.data];
         };
         Promise.all([ask(), ask(), ask(), own()]).then((all) => {
           console.log(all.every((one) => require('node:util').isDeepStrictEqual(one, all[3])));
         });`,
      ),
    );
    expect(output).toBe('true\n');
  });

  it('can be terminated in the middle of a call', async () => {
    const output = await run(
      inWorker(
        `const data = long();
         qpSolveBatch(data, { differentiable: false });
         for (let i = 0; i < 5; i++) qpSolveBatch(problem(64));
         require('node:worker_threads').parentPort.postMessage('started');`,
        `(async () => {
           for (let i = 0; i < 4; i++) {
             const worker = new Worker(source, { eval: true });
             await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
             await new Promise((resolve) => setTimeout(resolve, 20 * i));
             await worker.terminate();
           }
           console.log((await qpSolveBatch(problem(8))).allSolved);
         })();`,
      ),
    );
    expect(output).toBe('true\n');
  });

  it('can be terminated in the middle of a synchronous call and of a backward', async () => {
    const output = await run(
      inWorker(
        `const { parentPort } = require('node:worker_threads');
         const solution = qpSolveBatchSync(problem(256));
         parentPort.postMessage('started');
         for (;;) { solution.backward({ dz: solution.z }); qpSolveBatchSync(problem(8)); }`,
        `(async () => {
           for (let i = 0; i < 3; i++) {
             const worker = new Worker(source, { eval: true });
             await new Promise((resolve, reject) => worker.on('message', resolve).on('error', reject));
             await new Promise((resolve) => setTimeout(resolve, 30));
             await worker.terminate();
           }
           console.log('fine');
         })();`,
      ),
    );
    expect(output).toBe('fine\n');
  });
});
