import type { DeviceRequest } from 'optnet';

import type { Table } from './table.js';
import type { EpochRecord, Health, Schedule, Task } from './training.js';

/** What decides the results of a run. */
export interface Settings {
  seed: number;
  /** Small enough for a minute, large enough to learn something. */
  quick: boolean;
}

/** How problems are solved: for speed, and without a say in the results. */
export interface SolverOptions {
  device?: DeviceRequest;
  threads?: number;
}

/** One of the paper's experiments: parts that run one after the other, and a report on what came out of them. */
export interface Experiment {
  readonly name: string;
  readonly title: string;
  parts(settings: Settings, solver: SolverOptions): Part[];
  report(results: Results, settings: Settings): Report;
}

export type Part = TrainingPart | MeasuredPart;

/** A task to train, epoch by epoch. */
export interface TrainingPart {
  readonly kind: 'training';
  /** A word or two, to tell it from the other parts. */
  readonly name: string;
  readonly schedule: Schedule;
  /** Orders the examples. By default that of the run. */
  readonly seed?: number;
  /** What its tallies measure, the loss first. */
  readonly metrics: readonly Metric[];
  /** Begins it, with the results of the parts before it. */
  task(before: Results): Task | Promise<Task>;
}

/** Something that takes one go, such as a comparison of times. */
export interface MeasuredPart {
  readonly kind: 'measurement';
  readonly name: string;
  /** Gives plain JSON. `tell` says how far it is, in one line. */
  measure(before: Results, tell: (message: string) => void): unknown;
}

export interface Metric {
  /** Its name in tallies. */
  readonly name: string;
  readonly heading: string;
  readonly format: 'number' | 'percent';
}

/** By the names of the parts. */
export type Results = Readonly<Record<string, PartResult>>;

export interface PartResult {
  /** Of all the time it ran, with interruptions left out. */
  seconds: number;
  /** Of a training: its curve, empty for a measurement. */
  history: EpochRecord[];
  health?: Health | undefined;
  /** What `measure` gave, or the task's `outcome`. */
  outcome?: unknown;
}

export interface Report {
  tables: Table[];
  pictures: Picture[];
  /** What the paper claims and the run must show. One that fails is an exit code of 1. */
  checks: Check[];
}

export interface Picture {
  /** The file, without its extension. */
  name: string;
  svg: string;
}

export interface Check {
  /** In words, with the figures: 'test error 0.10 % ≤ 1 %'. */
  claim: string;
  holds: boolean;
}
