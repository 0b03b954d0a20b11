import { Random } from '../random.js';
import { drawChart, type Panel } from '../runner/chart.js';
import type { Check, Experiment } from '../runner/experiment.js';
import type { Table } from '../runner/table.js';
import { cases, drawPoints, THREE_SLOPES, type Case } from './cases.js';
import { maximum } from './functions.js';
import { evaluate } from './layer.js';

const POINTS = 1000;
/** Points at which derivatives are compared are so far from kinks. Values are compared everywhere. */
const MARGIN = 1e-3;
const AGREEMENT = 1e-7;

type Sample = [t: number, value: number];

interface Outcome {
  functions: {
    name: string;
    title: string;
    parameters: number;
    /** The largest deviations from the formulas, over random points. */
    value: number;
    derivative: number;
    picture: Panel;
  }[];
  kink: Kink;
}

/** By how much the gradient of max(a₁ᵀx, a₂ᵀx, a₃ᵀx) jumps across the line on which a₂ᵀx = a₃ᵀx, beyond 0 and before. */
interface Kink {
  beyond: number;
  before: number;
}

/** What QP layers can represent: theorems 2 and 3 of the paper's section 3.2, and what follows from them. */
export const representation: Experiment = {
  name: 'representation',
  title: 'What a QP layer can represent (section 3.2)',
  parts: ({ seed }) => [
    {
      kind: 'measurement',
      name: 'functions',
      measure: (_, tell): Outcome => ({
        functions: cases.map((one) => {
          tell(one.title);
          return compare(one, Random.seeded(seed));
        }),
        kink: kinkOfMaximum(),
      }),
    },
  ],
  report(results) {
    const { functions, kink } = results.functions!.outcome as Outcome;
    const svg = drawChart(
      'Functions as QP layers',
      functions.map(({ picture }) => picture),
    );
    return {
      tables: [table(functions)],
      pictures: [{ name: 'representation', svg }],
      checks: checks(functions, kink),
    };
  },
};

function compare(one: Case, random: Random): Outcome['functions'][number] {
  const { layer, name, title } = one;
  const anywhere = drawPoints(one, POINTS, random);
  const smooth = drawPoints(one, POINTS, random, MARGIN);
  return {
    name,
    title,
    parameters: layer.parameters,
    value: deviation(evaluate(layer, anywhere).values, anywhere, layer.inputs, one.formula),
    derivative: deviation(evaluate(layer, smooth).jacobians, smooth, layer.inputs, one.derivative),
    picture: panel(one),
  };
}

/** The largest difference of what a layer gives at points and of what a formula does. */
export function deviation(
  found: Float64Array,
  points: Float64Array,
  inputs: number,
  formula: (x: Float64Array) => number[],
): number {
  const expected = Array.from({ length: points.length / inputs }, (_, k) =>
    formula(points.subarray(k * inputs, (k + 1) * inputs)),
  ).flat();
  return found.reduce((most, value, i) => {
    const difference = Math.abs(value - expected[i]!);
    return difference <= most ? most : difference; // and NaN, if there is any
  }, 0);
}

/**
 * A network Σ wᵢ·max(vᵢᵀx + cᵢ, 0) with one hidden layer has kinks along whole lines, with the same jump of the gradient
 * everywhere on a line. A maximum of three has them along half lines, which end where all three are equal.
 */
export function kinkOfMaximum(): Kink {
  const [, second, third] = THREE_SLOPES;
  const normal = [second[0] - third[0], second[1] - third[1]] as const;
  const along = [-normal[1], normal[0]] as const;
  const jump = (sign: number): number => {
    const at = (side: number): number[] => [0, 1].map((i) => sign * along[i]! + 1e-3 * side * normal[i]!);
    const { jacobians } = evaluate(maximum(THREE_SLOPES), Float64Array.from([...at(1), ...at(-1)]));
    return Math.hypot(jacobians[0]! - jacobians[2]!, jacobians[1]! - jacobians[3]!);
  };
  const jumps = [jump(1), jump(-1)] as const;
  return { beyond: Math.max(...jumps), before: Math.min(...jumps) };
}

/** The layer as dots on the formula, along the path of the case, and its slope along it; of several outputs the first. */
function panel({ layer, title, path, formula, derivative }: Case): Panel {
  const [start, end] = path.range;
  const steps = (count: number): number[] =>
    Array.from({ length: count }, (_, i) => start + ((i + 0.5) / count) * (end - start));
  // Even numbers of them, so that none is at 0, where several of the functions have a kink.
  const [fine, coarse] = [steps(360), steps(44)];
  const { values, jacobians } = evaluate(layer, Float64Array.from(coarse.flatMap((t) => path.at(t))));
  const scale = path.range[1] > 100 ? Math.PI / 180 : 1; // of degrees
  const slope = (jacobian: ArrayLike<number>, t: number): number => {
    const before = path.at(t - 1e-6);
    const direction = path.at(t + 1e-6).map((value, j) => (value - before[j]!) / (2e-6 * scale));
    return direction.reduce((sum, value, j) => sum + jacobian[j]! * value, 0);
  };
  const size = layer.outputs * layer.inputs;
  const point = (t: number): Float64Array => Float64Array.from(path.at(t));
  const sample = (ts: readonly number[], value: (t: number, k: number) => number): Sample[] =>
    ts.map((t, k) => [t, value(t, k)]);
  return {
    title,
    x: { label: path.label },
    y: { label: layer.outputs > 1 ? 'first output, and its slope' : 'value, and its slope' },
    series: [
      { name: 'formula', points: sample(fine, (t) => formula(point(t))[0]!) },
      {
        name: 'QP layer',
        dots: true,
        line: false,
        points: sample(coarse, (_, k) => values[k * layer.outputs]!),
      },
      {
        name: 'slope of the formula',
        dash: '4 3',
        faint: true,
        points: sample(fine, (t) => slope(derivative(point(t)), t)),
      },
      {
        name: 'slope of the QP layer',
        dots: true,
        line: false,
        faint: true,
        points: sample(coarse, (t, k) => slope(jacobians.subarray(k * size), t)),
      },
    ],
  };
}

function table(functions: Outcome['functions']): Table {
  return {
    title: `Functions as QP layers: largest deviation from the formula at ${POINTS} random points`,
    headings: ['', 'parameters', 'value', 'derivative'],
    rows: functions.map(({ title, parameters, value, derivative }) => [
      title,
      parameters.toString(),
      value.toExponential(1),
      derivative.toExponential(1),
    ]),
    notes: [`Derivatives are compared at points that are farther than ${MARGIN} from kinks.`],
  };
}

function checks(functions: Outcome['functions'], kink: Kink): Check[] {
  return [
    ...functions.map(({ title, value, derivative }) => ({
      claim: `${title}: to ${value.toExponential(1)} in value and ${derivative.toExponential(1)} in derivative, ≤ ${AGREEMENT.toExponential(0)}`,
      holds: value <= AGREEMENT && derivative <= AGREEMENT,
    })),
    {
      claim:
        `the gradient of max(a₁ᵀx, a₂ᵀx, a₃ᵀx) jumps by ${kink.beyond.toFixed(3)} across one half of a line and by ` +
        `${kink.before.toFixed(3)} across the other: no network with one hidden layer of ReLUs has that`,
      holds: kink.beyond > 0.1 && kink.before < AGREEMENT,
    },
  ];
}
