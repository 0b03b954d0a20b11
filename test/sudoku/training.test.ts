import { Random } from '../../scripts/experiments/random.js';
import { Trainer } from '../../scripts/experiments/runner/training.js';
import { encode, VARIABLES } from '../../scripts/experiments/sudoku/board.js';
import { makeGames, type Game } from '../../scripts/experiments/sudoku/games.js';
import { SudokuLayer } from '../../scripts/experiments/sudoku/layer.js';
import { halvingSchedule, rateInEpoch, SudokuTask } from '../../scripts/experiments/sudoku/task.js';

const games = makeGames(400, 50, Random.seeded(2));
const seed = 4;

const begin = (): Trainer => new Trainer(new SudokuTask(seed, games), halvingSchedule(3, 30, 0.1), seed);

async function finish(trainer: Trainer): Promise<Trainer> {
  const reports = trainer.run();
  while (!(await reports.next()).done);
  return trainer;
}

test('a few hundred games bring the loss well down, every problem solved', async () => {
  const { history, task } = await finish(begin());
  expect(history.map(({ epoch }) => epoch)).toEqual([0, 1, 2, 3]);
  expect(history[3]!.test.loss!).toBeLessThan(0.2 * history[0]!.test.loss!);
  expect(history[3]!.train!.loss!).toBeLessThan(0.5 * history[1]!.train!.loss!);
  expect(task.health).toEqual({ solves: 3 * 400 + 4 * 50, unsolved: 0, nonFinite: 0 });
});

test('a run that was stopped within an epoch and resumed is the uninterrupted one, digit for digit', async () => {
  const whole = await finish(begin());

  const stopped = begin();
  const reports = stopped.run();
  for (let i = 0; i < 20; i++) await reports.next(); // epoch 0, the 14 batches of epoch 1, its end, 4 batches
  await reports.return();
  const snapshot = stopped.save();
  expect([snapshot.epoch, snapshot.done]).toEqual([2, 120]);

  const resumed = begin();
  resumed.load(snapshot);
  await finish(resumed);
  expect(resumed.history).toEqual(whole.history);
  expect(resumed.task.save()).toEqual(whole.task.save());
  expect(resumed.task.health).toEqual(whole.task.health);
});

test('the rate is halved each epoch from the fifth', () => {
  expect([1, 4, 5, 6, 10].map((epoch) => rateInEpoch(0.1, epoch))).toEqual([0.1, 0.1, 0.05, 0.025, 0.1 / 64]);
});

test('the gradients of A and w are those of central differences, through b = A·exp(w) too', async () => {
  const layer = new SudokuLayer(Random.seeded(9), { tolerance: 1e-12 });
  for (let j = 0; j < VARIABLES; j++) layer.w[j] = 0.1 * Math.sin(j);
  const batch = games.train.slice(0, 4);
  const puzzles = encoded(batch, 'puzzle');
  const wanted = encoded(batch, 'solution');

  const loss = async (): Promise<number> => {
    const { z } = await layer.forward(puzzles, batch.length, false);
    return z.data.reduce((sum, value, i) => sum + (value - wanted[i]!) ** 2, 0) / z.data.length;
  };
  const solution = await layer.forward(puzzles, batch.length, true);
  const dz = solution.z.data.map((value, i) => (2 * (value - wanted[i]!)) / wanted.length);
  const gradients = await layer.backward(solution, dz);
  solution.dispose();

  const random = Random.seeded(10);
  for (const [k, parameters] of layer.parameters.entries()) {
    for (let sample = 0; sample < 8; sample++) {
      const i = random.integer(parameters.length);
      const [value, step] = [parameters[i]!, 1e-5];
      parameters[i] = value + step;
      const above = await loss();
      parameters[i] = value - step;
      const difference = (above - (await loss())) / (2 * step);
      parameters[i] = value;
      const largest = Math.max(...gradients[k]!.map(Math.abs));
      expect(Math.abs(gradients[k]![i]! - difference) / largest).toBeLessThan(1e-5);
    }
  }
});

function encoded(batch: readonly Game[], which: 'puzzle' | 'solution'): Float64Array {
  const values = new Float64Array(batch.length * VARIABLES);
  batch.forEach((game, i) => encode(game[which], values, i * VARIABLES));
  return values;
}
