/** Something to measure the time of. */
export interface Runner {
  readonly name: string;
  /** False for what needs no call to warm up: another runner does it. */
  readonly warmUp?: boolean;
  /** Begins a call, whose time does not count, and gives what is timed. */
  prepare(): () => unknown;
}

export interface Effort {
  rounds: number;
  /** In every round a runner is called until it has run for so many seconds, and at least once. */
  seconds: number;
  /** A runner that has used up so many seconds sits out the later rounds. */
  limit: number;
}

/** Seconds a call. */
export interface Times {
  /** The median of all rounds' medians. */
  median: number;
  /** Of all calls. */
  best: number;
  /** The median in every round that it took part in. */
  rounds: number[];
}

/**
 * Times runners in turn, round after round: what disturbs a machine for a while then disturbs all of them. Before, each
 * is called once to warm up, where it needs that.
 */
export async function timeInTurn(
  runners: readonly Runner[],
  { rounds, seconds, limit }: Effort,
  tell: (message: string) => void = () => undefined,
): Promise<Times[]> {
  const stopwatches = runners.map((runner) => new Stopwatch(runner));
  for (const stopwatch of stopwatches.filter(({ runner }) => runner.warmUp ?? true)) {
    tell(`warming up: ${stopwatch.runner.name}`);
    await stopwatch.call();
  }
  for (let round = 1; round <= rounds; round++) {
    for (const stopwatch of stopwatches) {
      if (round > 1 && stopwatch.total > limit) continue;
      tell(`round ${round} of ${rounds}: ${stopwatch.runner.name}`);
      await stopwatch.round(seconds);
    }
  }
  return stopwatches.map((stopwatch) => stopwatch.times());
}

/** The median over the rounds that both took part in of how many times as long `slow` takes as `fast`. */
export function timesAsLong(slow: Times, fast: Times): number {
  const shared = Math.min(slow.rounds.length, fast.rounds.length);
  return median(slow.rounds.slice(0, shared).map((seconds, i) => seconds / fast.rounds[i]!));
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** In the unit that leaves the fewest zeros: 1.23 s, 45.6 ms, 789 µs. */
export function formatSeconds(seconds: number): string {
  const [value, unit] =
    seconds >= 1 ? [seconds, 's'] : seconds >= 1e-3 ? [1e3 * seconds, 'ms'] : [1e6 * seconds, 'µs'];
  return `${threeDigits(value)} ${unit}`;
}

/** Three significant digits, and no exponent: 0.123, 1.23, 12.3, 123, 1234. */
export function threeDigits(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return value.toString();
  return value.toFixed(Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value)))));
}

class Stopwatch {
  readonly runner: Runner;
  total = 0;
  #best = Infinity;
  readonly #rounds: number[] = [];

  constructor(runner: Runner) {
    this.runner = runner;
  }

  /** A call, and the seconds that it takes. */
  async call(): Promise<number> {
    const run = this.runner.prepare();
    const start = performance.now();
    const result = run();
    if (result instanceof Promise) await result; // a synchronous call need not wait for a microtask
    const seconds = (performance.now() - start) / 1000;
    this.total += seconds;
    return seconds;
  }

  async round(seconds: number): Promise<void> {
    const calls: number[] = [];
    let sum = 0;
    do {
      const time = await this.call();
      calls.push(time);
      sum += time;
    } while (sum < seconds);
    this.#best = Math.min(this.#best, ...calls);
    this.#rounds.push(median(calls));
  }

  times(): Times {
    return { median: median(this.#rounds), best: this.#best, rounds: [...this.#rounds] };
  }
}
