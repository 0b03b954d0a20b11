import { execFileSync } from 'node:child_process';
import path from 'node:path';

import * as tf from '@tensorflow/tfjs';

import { qpLayer, type QpLayerData, type QpLayerOptions } from '../lib/tfjs.js';
import { tensor } from '../lib/tensor.js';

// Two problems of three variables; the first inequality of each is active, the second is not.
const Q = [
  [2, 0.5, 0],
  [0.5, 1.5, 0.2],
  [0, 0.2, 1],
];
const p = [
  [-1, 0.3, -0.6],
  [-0.5, -1.2, 0.4],
];
const G = [
  [1, 1, 1],
  [-1, 0.5, -0.3],
];
const h = [-0.4, 3];
const A = [[1, -1, 0.5]];
const b = [[0.2], [-0.1]];
const data = { Q, p, G, h, A, b };

beforeAll(async () => {
  await tf.setBackend('cpu');
  tf.env().set('IS_TEST', true);
});

type Name = keyof typeof data;
const names = Object.keys(data) as Name[];

/** A loss in which every value of z, λ and ν counts differently. */
function weighted(values: tf.Tensor): tf.Scalar {
  const weights = tf.tensor(
    Array.from({ length: values.size }, (_, i) => Math.sin(1 + 2 * i)),
    values.shape,
  );
  return values.mul(weights).add(values.square().mul(0.3)).sum();
}

/** Central differences of a loss that is computed in float32: good to some 1e-3. */
function differences(loss: (values: tf.Tensor) => tf.Scalar, at: tf.Tensor, symmetric: boolean): number[] {
  const values = at.dataSync();
  const n = at.shape.at(-1)!;
  const step = 0.02;
  return Array.from(values, (_, i) => {
    const sides = [step, -step].map((change) => {
      const moved = Float32Array.from(values);
      moved[i]! += change / 2;
      // Q stays symmetric: half of the change goes to each side.
      moved[symmetric ? (i % n) * n + Math.floor(i / n) : i]! += change / 2;
      return loss(tf.tensor(moved, at.shape)).dataSync()[0]!;
    });
    return (sides[0]! - sides[1]!) / (2 * step);
  });
}

describe('gradients agree with finite differences', () => {
  test.each(names)('of %s', (name) => {
    const layer = qpLayer(tf);
    const loss = (values: tf.Tensor) => weighted(layer({ ...data, [name]: values }));
    const at = tf.tensor(data[name]);
    const gradient = tf.grad(loss)(at);
    expect(gradient.shape).toEqual(at.shape);
    expectClose(gradient, differences(loss, at, name === 'Q'));
  });

  test.each(names)('of %s, through the multipliers', (name) => {
    const layer = qpLayer(tf, { multipliers: true });
    const loss = (values: tf.Tensor) => {
      const { z, lambda, nu } = layer({ ...data, [name]: values });
      return weighted(tf.concat([z, lambda, nu], 1)).asScalar();
    };
    const at = tf.tensor(data[name]);
    expectClose(tf.grad(loss)(at), differences(loss, at, name === 'Q'));
  });

  test('of all at once', () => {
    const layer = qpLayer(tf);
    const tensors = names.map((name) => tf.tensor(data[name]));
    const loss = (...values: tf.Tensor[]) =>
      weighted(
        layer(Object.fromEntries(names.map((name, i) => [name, values[i]!])) as unknown as QpLayerData),
      );
    const gradients = tf.grads(loss)(tensors);
    gradients.forEach((gradient, i) => {
      const alone = tf.grad((values) => weighted(layer({ ...data, [names[i]!]: values })))(tensors[i]!);
      expect(gradient.shape).toEqual(tensors[i]!.shape);
      expect([...gradient.dataSync()]).toEqual([...alone.dataSync()]);
    });
  });

  // At the solution one bound of each kind is active.
  const bounded = { Q, p: [-3, 3, 0.2], G: [[0.2, 0.1, 1]], gl: [0.3], lb: [-1, -1, -1], ub: [1, 1, 1] };

  test.each(['p', 'G', 'gl', 'lb', 'ub'] as const)('of %s, where there are bounds', (name) => {
    const layer = qpLayer(tf, { multipliers: true });
    const loss = (values: tf.Tensor) => {
      const { z, lambdaGl, lambdaLb, lambdaUb } = layer({ ...bounded, [name]: values });
      return weighted(tf.concat([z, lambdaGl, lambdaLb, lambdaUb], 1)).asScalar();
    };
    const at = tf.tensor(bounded[name]);
    expectClose(tf.grad(loss)(at), differences(loss, at, false));
  });

  function expectClose(gradient: tf.Tensor, expected: number[]): void {
    const scale = Math.max(...expected.map(Math.abs), 0.1);
    gradient
      .dataSync()
      .forEach((value, i) => expect(Math.abs(value - expected[i]!) / scale).toBeLessThan(5e-3));
  }
});

