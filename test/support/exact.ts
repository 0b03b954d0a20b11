// A reference: the solution and the gradients of a problem whose active set can be proved, from its KKT system, solved to
// far more digits than a double has. Numbers are pairs of doubles, high + low, where digits count.
import { multiplierOf, parts, sidesOf, widthOf } from './general.js';
import type { Datum, OneProblem, Part, Point, Side } from './general.js';

// Looked up once: in jest's realms every use of a global is slow.
const { abs, floor, log2, max, min, round, sqrt } = Math;

/** Upstream gradients: of the parts of a solution, and of the objective. */
export type UpstreamValues = Partial<Record<Part, Float64Array>> & { objective?: number };

export type GradientValues = Partial<Record<`d${Datum}`, Float64Array>>;

export interface ExactSolution {
  point: Point;
  /** h − Gz; of a row without a finite h, +∞. */
  slack: Float64Array;
  /** The least over all sides of max(multiplier, slack); +∞ without any. */
  margin: number;
  /** Gradients of the loss, of every datum that the problem has; dQ symmetric. */
  gradients(upstream: UpstreamValues): GradientValues;
  /** The same, lost digits and all, by elimination in doubles: z = Q⁻¹(…), then a system for the multipliers alone. */
  eliminated(upstream: UpstreamValues): GradientValues;
}

/** Why there is no reference. */
export interface Undecided {
  reason: string;
}

export const isExact = (result: ExactSolution | Undecided): result is ExactSolution => 'gradients' in result;

/**
 * Solves the problem on the active set that the point is near to, mends the set where it turns out to be wrong, and proves
 * it: the multipliers of all active sides and the slacks of all others are positive by far more than the error that is
 * left. A variable with lb = ub, or a row with gl = h, counts as an equality: its multiplier is on the side that it
 * presses on, and so is the gradient, of which only dlb + dub (dgl + dh) means anything.
 */
export function solveExactly(problem: OneProblem, near: Point): ExactSolution | Undecided {
  const sides = sidesOf(problem);
  const isPaired = pairs(sides);
  const free = sides.filter((side) => !isPaired.has(side));
  const fixed = sides.filter((side) => isPaired.has(side) && side.sign === 1);
  const slacks = slacksAt(problem, free, near.z);
  let active = free.map((side, i) => near[multiplierOf[side.datum]][side.index]! > slacks[i]!.high);

  const seen = new Set<string>();
  for (;;) {
    const key = active.map(Number).join('');
    if (seen.has(key)) return { reason: 'the active set did not settle' };
    seen.add(key);
    const system = new ActiveSystem(
      problem,
      free.filter((_, i) => active[i]),
      fixed,
    );
    if (system.rank < system.size) return { reason: 'the KKT matrix is singular' };
    const solution = system.solve(system.data);
    if (solution === undefined) return { reason: 'refinement did not converge' };
    const { z, ofActive } = system.split(solution);
    const inside = slacksAt(problem, free, z.high, z.low);
    let index = 0;
    const next = free.map((_, i) => {
      if (!active[i]) return !(inside[i]!.high > 0);
      return ofActive.high[index++]! > 0;
    });
    if (next.every((isActive, i) => isActive === active[i])) {
      return prove(problem, system, solution, free, active, inside);
    }
    active = next;
  }
}

interface Pair {
  high: Float64Array;
  low: Float64Array;
}

/** What is left of an error is this part of the largest number of its kind, at most. */
const proved = 1e-17;

