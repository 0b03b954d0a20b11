// Problems that are at a kink of their solution, or near to one.
import type { OneProblem } from './general.js';
import { times, timesTransposed } from './kkt.js';
import { normal, uniform } from './random.js';

const { ceil, floor, max, min } = Math;

/** How far the constraint that is nearest to changing sides is from it, and on which side it is. */
export interface Margin {
  value: number;
  isActive: boolean;
}

export interface KinkShape {
  n: number;
  /** Whether inequalities are rows of G, bounds, or both. */
  inequalities: 'rows' | 'bounds' | 'both';
  hasEqualities: boolean;
}

/**
 * A strictly convex problem with its solution drawn first. Without `margin`, some constraints hold with equality there and
 * have no multiplier, and nothing else is active: z is at a kink, as far as doubles can say. With `margin`, one constraint is
 * that far from it, and some of the others are active by much.
 */
export function kinkProblem(
  { n, inequalities, hasEqualities }: KinkShape,
  seed: number,
  margin?: Margin,
): OneProblem {
  const random = uniform(seed);
  const gauss = normal(random);
  const normals = (size: number) => Float64Array.from({ length: size }, gauss);
  const between = (low: number, high: number) => low + (high - low) * random();
  const m = inequalities === 'bounds' ? 0 : n + 1;
  const q = hasEqualities ? floor(n / 3) : 0;
  const L = normals(n * n);
  const Q = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j <= i; j++) {
      let sum = i === j ? 0.1 : 0;
      for (let k = 0; k < n; k++) sum += (L[i * n + k]! * L[j * n + k]!) / n;
      Q[i * n + j] = Q[j * n + i] = sum;
    }
  }
  const z = normals(n);
  const G = normals(m * n);
  const A = normals(q * n);
  const h = times(G, z, n).map((x) => x + between(0.1, 1.1));
  const isBounded = inequalities !== 'rows';
  const lb = isBounded ? z.map((x) => x - between(0.1, 1.1)) : undefined;
  const ub = isBounded ? z.map((x) => x + between(0.1, 1.1)) : undefined;

  const multipliers = new Float64Array(m);
  const pull = new Float64Array(n);
  const Gz = times(G, z, n);
  /** Makes inequality i, of rows and then of bounds, one with this slack and multiplier. */
  const set = (i: number, slack: number, multiplier: number) => {
    if (i < m) {
      h[i] = Gz[i]! + slack;
      multipliers[i] = multiplier;
    } else if (random() < 0.5) {
      lb![i - m] = z[i - m]! - slack;
      pull[i - m] = -multiplier;
    } else {
      ub![i - m] = z[i - m]! + slack;
      pull[i - m] = multiplier;
    }
  };
  const count = m + (isBounded ? n : 0);
  const order = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const k = floor(random() * (i + 1));
    [order[i], order[k]] = [order[k]!, order[i]!];
  }
  const free = n - q;
  if (margin === undefined) {
    const weak = 1 + floor(random() * min(3, max(1, free)));
    for (const i of order.slice(0, weak)) set(i, 0, 0);
  } else {
    const active = floor(random() * ceil(free / 2));
    const [first, ...others] = order;
    set(first!, margin.isActive ? 0 : margin.value, margin.isActive ? margin.value : 0);
    for (const i of others.slice(0, min(active, free - 1))) set(i, 0, between(0.5, 1.5));
  }
  const nu = normals(q);
  const terms = [times(Q, z, n), timesTransposed(G, multipliers, n), timesTransposed(A, nu, n), pull];
  const p = Float64Array.from({ length: n }, (_, j) => -terms.reduce((sum, term) => sum + term[j]!, 0));
  const b = times(A, z, n);
  return { n, m, q, Q, p, G, h: m > 0 ? h : undefined, gl: undefined, A, b, lb, ub };
}

/** Shapes of all kinds, from n = 1 to n = 100, small ones more often. */
export function kinkShapes(count: number, seed: number): KinkShape[] {
  const random = uniform(seed);
  return Array.from({ length: count }, (_, k) => ({
    n: max(1, floor(101 ** random())),
    inequalities: (['rows', 'bounds', 'both'] as const)[k % 3]!,
    hasEqualities: random() < 0.5,
  }));
}
