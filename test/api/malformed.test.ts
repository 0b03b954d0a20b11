import { DeviceTensor, QpError, qpSolveBatch, qpSolveBatchSync, tensor } from '../../lib/index.js';
import type { DType, Output, QpSolution } from '../../lib/index.js';
import { uniform } from '../support/random.js';

const rounds = 2000;

class Mine extends Error {}

type Solution = QpSolution<DType, Output>;

type Random = () => number;

const pick = <T>(random: Random, list: readonly T[]): T => list[Math.floor(random() * list.length)]!;

const sizes = {
  Q: [2, 2],
  p: [2],
  G: [3, 2],
  h: [3],
  A: [1, 2],
  b: [1],
  gl: [3],
  lb: [2],
  ub: [2],
} as const;
const values = {
  Q: [2, 0, 0, 3],
  p: [1, -1],
  G: [1, 0, 0, 1, 1, 1],
  h: [1, 1, 1],
  A: [1, -1],
  b: [0],
  gl: [-4, -Infinity, -3],
  lb: [-2, -Infinity],
  ub: [Infinity, 5],
} as const;
const names = Object.keys(sizes) as (keyof typeof sizes)[];

/** What every device solves. */
const plain = { Q: true, p: true, G: true, h: true, A: true, b: true };

const revoked = () => {
  const { proxy, revoke } = Proxy.revocable([], {});
  revoke();
  return proxy;
};

const detached = () => {
  const data = new Float64Array(4);
  structuredClone(data, { transfer: [data.buffer] });
  return data;
};

const cycle = () => {
  const list: unknown[] = [1];
  list[0] = list;
  return list;
};

const resizable = (length: number) =>
  new Float64Array(
    new (ArrayBuffer as new (length: number, options: object) => ArrayBuffer)(length, { maxByteLength: 256 }),
  );

const thrower = () => {
  throw new Mine();
};

/** Values that belong nowhere, made anew for every use. */
const strange: ((random: Random) => unknown)[] = [
  () => undefined,
  () => null,
  () => NaN,
  () => -1,
  () => 1e308,
  () => 3n,
  () => '2',
  () => '__proto__',
  () => true,
  () => Symbol('x'),
  () => () => 1,
  () => ({}),
  () => [],
  () => [[]],
  () => [[], []],
  () => [[[[[[[[[[1]]]]]]]]]],
  () => [1, [2]],
  () => [[1, 2], [3]],
  () => ['1', '2'],
  () => [1n],
  () => [Symbol('x')],
  () => [undefined, null],
  () => new Array<unknown>(4294967295),
  () => [NaN, Infinity],
  () => cycle(),
  () => revoked(),
  () => detached(),
  () => resizable(16),
  () => new Float64Array(3),
  () => new Float32Array(2),
  () => [new Float64Array(2), new Float64Array(2)],
  () => [[new Float64Array(2), new Float64Array(2)]],
  () => [new Float32Array(2)],
  () => [new Float64Array(2), new Float32Array(2)],
  () => [new Float64Array(2), new Float64Array(1)],
  () => [new Float64Array(2), [1, 2], 3],
  () => [new Int32Array(2)],
  () => [detached()],
  () => [new Float64Array(2), resizable(16)],
  () => {
    // A getter that takes the memory of the row before.
    const rows = [new Float64Array(2), new Float64Array(2)];
    return Object.defineProperty(rows, 1, {
      get: () => {
        if (rows[0]!.buffer.byteLength > 0) structuredClone(rows[0], { transfer: [rows[0]!.buffer] });
        return new Float64Array(2);
      },
    });
  },
  () => new Int8Array(4),
  () => new BigInt64Array(4),
  () => new DataView(new ArrayBuffer(8)),
  () => new ArrayBuffer(16),
  () => new Map(),
  () => new Proxy([1, 2], { get: thrower }),
  () =>
    new Proxy([1, 2], {
      get: (target, key) => (key === 'length' ? 2 ** 52 : (Reflect.get(target, key) as unknown)),
    }),
  () =>
    new Proxy([1, 2], {
      get: (target, key) => (key === 'length' ? 'many' : (Reflect.get(target, key) as unknown)),
    }),
  () => new Proxy({}, { ownKeys: thrower, get: thrower }),
  () => new Proxy(new Float64Array(2), {}),
  () => Object.defineProperty(new Float64Array(2), 'length', { value: 1e9 }),
  () => Object.create(Float64Array.prototype) as unknown,
  () => ({ data: new Float64Array(2), shape: [2 ** 31, 2 ** 31] }),
  () => ({ data: new Float64Array(2), shape: [2 ** 40, 2 ** 40] }),
  () => ({ data: new Float64Array(2), shape: [-2] }),
  () => ({ data: new Float64Array(2), shape: [NaN] }),
  () => ({ data: new Float64Array(2), shape: cycle() }),
  () => ({ data: new Float64Array(2), shape: new Array(1e6) }),
  () => ({ data: [1, '2'], shape: [2] }),
  () => ({ data: detached(), shape: [2, 2] }),
  () => ({ data: resizable(32), shape: [2, 2] }),
  () => ({ data: new Float64Array(4), shape: [2, 2], dtype: 'float32' }),
  () => ({ data: new Float64Array(0), shape: [0, 2] }),
  () => ({ get data() { return thrower(); }, shape: [2] }), // prettier-ignore
  () => ({ pointer: 4096n, shape: [2], dtype: 'float64', device: 'cuda:0' }),
  () => ({ pointer: 4096n, shape: [2, 2], dtype: 'float64', device: 'cuda' }),
  () => ({ pointer: 4096n, shape: [1], dtype: 'float64', device: 'cuda:77' }),
  () => ({ pointer: 1n, shape: [2 ** 40, 2 ** 40], dtype: 'float32', device: 'cuda:0' }),
  () => ({ pointer: 2n ** 70n, shape: [2], dtype: 'float64', device: 'cuda:0' }),
  () => ({ pointer: 8, shape: [2], dtype: 'float64', device: 'cuda:0' }),
  () => ({ pointer: 4096n, shape: [2], device: 'cpu' }),
  () => ({ get pointer() { return thrower(); }, shape: [2] }), // prettier-ignore
  () => Object.create(DeviceTensor.prototype) as unknown,
  (random) => tensor(Float64Array.from({ length: 8 }, random), [2, 2, 2]),
  (random) => tensor(Float32Array.from({ length: 4 }, random), [2, 2]),
  (random) => Array.from({ length: Math.floor(random() * 5) }, random),
];