function prove(
  problem: OneProblem,
  system: ActiveSystem,
  solution: Pair,
  free: readonly Side[],
  active: readonly boolean[],
  inside: readonly { high: number; size: number }[],
): ExactSolution | Undecided {
  const { z, ofActive, ofFixed, nu } = system.split(solution);
  const entries = parts.map((part) => [part, new Float64Array(present(problem, part))]);
  const point = Object.fromEntries(entries) as Point;
  point.z.set(z.high);
  point.nu.set(nu.high);
  const largestMultiplier = ofActive.high.reduce((most, x) => max(most, x), 0);
  let [margin, index] = [Infinity, 0];
  for (const [i, side] of free.entries()) {
    const multiplier = active[i] ? ofActive.high[index++]! : 0;
    const { high: slack, size } = inside[i]!;
    const isProved = active[i] ? multiplier > proved * largestMultiplier : slack > proved * size;
    if (!isProved) return { reason: 'the active set cannot be proved' };
    margin = min(margin, active[i] ? multiplier : slack);
    if (active[i]) point[multiplierOf[side.datum]][side.index] = multiplier;
  }
  system.fixed.forEach((side, i) => {
    const multiplier = ofFixed.high[i]!;
    point[multiplierOf[pressed(side, multiplier)]][side.index] = abs(multiplier);
  });
  const { n, m, G, h } = problem;
  const slack = new Float64Array(m);
  for (let i = 0; i < m; i++) {
    slack[i] =
      h === undefined ? Infinity : dot(G.subarray(i * n, (i + 1) * n), z.high, z.low, -h[i]!).high * -1;
  }
  for (const { datum, index } of [...system.active, ...system.fixed]) {
    if (datum === 'h') slack[index] = 0;
  }
  return {
    point,
    slack,
    margin,
    gradients: (upstream) => gradientsOf(problem, system, point, upstream, (right) => system.solve(right)),
    eliminated: (upstream) =>
      gradientsOf(problem, system, point, upstream, (right) => system.eliminate(right)),
  };
}

const opposite = { h: 'gl', ub: 'lb', gl: 'h', lb: 'ub' } as const;

/** The side of a fixed row or variable that a multiplier of this sign presses on. */
const pressed = ({ datum }: Side, multiplier: number): Side['datum'] =>
  multiplier >= 0 ? datum : opposite[datum];

function present(problem: OneProblem, part: Part): number {
  const datum = { z: 'p', lambda: 'h', nu: 'b', lambdaGl: 'gl', lambdaLb: 'lb', lambdaUb: 'ub' } as const;
  return problem[datum[part]] === undefined ? 0 : widthOf(part, problem);
}

/** The sides that leave no room between them and their opposite. */
function pairs(sides: readonly Side[]): Set<Side> {
  const byPlace = new Map(sides.map((side) => [`${side.datum} ${side.index}`, side]));
  return new Set(
    sides.filter((side) => byPlace.get(`${opposite[side.datum]} ${side.index}`)?.bound === side.bound),
  );
}

/** The equations that hold on an active set, symmetric: rows of z, of active sides, of fixed ones, of equalities. */
class ActiveSystem {
  readonly size: number;
  readonly rank: number;
  /** The right-hand side: −p and the bounds. */
  readonly data: Float64Array;
  private readonly matrix: Float64Array;
  /** Powers of 2 that bring the entries of every row and column near 1. */
  private readonly scale: Float64Array;
  private readonly factors: Float64Array;
  private readonly order: Int32Array;

  constructor(
    private readonly problem: OneProblem,
    readonly active: readonly Side[],
    readonly fixed: readonly Side[],
  ) {
    const { n, q, Q, p, G, A, b } = problem;
    const size = n + active.length + fixed.length + q;
    this.size = size;
    this.matrix = new Float64Array(size * size);
    this.data = new Float64Array(size);
    for (let i = 0; i < n; i++) {
      if (Q !== undefined) this.matrix.set(Q.subarray(i * n, (i + 1) * n), i * size);
      this.data[i] = -p[i]!;
    }
    const row = (at: number, values: (j: number) => number, bound: number) => {
      for (let j = 0; j < n; j++) this.matrix[at * size + j] = this.matrix[j * size + at] = values(j);
      this.data[at] = bound;
    };
    [...active, ...fixed].forEach(({ datum, index, sign, bound }, i) => {
      const ofG = datum === 'h' || datum === 'gl';
      row(n + i, (j) => sign * (ofG ? G[index * n + j]! : Number(j === index)), sign * bound);
    });
    for (let k = 0; k < q; k++) row(size - q + k, (j) => A[k * n + j]!, b[k]!);
    this.scale = equilibration(this.matrix, size);
    this.factors = this.matrix.map((x, at) => x * this.scale[floor(at / size)]! * this.scale[at % size]!);
    this.order = Int32Array.from({ length: size }, (_, i) => i);
    this.rank = factor(this.factors, this.order, size);
  }

