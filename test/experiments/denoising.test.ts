import { drawHeatMaps, sortedRows } from '../../scripts/experiments/denoising/heat-map.js';
import { FineTuned } from '../../scripts/experiments/denoising/fine-tuned.js';
import { LearnedDifferences } from '../../scripts/experiments/denoising/learned-differences.js';
import {
  choose,
  makeSignals,
  mirror,
  range,
  type SignalSets,
} from '../../scripts/experiments/denoising/signals.js';
import { countingOptions, DenoisingTask, type Denoiser } from '../../scripts/experiments/denoising/task.js';
import { differenceMatrix, variationLayer } from '../../scripts/experiments/denoising/total-variation.js';
import { Random } from '../../scripts/experiments/random.js';
import { noSolves, Trainer, type Health } from '../../scripts/experiments/runner/training.js';
import { startTensorFlow, tf } from '../../scripts/experiments/tensorflow.js';
import { unbalancedTags } from '../support/xml.js';

beforeAll(startTensorFlow);

const rowsOf = (values: Float32Array, length: number): number[][] =>
  Array.from({ length: values.length / length }, (_, i) => [
    ...values.subarray(i * length, (i + 1) * length),
  ]);

describe('signals', () => {
  const signals = makeSignals(2000, 100, Random.seeded(3));
  const clean = rowsOf(signals.clean, 100);

  test('have heights that are integers in 10–99, each about as often', () => {
    const starts = clean.map(([height]) => height!);
    expect(starts.every((height) => Number.isInteger(height) && height >= 10 && height <= 99)).toBe(true);
    expect(mean(starts)).toBeCloseTo(54.5, -0.5); // within 1.6: standard error 0.58
    expect(new Set(starts).size).toBe(90);
  });

  test('have 1–9 pieces, each number about as often', () => {
    const counts = Array.from({ length: 10 }, () => 0);
    for (const signal of clean) counts[signal.filter((height, i) => height !== signal[i - 1]).length]!++;
    // Two neighbours of one height in 90 look like one piece, so numbers are seen a little low.
    expect(counts[0]).toBe(0);
    for (const count of counts.slice(1)) expect(Math.abs(count - 2000 / 9)).toBeLessThan(60);
  });

  test('break anywhere in 1–98', () => {
    const places = new Set(
      clean.flatMap((signal) =>
        signal.flatMap((height, i) => (i > 0 && height !== signal[i - 1] ? [i] : [])),
      ),
    );
    expect([...places].sort((a, b) => a - b)).toEqual(Array.from({ length: 98 }, (_, i) => i + 1));
  });

  test('have normal noise of variance 100', () => {
    const noise = [...signals.noisy].map((value, i) => value - signals.clean[i]!);
    expect(Math.abs(mean(noise))).toBeLessThan(0.1);
    expect(Math.abs(mean(noise.map((e) => e * e)) - 100)).toBeLessThan(1.5);
    expect(mean(noise.map((e) => (e / 10) ** 4))).toBeCloseTo(3, 1);
  });

  test('follow from the seed', () => {
    const bytes = ({ noisy }: typeof signals): Buffer => Buffer.from(noisy.buffer);
    expect(bytes(makeSignals(2000, 100, Random.seeded(3))).equals(bytes(signals))).toBe(true);
    expect(bytes(makeSignals(2000, 100, Random.seeded(4))).equals(bytes(signals))).toBe(false);
  });

  test('are mirrored in four ways, the noise with its signal', () => {
    const same = choose(signals, new Uint32Array(200));
    mirror(same, Random.seeded(1));
    const ways = new Set(rowsOf(same.clean, 100).map(String));
    const first = clean[0]!;
    const turned = (values: number[]): number[] => values.map((value) => 109 - value);
    const expected = [first, first.toReversed(), turned(first), turned(first.toReversed())];
    expect([...ways].sort()).toEqual(expected.map(String).sort());
    const squares = (of: typeof same): number =>
      mean([...of.noisy.subarray(0, 100)].map((value, i) => (value - of.clean[i]!) ** 2));
    expect(squares(same)).toBeCloseTo(squares(signals), 3);
  });
});

