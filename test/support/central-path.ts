// A reference for smoothed derivatives: the point of the central path where every multiplier times its slack is the same
// number, by Newton's method on the perturbed optimality conditions.
import { linearSolve } from './exact.js';
import { multiplierOf, objectiveOf, sidesOf, slackOf, widthOf } from './general.js';
import type { OneProblem, Part, Point } from './general.js';
import { times, timesTransposed } from './kkt.js';

// Looked up once: in jest's realms every use of a global is slow.
const { abs, max, min } = Math;

/** The point, and its objective. The problem must have points inside all its inequalities. */
export function centralPoint(problem: OneProblem, product: number): Point & { objective: number } {
  const { n, q, Q, p, G, A, b } = problem;
  const sides = sidesOf(problem);
  const m = sides.length;
  const C = new Float64Array(m * n);
  sides.forEach(({ datum, index, sign }, i) => {
    if (datum === 'h' || datum === 'gl') for (let j = 0; j < n; j++) C[i * n + j] = sign * G[index * n + j]!;
    else C[i * n + index] = sign;
  });
  const size = n + m + q;
  const z = new Float64Array(n);
  const nu = new Float64Array(q);
  const slack = new Float64Array(m).fill(1);
  const lambda = new Float64Array(m).fill(1);
  let final = 0;
  for (let iteration = 0; iteration < 200; iteration++) {
    const right = new Float64Array(size);
    const gradient = [p, Q && times(Q, z, n), timesTransposed(C, lambda, n), timesTransposed(A, nu, n)];
    for (let j = 0; j < n; j++) right[j] = -gradient.reduce((sum, term) => sum + (term?.[j] ?? 0), 0);
    const Gz = times(G, z, n);
    sides.forEach((side, i) => {
      // Cz + s = d, and s = product/λ after the step.
      right[n + i] = slackOf(side, z, Gz) - product / lambda[i]!;
    });
    times(A, z, n).forEach((x, k) => (right[n + m + k] = b[k]! - x));
    const matrix = new Float64Array(size * size);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) matrix[i * size + j] = Q?.[i * n + j] ?? 0;
      for (let k = 0; k < m; k++) matrix[i * size + n + k] = matrix[(n + k) * size + i] = C[k * n + i]!;
      for (let k = 0; k < q; k++) {
        matrix[i * size + n + m + k] = matrix[(n + m + k) * size + i] = A[k * n + i]!;
      }
    }
    // With ds = product/λ − s − (s/λ)dλ.
    for (let i = 0; i < m; i++) matrix[(n + i) * size + n + i] = -slack[i]! / lambda[i]!;
    const step = linearSolve(matrix, right);
    let [most, moved] = [1, 0];
    const ds = slack.map((s, i) => product / lambda[i]! - s - (s / lambda[i]!) * step[n + i]!);
    for (let i = 0; i < m; i++) {
      if (ds[i]! < 0) most = min(most, (-0.95 * slack[i]!) / ds[i]!);
      if (step[n + i]! < 0) most = min(most, (-0.95 * lambda[i]!) / step[n + i]!);
    }
    for (let j = 0; j < n; j++) {
      z[j]! += most * step[j]!;
      moved = max(moved, abs(step[j]!) / (1 + abs(z[j]!)));
    }
    for (let i = 0; i < m; i++) {
      slack[i]! += most * ds[i]!;
      moved = max(moved, abs(step[n + i]!) / (1 + lambda[i]!), abs(ds[i]!) / (1 + slack[i]!));
      lambda[i]! += most * step[n + i]!;
    }
    for (let k = 0; k < q; k++) nu[k]! += most * step[n + m + k]!;
    // Once near, two more steps leave nothing but round-off.
    if (most === 1 && moved < 1e-9 && ++final === 3) {
      return { ...pointAt(problem, z, lambda, nu), objective: objectiveOf(problem, z) };
    }
  }
  throw new Error('the central path was not reached');
}

function pointAt(problem: OneProblem, z: Float64Array, lambda: Float64Array, nu: Float64Array): Point {
  const isGiven: Record<Part, boolean> = {
    z: true,
    lambda: problem.m > 0,
    nu: true,
    lambdaGl: problem.gl !== undefined,
    lambdaLb: problem.lb !== undefined,
    lambdaUb: problem.ub !== undefined,
  };
  const empty = Object.entries(isGiven).map(([part, given]) => [
    part,
    new Float64Array(given ? widthOf(part as Part, problem) : 0),
  ]);
  const point = { ...(Object.fromEntries(empty) as Point), z: z.slice(), nu: nu.slice() };
  sidesOf(problem).forEach(({ datum, index }, i) => (point[multiplierOf[datum]][index] = lambda[i]!));
  return point;
}
