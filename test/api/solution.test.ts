import { QpSolution, qpSolveBatch, qpSolveBatchSync, tensor } from '../../lib/index.js';
import type { QpProblem } from '../../lib/index.js';
import { gpu } from '../support/devices.js';
import { failure } from '../support/errors.js';
import { randomProblem } from '../support/problems.js';

// minimise z₁² + z₂² − 2z₁ − 5z₂ subject to z₁ + z₂ ≤ 1: the projection of (1, 2.5) onto the half-plane.
const projection = {
  Q: [
    [2, 0],
    [0, 2],
  ],
  p: [-2, -5],
  G: [[1, 1]],
  h: [1],
};

/** Where the element [i, j] of an n×n matrix has its mirror image. */
const transposed = (index: number, n: number) => {
  const start = index - (index % (n * n));
  const row = Math.floor((index - start) / n);
  return start + (index % n) * n + row;
};

const aString = expect.any(String) as unknown;
const matching = (pattern: RegExp) => expect.stringMatching(pattern) as unknown;

const close = (actual: ArrayLike<number>, expected: number[], digits = 6) => {
  expect(actual).toHaveLength(expected.length);
  expected.forEach((value, i) => expect(actual[i]).toBeCloseTo(value, digits));
};

describe('a solution', () => {
  it('is the one that can be had by hand', async () => {
    using solution = await qpSolveBatch(projection);
    close(solution.z.data, [-0.25, 1.25]);
    close(solution.lambda.data, [2.5]);
    close(solution.slack.data, [0]);
    close(solution.objective, [-4.125]);
    expect(solution.status).toEqual(['solved']);
    expect(solution.allSolved).toBe(true);
    expect(solution.iterations[0]).toBeGreaterThan(0);
  });

  it('has the batch as its first dimension, and width zero for what the problem has not', () => {
    using solution = qpSolveBatchSync({
      Q: projection.Q,
      p: [
        [1, 2],
        [3, 4],
        [5, 6],
      ],
    });
    expect(solution.z.shape).toEqual([3, 2]);
    expect(solution.lambda.shape).toEqual([3, 0]);
    expect(solution.nu.shape).toEqual([3, 0]);
    expect(solution.slack.shape).toEqual([3, 0]);
    expect(solution.residuals.dual).toHaveLength(3);
    close(solution.z.data, [-0.5, -1, -1.5, -2, -2.5, -3]);
  });

  it('takes constraints without rows', () => {
    const none = { G: tensor([], [0, 2]), h: [], A: [], b: tensor([], [0]) };
    using solution = qpSolveBatchSync({ Q: projection.Q, p: projection.p, ...none });
    close(solution.z.data, [1, 2.5]);
    const { dG, dA, dh } = solution.backwardSync({ dz: [1, 0] });
    expect([dG!.shape, dA!.shape, dh!.shape]).toEqual([[0, 2], [0, 2], [0]]);
  });

  it.each([
    'nested arrays',
    'tensors',
    'plain objects',
    'lists with a shape',
    'typed vectors',
    'shared memory',
  ])('does not depend on the form of the data: %s', (form) => {
    const shared = new Float64Array(new SharedArrayBuffer(16));
    shared.set(projection.p);
    const forms: Record<string, Partial<QpProblem>> = {
      'nested arrays': {},
      tensors: { Q: tensor(projection.Q), p: tensor(projection.p) },
      'plain objects': { Q: { data: Float64Array.of(2, 0, 0, 2), shape: [2, 2] } },
      'lists with a shape': { Q: { data: [2, 0, 0, 2], shape: [2, 2] } },
      'typed vectors': { p: Float64Array.of(-2, -5), h: Float64Array.of(1) },
      'shared memory': { p: shared },
    };
    using solution = qpSolveBatchSync({ ...projection, ...forms[form] });
    close(solution.z.data, [-0.25, 1.25]);
  });

  it('is float32 when the data are, or when asked for', () => {
    using fromData = qpSolveBatchSync({ ...projection, p: Float32Array.of(-2, -5) }, { dtype: 'float32' });
    using asked = qpSolveBatchSync(projection, { dtype: 'float32' });
    using inferred = qpSolveBatchSync({ ...projection, p: tensor(Float32Array.of(-2, -5)) });
    for (const { z } of [fromData, asked, inferred]) {
      expect(z.dtype).toBe('float32');
      expect(z.data).toBeInstanceOf(Float32Array);
      close(z.data, [-0.25, 1.25], 5);
    }
  });

  it('satisfies the optimality conditions, and its residuals say so', () => {
    const { Q, p, G, h, A, b } = randomProblem({ batch: 5, n: 6, m: 8, q: 2 }, 1);
    using solution = qpSolveBatchSync({ Q, p, G, h, A, b });
    const at = (array: { data: ArrayLike<number> }, i: number) => array.data[i]!;
    for (let k = 0; k < 5; k++) {
      for (let i = 0; i < 6; i++) {
        let gradient = at(p, k * 6 + i);
        for (let j = 0; j < 6; j++) gradient += at(Q, (k * 6 + i) * 6 + j) * at(solution.z, k * 6 + j);
        for (let j = 0; j < 8; j++) gradient += at(G, (k * 8 + j) * 6 + i) * at(solution.lambda, k * 8 + j);
        for (let j = 0; j < 2; j++) gradient += at(A, (k * 2 + j) * 6 + i) * at(solution.nu, k * 2 + j);
        expect(Math.abs(gradient)).toBeLessThan(1e-6);
      }
      for (let j = 0; j < 8; j++) {
        let slack = at(h, k * 8 + j);
        for (let i = 0; i < 6; i++) slack -= at(G, (k * 8 + j) * 6 + i) * at(solution.z, k * 6 + i);
        expect(at(solution.slack, k * 8 + j)).toBeCloseTo(slack, 6);
        expect(slack).toBeGreaterThan(-1e-6);
      }
    }
    const { primal, dual, gap } = solution.residuals;
    for (const residual of [primal, dual, gap]) expect(Math.max(...residual)).toBeLessThan(1e-6);
  });

  it('stops where it is told to, with a status and not an error', () => {
    using solution = qpSolveBatchSync(randomProblem({ batch: 3, n: 6, m: 8, q: 2 }, 1), { maxIterations: 1 });
    expect(solution.status).toEqual(['maxIterations', 'maxIterations', 'maxIterations']);
    expect(solution.allSolved).toBe(false);
  });

  it('says where it was computed and how long that took', () => {
    using auto = qpSolveBatchSync(projection);
    using asked = qpSolveBatchSync(projection, { device: 'cpu', threads: 1 });
    expect(auto.device).toMatchObject(
      gpu === undefined
        ? { name: 'cpu', instructionSet: aString, reason: matching(/^No GPU can be used: /) }
        : { name: gpu.name, gpu: gpu.gpu, reason: matching(/first that can be used/) },
    );
    expect(asked.device).toMatchObject({ name: 'cpu', reason: matching(/asked for/), threads: 1 });
    expect(auto.timings.total).toBeGreaterThanOrEqual(auto.timings.solve + auto.timings.copy);
    expect(auto.timings.solve).toBeGreaterThan(0);
  });
});

