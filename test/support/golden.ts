// The reference problems of test/data/golden; the README there says what the fields mean.
import fs from 'node:fs';
import path from 'node:path';

import type { Datum, OneProblem } from './general.js';

/** A vector or a matrix; rows may be null as a whole. */
export type Nested = readonly (number | null)[] | readonly (readonly number[] | null)[];

export type GradientName = `d${Exclude<Datum, 'gl'>}`;
export const gradientNames: readonly GradientName[] = ['dQ', 'dp', 'dG', 'dh', 'dA', 'db', 'dlb', 'dub'];

/** Infinite ones are strings. */
export type Bounds = readonly (number | 'Infinity' | '-Infinity')[];

export interface GoldenProblem {
  name: string;
  kind: string;
  status: 'solved' | 'primalInfeasible' | 'dualInfeasible';
  Q: number[][];
  p: number[];
  G: number[][] | null;
  h: number[] | null;
  A: number[][] | null;
  b: number[] | null;
  lb: Bounds | null;
  ub: Bounds | null;
  cz: number[] | null;
  cl: number[] | null;
  cn: number[] | null;
  z: number[];
  lambda: number[] | null;
  nu: number[] | null;
  slack: number[] | null;
  zl: number[] | null;
  zu: number[] | null;
  objective: number;
  gradients: Record<GradientName, Nested | null>;
  kktCond: number;
  minActiveMultiplier: number | null;
  minInactiveSlack: number | null;
  groups?: { rows: number[]; weights: number[]; lambda: number; dh: number; dG: number[] }[];
  equalityBasis?: { E: number[][]; EtNu: number[]; EtdA: number[][]; Etdb: number[] };
  candidates?: Record<'inactive' | 'active', Partial<Record<GradientName, Nested>>>;
  fixedVariables?: { index: number; multiplier: number; dValue: number }[];
}

export function goldenProblems(): GoldenProblem[] {
  const folder = path.join(__dirname, '../data/golden');
  return fs
    .readdirSync(folder)
    .filter((file) => file.endsWith('.json'))
    .map((file) => JSON.parse(fs.readFileSync(path.join(folder, file), 'utf8')) as GoldenProblem);
}

/** The problem in the form that holds every kind. */
export function generalForm({ Q, p, G, h, A, b, lb, ub }: GoldenProblem): OneProblem {
  const bounds = (values: Bounds | null) => values && Float64Array.from(values, Number);
  return {
    n: p.length,
    m: h?.length ?? 0,
    q: b?.length ?? 0,
    // Of a linear program the files hold zeros.
    Q: Q.every((row) => row.every((x) => x === 0)) ? undefined : Float64Array.from(Q.flat()),
    p: Float64Array.from(p),
    G: Float64Array.from((G ?? []).flat()),
    h: h === null ? undefined : Float64Array.from(h),
    gl: undefined,
    A: Float64Array.from((A ?? []).flat()),
    b: Float64Array.from(b ?? []),
    lb: bounds(lb) ?? undefined,
    ub: bounds(ub) ?? undefined,
  };
}

/** The elements in a row; null where there is no value. */
export function flat(nested: Nested): (number | null)[] {
  const rows: readonly (readonly number[] | number | null)[] = nested;
  const width = Math.max(1, ...rows.map((row) => (Array.isArray(row) ? row.length : 1)));
  return rows.flatMap<number | null>((row) => row ?? new Array<null>(width).fill(null));
}

/** Whether Q, scaled to a unit diagonal, has a Cholesky factor whose pivots are all clear of round-off. */
export function isPositiveDefinite(Q: number[][]): boolean {
  const n = Q.length;
  const unit = Q.map((row, i) => Math.sqrt(row[i]!));
  const L = Q.map((row, i) => row.map((x, j) => x / (unit[i]! * unit[j]!)));
  for (let j = 0; j < n; j++) {
    for (let i = j; i < n; i++) {
      for (let k = 0; k < j; k++) L[i]![j]! -= L[i]![k]! * L[j]![k]!;
    }
    const pivot = L[j]![j]!;
    if (!(pivot > 4 * n * Number.EPSILON)) return false;
    for (let i = j; i < n; i++) L[i]![j]! /= Math.sqrt(pivot);
  }
  return true;
}