/** Typed arrays in arrays. */
function rows(data: Float64Array | Float32Array, shape: readonly number[]): unknown {
  if (shape.length === 1) return data;
  const size = data.length / shape[0]!;
  return Array.from({ length: shape[0]! }, (_, i) =>
    rows(data.subarray(i * size, (i + 1) * size), shape.slice(1)),
  );
}

/** A datum in a random form, valid on its own. */
function datum(random: Random, name: keyof typeof sizes): unknown {
  const list = [...values[name]];
  const shape = [...sizes[name]];
  const batch = pick(random, [0, 0, 0, 2, 2, 3]);
  const data = Array.from({ length: Math.max(batch, 1) }, () => list).flat();
  const full = batch > 0 ? [batch, ...shape] : shape;
  return pick<() => unknown>(random, [
    () => tensor(data, full),
    () => tensor(data, full, 'float32'),
    () => ({ data: Float64Array.from(data), shape: full }),
    () => ({ data, shape: full }),
    () => rows(Float64Array.from(data), full),
    () => (shape.length === 1 && batch === 0 ? Float64Array.from(data) : tensor(data, full)),
  ])();
}

function malformedProblem(random: Random): unknown {
  if (random() < 0.02) return pick(random, strange)(random);
  const problem: Record<string, unknown> = {};
  const isGeneral = random() < 0.5;
  for (const name of names) {
    if (isGeneral ? random() < 0.9 : name in plain) problem[name] = datum(random, name);
  }
  // Some calls are left as they are: a mixture of shapes, of batches and of dtypes.
  for (let changes = Math.floor(random() * 3); changes > 0; changes--) {
    const name = random() < 0.95 ? pick(random, names) : pick(random, ['gx', 'x', '', 'constructor']);
    if (random() < 0.05) {
      const victim = problem.Q as { data?: Float64Array } | null | undefined;
      // A getter that takes the memory of a datum which was read before it.
      Object.defineProperty(problem, name, {
        enumerable: true,
        get: () => {
          const buffer = victim?.data instanceof Float64Array ? victim.data.buffer : undefined;
          if (buffer instanceof ArrayBuffer) structuredClone(buffer, { transfer: [buffer] });
          return [1, 1];
        },
        configurable: true,
        set: () => undefined,
      });
    } else {
      problem[name] = pick(random, strange)(random);
    }
  }
  return problem;
}

/** To start from: fits some problems. */
let finished: Solution;
beforeAll(() => {
  finished = qpSolveBatchSync({ Q: [[2, 0], [0, 3]], p: [1, -1], G: tensor(values.G, [3, 2]), h: values.h, A: [[1, -1]], b: [0] }, { device: 'cpu' }); // prettier-ignore
});
afterAll(() => finished.dispose());

