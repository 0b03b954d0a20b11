import { loss, percent } from './table.js';
import type { BatchReport, EpochRecord } from './trainer.js';

const BAR_WIDTH = 18;
/** Without a terminal: one line for each of so many parts of an epoch. */
const PARTS = 4;

/** Shows how training goes: a bar that redraws itself on a terminal, plain lines elsewhere. */
export class Progress {
  readonly #epochs: number;
  readonly #stream: NodeJS.WriteStream;
  /** The epoch shown, and where its clock started: problems per second count the problems since then. */
  #epoch = 0;
  #startTime = performance.now();
  #startGame = 0;
  #part = 0;
  #lastReport = performance.now();

  constructor(epochs: number, stream: NodeJS.WriteStream = process.stderr) {
    this.#epochs = epochs;
    this.#stream = stream;
  }

  batch(report: BatchReport): void {
    if (report.epoch !== this.#epoch) this.#beginEpoch(report);
    this.#lastReport = performance.now();
    const rate = ((report.done - this.#startGame) / (this.#lastReport - this.#startTime)) * 1000;
    const figures =
      `loss ${loss(report.train.loss).padEnd(7)}  error ${percent(report.train.error).padEnd(8)}  ` +
      `${Math.round(rate)} problems/s`;
    if (this.#stream.isTTY) this.#redraw(`${bar(report.done / report.games)}  ${figures}`);
    else this.#writePart(report, figures);
  }

  epoch({ epoch, test }: EpochRecord): void {
    this.#lastReport = performance.now();
    if (this.#stream.isTTY) this.#stream.write('\r\x1b[K');
    this.#stream.write(
      `${this.#name(epoch)}  test loss ${loss(test.loss).padEnd(7)}  error ${percent(test.error).padEnd(8)}  ` +
        `strict ${percent(test.strictError)}\n`,
    );
  }

  /** Leaves the bar as it is, for others to write below. */
  release(): void {
    if (this.#stream.isTTY) this.#stream.write('\n');
  }

  #beginEpoch(report: BatchReport): void {
    this.#epoch = report.epoch;
    this.#startTime = this.#lastReport;
    this.#startGame = report.done - report.batch;
    this.#part = Math.floor((PARTS * this.#startGame) / report.games);
  }

  /** Cut to the terminal's width, as a line that wraps cannot be redrawn. */
  #redraw(text: string): void {
    const line = `${this.#name(this.#epoch)}  ${text}`.slice(0, this.#stream.columns - 1);
    this.#stream.write(`\r${line}\x1b[K`);
  }

  #writePart(report: BatchReport, figures: string): void {
    const part = Math.floor((PARTS * report.done) / report.games);
    if (part === this.#part) return;
    this.#part = part;
    const games = `${report.done}/${report.games}`;
    this.#stream.write(`${this.#name(report.epoch)}  ${games.padEnd(9)}  ${figures}\n`);
  }

  #name(epoch: number): string {
    return `epoch ${epoch.toString().padStart(2)}/${this.#epochs}`;
  }
}

function bar(fraction: number): string {
  const filled = Math.floor(BAR_WIDTH * fraction);
  return '█'.repeat(filled) + '░'.repeat(BAR_WIDTH - filled);
}
