import type { QpSolution } from 'optnet';

import { Adam } from '../adam.js';
import { Random } from '../random.js';
import type { Metric, SolverOptions } from '../runner/experiment.js';
import { noSolves, type Arrays, type Schedule, type Tally, type Task } from '../runner/training.js';
import { encode, VARIABLES } from './board.js';
import type { Game, Games } from './games.js';
import { SudokuLayer } from './layer.js';
import { tally } from './metrics.js';

export const SUDOKU_METRICS: readonly Metric[] = [
  { name: 'loss', heading: 'loss', format: 'number' },
  { name: 'error', heading: 'error', format: 'percent' },
  { name: 'strictError', heading: 'strict', format: 'percent' },
];

/** Streams of the seed, beside that of the shuffles. */
const GAMES = 0;
const PARAMETERS = 1;

export const gamesRandom = (seed: number): Random => Random.seeded(seed, GAMES);
export const parametersRandom = (seed: number): Random => Random.seeded(seed, PARAMETERS);

/** Epochs 1–4 at the full rate, half of the rate before in each epoch from the fifth. */
export function rateInEpoch(learningRate: number, epoch: number): number {
  return learningRate * 0.5 ** Math.max(0, epoch - 4);
}

/** The main job's way of training. */
export function halvingSchedule(epochs: number, batch: number, learningRate: number): Schedule {
  return { epochs, batch, rate: (epoch) => rateInEpoch(learningRate, epoch) };
}

/** The paper's layer, learning to complete boards from games alone. */
export class SudokuTask implements Task {
  readonly layer: SudokuLayer;
  readonly health = noSolves();
  readonly #games: Games;
  readonly #adam: Adam<Float64Array>;

  constructor(seed: number, games: Games, solver: SolverOptions = {}) {
    this.#games = games;
    this.layer = new SudokuLayer(parametersRandom(seed), solver);
    this.#adam = new Adam(this.layer.parameters);
  }

  get examples(): number {
    return this.#games.train.length;
  }

  async trainOn(indices: Uint32Array, rate: number): Promise<Tally> {
    const games = Array.from(indices, (i) => this.#games.train[i]!);
    const wanted = encoded(games, 'solution');
    const solution = await this.layer.forward(encoded(games, 'puzzle'), games.length, true);
    try {
      const boards = this.#boards(solution);
      // The gradient of the mean over the batch and the 64 values; `backward` sums it over the batch.
      const dz = boards.map((value, i) => (2 * (value - wanted[i]!)) / boards.length);
      const gradients = await this.layer.backward(solution, dz);
      for (const gradient of gradients) this.health.nonFinite += nonFinite(gradient);
      this.#adam.step(gradients, rate);
      return tally(games, wanted, boards);
    } finally {
      solution.dispose();
    }
  }

  async test(): Promise<Tally> {
    const { test } = this.#games;
    const solution = await this.layer.forward(encoded(test, 'puzzle'), test.length, false);
    const result = tally(test, encoded(test, 'solution'), this.#boards(solution));
    solution.dispose();
    return result;
  }

  save(): Arrays {
    const { steps, first, second } = this.#adam.save();
    return {
      A: this.layer.A.slice(),
      w: this.layer.w.slice(),
      steps: Float64Array.of(steps),
      'A.first': first[0]!,
      'w.first': first[1]!,
      'A.second': second[0]!,
      'w.second': second[1]!,
    };
  }

  load(arrays: Arrays): void {
    const array = (name: string): Float64Array => arrays[name] as Float64Array;
    this.layer.A.set(array('A'));
    this.layer.w.set(array('w'));
    this.#adam.load({
      steps: array('steps')[0]!,
      first: [array('A.first'), array('w.first')],
      second: [array('A.second'), array('w.second')],
    });
  }

  /** z, and what there is to say about it in `health`. */
  #boards(solution: QpSolution<'float64'>): Float64Array {
    const boards = solution.z.data;
    this.health.solves += solution.status.length;
    this.health.unsolved += solution.status.filter((status) => status !== 'solved').length;
    this.health.nonFinite += nonFinite(boards);
    return boards;
  }
}

function encoded(games: readonly Game[], which: 'puzzle' | 'solution'): Float64Array {
  const values = new Float64Array(games.length * VARIABLES);
  games.forEach((game, i) => {
    encode(game[which], values, i * VARIABLES);
  });
  return values;
}

const nonFinite = (values: Float64Array): number => values.filter((value) => !Number.isFinite(value)).length;
