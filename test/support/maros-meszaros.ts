// The problems of test/data/maros-meszaros, and how well they are solved; the README there says what the fields mean.
import fs from 'node:fs';
import path from 'node:path';

import { qpSolveBatchSync } from '../../lib/index.js';
import type { Derivative, Status, SyncSolveOptions } from '../../lib/index.js';

import { batchOf, objectiveOf, pointOf, scaledResiduals } from './general.js';
import type { OneProblem, ScaledResiduals } from './general.js';

export interface MarosMeszaros {
  name: string;
  problem: OneProblem;
  /** What the objective has beside ½ zᵀQz + pᵀz. */
  constant: number;
  /** Of the solution. */
  objective: number;
}

type Numbers = readonly (number | 'Infinity' | '-Infinity')[];

interface Triplets {
  rows: readonly number[];
  cols: readonly number[];
  vals: readonly number[];
}

interface File {
  name: string;
  n: number;
  Q: Triplets;
  p: readonly number[];
  constant: number;
  C: Triplets & { shape: readonly [number, number] };
  cl: Numbers;
  cu: Numbers;
  lb: Numbers;
  ub: Numbers;
  objective: number;
}

export function marosMeszaros(): MarosMeszaros[] {
  const folder = path.join(__dirname, '../data/maros-meszaros');
  return fs
    .readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => read(JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8')) as File));
}

/** Rows with one value are equalities, the others inequalities; bounds that are all infinite are left out. */
function read({ name, n, Q, p, constant, C, cl, cu, lb, ub, objective }: File): MarosMeszaros {
  const rows = dense(C, C.shape[0], n);
  const all = Array.from({ length: C.shape[0] }, (_, i) => i);
  const isEquality = (i: number) => cl[i] === cu[i];
  const equalities = all.filter(isEquality);
  const inequalities = all.filter((i) => !isEquality(i));
  const matrix = (indices: readonly number[]) =>
    Float64Array.from(indices.flatMap((i) => [...rows.subarray(i * n, (i + 1) * n)]));
  const some = (values: Numbers, indices: readonly number[] = Array.from(values, (_, i) => i)) => {
    const numbers = Float64Array.from(indices, (i) => Number(values[i]));
    return numbers.some((x) => Math.abs(x) < Infinity) ? numbers : undefined;
  };
  const problem: OneProblem = {
    n,
    m: inequalities.length,
    q: equalities.length,
    Q: dense(Q, n, n),
    p: Float64Array.from(p),
    G: matrix(inequalities),
    h: some(cu, inequalities),
    gl: some(cl, inequalities),
    A: matrix(equalities),
    b: Float64Array.from(equalities, (i) => Number(cl[i])),
    lb: some(lb),
    ub: some(ub),
  };
  return { name, problem, constant, objective };
}

function dense({ rows, cols, vals }: Triplets, height: number, width: number): Float64Array {
  const matrix = new Float64Array(height * width);
  vals.forEach((value, k) => (matrix[rows[k]! * width + cols[k]!]! += value));
  return matrix;
}

export interface Measured extends ScaledResiduals {
  status: Status;
  iterations: number;
  /** Relative; absolute where the objective is near 0. */
  objectiveError: number;
  /** What the error may be. */
  objectiveLimit: number;
  margin: number;
  derivative: Derivative;
}

const nearZero = 1e-2;

/** Solves a problem, and computes from the data how well. */
export function measure(
  { problem, constant, objective }: MarosMeszaros,
  options: SyncSolveOptions<'float64'> = {},
): Measured {
  using solution = qpSolveBatchSync(batchOf([problem]), options);
  const point = pointOf(solution, 0);
  const isNearZero = Math.abs(objective) < nearZero;
  const error = Math.abs(objectiveOf(problem, point.z) + constant - objective);
  return {
    ...scaledResiduals(problem, point),
    status: solution.status[0]!,
    iterations: solution.iterations[0]!,
    objectiveError: isNearZero ? error : error / Math.abs(objective),
    objectiveLimit: isNearZero ? 1e-5 : 1e-6,
    margin: solution.margin[0]!,
    derivative: solution.derivative[0]!,
  };
}