function malformedOptions(random: Random): unknown {
  if (random() < 0.6) return undefined;
  if (random() < 0.05) return pick(random, strange)(random);
  const keys = [
    'device',
    'output',
    'dtype',
    'precision',
    'tolerance',
    'maxIterations',
    'threads',
    'differentiable',
    'polish',
    'smoothing',
    'infeasible',
    'warmStart',
    'signal',
    'x',
  ];
  const key = pick(random, keys);
  const valid: Record<string, unknown[]> = {
    device: ['auto', 'cpu', 'cuda', 'cuda:1'],
    output: ['host', 'device'],
    dtype: ['float64', 'float32'],
    precision: ['double', 'mixed', 'single'],
    tolerance: [1e-300, 1e-3, 1e300],
    maxIterations: [1, 2 ** 31 - 1],
    threads: [0, 1, 5],
    differentiable: [true, false],
    polish: [true, false],
    smoothing: [1e-300, 1e-3, 1e300],
    infeasible: ['status', 'closest'],
    warmStart: [undefined, finished],
    signal: [AbortSignal.abort(), new AbortController().signal],
    x: [1],
  };
  return { [key]: random() < 0.5 ? pick(random, valid[key]!) : pick(random, strange)(random) };
}

/** Arguments of backward for a solution that is not known yet. */
function malformedBackward(random: Random): (solution: Solution) => [never, never] {
  if (random() < 0.3) return ({ z }) => [{ dz: z } as never, undefined as never];
  const part = pick(random, ['dz', 'dlambda', 'dnu', 'dlambdaGl', 'dlambdaUb', 'dobjective', 'dx']);
  const upstream = random() < 0.1 ? pick(random, strange)(random) : { [part]: pick(random, strange)(random) };
  const wrt = pick<unknown>(random, [
    undefined,
    ['Q'],
    ['Q', 'x'],
    ['A', 'b', 'A'],
    ['gl', 'lb', 'ub'],
    pick(random, strange)(random),
  ]);
  const options = pick<unknown>(random, [undefined, { wrt }, { residuals: true }, wrt]);
  return () => [upstream as never, options as never];
}

function malformedTangents(random: Random): [never, never] {
  const name = pick(random, names);
  const tangents: Record<string, unknown> = random() < 0.5 ? { [`d${name}`]: datum(random, name) } : {};
  if (random() < 0.5) tangents[`d${pick(random, names)}`] = pick(random, strange)(random);
  const options = pick<unknown>(random, [undefined, undefined, {}, { x: 1 }]);
  return [(random() < 0.1 ? pick(random, strange)(random) : tangents) as never, options as never];
}

type Backward = ReturnType<typeof malformedBackward>;

/** A QpError, what the caller's own getters threw, or what using a revoked proxy throws. */
function isAllowed(error: unknown): boolean {
  return error instanceof QpError || error instanceof Mine || /revoked/.test((error as Error).message);
}

it(`every one of ${rounds} malformed calls ends in a QpError or in a valid result`, async () => {
  const random = uniform(20170313);
  const pending: Promise<void>[] = [];
  const ends = { solved: 0, refused: 0, differentiated: 0 };

  const check = (solution: Solution) => {
    const [batch, n] = solution.z.shape as [number, number];
    const z = solution.z instanceof DeviceTensor ? solution.z.toHostSync() : solution.z;
    expect(z.data).toHaveLength(batch * n);
    expect(solution.status).toHaveLength(batch);
    ends.solved++;
  };
  const refuse = (round: number) => (error: unknown) => {
    if (!isAllowed(error)) throw new Error(`round ${round}`, { cause: error });
    ends.refused++;
  };
  const tangents = () => malformedTangents(random);
  const solveAsync = async (problem: never, options: never, backward: Backward, disposed: boolean) => {
    const solution = await qpSolveBatch(problem, options);
    check(solution);
    const gradients = solution.backward(...backward(solution));
    const moved = solution.jvp(...tangents()).catch(refuse(-1));
    if (disposed) solution.dispose();
    await Promise.all([gradients, moved]);
    ends.differentiated++;
  };

  for (let round = 0; round < rounds; round++) {
    const problem = malformedProblem(random) as never;
    const options = malformedOptions(random) as never;
    const backward = malformedBackward(random);
    if (random() < 0.5) {
      pending.push(solveAsync(problem, options, backward, random() < 0.3).catch(refuse(round)));
      if (pending.length % 50 === 0) await Promise.all(pending);
    } else {
      try {
        using solution = qpSolveBatchSync(problem, options);
        check(solution);
        solution.backwardSync(...backward(solution));
        ends.differentiated++;
        solution.jvpSync(...tangents());
      } catch (error) {
        refuse(round)(error);
      }
    }
  }
  await Promise.all(pending);
  expect(ends.refused).toBeGreaterThan(rounds / 2);
  expect(ends.solved).toBeGreaterThan(rounds / 50);
  expect(ends.differentiated).toBeGreaterThan(5);
});