test('a shared datum gets the sum of the gradients that it would get problem by problem', () => {
  const layer = qpLayer(tf);
  const shared = tf.grad((values) => weighted(layer({ ...data, G: values })))(tf.tensor(G));
  const each = tf.grad((values) => weighted(layer({ ...data, G: values })))(tf.tensor([G, G]));
  expect(each.shape).toEqual([2, 2, 3]);
  const sum = each.sum(0).dataSync();
  shared.dataSync().forEach((value, i) => expect(value).toBeCloseTo(sum[i]!, 5));
});

test('constants may be nested arrays, typed arrays, and tensors of either precision', () => {
  const layer = qpLayer(tf);
  const expected = [...layer(data).dataSync()];
  const kinds: QpLayerData[] = [
    { ...data, Q: tf.tensor(Q), p: tf.tensor(p) },
    { ...data, Q: tensor(Q), h: Float64Array.from(h) },
    { ...data, Q: tensor(Float32Array.from(Q.flat()), [3, 3]), h: Float32Array.from(h) },
    { ...data, b: { data: b.flat(), shape: [2, 1] } },
    { ...data, Q: Q.map((row) => Float64Array.from(row)), b: b.map((row) => Float32Array.from(row)) },
  ];
  for (const kind of kinds) expect([...layer(kind).dataSync()]).toEqual(expected);
});

test('a problem without a batch gives one row, and one without constraints −Q⁻¹p', () => {
  const z = qpLayer(tf)({ Q: [[4]], p: tf.tensor1d([2]) });
  expect(z.shape).toEqual([1, 1]);
  expect(z.dataSync()[0]).toBeCloseTo(-0.5, 6);
});

test('a layer may be a linear program', () => {
  const z = qpLayer(tf)({ p: tf.tensor1d([1, -1]), lb: [0, 0], ub: [1, 2] });
  const [first, second] = z.dataSync();
  expect(first).toBeCloseTo(0, 5);
  expect(second).toBeCloseTo(2, 5);
});

test('a layer learns: the bound of a projection is found from projected points', () => {
  const layer = qpLayer(tf);
  const points = tf.randomNormal([40, 2], 0, 2, 'float32', 7);
  const identity = [
    [1, 0],
    [0, 1],
  ];
  const project = (bound: tf.Tensor | number[]) =>
    layer({ Q: identity, p: points.neg(), G: [[1, 1]], h: bound });
  const wanted = project([0.7]);
  const bound = tf.variable(tf.tensor1d([-1]));
  const optimizer = tf.train.adam(0.1);
  const loss = () => project(bound).sub(wanted).square().mean().asScalar();
  for (let step = 0; step < 200; step++) optimizer.minimize(loss);
  expect(bound.dataSync()[0]).toBeCloseTo(0.7, 2);
});

