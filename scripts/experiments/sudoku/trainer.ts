import type { QpSolution } from 'optnet';

import { Adam, type AdamState } from '../adam.js';
import { Random, type RandomState } from '../random.js';
import { encode, VARIABLES } from './board.js';
import type { Game, Games } from './games.js';
import { SudokuLayer, type SolverOptions } from './layer.js';
import { add, emptyTally, scores, tally, type Scores, type Tally } from './metrics.js';

/** What decides the course of a run: two runs with the same settings and games take the same course. */
export interface Settings {
  seed: number;
  epochs: number;
  batch: number;
  learningRate: number;
}

export interface EpochRecord {
  epoch: number;
  /** Over the epoch, while the parameters changed. Absent for epoch 0, which is the layer before training. */
  train?: Scores;
  /** At the end of the epoch. */
  test: Scores;
}

export interface BatchReport {
  kind: 'batch';
  epoch: number;
  /** Games of this epoch done so far, of `games`. */
  done: number;
  games: number;
  /** Games in this batch. */
  batch: number;
  /** Over the epoch so far. */
  train: Scores;
}

export type Report = BatchReport | ({ kind: 'epoch' } & EpochRecord);

/** Solver calls that did not end as they should. All but `solves` must stay 0. */
export interface Health {
  solves: number;
  unsolved: number;
  nonFinite: number;
}

/** All of a run between two batches. `JSON.stringify` keeps every digit of it. */
export interface Snapshot {
  settings: Settings;
  /** The epoch in progress, and how many of its games are done. */
  epoch: number;
  done: number;
  sums: Tally;
  /** As it was before this epoch's shuffle. */
  random: RandomState;
  parameters: { A: number[]; w: number[] };
  adam: AdamState;
  history: EpochRecord[];
  health: Health;
}

/** Streams of the seed. */
const GAMES = 0;
const PARAMETERS = 1;
const SHUFFLES = 2;

export const gamesRandom = (seed: number): Random => Random.seeded(seed, GAMES);

/** Epochs 1–4 at the full rate, half of the rate before in each epoch from the fifth. */
export function rateInEpoch(learningRate: number, epoch: number): number {
  return learningRate * 0.5 ** Math.max(0, epoch - 4);
}

/** Trains a Sudoku layer, one batch per step of `run`. Between two steps it can be saved, and taken up again. */
export class Trainer {
  readonly layer: SudokuLayer;
  history: EpochRecord[] = [];
  health: Health = { solves: 0, unsolved: 0, nonFinite: 0 };

  readonly #settings: Settings;
  readonly #games: Games;
  readonly #adam: Adam;
  #epoch = 1;
  #done = 0;
  #sums = emptyTally();
  #epochStart: RandomState;

  constructor(settings: Settings, games: Games, solver: SolverOptions = {}) {
    this.#settings = settings;
    this.#games = games;
    this.layer = new SudokuLayer(Random.seeded(settings.seed, PARAMETERS), solver);
    this.#adam = new Adam(this.layer.parameters);
    this.#epochStart = Random.seeded(settings.seed, SHUFFLES).state();
  }

  save(): Snapshot {
    return {
      settings: this.#settings,
      epoch: this.#epoch,
      done: this.#done,
      sums: this.#sums,
      random: this.#epochStart,
      parameters: { A: [...this.layer.A], w: [...this.layer.w] },
      adam: this.#adam.save(),
      history: [...this.history],
      health: { ...this.health },
    };
  }

  load(snapshot: Snapshot): void {
    this.#epoch = snapshot.epoch;
    this.#done = snapshot.done;
    this.#sums = snapshot.sums;
    this.#epochStart = snapshot.random;
    this.layer.A.set(snapshot.parameters.A);
    this.layer.w.set(snapshot.parameters.w);
    this.#adam.load(snapshot.adam);
    this.history = [...snapshot.history];
    this.health = { ...snapshot.health };
  }

  async *run(): AsyncGenerator<Report, void, void> {
    if (this.history.length === 0) yield this.#record({ epoch: 0, test: await this.#test() });
    while (this.#epoch <= this.#settings.epochs) {
      yield* this.#trainEpoch();
      const record = { epoch: this.#epoch, train: scores(this.#sums), test: await this.#test() };
      this.#epoch++;
      this.#done = 0;
      this.#sums = emptyTally();
      yield this.#record(record);
    }
  }

  async *#trainEpoch(): AsyncGenerator<BatchReport, void, void> {
    const { train } = this.#games;
    const random = Random.restored(this.#epochStart);
    const order = random.shuffle(Uint32Array.from(train, (_, i) => i));
    while (this.#done < train.length) {
      const chosen = order.subarray(this.#done, this.#done + this.#settings.batch);
      await this.#trainOn(Array.from(chosen, (i) => train[i]!));
      this.#done += chosen.length;
      yield {
        kind: 'batch',
        epoch: this.#epoch,
        done: this.#done,
        games: train.length,
        batch: chosen.length,
        train: scores(this.#sums),
      };
    }
    this.#epochStart = random.state();
  }

  async #trainOn(games: readonly Game[]): Promise<void> {
    const wanted = encoded(games, 'solution');
    const solution = await this.layer.forward(encoded(games, 'puzzle'), games.length, true);
    try {
      const boards = this.#boards(solution);
      this.#sums = add(this.#sums, tally(games, wanted, boards));
      // The gradient of the mean over the batch and the 64 values; `backward` sums it over the batch.
      const dz = boards.map((value, i) => (2 * (value - wanted[i]!)) / boards.length);
      const gradients = await this.layer.backward(solution, dz);
      for (const gradient of gradients) this.health.nonFinite += nonFinite(gradient);
      this.#adam.step(gradients, rateInEpoch(this.#settings.learningRate, this.#epoch));
    } finally {
      solution.dispose();
    }
  }

  async #test(): Promise<Scores> {
    const { test } = this.#games;
    let sum = emptyTally();
    for (let start = 0; start < test.length; start += this.#settings.batch) {
      const games = test.slice(start, start + this.#settings.batch);
      const solution = await this.layer.forward(encoded(games, 'puzzle'), games.length, false);
      sum = add(sum, tally(games, encoded(games, 'solution'), this.#boards(solution)));
      solution.dispose();
    }
    return scores(sum);
  }

  /** z, and what there is to say about it in `health`. */
  #boards(solution: QpSolution<'float64'>): Float64Array {
    const boards = solution.z.data;
    this.health.solves += solution.status.length;
    this.health.unsolved += solution.status.filter((status) => status !== 'solved').length;
    this.health.nonFinite += nonFinite(boards);
    return boards;
  }

  #record(record: EpochRecord): Report {
    this.history.push(record);
    return { kind: 'epoch', ...record };
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
