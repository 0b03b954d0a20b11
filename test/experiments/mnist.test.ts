import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { batchOf, drawDigits, loadDigits, PIXELS } from '../../scripts/experiments/mnist/digits.js';
import { mnist } from '../../scripts/experiments/mnist/experiment.js';
import { readIdx } from '../../scripts/experiments/mnist/idx.js';
import { denseNetwork, optNetNetwork } from '../../scripts/experiments/mnist/network.js';
import { INEQUALITIES, optNetInitial, optNetLayer } from '../../scripts/experiments/mnist/optnet-layer.js';
import { DigitTask } from '../../scripts/experiments/mnist/task.js';
import { Random } from '../../scripts/experiments/random.js';
import type { Results } from '../../scripts/experiments/runner/experiment.js';
import { noSolves, Trainer } from '../../scripts/experiments/runner/training.js';
import { startTensorFlow, tf } from '../../scripts/experiments/tensorflow.js';

const { train, test: held } = loadDigits();

beforeAll(startTensorFlow);

describe('the MNIST database', () => {
  test('has 60,000 digits to train and 10,000 to test, each 28×28 grey values', () => {
    expect([train.count, held.count]).toEqual([60_000, 10_000]);
    expect([train.images.length, held.images.length]).toEqual([60_000 * PIXELS, 10_000 * PIXELS]);
  });

  // Known of the database, and printed in many places.
  test('begins with the digits that it is known to begin with', () => {
    expect([...train.labels.subarray(0, 10)]).toEqual([5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    expect([...held.labels.subarray(0, 10)]).toEqual([7, 2, 1, 0, 4, 1, 4, 9, 5, 9]);
  });

  test('has each digit as often as it is known to have', () => {
    const counts = new Array<number>(10).fill(0);
    for (const label of train.labels) counts[label]!++;
    expect(counts).toEqual([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]);
  });

  test('comes to the network with mean 0 and variance 1', () => {
    const greys = new Array<number>(256).fill(0);
    for (const grey of train.images) greys[grey]!++;
    const average = (of: (grey: number) => number): number =>
      greys.reduce((sum, count, grey) => sum + count * of(grey), 0) / train.images.length;
    const mean = average((grey) => grey / 255);
    const deviation = Math.sqrt(average((grey) => (grey / 255 - mean) ** 2));

    const { pixels } = batchOf(train, [0, 1]);
    pixels.forEach((pixel, i) => {
      expect(Math.abs(pixel - (train.images[i]! / 255 - mean) / deviation)).toBeLessThan(1e-3);
    });
  });

  test('comes to the network with labels in one-hot form', () => {
    const { count, oneHot, labels } = batchOf(train, [3, 0, 4]);
    expect({ count, labels: [...labels] }).toEqual({ count: 3, labels: [1, 5, 9] });
    expect(Array.from(oneHot, (value, i) => (value === 1 ? i : -1)).filter((i) => i >= 0)).toEqual([
      1, 15, 29,
    ]);
  });
});

test('digits drawn are distinct, keep their labels, and are others for another seed', () => {
  const drawn = drawDigits(held, 50, Random.seeded(1));
  const key = (images: Uint8Array, i: number) =>
    Buffer.from(images.subarray(i * PIXELS, (i + 1) * PIXELS)).toString('hex');
  const known = new Map(Array.from(held.labels, (label, i) => [key(held.images, i), label]));
  const keys = Array.from(drawn.labels, (_, i) => key(drawn.images, i));
  expect(new Set(keys).size).toBe(50);
  expect(keys.map((each) => known.get(each))).toEqual([...drawn.labels]);
  expect(drawDigits(held, 50, Random.seeded(2)).labels).not.toEqual(drawn.labels);
});

describe('an IDX file', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'optnet-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const written = (bytes: number[]): string => {
    const file = path.join(directory, 'file');
    writeFileSync(file, Uint8Array.from(bytes));
    return file;
  };

  test('is read as its header says', () => {
    const { shape, data } = readIdx(written([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255]));
    expect({ shape, data: [...data] }).toEqual({ shape: [2, 3], data: [1, 2, 3, 4, 5, 255] });
  });

  test.each([
    ['of floats', [0, 0, 13, 1, 0, 0, 0, 1, 0, 0, 0, 0]],
    ['that is cut short', [0, 0, 8, 1, 0, 0, 0, 3, 1, 2]],
  ])('%s is refused', (_, bytes) => {
    expect(() => readIdx(written(bytes))).toThrow(directory);
  });
});

