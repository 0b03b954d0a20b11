import { Random } from '../../scripts/experiments/random.js';
import { Trainer } from '../../scripts/experiments/runner/training.js';
import { ConvNetTask } from '../../scripts/experiments/sudoku/conv-net.js';
import { convolve } from '../../scripts/experiments/sudoku/convolution.js';
import { makeGames } from '../../scripts/experiments/sudoku/games.js';
import { startTensorFlow, tf } from '../../scripts/experiments/tensorflow.js';

const random = Random.seeded(1);
const values = (length: number): Float32Array => Float32Array.from({ length }, () => random.normal());

// Sides and channels that all differ, so that none can be taken for another.
const shapes = { x: [2, 4, 5, 3], filters: [3, 3, 3, 6], y: [2, 4, 5, 6] } as const;
const data = { x: values(120), filters: values(162), weights: values(240) };

interface Measured {
  y: number[];
  dx: number[];
  dfilters: number[];
}

/** y, and the gradients of Σ weights ∘ y. */
function measure(convolution: (x: tf.Tensor4D, filters: tf.Tensor4D) => tf.Tensor): Measured {
  return tf.tidy(() => {
    const x = tf.tensor4d(data.x, [...shapes.x]);
    const filters = tf.tensor4d(data.filters, [...shapes.filters]);
    const weights = tf.tensor4d(data.weights, [...shapes.y]);
    const [dx, dfilters] = tf.grads((...args) =>
      convolution(args[0] as tf.Tensor4D, args[1] as tf.Tensor4D)
        .mul(weights)
        .sum(),
    )([x, filters]);
    return {
      y: [...convolution(x, filters).dataSync()],
      dx: [...dx!.dataSync()],
      dfilters: [...dfilters!.dataSync()],
    };
  });
}

describe('the convolution', () => {
  let expected: Measured;
  let found: Measured;
  beforeAll(async () => {
    await tf.setBackend('cpu');
    jest.spyOn(console, 'warn').mockImplementation(); // advice on other backends
    expected = measure((x, filters) => tf.conv2d(x, filters, 1, 'same'));
    await startTensorFlow();
    found = measure(convolve);
  });

  test.each(['y', 'dx', 'dfilters'] as const)('is that of TensorFlow.js: %s', (name) => {
    expect(found[name]).toHaveLength(expected[name].length);
    found[name].forEach((value, i) => expect(Math.abs(value - expected[name][i]!)).toBeLessThan(1e-4));
  });

  // It is bilinear: central differences are exact, up to rounding, whatever the step.
  test.each(['x', 'filters'] as const)('has the gradient of central differences: %s', (name) => {
    const total = (change: number, i: number): number =>
      tf.tidy(() => {
        const moved = { ...data, [name]: data[name].slice() };
        moved[name][i] = moved[name][i]! + change;
        const y = convolve(
          tf.tensor4d(moved.x, [...shapes.x]),
          tf.tensor4d(moved.filters, [...shapes.filters]),
        );
        return y
          .mul(tf.tensor4d(data.weights, [...shapes.y]))
          .sum()
          .dataSync()[0]!;
      });
    const gradient = found[name === 'x' ? 'dx' : 'dfilters'];
    data[name].forEach((_, i) => {
      expect(Math.abs((total(1, i) - total(-1, i)) / 2 - gradient[i]!)).toBeLessThan(1e-3);
    });
  });
});

describe('the convolutional network', () => {
  const games = makeGames(90, 30, Random.seeded(2));
  const schedule = { epochs: 2, batch: 30, rate: () => 1e-3 };
  const begin = (): Trainer => new Trainer(new ConvNetTask(8, games, Random.seeded(3)), schedule, 4);
  const finish = async (trainer: Trainer): Promise<Trainer> => {
    const reports = trainer.run();
    while (!(await reports.next()).done);
    return trainer;
  };
  beforeAll(startTensorFlow);

  test('learns games by heart', () => {
    const task = new ConvNetTask(16, games, Random.seeded(3));
    const few = Uint32Array.from({ length: 5 }, (_, i) => i);
    const losses = Array.from({ length: 120 }, () => task.trainOn(few, 3e-3).sums.loss! / 5);
    expect(Math.abs(losses[0]! - (1 / 4) * (3 / 4))).toBeLessThan(0.01); // four digits alike
    expect(losses.at(-1)).toBeLessThan(0.05);
  });

  test('that was saved within an epoch goes on to the same digits', async () => {
    const whole = await finish(begin());
    const { test: held } = whole.history.at(-1)!;
    expect(held.strictError).toBeGreaterThanOrEqual(held.error!);

    const stopped = begin();
    const reports = stopped.run();
    for (let i = 0; i < 6; i++) await reports.next(); // epoch 0, the 3 batches of epoch 1, its end, 1 batch
    const snapshot = stopped.save();
    await reports.return();

    const resumed = begin();
    resumed.load(snapshot);
    await finish(resumed);
    expect(resumed.history).toEqual(whole.history);
    expect(resumed.task.save()).toEqual(whole.task.save());
  });

  test('gives likelihoods that depend on every given', () => {
    const task = new ConvNetTask(8, { train: games.train, test: games.test.slice(0, 1) }, Random.seeded(3));
    const loss = (puzzle: Uint8Array): number => {
      const one = { puzzle, solution: games.test[0]!.solution };
      return new ConvNetTask(8, { train: [one], test: [one] }, Random.seeded(3)).test().sums.loss!;
    };
    const { puzzle } = games.test[0]!;
    expect(task.test().sums.loss).toBe(loss(puzzle));
    puzzle.forEach((digit, cell) => {
      if (digit === 0) return;
      const other = puzzle.slice();
      other[cell] = 0;
      expect(loss(other)).not.toBe(loss(puzzle));
    });
  });
});
