import type { Schedule } from '../runner/training.js';
import { TEST_GAMES, TRAIN_GAMES } from './games.js';
import { halvingSchedule } from './task.js';

const BATCH = 150;
const RATE = 0.1;

/** A way of lowering the rate, over several seeds. */
export interface Way {
  name: string;
  colour: string;
  schedule: Schedule;
  seeds: number;
}

/** Sizes of the experiment, which decide how long it takes. */
export interface Plan {
  train: number;
  test: number;
  ways: Way[];
  convNet: { filters: number; schedule: Schedule };
  /** Boards of 9×9 in a batch, and how often they are solved to measure the time. */
  nine: { puzzles: number; rounds: number };
}

const halved = { name: 'rate halved from epoch 5', colour: '#0072b2' };

/**
 * The paper's 18 epochs, and those that the main job needs. Of its 512 filters, what two cores train within the hour: with
 * twice as many, each step takes four times as long.
 */
const FULL: Plan = {
  train: TRAIN_GAMES,
  test: TEST_GAMES,
  ways: [
    { ...halved, schedule: halvingSchedule(10, BATCH, RATE), seeds: 10 },
    {
      name: 'constant rate',
      colour: '#009e73',
      schedule: { epochs: 18, batch: BATCH, rate: () => RATE },
      seeds: 10,
    },
  ],
  convNet: { filters: 128, schedule: { epochs: 18, batch: BATCH, rate: () => 1e-3 } },
  nine: { puzzles: 16, rounds: 5 },
};

const QUICK: Plan = {
  train: 3000,
  test: 500,
  ways: [{ ...halved, schedule: halvingSchedule(6, 50, RATE), seeds: 1 }],
  convNet: { filters: 12, schedule: { epochs: 3, batch: 50, rate: () => 2e-3 } },
  nine: { puzzles: 2, rounds: 1 },
};

export const planFor = (quick: boolean): Plan => (quick ? QUICK : FULL);
