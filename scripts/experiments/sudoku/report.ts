import { drawChart, EPOCHS, type Panel, type Series } from '../runner/chart.js';
import type { Check, Report, Results } from '../runner/experiment.js';
import { curve, percent } from '../runner/scores.js';
import type { Table } from '../runner/table.js';
import type { EpochRecord } from '../runner/training.js';
import type { NineByNine, NineSolve } from './nine-by-nine.js';
import type { Plan, Way } from './plan.js';
import type { TrueRules } from './true-rules.js';

export const CONV_NET = 'convolutional network';
const TRUE_RULES = 'true rules';
const NINE_BY_NINE = '9×9';

/** Test errors in the paper (section 4.4): after 18 epochs, and the best. OptNet's is of the third epoch. */
const PAPER = { convNet: { final: 0.09, best: 0.058 }, optNet: { final: 0.001, best: 0.001 } };

export const optNetName = (way: Way, seed: number): string => `OptNet, ${way.name}, seed ${seed}`;

export const seedsOf = ({ seeds }: Way, first: number): number[] =>
  Array.from({ length: seeds }, (_, i) => first + i);

type History = readonly EpochRecord[];

/** A way of training, with a curve for each seed. */
interface Runs {
  way: Way;
  histories: History[];
}

export function report(results: Results, plan: Plan, seed: number, quick: boolean): Report {
  const runs = plan.ways.map((way) => ({
    way,
    histories: seedsOf(way, seed).map((each) => results[optNetName(way, each)]!.history),
  }));
  const convNet = results[CONV_NET]!.history;
  const rules = results[TRUE_RULES]!.outcome as TrueRules;
  const nine = results[NINE_BY_NINE]!.outcome as NineByNine;
  const all = runs.flatMap(({ histories }) => histories);
  return {
    tables: [
      comparison(runs, convNet, rules, plan),
      ...(all.length > 1 ? [seedTable(runs, seed)] : []),
      nineTable(nine),
    ],
    pictures: [{ name: 'curves', svg: curves(runs, convNet, plan) }],
    checks: [
      ...(quick ? quickChecks(all[0]!, convNet) : fullChecks(runs[0]!.histories, convNet)),
      ...ruleChecks(rules),
      ...nineChecks(nine),
      solvedCheck(results),
    ],
  };
}

const final = (history: History): number => history.at(-1)!.test.error!;

const best = (history: History): number =>
  Math.min(...history.map(({ test }) => test.error!).filter(Number.isFinite));

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

function comparison(runs: readonly Runs[], convNet: History, rules: TrueRules, plan: Plan): Table {
  const paper = ({ final, best }: { final: number; best: number }): string[] => [
    percent(final),
    percent(best),
  ];
  const optNet = ({ way, histories }: Runs): string[] => [
    `OptNet, ${way.name}${histories.length > 1 ? `, median of ${histories.length} seeds` : ''}`,
    way.schedule.epochs.toString(),
    percent(median(histories.map(final))),
    percent(median(histories.map(best))),
    percent(median(histories.map((history) => history.at(-1)!.test.strictError!))),
    ...paper(PAPER.optNet),
  ];
  const { filters, schedule } = plan.convNet;
  return {
    title: `Mini-Sudoku: ${plan.train} games to train, ${plan.test} to test; test boards that break a rule`,
    headings: ['', 'epochs', 'final', 'best', 'strict', 'paper: final', 'paper: best'],
    rows: [
      [
        `ten convolutional layers of ${filters} filters (paper: 512)`,
        schedule.epochs.toString(),
        percent(final(convNet)),
        percent(best(convNet)),
        percent(convNet.at(-1)!.test.strictError),
        ...paper(PAPER.convNet),
      ],
      ...runs.map(optNet),
      [
        'OptNet’s layer with the true rules',
        '–',
        percent(rules.error),
        '',
        percent(rules.strictError),
        '',
        '',
      ],
    ],
    notes: [
      'strict: boards that break a rule or change a given, at the end. The paper’s OptNet has 0.1 % in its third of 18 epochs. ' +
        `With the true rules ${percent(rules.fractional)} of the boards have entries that are neither 0 nor 1.`,
    ],
  };
}

function seedTable(runs: readonly Runs[], first: number): Table {
  const under = (score: (history: History) => number, limit: number, { histories }: Runs): string =>
    `${histories.filter((history) => score(history) <= limit).length} of ${histories.length}`;
  const limits = [0.01, 0.002] as const;
  return {
    title: 'OptNet, seed by seed: test boards that break a rule',
    headings: ['seed', ...runs.flatMap(({ way }) => [`${way.name}: final`, 'best', 'strict'])],
    rows: [
      ...seedsOf(runs[0]!.way, first).map((seed, i) => [
        seed.toString(),
        ...runs.flatMap(({ histories }) => {
          const history = histories[i]!;
          return [percent(final(history)), percent(best(history)), percent(history.at(-1)!.test.strictError)];
        }),
      ]),
      ...limits.map((limit) => [
        `≤ ${100 * limit} %`,
        ...runs.flatMap((each) => [under(final, limit, each), under(best, limit, each), '']),
      ]),
    ],
  };
}

