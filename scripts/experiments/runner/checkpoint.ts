import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { types } from 'node:util';

import { UsageError } from '../usage.js';
import type { PartResult } from './experiment.js';
import type { Arrays, Snapshot } from './training.js';

const FORMAT = 'optnet-experiment-1';

/** A run that can be taken up again. Every number in it has all of its digits. */
export interface Checkpoint {
  format: typeof FORMAT;
  experiment: string;
  /** What the run was started with. */
  settings: unknown;
  /** The parts that are done, by name. */
  results: Record<string, PartResult>;
  /** The last training, stopped or done. */
  current?: { part: string; seconds: number; snapshot: Snapshot };
}

/** Replaces the file in one step: a crash leaves the old one or the new one, never half of it. */
export function writeCheckpoint(file: string, contents: Omit<Checkpoint, 'format'>): void {
  writeFileSync(`${file}.new`, JSON.stringify({ format: FORMAT, ...contents }, encode) + '\n');
  renameSync(`${file}.new`, file);
}

export function readCheckpoint(file: string): Checkpoint {
  let checkpoint: Partial<Checkpoint> | null;
  try {
    checkpoint = JSON.parse(readFileSync(file, 'utf8'), decode) as typeof checkpoint;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError(`${file}: cannot be read (${code ?? message})`);
  }
  if (
    checkpoint?.format !== FORMAT ||
    checkpoint.settings === undefined ||
    checkpoint.results === undefined
  ) {
    throw new UsageError(`${file}: not a checkpoint of this program (${FORMAT})`);
  }
  return checkpoint as Checkpoint;
}

/** What would otherwise go wrong far from here: parameters of another task, or numbers that are none. */
export function checkArrays(file: string, saved: Arrays, expected: Arrays): void {
  for (const [name, { length }] of Object.entries(expected)) {
    const array = saved[name];
    if (array?.length === length && array.every(Number.isFinite)) continue;
    throw new UsageError(`${file}: not a checkpoint of this run (${name} is not ${length} finite numbers)`);
  }
}

/** Arrays as their bytes, and what JSON has no number for by its name. */
function encode(_: string, value: unknown): unknown {
  if (types.isFloat64Array(value)) return { float64: bytes(value).toString('base64') };
  if (types.isFloat32Array(value)) return { float32: bytes(value).toString('base64') };
  if (typeof value === 'number' && !Number.isFinite(value)) return { number: String(value) };
  return value;
}

function decode(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Object.keys(value).length !== 1) return value;
  const { float64, float32, number } = value as Partial<Record<string, unknown>>;
  if (typeof number === 'string') return Number(number);
  if (typeof float64 === 'string') return new Float64Array(copied(float64));
  if (typeof float32 === 'string') return new Float32Array(copied(float32));
  return value;
}

const bytes = (array: Float64Array | Float32Array): Buffer =>
  Buffer.from(array.buffer, array.byteOffset, array.byteLength);

/** In a buffer of its own, which is aligned. */
const copied = (base64: string): ArrayBuffer => Uint8Array.from(Buffer.from(base64, 'base64')).buffer;
