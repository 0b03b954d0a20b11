import loadHighs, { type Highs, type HighsError, type ModelData } from 'highs';

import { datumAt, type Problems } from '../qp-problems.js';
import { joined } from './ours.js';
import type { Answers, Solver } from './solver.js';

/** HiGHS compiled to WebAssembly: a primal active set method, one problem a model. Its loading is not timed. */
export async function highs(): Promise<Solver> {
  const runtime = await loadHighs();
  return {
    name: 'HiGHS',
    description:
      'npm highs 1.15.3, an active set method in WebAssembly, one model a problem, given as arrays',
    prepare(problems) {
      const models = Array.from({ length: problems.batch }, (_, k) => modelAt(problems, k));
      return () => joined(models.map((model) => solve(runtime, model)));
    },
  };
}

function solve(runtime: Highs, data: ModelData): Answers {
  const model = runtime.createModel(data);
  try {
    model.options.set({ output_flag: false });
    model.run();
    if (model.getModelStatus() !== runtime.constants.modelStatus.optimal) return unanswered(data);
    const { colValue, rowDual } = model.getSolution();
    return { z: colValue, lambda: rowDual.map((dual) => Math.max(0, -dual)) }; // its duals of ≤ are ≤ 0
  } catch (error) {
    if ((error as HighsError).operation !== 'run') throw error;
    return unanswered(data); // it gives up on some of these problems
  } finally {
    model.dispose();
  }
}

function unanswered({ numCols, numRows }: ModelData): Answers {
  return { z: new Float64Array(numCols).fill(NaN), lambda: new Float64Array(numRows).fill(NaN) };
}

function modelAt(problems: Problems, k: number): ModelData {
  const { n, m } = problems;
  const free = (length: number, bound: number): Float64Array => new Float64Array(length).fill(bound);
  return {
    numCols: n,
    numRows: m,
    colCost: datumAt(problems, 'p', k),
    colLower: free(n, -Infinity),
    colUpper: free(n, Infinity),
    rowLower: free(m, -Infinity),
    rowUpper: datumAt(problems, 'h', k),
    matrix: { format: 'csr', numRows: m, numCols: n, ...dense(m, n), values: datumAt(problems, 'G', k) },
    hessian: { format: 'square', dimension: n, ...dense(n, n), values: datumAt(problems, 'Q', k) },
  };
}

/** Where the elements of a matrix without zeros are, in compressed form. */
function dense(count: number, length: number) {
  return {
    starts: Int32Array.from({ length: count + 1 }, (_, i) => i * length),
    indices: Int32Array.from({ length: count * length }, (_, i) => i % length),
  };
}
