import { Random, type RandomState } from '../random.js';

/** What was measured on some examples: sums over them, by name. Scores are these, divided by the examples. */
export interface Tally {
  examples: number;
  sums: Readonly<Record<string, number>>;
}

export type Scores = Readonly<Record<string, number>>;

/** Named parameters and whatever else a task needs to go on from where it was. */
export type Arrays = Readonly<Record<string, Float32Array | Float64Array>>;

/** Solver calls that did not end as they should. All but `solves` must stay 0. */
export interface Health {
  solves: number;
  unsolved: number;
  nonFinite: number;
}

/** What can be trained: data, parameters, and the optimizer that changes them. */
export interface Task {
  /** How many examples there are to train on; a step is given indices below it. */
  readonly examples: number;
  /** Kept by the task as it works, where it solves problems. */
  readonly health?: Health;
  /** One step of the optimizer down the gradient of these examples. Gives what they measured before it. */
  trainOn(indices: Uint32Array, rate: number): Tally | Promise<Tally>;
  /** Measures the examples that were held back. */
  test(): Tally | Promise<Tally>;
  /** Copies of all that `trainOn` changes. */
  save(): Arrays;
  load(arrays: Arrays): void;
  /** What there is to show of the trained task, as plain JSON: pictures are drawn from it. */
  outcome?(): unknown;
  dispose?(): void;
}

/** How long and how fast to train. */
export interface Schedule {
  epochs: number;
  batch: number;
  /** The optimizer's rate in an epoch, counted from 1. */
  rate: (epoch: number) => number;
}

export interface EpochRecord {
  epoch: number;
  /** Over the epoch, while the parameters changed. Absent for epoch 0, which is before training. */
  train?: Scores;
  /** At the end of the epoch. */
  test: Scores;
}

export interface BatchReport {
  kind: 'batch';
  epoch: number;
  /** Examples of this epoch done so far, of `examples`. */
  done: number;
  examples: number;
  /** Examples in this batch. */
  batch: number;
  /** Over the epoch so far. */
  train: Scores;
}

export type Report = BatchReport | ({ kind: 'epoch' } & EpochRecord);

/** All of a training between two batches. */
export interface Snapshot {
  /** The epoch in progress, and how many of its examples are done. */
  epoch: number;
  done: number;
  tally: Tally;
  /** As it was before this epoch's shuffle. */
  random: RandomState;
  arrays: Arrays;
  history: EpochRecord[];
  health: Health | undefined;
}

/** The stream of the seed that orders the examples; tasks use others. */
const SHUFFLES = 2;

/** Trains a task, one batch per step of `run`. Between two steps it can be saved, and taken up again. */
export class Trainer {
  readonly task: Task;
  history: EpochRecord[] = [];

  readonly #schedule: Schedule;
  #epoch = 1;
  #done = 0;
  #tally = emptyTally();
  #epochStart: RandomState;

  constructor(task: Task, schedule: Schedule, seed: number) {
    this.task = task;
    this.#schedule = schedule;
    this.#epochStart = Random.seeded(seed, SHUFFLES).state();
  }

  save(): Snapshot {
    return {
      epoch: this.#epoch,
      done: this.#done,
      tally: this.#tally,
      random: this.#epochStart,
      arrays: this.task.save(),
      history: [...this.history],
      health: this.task.health && { ...this.task.health },
    };
  }

  load(snapshot: Snapshot): void {
    this.#epoch = snapshot.epoch;
    this.#done = snapshot.done;
    this.#tally = snapshot.tally;
    this.#epochStart = snapshot.random;
    this.task.load(snapshot.arrays);
    this.history = [...snapshot.history];
    if (this.task.health && snapshot.health) Object.assign(this.task.health, snapshot.health);
  }

  async *run(): AsyncGenerator<Report, void, void> {
    if (this.history.length === 0) yield this.#record({ epoch: 0, test: scores(await this.task.test()) });
    while (this.#epoch <= this.#schedule.epochs) {
      yield* this.#trainEpoch();
      const record = { epoch: this.#epoch, train: scores(this.#tally), test: scores(await this.task.test()) };
      this.#epoch++;
      this.#done = 0;
      this.#tally = emptyTally();
      yield this.#record(record);
    }
  }

  async *#trainEpoch(): AsyncGenerator<BatchReport, void, void> {
    const { examples } = this.task;
    const random = Random.restored(this.#epochStart);
    const order = random.shuffle(Uint32Array.from({ length: examples }, (_, i) => i));
    const rate = this.#schedule.rate(this.#epoch);
    while (this.#done < examples) {
      const chosen = order.subarray(this.#done, this.#done + this.#schedule.batch);
      this.#tally = add(this.#tally, await this.task.trainOn(chosen, rate));
      this.#done += chosen.length;
      yield {
        kind: 'batch',
        epoch: this.#epoch,
        done: this.#done,
        examples,
        batch: chosen.length,
        train: scores(this.#tally),
      };
    }
    this.#epochStart = random.state();
  }

  #record(record: EpochRecord): Report {
    this.history.push(record);
    return { kind: 'epoch', ...record };
  }
}

export const emptyTally = (): Tally => ({ examples: 0, sums: {} });

export const noSolves = (): Health => ({ solves: 0, unsolved: 0, nonFinite: 0 });

export function add(a: Tally, b: Tally): Tally {
  const sums: Record<string, number> = { ...a.sums };
  for (const [name, sum] of Object.entries(b.sums)) sums[name] = (sums[name] ?? 0) + sum;
  return { examples: a.examples + b.examples, sums };
}

export function scores({ examples, sums }: Tally): Scores {
  return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / examples]));
}
