import { qpSolveBatch, qpSolveBatchSync, type QpSolution } from 'optnet';

import { datumAt, type Problems } from '../qp-problems.js';
import type { SolverOptions } from '../runner/experiment.js';
import type { Answers, Solver } from './solver.js';

/** All problems in one call. The factors that a gradient needs are kept, as in a layer. */
export function oursBatched(options: SolverOptions): Solver {
  return {
    name: 'optnet, a batch',
    description: 'all problems in one call, on all threads',
    prepare:
      ({ Q, p, G, h }) =>
      async () =>
        answersOf(await qpSolveBatch({ Q, p, G, h }, options)),
  };
}

/** A call for every problem. */
export function oursOneByOne({ device }: SolverOptions): Solver {
  const options = { threads: 1, ...(device && { device }) };
  return {
    name: 'optnet, one by one',
    description: 'a synchronous call for each problem, on one thread',
    prepare(problems) {
      const single = Array.from({ length: problems.batch }, (_, k) => problemAt(problems, k));
      return () => joined(single.map((problem) => answersOf(qpSolveBatchSync(problem, options))));
    },
  };
}

function problemAt(problems: Problems, k: number) {
  const { n, m } = problems;
  return {
    Q: { shape: [n, n], data: datumAt(problems, 'Q', k) },
    p: { shape: [n], data: datumAt(problems, 'p', k) },
    G: { shape: [m, n], data: datumAt(problems, 'G', k) },
    h: { shape: [m], data: datumAt(problems, 'h', k) },
  };
}

function answersOf(solution: QpSolution<'float64'>): Answers {
  const answers = { z: solution.z.data, lambda: solution.lambda.data };
  solution.dispose();
  return answers;
}

/** Of solvers that take one problem at a time: their answers, one behind the other. */
export function joined(answers: readonly Answers[]): Answers {
  const join = (parts: readonly Float64Array[]): Float64Array => {
    const all = new Float64Array(parts.reduce((sum, { length }) => sum + length, 0));
    let start = 0;
    for (const part of parts) {
      all.set(part, start);
      start += part.length;
    }
    return all;
  };
  return { z: join(answers.map(({ z }) => z)), lambda: join(answers.map(({ lambda }) => lambda)) };
}