describe('total variation', () => {
  const denoise = (x: number[][], lambda: number): number[][] => {
    const length = x[0]!.length;
    const { data, shape } = differenceMatrix(length);
    return tf.tidy(() =>
      variationLayer(length, lambda, {})(tf.tensor2d(data, shape), tf.tensor2d(x)).arraySync(),
    );
  };

  test('of two points brings them together by λ each, until they meet', () => {
    const found = denoise([[20, 60], [60, 20], [20, 30]], 10); // prettier-ignore
    const expected = [[30, 50], [50, 30], [25, 25]]; // prettier-ignore
    found.flat().forEach((value, i) => expect(value).toBeCloseTo(expected.flat()[i]!, 1));
  });

  test('satisfies its optimality conditions', () => {
    // x − z = Dᵀw, so w is the running sum of x − z; |w| ≤ λ, and w = ±λ where neighbours differ.
    const lambda = 15;
    const noisy = rowsOf(makeSignals(20, 30, Random.seeded(5)).noisy, 30);
    denoise(noisy, lambda).forEach((z, k) => {
      let sum = 0;
      z.forEach((value, i) => {
        sum += noisy[k]![i]! - value;
        const step = value - (z[i + 1] ?? value);
        const expected =
          i === z.length - 1 ? 0 : Math.abs(step) > 0.02 ? lambda * Math.sign(step) : undefined;
        // Within what ε = 1e-4 in Q makes of values up to a hundred.
        if (expected === undefined) expect(Math.abs(sum)).toBeLessThan(lambda + 0.3);
        else expect(Math.abs(sum - expected)).toBeLessThan(0.3);
      });
    });
  });

  test('is where fine-tuning starts', () => {
    const { noisy } = makeSignals(20, 30, Random.seeded(6));
    const start = new FineTuned(30, 15, {});
    const found = tf.tidy(() => start.denoise(tf.tensor2d(noisy, [20, 30])).dataSync<'float32'>());
    const expected = denoise(rowsOf(noisy, 30), 15).flat();
    expect(Math.max(...expected.map((value, i) => Math.abs(value - found[i]!)))).toBeLessThan(0.1);
    start.parameters.dispose();
  });
});

describe('gradients', () => {
  const { clean, noisy } = makeSignals(6, 10, Random.seeded(7));
  const lossOf = (denoiser: Denoiser) => (): tf.Scalar =>
    tf.losses.meanSquaredError(tf.tensor2d(clean, [6, 10]), denoiser.denoise(tf.tensor2d(noisy, [6, 10])));

  test.each(['L', 'G', 'z0', 's0', 'W', 'c'] as const)('of the fine-tuned layer: %s', (name) => {
    const denoiser = new FineTuned(10, 15, {});
    // Off total variation, whose u costs nearly nothing: a difference would cross kinks.
    const random = Random.seeded(8);
    for (const variable of Object.values(denoiser.parameters.tensors)) shift(variable, random, 0.1);
    checkDirection(lossOf(denoiser), denoiser.parameters.tensors[name], random);
    denoiser.parameters.dispose();
  });

  test('of D, learned from random numbers', () => {
    const random = Random.seeded(9);
    const denoiser = new LearnedDifferences(10, 0.1, random, {});
    checkDirection(lossOf(denoiser), denoiser.parameters.tensors.D, random);
    denoiser.parameters.dispose();
  });
});

