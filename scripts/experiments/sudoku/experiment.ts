import { drawChart, EPOCHS, type Series } from '../runner/chart.js';
import type { Check, Experiment, Part, Results, Settings, SolverOptions } from '../runner/experiment.js';
import { curve, percent } from '../runner/scores.js';
import type { Table } from '../runner/table.js';
import type { EpochRecord, Schedule } from '../runner/training.js';
import { makeGames, TEST_GAMES, TRAIN_GAMES } from './games.js';
import { gamesRandom, halvingSchedule, SUDOKU_METRICS, SudokuTask } from './task.js';

const BATCH = 150;
const RATE = 0.1;

/** A way of lowering the rate, over several seeds. */
interface Way {
  name: string;
  colour: string;
  schedule: Schedule;
  seeds: number;
}

function ways(quick: boolean): Way[] {
  const halved = { name: 'rate halved from epoch 5', colour: '#0072b2' };
  if (quick) return [{ ...halved, schedule: halvingSchedule(6, 50, RATE), seeds: 1 }];
  return [
    { ...halved, schedule: halvingSchedule(10, BATCH, RATE), seeds: 10 },
    {
      name: 'constant rate',
      colour: '#d55e00',
      schedule: { epochs: 18, batch: BATCH, rate: () => RATE },
      seeds: 10,
    },
  ];
}

const partName = (way: Way, seed: number): string => `OptNet, ${way.name}, seed ${seed}`;

const seedsOf = ({ seeds }: Way, { seed }: Settings): number[] =>
  Array.from({ length: seeds }, (_, i) => seed + i);

/** Section 4.4: the rules of Sudoku, learned from games alone. */
export const sudoku: Experiment = {
  name: 'sudoku',
  title: 'Mini-Sudoku from games alone',

  parts(settings: Settings, solver: SolverOptions): Part[] {
    return ways(settings.quick).flatMap((way) =>
      seedsOf(way, settings).map((seed) => optNetPart(way, seed, settings.quick, solver)),
    );
  },

  report(results: Results, settings: Settings) {
    const all = ways(settings.quick).map((way) => ({
      way,
      runs: seedsOf(way, settings).map((seed) => results[partName(way, seed)]!.history),
    }));
    return {
      tables: [seedTable(all, settings)],
      pictures: [{ name: 'curves', svg: seedCurves(all) }],
      checks: settings.quick ? quickChecks(all[0]!.runs[0]!) : fullChecks(all[0]!.runs),
    };
  },
};

function optNetPart(way: Way, seed: number, quick: boolean, solver: SolverOptions): Part {
  return {
    kind: 'training',
    name: partName(way, seed),
    schedule: way.schedule,
    seed,
    metrics: SUDOKU_METRICS,
    task: () => {
      const [train, test] = quick ? [2000, 500] : [TRAIN_GAMES, TEST_GAMES];
      return new SudokuTask(seed, makeGames(train, test, gamesRandom(seed)), solver);
    },
  };
}

interface Runs {
  way: Way;
  /** A curve for each seed. */
  runs: EpochRecord[][];
}

const final = (history: readonly EpochRecord[]): number => history.at(-1)!.test.error!;

const best = (history: readonly EpochRecord[]): number =>
  Math.min(...history.map(({ test }) => test.error!).filter(Number.isFinite));

function seedTable(all: readonly Runs[], settings: Settings): Table {
  const seeds = seedsOf(all[0]!.way, settings);
  const under = (score: (history: EpochRecord[]) => number, limit: number, { runs }: Runs): string =>
    `${runs.filter((history) => score(history) <= limit).length} of ${runs.length}`;
  return {
    title: 'Test error of OptNet: boards that break a rule',
    headings: ['seed', ...all.flatMap(({ way }) => [`${way.name}: final`, 'best', 'strict'])],
    rows: [
      ...seeds.map((seed, i) => [
        seed.toString(),
        ...all.flatMap(({ runs }) => {
          const history = runs[i]!;
          return [percent(final(history)), percent(best(history)), percent(history.at(-1)!.test.strictError)];
        }),
      ]),
      ['≤ 1 %', ...all.flatMap((runs) => [under(final, 0.01, runs), under(best, 0.01, runs), ''])],
      ['≤ 0.2 %', ...all.flatMap((runs) => [under(final, 0.002, runs), under(best, 0.002, runs), ''])],
    ],
    notes: ['strict: boards that break a rule or change a given, after the last epoch.'],
  };
}

function seedCurves(all: readonly Runs[]): string {
  return drawChart(
    'OptNet on mini-Sudoku: test error of every seed',
    all.map(({ way, runs }) => ({
      title: `${way.name}, ${way.schedule.epochs} epochs`,
      x: EPOCHS,
      y: { label: 'Test boards that break a rule (%)', scale: 'percent' as const },
      series: runs.map((history): Series => ({
        name: `OptNet, ${way.name}`,
        colour: way.colour,
        points: curve(history, 'test', 'error', 100),
        faint: runs.length > 1,
        dots: true,
      })),
    })),
  );
}

function fullChecks(runs: readonly EpochRecord[][]): Check[] {
  const count = (score: (history: readonly EpochRecord[]) => number, limit: number): number =>
    runs.filter((history) => score(history) <= limit).length;
  const [finals, bests] = [count(final, 0.01), count(best, 0.002)];
  return [
    { claim: `final error ≤ 1 % with ${finals} of ${runs.length} seeds (9 wanted)`, holds: finals >= 9 },
    { claim: `best error ≤ 0.2 % with ${bests} of ${runs.length} seeds (8 wanted)`, holds: bests >= 8 },
  ];
}

/** Untrained, no board is right. */
function quickChecks(history: readonly EpochRecord[]): Check[] {
  const error = final(history);
  return [
    { claim: `test error ${percent(error)} ≤ 5 % after ${history.length - 1} epochs`, holds: error <= 0.05 },
  ];
}
