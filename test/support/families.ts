// Ten families of random problems of which it is known how each must end, as it was built for that.
import type { Status } from '../../lib/index.js';

import type { OneProblem } from './general.js';
import { times, timesTransposed } from './kkt.js';
import { normal, uniform } from './random.js';
import { inUnits, unitsOf } from './scaling.js';

// Looked up once: in jest's realms every use of a global is slow.
const { abs, ceil, floor, max, min } = Math;

export const families = [
  'well posed',
  'linear',
  'rank-deficient Q',
  'duplicate rows',
  'dependent equalities',
  'nearly infeasible',
  'infeasible',
  'unbounded',
  'degenerate vertex',
  'scales over 12 orders',
] as const;
export type Family = (typeof families)[number];

/** What a problem has beside p; Q may be left out of some of a family's batches. */
export interface Form {
  n: number;
  h: boolean;
  gl: boolean;
  A: boolean;
  lb: boolean;
  ub: boolean;
}

const variants: readonly Omit<Form, 'n'>[] = [
  'h',
  'hA',
  'hgA',
  'lu',
  'luA',
  'hl',
  'guA',
  'hglu',
  'hgluA',
].map((letters) => ({
  h: letters.includes('h'),
  gl: letters.includes('g'),
  A: letters.includes('A'),
  lb: letters.includes('l'),
  ub: letters.includes('u'),
}));
const sizes = [1, 3, 5, 8, 12];

/** Problems of one form, solved together. */
export interface Batch {
  name: string;
  problems: readonly OneProblem[];
  expected: Status;
}

/** A family's batches: about `count` problems in all. */
export function batchesOf(family: Family, count: number): (() => Batch)[] {
  const forms = variants
    .filter(({ h, gl, A }) => {
      if (family === 'duplicate rows' || family === 'degenerate vertex') return h || gl;
      return family === 'dependent equalities' ? A : true;
    })
    .flatMap((variant) => sizes.map((n) => ({ ...variant, n })));
  const batch = ceil(count / forms.length);
  return forms.map((form, i) => () => makeBatch(family, form, 1000 * families.indexOf(family) + i, batch));
}

/** Problem k of a batch depends on the seed alone. */
export function makeBatch(family: Family, form: Form, seed: number, batch: number): Batch {
  const random = uniform(seed);
  const shape = drawShape(family, form, random);
  const problems = Array.from({ length: batch }, () => makers[family](new Draft(form, shape, random)));
  const given = Object.entries(form).flatMap(([name, value]) => (value === true ? [name] : []));
  const objective = shape.Q === undefined ? 'linear' : `Q of rank ${shape.Q}`;
  return {
    name: `${family}, seed ${seed}, n = ${form.n}, ${objective}, ${given.join(' ')}`,
    problems,
    expected:
      family === 'infeasible' ? 'primalInfeasible' : family === 'unbounded' ? 'dualInfeasible' : 'solved',
  };
}

interface Shape {
  m: number;
  q: number;
  /** Of equalities that are independent. */
  rank: number;
  /** The rank of Q; undefined where there is none. */
  Q: number | undefined;
}

function drawShape(family: Family, { n, h, gl, A }: Form, random: () => number): Shape {
  const rank = A ? max(1, floor(n / 3)) : 0;
  const extra = family === 'dependent equalities' ? 2 : family === 'infeasible' && A ? 1 : 0;
  const ranks: Record<Family, readonly (number | undefined)[]> = {
    'well posed': [n],
    linear: [undefined],
    'rank-deficient Q': [floor(n / 2), max(0, n - 1)],
    'duplicate rows': [n, floor(n / 2), undefined],
    'dependent equalities': [n, floor(n / 2), undefined],
    'nearly infeasible': [n, floor(n / 2), undefined],
    infeasible: [n, floor(n / 2), undefined],
    unbounded: [floor(n / 2), undefined],
    'degenerate vertex': [n, floor(n / 2), undefined],
    'scales over 12 orders': [n],
  };
  const choices = ranks[family];
  return {
    m: h || gl ? (family === 'degenerate vertex' ? n + 4 : ceil(1.5 * n) + 1) : 0,
    // One variable that an equality fixes leaves nothing to decide, but is a problem too.
    q: A ? rank + extra : 0,
    rank,
    Q: choices[floor(random() * choices.length)],
  };
}

/** A problem in the making: its matrices are drawn, then a point, and then the vectors for which that is a solution. */
class Draft {
  readonly problem: OneProblem;
  readonly gauss: () => number;
  readonly z: Float64Array;

