import { drawProblems, firstProblems, type Problems } from '../qp-problems.js';
import { Random } from '../random.js';
import { drawChart, type Series } from '../runner/chart.js';
import type { Check, Experiment, Settings, SolverOptions } from '../runner/experiment.js';
import type { Table } from '../runner/table.js';
import {
  formatSeconds,
  threeDigits,
  timeInTurn,
  timesAsLong,
  type Runner,
  type Times,
} from '../stopwatch.js';
import { accuracyOf, type Accuracy } from './accuracy.js';
import { highs } from './highs.js';
import { oursBatched, oursOneByOne } from './ours.js';
import { quadprog } from './quadprog.js';
import type { Answers, Solver } from './solver.js';

const N = 100;
const M = 100;
const BATCHES = [1, 64, 128] as const;
const LARGEST = BATCHES[2];

/** Seconds for a batch of 128 in the paper's figure 2, on a Titan X GPU, and of Gurobi on a CPU, one by one. */
const PAPER = { batched: 0.18, gurobi: 4.7 };

/** Batched, we must be so many times as fast as quadprog. It is hundreds of times where two cores are ours alone. */
const LEAST_SPEED_UP = 10;
/** How far the solutions of two solvers may differ. quadprog's and ours differ by rounding. */
const AGREEMENT = 1e-6;

interface Outcome {
  solvers: ({ name: string; description: string; times: Times[] } & Accuracy)[];
}

/** The paper's figure 2: how long batches of problems take that have 100 variables and 100 inequalities. */
export const solverTiming: Experiment = {
  name: 'solver-timing',
  title: 'Batches of quadratic programs, against solvers that take one at a time (figure 2)',
  parts: (settings, options) => [
    {
      kind: 'measurement',
      name: 'times',
      measure: (_, tell) => measure(settings, options, tell),
    },
  ],
  report(results) {
    const outcome = results.times!.outcome as Outcome;
    return {
      tables: [table(outcome)],
      pictures: [{ name: 'solver-timing', svg: picture(outcome) }],
      checks: checks(outcome),
    };
  },
};

async function measure(
  { seed, quick }: Settings,
  options: SolverOptions,
  tell: (message: string) => void,
): Promise<Outcome> {
  const problems = drawProblems({ batch: LARGEST, n: N, m: M }, Random.seeded(seed));
  const batched = oursBatched(options);
  const solvers = [batched, oursOneByOne(options), quadprog, await highs()];
  const accuracy = await compare(solvers, quick ? firstProblems(problems, 8) : problems, tell);
  const runners = solvers.flatMap((solver) =>
    BATCHES.map((batch): Runner => {
      const part = firstProblems(problems, batch);
      return {
        name: `${solver.name}, batch of ${batch}`,
        warmUp: batch === BATCHES[0] || solver === batched,
        prepare: () => solver.prepare(part),
      };
    }),
  );
  const effort = quick ? { rounds: 3, seconds: 0.02, limit: 2 } : { rounds: 9, seconds: 0.1, limit: 30 };
  const times = await timeInTurn(runners, effort, tell);
  return {
    solvers: solvers.map(({ name, description }, i) => ({
      name,
      description,
      ...accuracy[i]!,
      times: times.slice(i * BATCHES.length, (i + 1) * BATCHES.length),
    })),
  };
}

/** How exact the solvers are, and how far each is from the first. */
async function compare(
  solvers: readonly Solver[],
  problems: Problems,
  tell: (message: string) => void,
): Promise<Accuracy[]> {
  const answers: Answers[] = [];
  for (const solver of solvers) {
    tell(`how exact: ${solver.name}`);
    answers.push(await solver.prepare(problems)());
  }
  return answers.map((answer) => accuracyOf(problems, answer, answers[0]!));
}

function table({ solvers }: Outcome): Table {
  const batched = solvers[0]!;
  return {
    title: `Time for a batch of problems with ${N} variables and ${M} inequalities`,
    headings: [
      '',
      ...BATCHES.map((batch) => `batch of ${batch}`),
      `best of ${LARGEST}`,
      'problems/s',
      'optnet is faster by',
      'solved',
      'worst KKT residual',
      'largest difference to ours',
    ],
    rows: [
      ...solvers.map(({ name, times, solved, problems, residual, difference }, i) => [
        name,
        ...times.map(({ median }) => formatSeconds(median)),
        formatSeconds(times.at(-1)!.best),
        Math.round(LARGEST / times.at(-1)!.median).toString(),
        i === 0 ? '' : `${threeDigits(timesAsLong(times.at(-1)!, batched.times.at(-1)!))}×`,
        `${solved} of ${problems}`,
        residual.toExponential(1),
        i === 0 ? '' : difference.toExponential(1),
      ]),
      paperRow('paper: batched, on a GPU', PAPER.batched, batched.times.at(-1)!),
      paperRow('paper: Gurobi, one by one', PAPER.gurobi, batched.times.at(-1)!),
    ],
    notes: [
      `Times are medians over rounds in which all were measured in turn. ${describe(solvers)}.`,
      'The paper’s GPU was a Titan X; Gurobi ran on a CPU of its time, not on this one.',
    ],
  };
}

function paperRow(name: string, seconds: number, ours: Times): string[] {
  return [
    name,
    ...BATCHES.map((batch) => (batch === LARGEST ? formatSeconds(seconds) : '–')),
    '–',
    Math.round(LARGEST / seconds).toString(),
    `${threeDigits(seconds / ours.median)}×`,
    '–',
    '–',
    '–',
  ];
}

const describe = (solvers: Outcome['solvers']): string =>
  solvers.map(({ name, description }) => `${name}: ${description}`).join('; ');

function picture({ solvers }: Outcome): string {
  const measured = solvers.map(({ name, times }): Series => {
    return { name, dots: true, points: times.map(({ median }, i) => [BATCHES[i]!, median]) };
  });
  const published = (name: string, seconds: number): Series => {
    return { name, dots: true, line: false, points: [[LARGEST, seconds]] };
  };
  return drawChart(
    `Quadratic programs with ${N} variables and ${M} inequalities`,
    [
      {
        x: { label: 'problems in a batch', scale: 'log' },
        y: { label: 'time for the batch (s)', scale: 'log' },
        series: [
          ...measured,
          published('paper, batched on a GPU', PAPER.batched),
          published('paper, Gurobi', PAPER.gurobi),
        ],
      },
    ],
    1,
  );
}

function checks({ solvers }: Outcome): Check[] {
  const [ours, , active] = solvers;
  const ratio = timesAsLong(active!.times.at(-1)!, ours!.times.at(-1)!);
  return [
    {
      claim: `a batch of ${LARGEST} is ${threeDigits(ratio)} ≥ ${LEAST_SPEED_UP} times as fast as one by one by ${active!.name}`,
      holds: ratio >= LEAST_SPEED_UP,
    },
    ...[solvers[1]!, active!].map(({ name, solved, problems, difference }) => ({
      claim: `${name} solves ${solved} of ${problems}, and to ${difference.toExponential(1)} ≤ ${AGREEMENT.toExponential(0)} as we do`,
      holds: solved === problems && difference <= AGREEMENT,
    })),
  ];
}