  /** The solution, or undefined where refinement does not bring it near enough. */
  solve(right: Float64Array): Pair | undefined {
    const { size, matrix, scale } = this;
    const high = new Float64Array(size);
    const low = new Float64Array(size);
    let before = Infinity;
    for (let step = 0; step < 40; step++) {
      const residual = new Float64Array(size);
      for (let i = 0; i < size; i++) {
        const row = matrix.subarray(i * size, (i + 1) * size);
        residual[i] = -dot(row, high, low, -right[i]!).high * scale[i]!;
      }
      const correction = substitute(this.factors, this.order, residual, size);
      // In scaled units, in which all entries are of a kind.
      let [moved, length] = [0, 0];
      for (let i = 0; i < size; i++) {
        moved = max(moved, abs(correction[i]!));
        add(high, low, i, correction[i]! * scale[i]!);
        length = max(length, abs(high[i]! / scale[i]!));
      }
      if (!(moved < Infinity)) return undefined;
      if (moved <= 1e-26 * length) return { high, low };
      // As near as pairs of doubles come: about 1e-32 × the condition number.
      if (step > 0 && moved > 0.1 * before) return moved <= 0.1 * proved * length ? { high, low } : undefined;
      before = moved;
    }
    return undefined;
  }

  /** With Q ≻ 0 and C the other rows: CQ⁻¹Cᵀy = CQ⁻¹g − c, x = Q⁻¹(g − Cᵀy), all in doubles. */
  eliminate(right: Float64Array): Pair {
    const { n } = this.problem;
    const { size, matrix } = this;
    const row = (i: number) => matrix.subarray(i * size, i * size + n);
    const solveQ = solverOf(Float64Array.from({ length: n * n }, (_, at) => row(floor(at / n))[at % n]!));
    const C = Array.from({ length: size - n }, (_, i) => row(n + i));
    const x = solveQ(right.subarray(0, n));
    const eliminated = C.map(solveQ);
    const reduced = Float64Array.from(C.flatMap((c) => eliminated.map((e) => plainDot(c, e))));
    const y = linearSolve(
      reduced,
      Float64Array.from(C, (c, i) => plainDot(c, x) - right[n + i]!),
    );
    eliminated.forEach((e, i) => {
      for (let j = 0; j < n; j++) x[j]! -= e[j]! * y[i]!;
    });
    return { high: Float64Array.from([...x, ...y]), low: new Float64Array(size) };
  }

  split({ high, low }: Pair) {
    const { n, q } = this.problem;
    const part = (from: number, to: number): Pair => ({
      high: high.subarray(from, to),
      low: low.subarray(from, to),
    });
    const ends = [n, n + this.active.length, this.size - q] as const;
    return {
      z: part(0, n),
      ofActive: part(n, ends[1]),
      ofFixed: part(ends[1], ends[2]),
      nu: part(ends[2], this.size),
    };
  }
}

