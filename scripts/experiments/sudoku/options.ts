import type { DeviceRequest } from 'optnet';

import { integer, MOST_SEED, positive, readFlags } from '../runner/options.js';
import { UsageError } from '../usage.js';

export interface Options {
  epochs: number;
  seed: number;
  batch: number;
  learningRate: number;
  device: DeviceRequest;
  threads: number;
  data: string | undefined;
  resume: string | undefined;
  out: string | undefined;
}

export const HELP = `Trains an OptNet layer to solve mini-Sudoku (4×4) from games alone.

  npm start -- [options]

  --epochs N       passes over the training games (10)
  --seed N         decides games, initial parameters and order: same seed, same digits (1)
  --batch N        games per step (150)
  --lr X           Adam's learning rate, halved each epoch from the fifth (0.1)
  --device NAME    where problems are solved (auto)
  --threads N      threads of the solver, 0 for all (0)
  --data FILE      games from a CSV with the header quizzes,solutions, 16 digits each, 0 for a blank;
                   one in ten is kept for testing (default: games made here)
  --out DIR        where results go (runs/sudoku-DATE)
  --resume FILE    go on from a checkpoint; of the options above, --epochs, --device, --threads
                   and --out may be given with it
  --help           this text

Ctrl-C finishes the batch and saves what was learned; a second one quits at once.`;

const FLAGS = {
  epochs: { type: 'string' },
  seed: { type: 'string' },
  batch: { type: 'string' },
  lr: { type: 'string' },
  device: { type: 'string' },
  threads: { type: 'string' },
  data: { type: 'string' },
  resume: { type: 'string' },
  out: { type: 'string' },
  help: { type: 'boolean' },
} as const;

/** What a checkpoint has already decided. */
const FIXED_BY_RESUME = ['seed', 'batch', 'lr', 'data'] as const;

/** Reads the command line. `undefined` means that help was asked for. */
export function parseOptions(args: string[]): (Options & { given: Set<string> }) | undefined {
  const { values } = readFlags(args, FLAGS);
  if (values.help) return undefined;

  if (values.resume !== undefined) {
    const fixed = FIXED_BY_RESUME.find((name) => values[name] !== undefined);
    if (fixed) throw new UsageError(`--${fixed} cannot be given with --resume: the checkpoint has it`);
  }
  return {
    epochs: integer('epochs', values.epochs ?? '10', 1),
    seed: integer('seed', values.seed ?? '1', 0, MOST_SEED),
    batch: integer('batch', values.batch ?? '150', 1),
    learningRate: positive('lr', values.lr ?? '0.1'),
    // The library knows its devices, and checks the name.
    device: (values.device ?? 'auto') as DeviceRequest,
    threads: integer('threads', values.threads ?? '0', 0),
    data: values.data,
    resume: values.resume,
    out: values.out,
    given: new Set(Object.keys(values)),
  };
}