describe('backward', () => {
  const problem = randomProblem({ batch: 2, n: 4, m: 3, q: 1 }, 5);
  const precise = { tolerance: 1e-11 };

  it('gives the derivative that can be had by hand', async () => {
    using solution = await qpSolveBatch(projection, precise);
    const { dp, dh } = await solution.backward({ dz: [1, 0] });
    close(dp.data, [-0.25, 0.25]); // z = −½p − ½(1,1)λ, λ = −(p₁ + p₂ + 2h)/2
    close(dh!.data, [0.5]);
  });

  it('agrees with finite differences in every datum', async () => {
    const weights = tensor([
      [1, -2, 0.5, 1],
      [0.3, 1, -1, 2],
    ]);
    const loss = (changed: QpProblem<'float64'>) => {
      using solution = qpSolveBatchSync(changed, precise);
      return solution.z.data.reduce((sum, z, i) => sum + z * weights.data[i]!, 0);
    };
    using solution = await qpSolveBatch(problem, precise);
    const gradients = await solution.backward({ dz: weights });
    for (const name of ['Q', 'p', 'G', 'h', 'A', 'b'] as const) {
      const { shape, data } = problem[name];
      const gradient = gradients[`d${name}`]!;
      expect(gradient.shape).toEqual(shape);
      for (let i = 0; i < data.length; i += 3) {
        const step = 1e-5;
        const difference = (sign: number) => {
          const moved = data.slice();
          moved[i]! += sign * step;
          if (name === 'Q') moved[transposed(i, 4)] = moved[i]!; // stays symmetric
          return loss({ ...problem, [name]: tensor(moved, shape) });
        };
        const offDiagonal = name === 'Q' && transposed(i, 4) !== i;
        const expected = (difference(1) - difference(-1)) / (2 * step) / (offDiagonal ? 2 : 1);
        expect(gradient.data[i]).toBeCloseTo(expected, 5);
      }
    }
  });

  it('sums the gradients of a datum that the batch shares', () => {
    const shared = { Q: problem.Q.data.slice(0, 16), G: problem.G.data.slice(0, 12) };
    const once = {
      ...problem,
      Q: tensor(shared.Q, [4, 4]),
      G: tensor(shared.G, [3, 4]),
      A: tensor(problem.A.data.slice(0, 4), [1, 4]),
      b: tensor(problem.b.data.slice(0, 1)),
      h: tensor(problem.h.data.slice(0, 3)),
    };
    const twice = Object.fromEntries(
      Object.entries(once).map(([name, { data, shape }]) =>
        name === 'p' ? [name, once.p] : [name, tensor(Float64Array.of(...data, ...data), [2, ...shape])],
      ),
    ) as typeof once;
    const dz = [
      [1, 2, 3, 4],
      [5, 6, 7, 8],
    ];
    const summed = qpSolveBatchSync(once, precise).backwardSync({ dz });
    const each = qpSolveBatchSync(twice, precise).backwardSync({ dz });
    for (const name of ['dQ', 'dG', 'dh', 'dA', 'db'] as const) {
      const { data, shape } = summed[name]!;
      expect(shape).toEqual(once[name.slice(1) as 'Q'].shape);
      const both = each[name]!.data;
      close(
        data,
        Array.from(data, (_, i) => both[i]! + both[i + data.length]!),
        6,
      );
    }
  });

  it('computes what is asked for, in the shapes that were given', async () => {
    using solution = await qpSolveBatch(problem);
    const gradients = await solution.backward({ dz: solution.z }, { wrt: ['b', 'Q', 'b'] });
    expect(Object.keys(gradients).sort()).toEqual(['dQ', 'db']);
    const all = solution.backwardSync({ dlambda: solution.lambda, dnu: solution.nu });
    expect(Object.keys(all)).toEqual(['dQ', 'dp', 'dG', 'dh', 'dA', 'db']);
  });

  it('takes an upstream gradient in any form', () => {
    using solution = qpSolveBatchSync(projection);
    const forms = [[1, 0], [[1, 0]], Float64Array.of(1, 0), tensor([1, 0]), { data: [1, 0], shape: [1, 2] }];
    for (const dz of forms) close(solution.backwardSync({ dz }).dp.data, [-0.25, 0.25]);
  });

  it('is linear in the upstream gradient, whichever part of the solution it belongs to', () => {
    using solution = qpSolveBatchSync(problem);
    const parts = [{ dz: solution.z }, { dlambda: solution.lambda }, { dnu: solution.nu }];
    const sum = parts
      .map((part) => solution.backwardSync(part).dp.data)
      .reduce((a, b) => a.map((x, i) => x + b[i]!));
    const { dp } = solution.backwardSync({ dz: solution.z, dlambda: solution.lambda, dnu: solution.nu });
    close(dp.data, [...sum], 8);
  });

  it('gives the same several times over, also at the same time', async () => {
    using solution = await qpSolveBatch(randomProblem({ batch: 50, n: 20, m: 20, q: 5 }, 3));
    const first = solution.backwardSync({ dz: solution.z });
    const others = await Promise.all(Array.from({ length: 8 }, () => solution.backward({ dz: solution.z })));
    for (const gradients of others) expect(gradients).toEqual(first);
  });

  it.each<[string, Parameters<typeof failure>[0], unknown, unknown, RegExp]>([
    ['nothing', 'ERR_QP_ARGUMENT', undefined, undefined, /upstream is undefined/],
    ['an empty upstream', 'ERR_QP_ARGUMENT', {}, undefined, /at least one of dz, dlambda, dnu/],
    ['only absent parts', 'ERR_QP_ARGUMENT', { dz: null }, undefined, /at least one/],
    ['an unknown part', 'ERR_QP_ARGUMENT', { dx: [1, 0] }, undefined, /unknown key "dx"/],
    [
      'the wrong shape',
      'ERR_QP_SHAPE',
      { dz: [1, 2, 3] },
      undefined,
      /dz has shape \[3\]; expected shape \[1, 2\]/,
    ],
    [
      'the wrong batch',
      'ERR_QP_SHAPE',
      {
        dz: [
          [1, 2],
          [3, 4],
        ],
      },
      undefined,
      /dz has shape \[2, 2\]; expected shape \[1, 2\]/,
    ],
    ['the wrong length', 'ERR_QP_SHAPE', { dz: new Float64Array(3) }, undefined, /3 elements/],
    [
      'another dtype',
      'ERR_QP_DTYPE',
      { dz: new Float32Array(2) },
      undefined,
      /dz is float32; expected float64/,
    ],
    ['NaN', 'ERR_QP_NOT_FINITE', { dz: [1, NaN] }, undefined, /dz of problem 0 is NaN or infinite/],
    [
      'an unknown datum',
      'ERR_QP_ARGUMENT',
      { dz: [1, 0] },
      { wrt: ['x'] },
      /wrt names "x"; expected some of Q, p, G, h/,
    ],
    ['a datum that was not given', 'ERR_QP_ARGUMENT', { dz: [1, 0] }, { wrt: ['A'] }, /wrt names A, which/],
    ['no datum', 'ERR_QP_ARGUMENT', { dz: [1, 0] }, { wrt: [] }, /expected a list of data/],
    ['data that are no list', 'ERR_QP_ARGUMENT', { dz: [1, 0] }, { wrt: 'Q' }, /wrt is "Q"/],
    [
      'an unknown option',
      'ERR_QP_OPTION',
      { dz: [1, 0] },
      { with: ['Q'] },
      /unknown key "with"; expected wrt/,
    ],
    ['options that are no object', 'ERR_QP_ARGUMENT', { dz: [1, 0] }, 'Q', /options is "Q"/],
  ])('refuses %s', async (_, code, upstream, options, message) => {
    using solution = qpSolveBatchSync(projection);
    const sync = await failure(code, () => solution.backwardSync(upstream as never, options as never));
    const async = await failure(code, () => solution.backward(upstream as never, options as never));
    expect(sync.message).toMatch(message);
    expect(async.message).toBe(sync.message);
  });

  it('refuses a solution without factors', async () => {
    using solution = qpSolveBatchSync(projection, { differentiable: false });
    close(solution.z.data, [-0.25, 1.25]);
    const error = await failure(solution.disposed ? 'ERR_QP_DISPOSED' : 'ERR_QP_OPTION', () =>
      solution.backward({ dz: [1, 0] }),
    );
    expect(error.message).toMatch(/differentiable: false/);
  });
});

describe('disposing of a solution', () => {
  it('keeps the results and ends backward', async () => {
    const solution = await qpSolveBatch(projection);
    solution.dispose();
    solution.dispose();
    expect(solution.disposed).toBe(true);
    close(solution.z.data, [-0.25, 1.25]);
    await failure('ERR_QP_DISPOSED', () => solution.backward({ dz: [1, 0] }));
    await failure('ERR_QP_DISPOSED', () => solution.backwardSync({ dz: [1, 0] }));
  });

  it('is what `using` and `await using` do', async () => {
    let first: QpSolution, second: QpSolution;
    {
      using solution = qpSolveBatchSync(projection);
      await using other = await qpSolveBatch(projection);
      [first, second] = [solution, other];
      expect(first.disposed || second.disposed).toBe(false);
    }
    expect(first.disposed && second.disposed).toBe(true);
  });

  it('lets a backward that is running end as it should', async () => {
    const problem = randomProblem({ batch: 200, n: 30, m: 30, q: 5 }, 3);
    const solution = await qpSolveBatch(problem);
    const expected = solution.backwardSync({ dz: solution.z });
    const running = solution.backward({ dz: solution.z });
    solution.dispose();
    expect(await running).toEqual(expected);
  });
});