function gradientsOf(
  problem: OneProblem,
  system: ActiveSystem,
  point: Point,
  upstream: UpstreamValues,
  solve: (right: Float64Array) => Pair | undefined,
): GradientValues {
  const { n, m, q, Q, h, gl, lb, ub } = problem;
  const { z } = point;
  // Where each equation of a bound has its multiplier, and whether that is the equation's or its negative.
  const ends = [
    ...system.active.map((side) => ({ side, at: side.datum, turned: 1 })),
    ...system.fixed.map((side) => {
      const isAhead = point[multiplierOf[side.datum]][side.index]! > 0;
      return { side, at: pressed(side, isAhead ? 1 : -1), turned: isAhead ? 1 : -1 };
    }),
  ].map((end) => ({ ...end, multiplier: end.turned * point[multiplierOf[end.at]][end.side.index]! }));
  const right = new Float64Array(system.size);
  for (let j = 0; j < n; j++) right[j] = -(upstream.z?.[j] ?? 0);
  ends.forEach(({ side, at, turned }, i) => {
    right[n + i] = -turned * (upstream[multiplierOf[at]]?.[side.index] ?? 0);
  });
  for (let k = 0; k < q; k++) right[system.size - q + k] = -(upstream.nu?.[k] ?? 0);
  const solution = solve(right);
  if (solution === undefined) throw new Error('the adjoint system was not solved');
  // The objective's part needs no system: at the solution its derivatives are the Lagrangian's.
  const w = solution.high;
  const ofObjective = upstream.objective ?? 0;
  ends.forEach(({ multiplier }, i) => (w[n + i]! += ofObjective * multiplier));
  for (let k = 0; k < q; k++) w[system.size - q + k]! += ofObjective * point.nu[k]!;

  const zeros = (like: Float64Array | undefined) => like && new Float64Array(like.length);
  const dQ = zeros(Q);
  const dG = new Float64Array(m * n);
  const dA = new Float64Array(q * n);
  const bounds = { dh: zeros(h), dgl: zeros(gl), dlb: zeros(lb), dub: zeros(ub) };
  const dp = w.slice(0, n).map((x, j) => x + ofObjective * z[j]!);
  if (dQ !== undefined) {
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < n; j++) {
        dQ[i * n + j] = 0.5 * (w[i]! * z[j]! + z[i]! * w[j]! + ofObjective * z[i]! * z[j]!);
      }
    }
  }
  /** The row's part of λwᵀ + w_λ zᵀ. */
  const outer = (into: Float64Array, row: number, multiplier: number, ofMultiplier: number) => {
    for (let j = 0; j < n; j++) into[row * n + j]! += multiplier * w[j]! + ofMultiplier * z[j]!;
  };
  ends.forEach(({ side: { datum, sign, index }, at, multiplier }, i) => {
    const ofMultiplier = sign * w[n + i]!;
    if (datum === 'h' || datum === 'gl') outer(dG, index, sign * multiplier, ofMultiplier);
    bounds[`d${at}`]![index]! -= ofMultiplier;
  });
  const db = new Float64Array(q);
  for (let k = 0; k < q; k++) {
    const ofNu = w[system.size - q + k]!;
    outer(dA, k, point.nu[k]!, ofNu);
    db[k] = -ofNu;
  }
  const all = { dQ, dp, dG, dA, db, ...bounds };
  return Object.fromEntries(
    Object.entries(all).filter(([, values]) => values !== undefined && values.length > 0),
  );
}

/** Slacks of sides at z, and the sizes of what they are the differences of. */
function slacksAt(
  { n, G }: OneProblem,
  sides: readonly Side[],
  z: Float64Array,
  low: Float64Array = new Float64Array(n),
) {
  const unit = new Float64Array(n);
  return sides.map(({ datum, index, sign, bound }) => {
    const ofG = datum === 'h' || datum === 'gl';
    if (!ofG) unit[index] = 1;
    const { high, size } = dot(ofG ? G.subarray(index * n, (index + 1) * n) : unit, z, low, -bound);
    if (!ofG) unit[index] = 0;
    return { high: -sign * high, size };
  });
}

/** Halves of a double: x − high is exact, and products of halves are. */
const splitter = 2 ** 27 + 1;

/** rowᵀ(high + low) + start, with the rounding errors of all products and sums added up beside; rounded once. */
function dot(row: Float64Array, high: Float64Array, low: Float64Array, start: number) {
  let [sum, error, size] = [start, 0, abs(start)];
  for (let j = 0; j < row.length; j++) {
    const a = row[j]!;
    if (a === 0) continue;
    const x = high[j]!;
    const product = a * x;
    let t = splitter * a;
    const aHigh = t - (t - a);
    const aLow = a - aHigh;
    t = splitter * x;
    const xHigh = t - (t - x);
    const xLow = x - xHigh;
    const ofProduct = aLow * xLow - (product - aHigh * xHigh - aLow * xHigh - aHigh * xLow);
    const next = sum + product;
    const back = next - sum;
    error += sum - (next - back) + (product - back) + ofProduct + a * low[j]!;
    sum = next;
    size += product < 0 ? -product : product;
  }
  return { high: sum + error, size };
}