describe('the OptNet layer', () => {
  const initial = optNetInitial(Random.seeded(3));
  // Away from the start, so that every parameter has a part in the solution.
  initial.z0.data.forEach((_, i, z0) => (z0[i] = 0.1 * Math.sin(i)));
  // Large enough that some inequalities are active.
  const incoming = {
    shape: [2, 10],
    data: Float32Array.from({ length: 20 }, (_, i) => 6 * Math.sin(1 + 2 * i)),
  };
  const all = { p: incoming, ...initial };
  type Name = keyof typeof all;

  const loss = (values: Record<Name, tf.Tensor>): tf.Scalar => {
    const z = optNetLayer(noSolves())(values.p as tf.Tensor2D, values);
    const weights = tf.tensor(
      Array.from({ length: 20 }, (_, i) => Math.cos(i)),
      [2, 10],
    );
    return z.mul(weights).sum();
  };

  test.each(['p', 'L', 'G', 'z0', 's0'] as const)(
    'has the gradient of central differences for %s',
    (name) => {
      const tensors = Object.fromEntries(
        Object.entries(all).map(([each, { data, shape }]) => [each, tf.tensor(data, shape)]),
      ) as Record<Name, tf.Tensor>;
      const of = (values: tf.Tensor): tf.Scalar => loss({ ...tensors, [name]: values });
      const gradient = tf.grad(of)(tensors[name]).dataSync<'float32'>();
      const largest = Math.max(...gradient.map(Math.abs));
      expect(largest).toBeGreaterThan(0.01);
      const { data, shape } = all[name];
      const step = 2e-3;
      data.forEach((value, i) => {
        const [below, above] = [-step, step].map((change) => {
          const moved = data.slice();
          moved[i] = value + change;
          return of(tf.tensor(moved, shape)).dataSync()[0]!;
        });
        expect(Math.abs(gradient[i]! - (above! - below!) / (2 * step)) / largest).toBeLessThan(0.02);
      });
    },
  );

  test('keeps within its inequalities, and counts what it solves', () => {
    const health = noSolves();
    const tensors = Object.fromEntries(
      Object.entries(initial).map(([each, { data, shape }]) => [each, tf.tensor(data, shape)]),
    ) as Record<keyof typeof initial, tf.Tensor>;
    const z = optNetLayer(health)(
      tf.tensor2d(
        incoming.data.map((x) => 10 * x),
        [2, 10],
      ),
      tensors,
    );
    const slack = tf.matMul(tensors.G, z.sub(tensors.z0), false, true).neg().add(1).dataSync();
    expect(slack).toHaveLength(2 * INEQUALITIES);
    expect(Math.min(...slack)).toBeGreaterThan(-1e-5);
    expect(Math.min(...slack)).toBeLessThan(1e-5); // p is large: some are active
    expect(health).toEqual({ solves: 2, unsolved: 0, nonFinite: 0 });
  });
});

const digits = {
  train: drawDigits(train, 120, Random.seeded(5)),
  test: drawDigits(held, 40, Random.seeded(6)),
};
const networks = { dense: denseNetwork, optnet: optNetNetwork };
const begin = (name: keyof typeof networks): DigitTask =>
  new DigitTask(networks[name](12, Random.seeded(7)), digits.train, digits.test);

