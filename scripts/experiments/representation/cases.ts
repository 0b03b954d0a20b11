import type { Random } from '../random.js';
import {
  hingesThrough,
  maximum,
  maximumAsLinearProgram,
  piecewiseLinear,
  relu,
  simplexProjection,
  simplexThreshold,
  slopeOfHinges,
  sumOfHinges,
  type Hinge,
} from './functions.js';
import type { LayerFunction } from './layer.js';

/** A function as a layer, and by its formula. */
export interface Case {
  readonly name: string;
  readonly title: string;
  readonly layer: LayerFunction;
  /** The value at x, [outputs]. */
  readonly formula: (x: Float64Array) => number[];
  /** The derivative at x, [outputs, inputs], where there is one. */
  readonly derivative: (x: Float64Array) => number[];
  /** How far x is from where the function has a kink, in some measure; 0 at the kink. */
  readonly distanceToKink: (x: Float64Array) => number;
  /** The way along which the picture shows it, t from `range[0]` to `range[1]`. */
  readonly path: { label: string; range: readonly [number, number]; at: (t: number) => readonly number[] };
}

const CONVEX = hingesThrough([
  [-2, 1.5],
  [-1, 0.5],
  [0.5, 0],
  [1, 0.5],
  [2, 2.5],
]);
const ZIGZAG = hingesThrough([
  [-2.5, 0.5],
  [-1.5, -1],
  [-0.5, 0.3],
  [0, -0.4],
  [1, 1.4],
  [2, 1.2],
  [2.5, -0.5],
]);

/** Three directions 120° apart, of different lengths: 0 is among their averages. */
export const THREE_SLOPES = [
  [1, 0],
  [-0.4, Math.sqrt(0.48)],
  [-0.6, -Math.sqrt(1.08)],
] as const;
/** Their maximum is below 0 somewhere. */
const SHIFTED_SLOPES = THREE_SLOPES.map(([x, y]) => [x + 1, y]);

export const cases: readonly Case[] = [
  {
    name: 'relu',
    title: 'max(x, 0)',
    layer: relu(3),
    formula: (x) => Array.from(x, (value) => Math.max(value, 0)),
    derivative: (x) => diagonalOf(Array.from(x, (value) => (value > 0 ? 1 : 0))),
    distanceToKink: (x) => Math.min(...x.map(Math.abs)),
    path: { label: 'x', range: [-2, 2], at: (t) => [t, t, t] },
  },
  piecewise('convex', 'a convex piecewise linear function', CONVEX),
  piecewise('not-convex', 'a piecewise linear function that is not convex', ZIGZAG),
  largestOf('max', 'max(a₁ᵀx, a₂ᵀx, a₃ᵀx)', THREE_SLOPES, maximum(THREE_SLOPES)),
  largestOf(
    'max-lp',
    'max(a₁ᵀx, a₂ᵀx, a₃ᵀx), as a linear program',
    SHIFTED_SLOPES,
    maximumAsLinearProgram(SHIFTED_SLOPES),
  ),
  {
    name: 'simplex',
    title: 'the nearest point of the simplex',
    layer: simplexProjection(5),
    formula(x) {
      const threshold = simplexThreshold(x);
      return Array.from(x, (value) => Math.max(value - threshold, 0));
    },
    derivative(x) {
      const threshold = simplexThreshold(x);
      const support = Array.from(x, (value) => (value > threshold ? 1 : 0));
      const count = support.reduce<number>((sum, one) => sum + one, 0);
      return support.flatMap((one, i) =>
        support.map((other, j) => one * ((i === j ? 1 : 0) - other / count)),
      );
    },
    distanceToKink(x) {
      const threshold = simplexThreshold(x);
      return Math.min(...x.map((value) => Math.abs(value - threshold)));
    },
    path: {
      label: 't, for x = t·(1, 0.5, 0, −0.5, −1)',
      range: [-1.5, 1.5],
      at: (t) => [t, t / 2, 0, -t / 2, -t],
    },
  },
];

/** Points [count, inputs], normal, each farther than `margin` from the kinks of the function. */
export function drawPoints(
  { layer, distanceToKink }: Case,
  count: number,
  random: Random,
  margin = 0,
): Float64Array {
  const points = new Float64Array(count * layer.inputs);
  for (let k = 0; k < count;) {
    const x = points.subarray(k * layer.inputs, (k + 1) * layer.inputs);
    for (let i = 0; i < x.length; i++) x[i] = 1.5 * random.normal();
    if (distanceToKink(x) > margin) k++;
  }
  return points;
}

function piecewise(name: string, title: string, hinges: readonly Hinge[]): Case {
  return {
    name,
    title,
    layer: piecewiseLinear(3, hinges),
    formula: (x) => Array.from(x, (value) => sumOfHinges(hinges, value)),
    derivative: (x) => diagonalOf(Array.from(x, (value) => slopeOfHinges(hinges, value))),
    distanceToKink: (x) =>
      Math.min(...Array.from(x).flatMap((value) => hinges.map(({ a, b }) => Math.abs(a * value + b)))),
    path: { label: 'x', range: [-3, 3], at: (t) => [t, t, t] },
  };
}

function largestOf(
  name: string,
  title: string,
  slopes: readonly (readonly number[])[],
  layer: LayerFunction,
): Case {
  const values = (x: Float64Array): number[] =>
    slopes.map((slope) => slope.reduce((sum, a, j) => sum + a * x[j]!, 0));
  return {
    name,
    title,
    layer,
    formula: (x) => [Math.max(...values(x))],
    derivative(x) {
      const all = values(x);
      return [...slopes[all.indexOf(Math.max(...all))]!];
    },
    distanceToKink(x) {
      const [first, second] = values(x).sort((a, b) => b - a);
      return first! - second!;
    },
    path: {
      label: 'angle of x on the unit circle (°)',
      range: [0, 360],
      at: (t) => [Math.cos((t * Math.PI) / 180), Math.sin((t * Math.PI) / 180)],
    },
  };
}

const diagonalOf = (values: readonly number[]): number[] =>
  values.flatMap((value, i) => values.map((_, j) => (i === j ? value : 0)));
