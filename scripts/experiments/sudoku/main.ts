import path from 'node:path';

import { exitCodeOf, outputFolder } from '../runner/cli.js';
import { readCheckpoint, type Checkpoint } from '../runner/checkpoint.js';
import type { Check, Report, Results } from '../runner/experiment.js';
import { EXIT, run, type Plan } from '../runner/run.js';
import { epochTable } from '../runner/scores.js';
import { UsageError } from '../usage.js';
import { readGames } from './csv.js';
import { sudokuCurves } from './curves.js';
import { fingerprint, makeGames, splitGames, TEST_GAMES, TRAIN_GAMES, type Games } from './games.js';
import { HELP, parseOptions, type Options } from './options.js';
import { gamesRandom, halvingSchedule, SUDOKU_METRICS, SudokuTask } from './task.js';

const NAME = 'sudoku-main';
const PART = 'OptNet';

/** What decides the course of a run: two runs with the same settings take the same course. */
interface Settings {
  seed: number;
  epochs: number;
  batch: number;
  learningRate: number;
  /** The CSV that the games came from; absent when they were made from the seed. */
  data?: string;
  /** Of the games, so that a changed file is noticed. */
  games: string;
}

/** The project's main job: one run of the Sudoku layer. Gives the process's exit code. */
export function main(args: string[]): Promise<number> {
  return exitCodeOf(async () => {
    const options = parseOptions(args);
    if (options !== undefined) return await train(options);
    console.log(HELP);
    return EXIT.done;
  });
}

async function train(options: Options & { given: Set<string> }): Promise<number> {
  const checkpoint = options.resume === undefined ? undefined : readCheckpoint(options.resume);
  const { settings, games } = begin(options, checkpoint);
  const plan: Plan = {
    name: NAME,
    title:
      `Mini-Sudoku: ${games.train.length} games to train, ${games.test.length} to test, ` +
      `seed ${settings.seed}, batch ${settings.batch}.`,
    settings,
    parts: [
      {
        kind: 'training',
        name: PART,
        schedule: halvingSchedule(settings.epochs, settings.batch, settings.learningRate),
        metrics: SUDOKU_METRICS,
        task: () =>
          new SudokuTask(settings.seed, games, { device: options.device, threads: options.threads }),
      },
    ],
    report: (results) => report(results, settings.seed),
    resume: 'npm start -- --resume',
  };
  return await run(plan, outputFolder('sudoku', options), reopened(checkpoint, settings));
}

/** The settings, of which a checkpoint has all but the number of epochs, and the games that they lead to. */
function begin(options: Options & { given: Set<string> }, checkpoint: Checkpoint | undefined) {
  const before = checkpoint && settingsOf(checkpoint, options.resume!);
  const data = before ? before.data : options.data && path.resolve(options.data);
  const seed = before?.seed ?? options.seed;
  const games = gamesOf(data, seed);
  if (before && fingerprint(games) !== before.games) {
    throw new UsageError(`${options.resume!}: the games are not those that the run was started with`);
  }
  const settings: Settings = {
    seed,
    epochs: before && !options.given.has('epochs') ? before.epochs : options.epochs,
    batch: before?.batch ?? options.batch,
    learningRate: before?.learningRate ?? options.learningRate,
    ...(data !== undefined && { data }),
    games: fingerprint(games),
  };
  return { settings, games };
}

function settingsOf({ experiment, settings }: Checkpoint, file: string): Settings {
  if (experiment === NAME) return settings as Settings;
  throw new UsageError(`${file}: a checkpoint of the experiment '${experiment}', not of this job`);
}

/** A finished run goes on too, where more epochs were asked for. */
function reopened(checkpoint: Checkpoint | undefined, { epochs }: Settings): Checkpoint | undefined {
  const done = checkpoint?.results[PART];
  if (!checkpoint || !done || (done.history.at(-1)?.epoch ?? 0) >= epochs) return checkpoint;
  return { ...checkpoint, results: {} };
}

function gamesOf(data: string | undefined, seed: number): Games {
  const random = gamesRandom(seed);
  return data === undefined
    ? makeGames(TRAIN_GAMES, TEST_GAMES, random)
    : splitGames(readGames(data), random);
}

function report(results: Results, seed: number): Report {
  const { history, health } = results[PART]!;
  const { solves, unsolved, nonFinite } = health!;
  const check: Check = {
    claim: `${solves} problems solved; unconverged: ${unsolved}, values not finite: ${nonFinite}`,
    holds: nonFinite === 0,
  };
  const table = {
    ...epochTable(history, SUDOKU_METRICS),
    notes: [
      '',
      'error: boards that break a rule (the paper’s); strict: that break a rule or change a given.',
      'train: over the epoch, while the layer changed; test: at its end. Epoch 0 is before training.',
    ],
  };
  const curves = { name: 'curves', svg: sudokuCurves(history, `OptNet on mini-Sudoku, seed ${seed}`) };
  return { tables: [table], pictures: [curves], checks: [check] };
}