test('a layer between two dense ones trains the one before it', () => {
  const layer = qpLayer(tf, { threads: 1 });
  const weights = tf.variable(tf.randomNormal([4, 3], 0, 0.3, 'float32', 1));
  const x = tf.randomNormal([16, 4], 0, 1, 'float32', 2);
  const target = tf.softmax(tf.randomNormal([16, 3], 0, 1, 'float32', 3));
  const simplex = {
    Q: [
      [1, 0, 0],
      [0, 1, 0],
      [0, 0, 1],
    ],
    G: [
      [-1, 0, 0],
      [0, -1, 0],
      [0, 0, -1],
    ],
    h: [0, 0, 0],
    A: [[1, 1, 1]],
    b: [1],
  };
  const loss = () =>
    layer({ ...simplex, p: x.matMul(weights).neg() })
      .sub(target)
      .square()
      .mean()
      .asScalar();
  const before = loss().dataSync()[0]!;
  const optimizer = tf.train.adam(0.05);
  for (let step = 0; step < 60; step++) optimizer.minimize(loss);
  expect(loss().dataSync()[0]).toBeLessThan(0.7 * before);
});

test('no tensors are left behind by training steps', () => {
  const layer = qpLayer(tf, { multipliers: true });
  const bound = tf.variable(tf.tensor1d(h));
  const optimizer = tf.train.sgd(0.01);
  const step = () => optimizer.minimize(() => weighted(layer({ ...data, h: bound }).lambda));
  step();
  const before = tf.memory().numTensors;
  for (let i = 0; i < 5; i++) step();
  expect(tf.memory().numTensors).toBe(before);
});

function errorOf(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    return error;
  }
}

describe('a problem that is not solved', () => {
  const options = { maxIterations: 1 };

  test('is an error that names it, by default', () => {
    const layer = qpLayer(tf, options);
    expect(() => layer(data)).toThrow(/problem 0 of 2 ended as 'maxIterations'/);
    expect(errorOf(() => layer(data))).toMatchObject({ code: 'ERR_QP_UNSOLVED', index: 0 });
  });

  test('can be ignored', () => {
    expect(qpLayer(tf, { ...options, onUnsolved: 'ignore' })(data).shape).toEqual([2, 3]);
  });

  test('can be told to a function', () => {
    const statuses: string[][] = [];
    const layer = qpLayer(tf, { ...options, onUnsolved: ({ status }) => statuses.push([...status]) });
    layer(data);
    expect(statuses).toEqual([['maxIterations', 'maxIterations']]);
  });
});

describe('what is wrong is named', () => {
  test.each([
    ['an option', () => qpLayer(tf, { onUnsolved: 'warn' as 'throw' }), 'onUnsolved is "warn"'],
    ['an unknown option', () => qpLayer(tf, { tolerence: 1 } as object)(data), 'unknown key "tolerence"'],
    [
      'a dtype',
      () => qpLayer(tf)({ ...data, h: tf.tensor1d([1, 2], 'int32') }),
      'h is a tensor of dtype int32',
    ],
    ['a shape', () => qpLayer(tf)({ ...data, h: tf.tensor1d([1]) }), 'h has shape'],
    ['a missing datum', () => qpLayer(tf)({ Q: tf.tensor(Q) } as unknown as QpLayerData), 'p is missing'],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(message);
  });

  test('a second derivative', () => {
    const layer = qpLayer(tf);
    const inner = tf.grad((values: tf.Tensor) => weighted(layer({ ...data, p: values })));
    expect(() => tf.grad((values: tf.Tensor) => inner(values).sum())(tf.tensor(p))).toThrow(
      'first derivatives only',
    );
  });
});

test('options that come from elsewhere are taken too, whether or not they ask for multipliers', () => {
  const options: QpLayerOptions[] = [{ tolerance: 1e-9 }, { multipliers: true }];
  const results = options.map((each) => qpLayer(tf, each)(data));
  expect(results.map((result) => ('lambda' in result ? 'all' : 'z'))).toEqual(['z', 'all']);
});

test('optnet/tfjs can be imported by ES modules, and required, with the same function', () => {
  const script = `
    import { qpLayer } from 'optnet/tfjs';
    import { createRequire } from 'node:module';
    const required = createRequire(import.meta.url)('optnet/tfjs');
    console.log(typeof qpLayer, required.qpLayer === qpLayer);
  `;
  const root = path.join(__dirname, '..');
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', script], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(output).toBe('function true\n');
});