  constructor(
    readonly form: Form,
    readonly shape: Shape,
    readonly random: () => number,
  ) {
    this.gauss = normal(random);
    const { n } = form;
    const { m, q } = shape;
    const infinite = (isGiven: boolean, size: number, value: number) =>
      isGiven ? new Float64Array(size).fill(value) : undefined;
    this.problem = {
      n,
      m,
      q,
      Q: shape.Q === undefined ? undefined : this.drawQ(shape.Q),
      p: new Float64Array(n),
      G: this.normals(m * n),
      h: infinite(form.h, m, Infinity),
      gl: infinite(form.gl, m, -Infinity),
      A: this.normals(q * n),
      b: new Float64Array(q),
      lb: infinite(form.lb, n, -Infinity),
      ub: infinite(form.ub, n, Infinity),
    };
    this.z = this.normals(n);
    this.dependOn(shape.rank);
  }

  normals(size: number): Float64Array {
    return Float64Array.from({ length: size }, this.gauss);
  }

  between(low: number, high: number): number {
    return low + (high - low) * this.random();
  }

  below(count: number): number {
    return floor(count * this.random());
  }

  /** LLᵀ/n, and something on the diagonal where the rank is full. */
  private drawQ(rank: number): Float64Array {
    const { n } = this.form;
    const L = this.normals(n * rank);
    const Q = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      for (let j = 0; j <= i; j++) {
        let sum = i === j && rank === n ? 0.1 : 0;
        for (let k = 0; k < rank; k++) sum += (L[i * rank + k]! * L[j * rank + k]!) / n;
        Q[i * n + j] = Q[j * n + i] = sum;
      }
    }
    return Q;
  }

  /** Makes the equalities after the first few multiples and sums of these. */
  private dependOn(rank: number): void {
    const { n, q, A } = this.problem;
    for (let k = rank; k < q; k++) {
      const weights = Array.from({ length: rank }, () => this.gauss());
      const isMultiple = this.random() < 0.5;
      const only = this.below(rank);
      for (let j = 0; j < n; j++) {
        A[k * n + j] = weights.reduce(
          (sum, weight, i) => sum + (isMultiple ? (i === only ? 2 : 0) : weight) * A[i * n + j]!,
          0,
        );
      }
    }
  }

  /**
   * Draws which sides are active at z, about this share of as many as there can be, multipliers for them and slacks for
   * the others, and sets all vectors so that z is a solution. Rows in `idle` are not active. With `inward`, many sides
   * that are not active have no slack either, and nothing without slack keeps z from moving in that direction.
   */
  solveAt({
    share = this.random(),
    idle = [],
    inward,
  }: { share?: number; idle?: readonly number[]; inward?: Float64Array } = {}): this {
    const { problem, z, form } = this;
    const { n, m, G, h, gl, A, b, lb, ub } = problem;
    let left = floor(share * (n - min(this.shape.rank, n)) + 0.5);
    const side = (
      lower: Float64Array | undefined,
      upper: Float64Array | undefined,
      at: number,
      value: number,
      { isIdle = false, mayBeInfinite = true, pressed = undefined as 'lower' | 'upper' | undefined },
    ): number => {
      const choices = [
        ...(lower !== undefined && pressed !== 'upper' ? [lower] : []),
        ...(upper !== undefined && pressed !== 'lower' ? [upper] : []),
      ];
      const chosen = choices[this.below(choices.length)];
      for (const [sign, bounds] of [
        [-1, lower],
        [1, upper],
      ] as const) {
        if (bounds === undefined) continue;
        const isTight = pressed !== undefined && bounds === chosen && this.random() < 0.7;
        if (isTight) bounds[at] = value;
        else if (!mayBeInfinite || this.random() < 0.8) bounds[at] = value + sign * this.between(0.1, 1.1);
      }
      if (left === 0 || isIdle || chosen === undefined || this.random() < 0.3) return 0;
      left--;
      chosen[at] = value;
      return (chosen === upper ? 1 : -1) * this.between(0.1, 1.1);
    };
    const push = new Float64Array(m);
    const pull = new Float64Array(n);
    const Gz = times(G, z, n);
    const ofRows = { mayBeInfinite: form.h && form.gl, pressed: form.h ? 'upper' : 'lower' } as const;
    // From anywhere, so that neither rows nor bounds come first.
    const first = this.below(m + n);
    for (let step = 0; step < m + n; step++) {
      const i = (first + step) % (m + n);
      const [j, isIdle] = [i - m, idle.includes(i)];
      if (i < m) {
        const pressed = inward === undefined ? undefined : ofRows.pressed;
        push[i] = side(gl, h, i, Gz[i]!, { ...ofRows, isIdle, pressed });
      } else if (form.lb || form.ub) {
        const pressed = inward === undefined ? undefined : inward[j]! > 0 ? 'lower' : 'upper';
        pull[j] = side(lb, ub, j, z[j]!, { pressed });
      }
    }
    const nu = this.normals(problem.q);
    b.set(times(A, z, n));
    const terms = [
      timesTransposed(G, push, n),
      timesTransposed(A, nu, n),
      pull,
      ...(problem.Q === undefined ? [] : [times(problem.Q, z, n)]),
    ];
    for (let j = 0; j < n; j++) problem.p[j] = -terms.reduce((sum, term) => sum + term[j]!, 0);
    return this;
  }
}