function curves(runs: readonly Runs[], convNet: History, plan: Plan): string {
  const baseline: Series = {
    name: `convolutional network of ${plan.convNet.filters} filters`,
    colour: '#222222',
    dash: '6 4',
    points: curve(convNet, 'test', 'error', 100),
  };
  const panels = runs.map(({ way, histories }): Panel => ({
    title: `OptNet, ${way.name}${histories.length > 1 ? `: ${histories.length} seeds` : ''}`,
    x: { ...EPOCHS, range: [0, way.schedule.epochs] },
    y: { label: 'Test boards that break a rule (%)', scale: 'percent' },
    series: [
      ...histories.map((history) => ({
        name: `OptNet, ${way.name}`,
        colour: way.colour,
        points: curve(history, 'test', 'error', 100),
        faint: histories.length > 1,
        dots: true,
      })),
      baseline,
    ],
  }));
  return drawChart('Mini-Sudoku, learned from games', panels);
}

function nineTable({ puzzles, variables, inequalities, equations, givens, paper, sharp }: NineByNine): Table {
  const row = ({ cost, solved, right, cells, iterations, asBounds, asRows }: NineSolve): string[] => [
    cost.toString(),
    `${solved} of ${puzzles}`,
    `${right} of ${puzzles}`,
    percent(cells),
    iterations.toFixed(1),
    ...[asBounds, asRows].flatMap(({ forward, backward }) => [seconds(forward), seconds(backward)]),
  ];
  return {
    title:
      `9×9 Sudoku’s layer: ${variables} variables, ${inequalities} inequalities, ${equations} equations, ` +
      `${puzzles} puzzles of ${givens} givens`,
    headings: [
      'Q / I',
      'solved',
      'boards right',
      'cells right',
      'iterations',
      'z ≥ 0 as bounds: forward',
      'backward',
      'as rows of G: forward',
      'backward',
    ],
    rows: [paper, sharp].map(row),
    notes: ['Times are for the whole batch. Gradients are those for A and b.'],
  };
}

const seconds = (value: number): string => `${value.toPrecision(2)} s`;

function fullChecks(histories: readonly History[], convNet: History): Check[] {
  const count = (score: (history: History) => number, limit: number): number =>
    histories.filter((history) => score(history) <= limit).length;
  const [finals, bests] = [count(final, 0.01), count(best, 0.002)];
  const of = `of ${histories.length} seeds`;
  return [
    { claim: `OptNet: final error ≤ 1 % with ${finals} ${of}, at least 9`, holds: finals >= 9 },
    { claim: `OptNet: best error ≤ 0.2 % with ${bests} ${of}, at least 8`, holds: bests >= 8 },
    baselineCheck(median(histories.map(final)), convNet),
  ];
}

/** Untrained, no board is right. */
function quickChecks(history: History, convNet: History): Check[] {
  const error = final(history);
  return [
    { claim: `OptNet: test error ${percent(error)} ≤ 10 % after training`, holds: error <= 0.1 },
    lossCheck(convNet),
    baselineCheck(error, convNet),
  ];
}

/** A network of a dozen filters is far from solving boards, but its loss tells that it learns. */
function lossCheck(convNet: History): Check {
  const [start, end] = [convNet[0]!.test.loss!, convNet.at(-1)!.test.loss!];
  return {
    claim: `convolutional network: test loss ${end.toPrecision(3)} ≤ 0.75 × ${start.toPrecision(3)} before training`,
    holds: end <= 0.75 * start,
  };
}

function baselineCheck(error: number, convNet: History): Check {
  return {
    claim: `OptNet’s error ${percent(error)} is below the convolutional network’s ${percent(best(convNet))}`,
    holds: error < best(convNet),
  };
}

function ruleChecks({ games, solved, strictError }: TrueRules): Check[] {
  return [
    { claim: `true rules: ${solved} of ${games} problems solved`, holds: solved === games },
    { claim: `true rules: strict error ${percent(strictError)} ≤ 1 %`, holds: strictError <= 0.01 },
  ];
}

function nineChecks({ puzzles, paper, sharp, derivative }: NineByNine): Check[] {
  const residual = Math.max(paper.residual, sharp.residual);
  return [
    {
      claim: `9×9: all solved, with residuals ${residual.toExponential(1)} ≤ 1e-7 from the data`,
      holds: paper.solved === puzzles && sharp.solved === puzzles && residual <= 1e-7,
    },
    {
      claim: `9×9: derivatives are central differences to ${derivative.toExponential(1)} ≤ 1e-4`,
      holds: derivative <= 1e-4,
    },
  ];
}

function solvedCheck(results: Results): Check {
  const healths = Object.values(results).flatMap(({ health }) => health ?? []);
  const solves = healths.reduce((sum, health) => sum + health.solves, 0);
  const unsolved = healths.reduce((sum, health) => sum + health.unsolved, 0);
  return {
    claim: `training: ${unsolved} of ${solves} quadratic programs not solved`,
    holds: unsolved === 0,
  };
}
