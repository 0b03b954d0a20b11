import type { Metric } from './experiment.js';
import { formatScore } from './scores.js';
import type { BatchReport, EpochRecord, Scores } from './training.js';

const BAR_WIDTH = 18;
/** Without a terminal: one line for each of so many parts of an epoch. */
const PARTS = 4;
/** And none more often than this, where epochs are short. */
const QUIET_MS = 2000;

/** Shows how training goes: a bar that redraws itself on a terminal, plain lines elsewhere. */
export class Progress {
  readonly #epochs: number;
  readonly #metrics: readonly Metric[];
  readonly #stream: NodeJS.WriteStream;
  /** The epoch shown, and where its clock started: examples per second count the examples since then. */
  #epoch = 0;
  #startTime = performance.now();
  #startExample = 0;
  #part = 0;
  #lastReport = performance.now();
  #lastLine = performance.now();

  constructor(epochs: number, metrics: readonly Metric[], stream: NodeJS.WriteStream = process.stderr) {
    this.#epochs = epochs;
    this.#metrics = metrics;
    this.#stream = stream;
  }

  batch(report: BatchReport): void {
    if (report.epoch !== this.#epoch) this.#beginEpoch(report);
    this.#lastReport = performance.now();
    const rate = ((report.done - this.#startExample) / (this.#lastReport - this.#startTime)) * 1000;
    const figures = `${this.#figures(report.train)}  ${Math.round(rate)} examples/s`;
    if (this.#stream.isTTY) this.#redraw(`${bar(report.done / report.examples)}  ${figures}`);
    else this.#writePart(report, figures);
  }

  epoch({ epoch, test }: EpochRecord): void {
    this.#lastReport = performance.now();
    if (this.#stream.isTTY) this.#stream.write('\r\x1b[K');
    this.#writeLine(`${this.#name(epoch)}  test: ${this.#figures(test)}`);
  }

  /** Leaves the bar as it is, for others to write below. */
  release(): void {
    if (this.#stream.isTTY) this.#stream.write('\n');
  }

  #figures(scores: Scores): string {
    return this.#metrics
      .map((metric) => `${metric.heading} ${formatScore(metric, scores[metric.name]).padEnd(8)}`)
      .join('  ')
      .trimEnd();
  }

  #beginEpoch(report: BatchReport): void {
    this.#epoch = report.epoch;
    this.#startTime = this.#lastReport;
    this.#startExample = report.done - report.batch;
    this.#part = Math.floor((PARTS * this.#startExample) / report.examples);
  }

  /** Cut to the terminal's width, as a line that wraps cannot be redrawn. */
  #redraw(text: string): void {
    const line = `${this.#name(this.#epoch)}  ${text}`.slice(0, this.#stream.columns - 1);
    this.#stream.write(`\r${line}\x1b[K`);
  }

  #writePart(report: BatchReport, figures: string): void {
    const part = Math.floor((PARTS * report.done) / report.examples);
    if (part === this.#part || performance.now() - this.#lastLine < QUIET_MS) return;
    this.#part = part;
    const examples = `${report.done}/${report.examples}`;
    this.#writeLine(`${this.#name(report.epoch)}  ${examples.padEnd(11)}  ${figures}`);
  }

  #writeLine(line: string): void {
    this.#lastLine = performance.now();
    this.#stream.write(`${line}\n`);
  }

  #name(epoch: number): string {
    return `epoch ${epoch.toString().padStart(2)}/${this.#epochs}`;
  }
}

function bar(fraction: number): string {
  const filled = Math.floor(BAR_WIDTH * fraction);
  return '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
}