describe('a training', () => {
  const all = makeSignals(150, 12, Random.seeded(10));
  const signals: SignalSets = { train: range(all, 0, 100), test: range(all, 100, 150) };
  const schedule = { epochs: 3, batch: 20, rate: (epoch: number) => 2e-3 / epoch };
  const makers: Record<string, (health: Health) => Denoiser> = {
    'fine-tuned': (health) => new FineTuned(12, 15, countingOptions(health, {})),
    'D from random numbers': (health) =>
      new LearnedDifferences(12, 0.1, Random.seeded(4), countingOptions(health, {})),
  };
  const start = (make: (health: Health) => Denoiser): Trainer => {
    const health = noSolves();
    return new Trainer(new DenoisingTask(make(health), signals, Random.seeded(5), health), schedule, 1);
  };

  test.each(Object.entries(makers))('%s: stopped and resumed, is the same to the digit', async (_, make) => {
    const whole = await finish(start(make));
    expect(whole.task.health).toEqual({ solves: 3 * 100 + 4 * 50, unsolved: 0, nonFinite: 0 });
    expect(whole.history.at(-1)!.test.mse).toBeLessThan(whole.history[0]!.test.mse!);

    const stopped = start(make);
    const reports = stopped.run();
    for (let i = 0; i < 9; i++) await reports.next(); // into the second epoch
    await reports.return();
    const resumed = start(make);
    resumed.load(stopped.save());
    stopped.task.dispose!();
    await finish(resumed);
    expect(resumed.history).toEqual(whole.history);
    expect(resumed.task.save()).toEqual(whole.task.save());
    expect(resumed.task.outcome!()).toEqual(whole.task.outcome!());
    whole.task.dispose!();
    resumed.task.dispose!();
  });
});

describe('heat maps', () => {
  test('give positive entries one colour, negative ones another, and zero none', () => {
    const svg = drawHeatMaps('x', [{ title: 'y', rows: [[1, 1, 0], [0, -1, 0]] }]); // prettier-ignore
    expect(unbalancedTags(svg)).toEqual([]);
    expect([...svg.matchAll(/<path fill="([^"]*)" d="([^"]*)"/g)].map(([, ...path]) => path)).toEqual([
      ['rgb(213 94 0)', 'M0 0h2v1h-2z'],
      ['rgb(0 114 178)', 'M1 1h1v1h-1z'],
    ]);
  });

  test('of nothing but zeros are empty', () => {
    const svg = drawHeatMaps('x', [{ title: 'y', rows: [[0, 0]] }]);
    expect(svg).not.toMatch(/<path|NaN/);
  });

  test('sort rows by where they are largest', () => {
    expect(sortedRows([[0, 1, -3], [2, 1, 0], [1, -2, 0]])).toEqual([[2, 1, 0], [1, -2, 0], [0, 1, -3]]); // prettier-ignore
  });
});

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

async function finish(trainer: Trainer): Promise<Trainer> {
  const reports = trainer.run();
  while (!(await reports.next()).done);
  return trainer;
}

/** Adds normal numbers of a standard deviation. */
function shift(variable: tf.Variable, random: Random, deviation: number): void {
  const direction = Float32Array.from({ length: variable.size }, () => deviation * random.normal());
  tf.tidy(() => variable.assign(tf.add(variable, tf.tensor(direction, variable.shape))));
}

/** Compares the gradient along a random direction with a central difference. */
function checkDirection(loss: () => tf.Scalar, variable: tf.Variable, random: Random): void {
  const direction = tf.tensor(
    Float32Array.from({ length: variable.size }, () => random.normal()),
    variable.shape,
  );
  const slope = tf.tidy(() =>
    tf.sum(tf.mul(tf.variableGrads(loss, [variable]).grads[variable.name]!, direction)).dataSync(),
  )[0]!;
  const original = tf.clone(variable);
  const at = (step: number): number =>
    tf.tidy(() => {
      variable.assign(tf.add(original, tf.mul(step, direction)));
      return loss().dataSync()[0]!;
    });
  const step = 1e-3;
  const difference = (at(step) - at(-step)) / (2 * step);
  // Losses of about 100 have seven digits, so their difference over 2e-3 has an error of about 0.01.
  expect(Math.abs(slope - difference)).toBeLessThan(0.05 + 0.005 * Math.abs(difference));
  tf.dispose([direction, original]);
}
