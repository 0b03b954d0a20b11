// What later calls need to know about a problem that was solved.
import type { Output } from './output.js';
import type { DatumName } from './problem.js';
import type { DType } from './tensor.js';

/** Sizes, the data that were given, and where the factors are. */
export interface SolvedProblem {
  /** Of the GPU that solved it, or whose memory is used although the CPU did; -1 for the CPU alone. */
  ordinal: number;
  /** Whether the CPU does what the GPU does not serve. */
  fallback: boolean;
  output: Output;
  dtype: DType;
  batch: number;
  n: number;
  m: number;
  q: number;
  /** Of the data that were given. */
  shapes: Partial<Record<DatumName, readonly number[]>>;
}

/** The minimiser, and the multipliers of each kind of constraint. */
export type PartName = 'z' | 'lambda' | 'nu' | 'lambdaGl' | 'lambdaLb' | 'lambdaUb';

export const partNames: readonly PartName[] = ['z', 'lambda', 'nu', 'lambdaGl', 'lambdaLb', 'lambdaUb'];

/** The second dimension of each part: zero for what the problem does not have. */
function widthsOf({ n, m, q, shapes }: SolvedProblem): Record<PartName, number> {
  return {
    z: n,
    lambda: m,
    nu: q,
    lambdaGl: shapes.gl === undefined ? 0 : m,
    lambdaLb: shapes.lb === undefined ? 0 : n,
    lambdaUb: shapes.ub === undefined ? 0 : n,
  };
}

/** [batch, width] of each part. */
export function partShapes(problem: SolvedProblem): Record<PartName, readonly number[]> {
  const widths = widthsOf(problem);
  const shapes: Partial<Record<PartName, readonly number[]>> = {};
  for (const name of partNames) shapes[name] = [problem.batch, widths[name]];
  return shapes as Record<PartName, readonly number[]>;
}
