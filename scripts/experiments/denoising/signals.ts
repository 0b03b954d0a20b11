import type { Random } from '../random.js';

/** Piecewise constant signals and the same with noise, both [count, length]. */
export interface Signals {
  count: number;
  length: number;
  clean: Float32Array;
  noisy: Float32Array;
}

export interface SignalSets {
  train: Signals;
  test: Signals;
}

export const MOST_PIECES = 9;
export const LEAST_HEIGHT = 10;
export const GREATEST_HEIGHT = 99;
/** Standard deviation of the noise. */
export const NOISE = 10;

/**
 * Signals of the kind in section 4.2: 1–9 constant pieces, heights that are integers in 10–99, and normal noise of
 * standard deviation 10; all drawn uniformly, and a piece may be as high as the one before it. Nine pieces take a length
 * of 10.
 */
export function makeSignals(count: number, length: number, random: Random): Signals {
  const clean = new Float32Array(count * length);
  for (let i = 0; i < count; i++) drawPieces(clean.subarray(i * length, (i + 1) * length), random);
  return { count, length, clean, noisy: clean.map((value) => value + NOISE * random.normal()) };
}

/** Views of the signals `from` … `to` − 1. */
export function range({ length, clean, noisy }: Signals, from: number, to: number): Signals {
  const part = (all: Float32Array): Float32Array => all.subarray(from * length, to * length);
  return { count: to - from, length, clean: part(clean), noisy: part(noisy) };
}

/** Copies of the signals of these indices. */
export function choose({ length, clean, noisy }: Signals, indices: Uint32Array): Signals {
  const chosen: Signals = {
    count: indices.length,
    length,
    clean: new Float32Array(indices.length * length),
    noisy: new Float32Array(indices.length * length),
  };
  indices.forEach((index, i) => {
    chosen.clean.set(clean.subarray(index * length, (index + 1) * length), i * length);
    chosen.noisy.set(noisy.subarray(index * length, (index + 1) * length), i * length);
  });
  return chosen;
}

/**
 * Signals like these, as likely as they are: read backwards, with high and low exchanged, both or neither, drawn for each.
 * In place.
 */
export function mirror({ count, length, clean, noisy }: Signals, random: Random): void {
  for (let i = 0; i < count; i++) {
    const way = random.integer(4);
    for (const all of [clean, noisy]) {
      const signal = all.subarray(i * length, (i + 1) * length);
      if (way & 1) signal.reverse();
      if (way & 2) signal.forEach((value, j) => (signal[j] = LEAST_HEIGHT + GREATEST_HEIGHT - value));
    }
  }
}

function drawPieces(signal: Float32Array, random: Random): void {
  const pieces = 1 + random.integer(MOST_PIECES);
  const breaks = [0, ...drawBreaks(pieces - 1, signal.length, random), signal.length];
  for (let k = 0; k < pieces; k++) {
    const height = LEAST_HEIGHT + random.integer(GREATEST_HEIGHT - LEAST_HEIGHT + 1);
    signal.fill(height, breaks[k], breaks[k + 1]);
  }
}

/** Distinct places in 1 … length − 2, in their order: where pieces after the first begin. */
function drawBreaks(count: number, length: number, random: Random): number[] {
  const places = new Set<number>();
  while (places.size < count) places.add(1 + random.integer(length - 2));
  return [...places].sort((a, b) => a - b);
}
