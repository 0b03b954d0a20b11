import { readFileSync, renameSync, writeFileSync } from 'node:fs';

import { UsageError } from '../usage.js';
import { VARIABLES } from './board.js';
import { EQUALITIES } from './layer.js';
import type { Snapshot } from './trainer.js';

const FORMAT = 'optnet-sudoku-1';

/** A run that can be taken up again. */
export interface Checkpoint {
  format: typeof FORMAT;
  /** The CSV that the games came from; absent when they were made from the seed. */
  data?: string;
  /** Of the games, so that a changed file is noticed. */
  games: string;
  snapshot: Snapshot;
}

/** Replaces the file in one step: a crash leaves the old one or the new one, never half of it. */
export function writeCheckpoint(file: string, contents: Omit<Checkpoint, 'format'>): void {
  writeFileSync(`${file}.new`, JSON.stringify({ format: FORMAT, ...contents }) + '\n');
  renameSync(`${file}.new`, file);
}

export function readCheckpoint(file: string): Checkpoint {
  let checkpoint: Checkpoint;
  try {
    checkpoint = JSON.parse(readFileSync(file, 'utf8')) as Checkpoint;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError(`${file}: cannot be read (${code ?? message})`);
  }
  if (!isComplete(checkpoint)) throw new UsageError(`${file}: not a checkpoint of this program (${FORMAT})`);
  return checkpoint;
}

/** What would otherwise go wrong far from here: another format, another layer, numbers that JSON could not hold. */
function isComplete(value: unknown): value is Checkpoint {
  const checkpoint = value as Partial<Checkpoint> | null;
  if (checkpoint?.format !== FORMAT || checkpoint.snapshot === undefined) return false;
  const { parameters, adam } = checkpoint.snapshot as Partial<Snapshot>;
  const sizes = [EQUALITIES * VARIABLES, VARIABLES];
  return [[parameters?.A, parameters?.w], adam?.first, adam?.second].every((arrays) =>
    sizes.every((size, k) => {
      const array: unknown = arrays?.[k];
      return Array.isArray(array) && array.length === size && array.every(Number.isFinite);
    }),
  );
}
