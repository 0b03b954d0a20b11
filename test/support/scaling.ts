// The same problem in other units.
import type { OneProblem, Point } from './general.js';

/** What each thing is multiplied with. */
export interface Units {
  /** Rows of G and of A, with their right-hand sides. */
  rowsOfG: Float64Array;
  rowsOfA: Float64Array;
  /** The columns of Q, G, A and p: a variable's values are divided by it. */
  columns: Float64Array;
  objective: number;
  /** Right-hand sides, and p where there is a Q, so that z is multiplied with it. */
  values: number;
}

export function unitsOf({ n, m, q }: OneProblem): Units {
  const ones = (size: number) => new Float64Array(size).fill(1);
  return { rowsOfG: ones(m), rowsOfA: ones(q), columns: ones(n), objective: 1, values: 1 };
}

export function inUnits(problem: OneProblem, units: Units): OneProblem {
  const { n, Q, p, G, h, gl, A, b, lb, ub } = problem;
  const { rowsOfG, rowsOfA, columns, objective, values } = units;
  const ofRows = (M: Float64Array, rows: Float64Array) =>
    M.map((x, at) => x * (rows[Math.floor(at / n)]! * columns[at % n]!));
  const right = (v: Float64Array | undefined, rows: Float64Array) => v?.map((x, i) => x * rows[i]! * values);
  const bounds = (v: Float64Array | undefined) => v?.map((x, j) => (x / columns[j]!) * values);
  return {
    ...problem,
    Q: Q?.map((x, at) => x * (columns[Math.floor(at / n)]! * columns[at % n]!) * objective),
    p: p.map((x, j) => x * columns[j]! * objective * (Q ? values : 1)),
    G: ofRows(G, rowsOfG),
    h: right(h, rowsOfG),
    gl: right(gl, rowsOfG),
    A: ofRows(A, rowsOfA),
    b: right(b, rowsOfA)!,
    lb: bounds(lb),
    ub: bounds(ub),
  };
}

/** A point of the problem in these units, in the units that it had before. */
export function fromUnits(point: Point, problem: OneProblem, units: Units): Point {
  const { rowsOfG, rowsOfA, columns, objective, values } = units;
  const multiplier = objective * (problem.Q ? values : 1);
  return {
    z: point.z.map((x, j) => (x * columns[j]!) / values),
    lambda: point.lambda.map((x, i) => (x * rowsOfG[i]!) / multiplier),
    nu: point.nu.map((x, k) => (x * rowsOfA[k]!) / multiplier),
    lambdaGl: point.lambdaGl.map((x, i) => (x * rowsOfG[i]!) / multiplier),
    lambdaLb: point.lambdaLb.map((x, j) => x / columns[j]! / multiplier),
    lambdaUb: point.lambdaUb.map((x, j) => x / columns[j]! / multiplier),
  };
}