describe.each(['dense', 'optnet'] as const)('the %s network', (name) => {
  const schedule = { epochs: 2, batch: 30, rate: () => 0.01 };
  const finish = async (trainer: Trainer): Promise<Trainer> => {
    const reports = trainer.run();
    while (!(await reports.next()).done);
    return trainer;
  };

  test('learns, and one that was saved within an epoch goes on to the same digits', async () => {
    const whole = await finish(new Trainer(begin(name), schedule, 8));
    const [, first, last] = whole.history;
    expect(last!.train!.loss).toBeLessThan(first!.train!.loss!);

    const stopped = new Trainer(begin(name), schedule, 8);
    const reports = stopped.run();
    for (let i = 0; i < 8; i++) await reports.next(); // epoch 0, the 4 batches of epoch 1, its end, 2 batches
    const snapshot = stopped.save();
    await reports.return();

    const resumed = new Trainer(begin(name), schedule, 8);
    resumed.load(snapshot);
    await finish(resumed);
    expect(resumed.history).toEqual(whole.history);
    expect(resumed.task.save()).toEqual(whole.task.save());
    expect(resumed.task.health).toEqual(whole.task.health);
  });

  test('is as it was after it has said what its last layer does', async () => {
    const { task } = await finish(new Trainer(begin(name), schedule, 8));
    const before = task.save();
    expect(task.outcome!()).toEqual({ errorWithout: expect.any(Number) as number });
    expect(task.save()).toEqual(before);
  });
});

test('both networks begin with the same first layers', () => {
  const [dense, optnet] = [begin('dense').save(), begin('optnet').save()];
  for (const name of ['weights1', 'bias1', 'weights2', 'bias2']) expect(dense[name]).toEqual(optnet[name]);
});

test('the loss is the cross entropy, and its gradient that of central differences', () => {
  const task = begin('dense');
  const arrays = task.save();
  const indices = Uint32Array.from({ length: 20 }, (_, i) => i);
  const lossAt = (change: number): number => {
    const weights3 = arrays.weights3!.slice();
    weights3[17] = weights3[17]! + change;
    task.load({ ...arrays, weights3 });
    return task.trainOn(indices, 0).sums.loss! / 20;
  };
  const difference = (lossAt(0.05) - lossAt(-0.05)) / 0.1;
  task.load(arrays);
  task.trainOn(indices, 0);
  // After one step Adam's first moment is a tenth of the gradient, with its weight decay.
  const gradient = task.save()['weights3.first']![17]! / 0.1 - 1e-4 * arrays.weights3![17]!;
  expect(gradient).toBeCloseTo(difference, 4);
  expect(lossAt(0)).toBeGreaterThan(0);
});

describe('the report', () => {
  const resultsWith = (denseBest: number, optnetBest: number): Results => {
    const run = (best: number) => ({
      seconds: 10,
      history: [0.9, best, 0.03].map((error, epoch) => ({ epoch, test: { loss: error, error } })),
      outcome: { errorWithout: 0.5 },
    });
    const parts = mnist.parts({ seed: 1, quick: false }, {});
    return Object.fromEntries(
      parts.map(({ name }) => [name, run(name.startsWith('dense') ? denseBest : optnetBest)]),
    );
  };

  test.each([
    [0.016, 0.015, true],
    [0.015, 0.016, false],
  ])('of bests of %d and %d: the claim holds is %p', (dense, optnet, holds) => {
    const { checks, tables } = mnist.report(resultsWith(dense, optnet), { seed: 1, quick: false });
    expect(checks.every((check) => check.holds)).toBe(holds);
    expect(tables[0]!.rows).toHaveLength(6);
    expect(tables[0]!.rows[2]).toEqual([
      'Fully connected, mean',
      `${(100 * dense).toFixed(2)} %`,
      '',
      '3.00 %',
      '1.54 %',
      '',
    ]);
  });
});