const makers: Record<Family, (draft: Draft) => OneProblem> = {
  'well posed': (draft) => draft.solveAt().problem,

  linear: (draft) => draft.solveAt({ share: draft.random() < 0.8 ? 1 : draft.random() }).problem,

  'rank-deficient Q': (draft) => draft.solveAt().problem,

  'duplicate rows': (draft) => {
    const { problem, random } = draft;
    const { n, m, G, h, gl } = problem;
    const copies = 1 + draft.below(m - 1);
    const factors = Array.from(
      { length: copies },
      () => [1, 2, 0.25, draft.between(0.3, 3)][draft.below(4)]!,
    );
    const originals = factors.map(() => draft.below(m - copies));
    // The first rows are copies of the last ones.
    factors.forEach((factor, i) => {
      for (let j = 0; j < n; j++) G[i * n + j] = factor * G[(copies + originals[i]!) * n + j]!;
    });
    draft.solveAt({ share: random(), idle: factors.map((_, i) => i) });
    factors.forEach((factor, i) => {
      if (h !== undefined) h[i] = factor * h[copies + originals[i]!]!;
      if (gl !== undefined) gl[i] = factor * gl[copies + originals[i]!]!;
    });
    return problem;
  },

  'dependent equalities': (draft) =>
    draft.solveAt({ share: draft.random() < 0.5 ? 1 : draft.random() }).problem,

  'nearly infeasible': (draft) => squeeze(draft, 1e-6),

  infeasible: (draft) => squeeze(draft, draft.random() < 0.5 ? -1 : -1e-6),

  unbounded: (draft) => unbounded(draft),

  'degenerate vertex': (draft) => {
    const { problem, form } = draft;
    const { n, m, G } = problem;
    // Rows that all leave room in one direction, so that the problem has an inside.
    const inward = draft.normals(n);
    const sign = form.h ? -1 : 1;
    for (let i = 0; i < m; i++) {
      const row = G.subarray(i * n, (i + 1) * n);
      const along = dot(row, inward);
      if (along * sign < 0) row.forEach((x, j) => (row[j] = -x));
    }
    return draft.solveAt({ share: 1, inward }).problem;
  },

  'scales over 12 orders': (draft) => {
    const { problem } = draft.solveAt();
    const powers = (size: number) => Float64Array.from({ length: size }, () => 10 ** draft.between(-6, 6));
    const columns = powers(problem.n);
    return inUnits(problem, {
      ...unitsOf(problem),
      columns,
      rowsOfG: powers(problem.m),
      rowsOfA: powers(problem.q),
    });
  },
};

const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, x, j) => sum + x * b[j]!, 0);

/**
 * A problem some of whose constraints leave a strip of about this width between them; where it is negative, they
 * contradict each other by that much. The objective stays bounded: for some multipliers its gradient vanishes.
 */
