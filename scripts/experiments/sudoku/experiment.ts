import type { Experiment, Part, Settings, SolverOptions } from '../runner/experiment.js';
import { startTensorFlow } from '../tensorflow.js';
import { ConvNetTask } from './conv-net.js';
import { makeGames, type Games } from './games.js';
import { nineByNine } from './nine-by-nine.js';
import { planFor, type Plan, type Way } from './plan.js';
import { CONV_NET, optNetName, report, seedsOf } from './report.js';
import { gamesRandom, parametersRandom, SUDOKU_METRICS, SudokuTask } from './task.js';
import { trueRules } from './true-rules.js';

/** Section 4.4: the rules of Sudoku, learned from games alone. */
export const sudoku: Experiment = {
  name: 'sudoku',
  title: 'Mini-Sudoku from games alone',

  parts({ seed, quick }: Settings, solver: SolverOptions): Part[] {
    const plan = planFor(quick);
    return [
      trueRules(gamesOf(plan, seed).test, solver),
      ...plan.ways.flatMap((way) => seedsOf(way, seed).map((each) => optNetPart(plan, way, each, solver))),
      convNetPart(plan, seed),
      nineByNine({ ...plan.nine, seed }, solver),
    ];
  },

  report: (results, { seed, quick }) => report(results, planFor(quick), seed, quick),
};

const gamesOf = ({ train, test }: Plan, seed: number): Games => makeGames(train, test, gamesRandom(seed));

/** The seed decides its games, too. */
function optNetPart(plan: Plan, way: Way, seed: number, solver: SolverOptions): Part {
  return {
    kind: 'training',
    name: optNetName(way, seed),
    schedule: way.schedule,
    seed,
    metrics: SUDOKU_METRICS,
    task: () => new SudokuTask(seed, gamesOf(plan, seed), solver),
  };
}

function convNetPart(plan: Plan, seed: number): Part {
  const { filters, schedule } = plan.convNet;
  return {
    kind: 'training',
    name: CONV_NET,
    schedule,
    metrics: SUDOKU_METRICS,
    task: async () => {
      await startTensorFlow();
      return new ConvNetTask(filters, gamesOf(plan, seed), parametersRandom(seed));
    },
  };
}
