import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import { QpError } from 'optnet';

import { UsageError } from '../usage.js';
import { readCheckpoint, writeCheckpoint, type Checkpoint } from './checkpoint.js';
import { readGames } from './csv.js';
import { drawCurves } from './curves.js';
import { fingerprint, makeGames, splitGames, type Games } from './games.js';
import { HELP, parseOptions, type Options } from './options.js';
import { Progress } from './progress.js';
import { epochTable } from './table.js';
import { gamesRandom, Trainer, type Settings } from './trainer.js';

const TRAIN_GAMES = 9000;
const TEST_GAMES = 1000;

const EXIT = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** A second signal is a second Ctrl-C only after this time: npm passes on the one that the terminal sent already. */
const SAME_SIGNAL_MS = 500;

/** Runs the experiment and gives the process's exit code. */
export async function main(args: string[]): Promise<number> {
  try {
    const options = parseOptions(args);
    if (options === undefined) {
      console.log(HELP);
      return EXIT.done;
    }
    return await runExperiment(options);
  } catch (error) {
    if (error instanceof UsageError || isAboutOptions(error)) {
      console.error(error.message);
      return EXIT.usage;
    }
    throw error;
  }
}

/** A device or a number of threads that the library does not accept. */
function isAboutOptions(error: unknown): error is QpError {
  return error instanceof QpError && ['ERR_QP_DEVICE', 'ERR_QP_OPTION'].includes(error.code);
}

async function runExperiment(options: Options & { given: Set<string> }): Promise<number> {
  const checkpoint = options.resume === undefined ? undefined : readCheckpoint(options.resume);
  const settings = settingsOf(options, checkpoint);
  const data = checkpoint ? checkpoint.data : options.data && path.resolve(options.data);
  const games = gamesOf(data, settings.seed);
  if (checkpoint && fingerprint(games) !== checkpoint.games) {
    throw new UsageError(`${options.resume ?? ''}: the games are not those that the run was started with`);
  }

  const trainer = new Trainer(settings, games, { device: options.device, threads: options.threads });
  if (checkpoint) trainer.load(checkpoint.snapshot);
  const files = outputFiles(options);
  const save = (): void => {
    writeCheckpoint(files.checkpoint, {
      ...(data && { data }),
      games: fingerprint(games),
      snapshot: trainer.save(),
    });
  };

  console.error(
    `Mini-Sudoku: ${games.train.length} games to train, ${games.test.length} to test, ` +
      `seed ${settings.seed}, batch ${settings.batch}.`,
  );
  const finished = await train(trainer, settings, save);
  if (!finished) {
    console.error(
      `Stopped. What was learned is saved; to go on:\n  npm start -- --resume ${files.checkpoint}`,
    );
    return EXIT.interrupted;
  }
  return summarise(trainer, settings, files);
}

/** Runs to the end, or to the end of the batch in which Ctrl-C came. */
async function train(trainer: Trainer, settings: Settings, save: () => void): Promise<boolean> {
  const progress = new Progress(settings.epochs);
  let interruptedAt: number | undefined;
  const interrupt = (): void => {
    const now = performance.now();
    if (interruptedAt !== undefined && now - interruptedAt > SAME_SIGNAL_MS) process.exit(EXIT.interrupted);
    interruptedAt ??= now;
  };
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  try {
    for await (const report of trainer.run()) {
      if (report.kind === 'batch') {
        progress.batch(report);
      } else {
        progress.epoch(report);
        save();
      }
      if (interruptedAt !== undefined) {
        if (report.kind === 'batch') progress.release();
        save();
        return false;
      }
    }
    return true;
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}

function summarise(trainer: Trainer, settings: Settings, files: OutputFiles): number {
  const { history, health } = trainer;
  const title = `OptNet on mini-Sudoku, seed ${settings.seed}`;
  writeFileSync(files.curves, drawCurves(history, title));
  writeFileSync(files.results, JSON.stringify({ settings, health, history }, null, 2) + '\n');
  console.log(`\n${epochTable(history)}\n`);
  console.log(
    `${health.solves} problems solved; unconverged: ${health.unsolved}, ` +
      `values not finite: ${health.nonFinite}.`,
  );
  console.log(`Learning curves: ${files.curves}\nParameters: ${files.checkpoint}`);
  return health.nonFinite > 0 ? EXIT.failed : EXIT.done;
}

function settingsOf(options: Options & { given: Set<string> }, checkpoint: Checkpoint | undefined): Settings {
  const { epochs, seed, batch, learningRate } = options;
  if (!checkpoint) return { epochs, seed, batch, learningRate };
  const { settings } = checkpoint.snapshot;
  return options.given.has('epochs') ? { ...settings, epochs } : settings;
}

function gamesOf(data: string | undefined, seed: number): Games {
  const random = gamesRandom(seed);
  return data === undefined
    ? makeGames(TRAIN_GAMES, TEST_GAMES, random)
    : splitGames(readGames(data), random);
}

interface OutputFiles {
  checkpoint: string;
  curves: string;
  results: string;
}

/** A resumed run goes on in the directory of its checkpoint. */
function outputFiles(options: Options): OutputFiles {
  const started = new Date().toISOString().slice(0, 19).replace(/:/g, '-');
  const directory =
    options.out ?? (options.resume === undefined ? `runs/sudoku-${started}` : path.dirname(options.resume));
  try {
    mkdirSync(directory, { recursive: true });
  } catch (error) {
    throw new UsageError(
      `${directory}: cannot be made (${(error as NodeJS.ErrnoException).code ?? String(error)})`,
    );
  }
  return {
    checkpoint: path.join(directory, 'checkpoint.json'),
    curves: path.join(directory, 'curves.svg'),
    results: path.join(directory, 'results.json'),
  };
}