function squeeze(draft: Draft, width: number): OneProblem {
  const { problem, form, z, shape } = draft;
  const { n, m, q, G, A } = problem;
  const isContradiction = width < 0;
  const ways: (() => void)[] = [];
  const row = (i: number) => G.subarray(i * n, (i + 1) * n);
  const count = min(m, 2 + draft.below(3));

  if (count >= 2) {
    // A row that is less the sum of others: what they leave room for, it leaves out.
    ways.push(() => {
      const weights = Array.from({ length: count - 1 }, () => draft.between(0.5, 1.5));
      row(count - 1).forEach((_, j, last) => {
        last[j] = -weights.reduce((sum, weight, i) => sum + weight * row(i)[j]!, 0);
      });
      draft.solveAt({ idle: Array.from({ length: count }, (_, i) => i) });
      for (let i = 0; i < count; i++) {
        const value = dot(row(i), z);
        if (form.h) problem.h![i] = value + width;
        else problem.gl![i] = value - width;
        if (form.h && form.gl) problem.gl![i] = -Infinity;
      }
    });
  }
  if (form.h && form.gl) {
    ways.push(() => {
      draft.solveAt();
      const i = draft.below(m);
      problem.h![i] = dot(row(i), z) + width / 2;
      problem.gl![i] = problem.h![i] - width;
    });
  }
  if (form.lb && form.ub) {
    ways.push(() => {
      draft.solveAt();
      const j = draft.below(n);
      problem.ub![j] = z[j]! + width / 2;
      problem.lb![j] = problem.ub![j] - width;
    });
  }
  if (form.lb && form.ub && form.h) {
    // A row that only a corner of the box satisfies.
    ways.push(() => {
      draft.solveAt({ idle: [0] });
      let [least, size] = [0, 1];
      row(0).forEach((x, j) => {
        problem.lb![j] = z[j]! - (x > 0 ? abs(width) : 1);
        problem.ub![j] = z[j]! + (x > 0 ? 1 : abs(width));
        least += min(x * problem.lb![j], x * problem.ub![j]);
        size += abs(x);
      });
      problem.h![0] = least + width * size;
      if (form.gl) problem.gl![0] = -Infinity;
    });
  }
  if (isContradiction && q > shape.rank) {
    ways.push(() => {
      draft.solveAt();
      const size = A.subarray((q - 1) * n).reduce((most, x) => max(most, abs(x)), 1);
      problem.b[q - 1]! += width * size;
    });
  }
  if (isContradiction && q > 0 && form.h) {
    ways.push(() => {
      row(0).set(A.subarray(0, n));
      draft.solveAt({ idle: [0] });
      problem.h![0] = problem.b[0]! + width;
      if (form.gl) problem.gl![0] = -Infinity;
    });
  }
  ways[draft.below(ways.length)]!();
  return problem;
}

/**
 * A problem with points inside, from which the objective falls for ever along a direction of small whole numbers. What must
 * be orthogonal to the direction is made of whole numbers too, and is so exactly.
 */
function unbounded(draft: Draft): OneProblem {
  const { problem, form, z } = draft;
  const { n, m, q, Q, p, G, h, gl, A, b, lb, ub } = problem;
  const whole = (most: number) => draft.below(2 * most + 1) - most;
  const d = Float64Array.from({ length: n }, () => whole(2));
  if (d.every((x) => x === 0)) d[draft.below(n)] = 1;
  const square = dot(d, d);
  const orthogonal = () => {
    const v = Float64Array.from({ length: n }, () => whole(3));
    const along = dot(v, d);
    return v.map((x, j) => (square * x - along * d[j]!) / 32);
  };
  if (Q !== undefined) {
    Q.fill(0);
    for (let k = 0; k < draft.shape.Q!; k++) {
      const v = orthogonal();
      for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) Q[i * n + j]! += v[i]! * v[j]!;
    }
  }
  for (let k = 0; k < q; k++) A.set(orthogonal(), k * n);
  const lower = (value: number) => value - draft.between(0.1, 1.1);
  const upper = (value: number) => value + draft.between(0.1, 1.1);
  for (let i = 0; i < m; i++) {
    const row = G.subarray(i * n, (i + 1) * n);
    const isFlat = draft.random() < 0.3;
    if (isFlat) row.set(orthogonal());
    else if (dot(row, d) > 0 === form.h) row.forEach((x, j) => (row[j] = -x));
    const value = dot(row, z);
    if (h !== undefined) h[i] = upper(value);
    if (gl !== undefined && (isFlat || !form.h)) gl[i] = lower(value);
  }
  for (let j = 0; j < n; j++) {
    if (lb !== undefined && d[j]! >= 0) lb[j] = lower(z[j]!);
    if (ub !== undefined && d[j]! <= 0) ub[j] = upper(z[j]!);
  }
  b.set(times(A, z, n));
  do p.set(draft.normals(n));
  while (abs(dot(p, d)) < 0.1);
  if (dot(p, d) > 0) p.forEach((x, j) => (p[j] = -x));
  return problem;
}