/** (high + low)ᵢ += x */
function add(high: Float64Array, low: Float64Array, i: number, x: number): void {
  const sum = high[i]! + x;
  const back = sum - high[i]!;
  const error = high[i]! - (sum - back) + (x - back) + low[i]!;
  high[i] = sum + error;
  low[i] = error - (high[i] - sum);
}

/** Factors for the rows and columns of a symmetric matrix, powers of 2, after which the largest of each is near 1. */
function equilibration(matrix: Float64Array, size: number): Float64Array {
  const scale = new Float64Array(size).fill(1);
  for (let pass = 0; pass < 8; pass++) {
    const before = scale.slice();
    for (let i = 0; i < size; i++) {
      let most = 0;
      for (let j = 0; j < size; j++) {
        const entry = abs(matrix[i * size + j]!) * before[i]! * before[j]!;
        if (entry > most) most = entry;
      }
      if (most > 0) scale[i]! *= 2 ** round(-0.5 * log2(most));
    }
  }
  return scale;
}

/** LU in place, rows in `order` by partial pivoting; the rank, where a pivot is only round-off. */
function factor(a: Float64Array, order: Int32Array, size: number): number {
  for (let k = 0; k < size; k++) {
    let pivot = k;
    for (let i = k + 1; i < size; i++) {
      if (abs(a[i * size + k]!) > abs(a[pivot * size + k]!)) pivot = i;
    }
    if (!(abs(a[pivot * size + k]!) > size * 2 ** -52)) return k;
    if (pivot !== k) {
      const row = a.slice(k * size, (k + 1) * size);
      a.copyWithin(k * size, pivot * size, (pivot + 1) * size);
      a.set(row, pivot * size);
      [order[k], order[pivot]] = [order[pivot]!, order[k]!];
    }
    const inverse = 1 / a[k * size + k]!;
    for (let i = k + 1; i < size; i++) {
      const multiple = (a[i * size + k]! *= inverse);
      if (multiple === 0) continue;
      const [to, from] = [i * size, k * size];
      for (let j = k + 1; j < size; j++) a[to + j]! -= multiple * a[from + j]!;
    }
  }
  return size;
}

function substitute(a: Float64Array, order: Int32Array, right: Float64Array, size: number): Float64Array {
  const x = Float64Array.from(order, (row) => right[row]!);
  for (let i = 1; i < size; i++) {
    let sum = x[i]!;
    for (let j = 0; j < i; j++) sum -= a[i * size + j]! * x[j]!;
    x[i] = sum;
  }
  for (let i = size - 1; i >= 0; i--) {
    let sum = x[i]!;
    for (let j = i + 1; j < size; j++) sum -= a[i * size + j]! * x[j]!;
    x[i] = sum / a[i * size + i]!;
  }
  return x;
}

function plainDot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Solves Mx = v for a symmetric M, in doubles. */
export const linearSolve = (M: Float64Array, v: Float64Array): Float64Array => solverOf(M)(v);

function solverOf(M: Float64Array): (v: Float64Array) => Float64Array {
  const size = sqrt(M.length);
  const scale = equilibration(M, size);
  const factors = M.map((x, at) => x * scale[floor(at / size)]! * scale[at % size]!);
  const order = Int32Array.from({ length: size }, (_, i) => i);
  if (factor(factors, order, size) < size) throw new Error('the matrix is singular');
  return (v) => {
    const right = v.map((x, i) => x * scale[i]!);
    return substitute(factors, order, right, size).map((x, i) => x * scale[i]!);
  };
}
