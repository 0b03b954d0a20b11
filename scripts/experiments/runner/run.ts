import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';

import { UsageError } from '../usage.js';
import { checkArrays, writeCheckpoint, type Checkpoint } from './checkpoint.js';
import type { MeasuredPart, Part, PartResult, Report, Results, TrainingPart } from './experiment.js';
import { Interrupt } from './interrupt.js';
import { origin } from './origin.js';
import { Progress } from './progress.js';
import { markdownTable, plainTable } from './table.js';
import { Trainer, type Task } from './training.js';

/** What is to be run. */
export interface Plan {
  name: string;
  title: string;
  /** All that decides the results, as plain JSON; a checkpoint has it. */
  settings: unknown;
  parts: readonly Part[];
  report: (results: Results) => Report;
  /** The command that goes on with a run, but for the checkpoint's name. */
  resume: string;
}

export const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** Runs a plan, or the rest of it, in a folder, and gives the process's exit code. */
export async function run(plan: Plan, folder: string, checkpoint?: Checkpoint): Promise<number> {
  makeFolder(folder);
  const running = new Running(plan, path.join(folder, 'checkpoint.json'), checkpoint);
  console.error(plan.title);
  if (await running.all()) return summarise(plan, running.results, folder);
  console.error(`Stopped. What was done is saved; to go on:\n  ${plan.resume} ${running.file}`);
  return EXIT.interrupted;
}

/** The parts, one after the other, each from where the checkpoint left it. */
class Running {
  readonly results: Record<string, PartResult>;
  readonly file: string;
  readonly #plan: Plan;
  readonly #interrupt = new Interrupt(EXIT.interrupted);
  /** Of the last training, also when it is done: a job that is asked for more epochs goes on from there. */
  #current: Checkpoint['current'];

  constructor(plan: Plan, file: string, checkpoint: Checkpoint | undefined) {
    this.#plan = plan;
    this.file = file;
    this.results = { ...checkpoint?.results };
    this.#current = checkpoint?.current;
  }

  /** False where it was interrupted. */
  async all(): Promise<boolean> {
    const { parts } = this.#plan;
    this.#interrupt.listen();
    try {
      for (const [i, part] of parts.entries()) {
        if (this.results[part.name] !== undefined) continue;
        if (parts.length > 1) console.error(`\n[${i + 1}/${parts.length}] ${part.name}`);
        const result = part.kind === 'training' ? await this.#train(part) : await this.#measure(part);
        if (result === undefined) return false;
        this.results[part.name] = result;
        this.#save();
        // After the last there is nothing left to stop.
        if (this.#interrupt.requested && i < parts.length - 1) return false;
      }
      return true;
    } finally {
      this.#interrupt.release();
    }
  }

  async #measure(part: MeasuredPart): Promise<PartResult> {
    const start = performance.now();
    const outcome = await part.measure(this.results, (message) => console.error(message));
    return { seconds: secondsSince(start), history: [], outcome };
  }

  async #train(part: TrainingPart): Promise<PartResult | undefined> {
    const task = await part.task(this.results);
    try {
      const trainer = new Trainer(task, part.schedule, part.seed ?? this.#seed());
      const before = this.#resume(part, trainer);
      const start = performance.now();
      const seconds = (): number => before + secondsSince(start);
      const finished = await this.#epochs(part, trainer, seconds);
      return finished ? result(task, trainer, seconds()) : undefined;
    } finally {
      task.dispose?.();
    }
  }

  /** Takes up what the checkpoint has of the part. Gives the seconds that it took. */
  #resume(part: TrainingPart, trainer: Trainer): number {
    if (this.#current?.part !== part.name) return 0;
    checkArrays(this.file, this.#current.snapshot.arrays, trainer.task.save());
    trainer.load(this.#current.snapshot);
    return this.#current.seconds;
  }

  /** To the end, or to the end of the batch in which the interruption came. */
  async #epochs(part: TrainingPart, trainer: Trainer, seconds: () => number): Promise<boolean> {
    const progress = new Progress(part.schedule.epochs, part.metrics);
    for await (const report of trainer.run()) {
      if (report.kind === 'batch') progress.batch(report);
      else progress.epoch(report);
      // A task that never waits would keep signals waiting until it is done.
      await setImmediate();
      if (report.kind === 'batch' && !this.#interrupt.requested) continue;
      this.#current = { part: part.name, seconds: seconds(), snapshot: trainer.save() };
      this.#save();
      if (!this.#interrupt.requested) continue;
      if (report.kind === 'batch') progress.release();
      return false;
    }
    return true;
  }

  #save(): void {
    writeCheckpoint(this.file, {
      experiment: this.#plan.name,
      settings: this.#plan.settings,
      results: this.results,
      ...(this.#current && { current: this.#current }),
    });
  }

  #seed(): number {
    return (this.#plan.settings as { seed: number }).seed;
  }
}

function result(task: Task, trainer: Trainer, seconds: number): PartResult {
  const outcome = task.outcome?.();
  return {
    seconds,
    history: trainer.history,
    ...(task.health && { health: { ...task.health } }),
    ...(outcome !== undefined && { outcome }),
  };
}

/** Tables on the terminal and in a page, pictures, and every figure as JSON. */
function summarise(plan: Plan, results: Results, folder: string): number {
  const { tables, pictures, checks } = plan.report(results);
  const seconds = Object.values(results).reduce((sum, part) => sum + part.seconds, 0);
  const from = origin(plan.settings, seconds);
  const write = (name: string, contents: string): void => writeFileSync(path.join(folder, name), contents);
  for (const { name, svg } of pictures) write(`${name}.svg`, svg);
  write('results.json', JSON.stringify({ experiment: plan.name, ...from, results }, null, 1) + '\n');
  const claims = checks.map(({ claim, holds }) => `${holds ? '✓' : '✗'} ${claim}`);
  const sections = [
    from.summary,
    ...tables.map(markdownTable),
    claims.map((claim) => `- ${claim}`).join('\n'),
  ];
  write('tables.md', sections.filter((section) => section !== '').join('\n\n') + '\n');

  for (const table of tables) console.log(`\n${plainTable(table)}`);
  if (claims.length > 0) console.log(`\n${claims.join('\n')}`);
  console.log(`\nPictures, tables and figures: ${folder}`);
  return checks.every(({ holds }) => holds) && isHealthy(results) ? EXIT.done : EXIT.failed;
}

/** No number was lost. Problems that were not solved are counted, and for the report to judge. */
const isHealthy = (results: Results): boolean =>
  Object.values(results).every(({ health }) => (health?.nonFinite ?? 0) === 0);

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(`${folder}: cannot be made (${code ?? String(error)})`);
  }
}

const secondsSince = (start: number): number => (performance.now() - start) / 1000;
