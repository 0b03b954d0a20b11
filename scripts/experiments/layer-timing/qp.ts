import {
  qpSolveBatch,
  tensor,
  type BackwardResult,
  type QpProblem,
  type QpSolution,
  type Tensor,
} from 'optnet';

import { drawNormal, drawProblems, firstProblems, type Problems } from '../qp-problems.js';
import type { Random } from '../random.js';
import type { SolverOptions } from '../runner/experiment.js';
import { median } from '../stopwatch.js';

/** With respect to which data gradients are taken: all that there are. */
const wrt = ['Q', 'p', 'G', 'h'] as const;
type Datum = (typeof wrt)[number];
type LayerData = Record<Datum, Tensor<'float64'>>;

/** A QP layer of n variables and n inequalities on a batch. */
export class QpLayer {
  readonly data: LayerData;
  readonly #options: SolverOptions;
  readonly #dz: Tensor<'float64'>;
  #solution: QpSolution<'float64'> | undefined;

  constructor(data: LayerData, options: SolverOptions) {
    this.data = data;
    this.#options = options;
    const { shape, data: p } = data.p;
    this.#dz = tensor(new Float64Array(p.length).fill(1), [...shape]);
  }

  async forward(): Promise<void> {
    this.#solution?.dispose();
    this.#solution = undefined;
    this.#solution = await qpSolveBatch(this.data as QpProblem<'float64'>, this.#options);
  }

  /** The gradients of Σz for all data, of the last `forward`. */
  async backward(): Promise<BackwardResult<'float64'>> {
    return this.#solution!.backward({ dz: this.#dz }, { wrt });
  }

  dispose(): void {
    this.#solution?.dispose();
  }

  /** How many problems of the last `forward` were solved. */
  get solved(): number {
    return this.#solution!.status.filter((status) => status === 'solved').length;
  }
}

/**
 * Every problem with data of its own, as the paper's code has it. Of the largest only a few are drawn, and repeated: each
 * is solved all the same.
 */
export function ownData(batch: number, n: number, random: Random): Problems {
  return drawProblems({ batch, n, m: n, distinct: Math.min(batch, Math.ceil(4e6 / n ** 2)) }, random);
}

/** Q, G and h given once, for all; every problem has a p of its own. What a layer with learned constraints has. */
export function sharedData(own: Problems, random: Random): LayerData {
  const { n, m, batch } = own;
  const { Q, G, h } = firstProblems(own, 1);
  return {
    Q: tensor(Q.data, [n, n]),
    p: tensor(drawNormal(batch * n, random), [batch, n]),
    G: tensor(G.data, [m, n]),
    h: tensor(h.data, [m]),
  };
}

/**
 * How far gradients are from central differences: all data of a problem move in a random direction, and its Σz with them.
 * The median over the problems of the relative deviation, as a few may have a kink within the step.
 */
export async function deviationFromDifferences(
  problems: Problems,
  random: Random,
  options: SolverOptions,
): Promise<number> {
  const { batch, n } = problems;
  const directions = directionsOf(problems, random);
  const { Q, p, G, h } = problems;
  const layer = new QpLayer({ Q, p, G, h }, options);
  await layer.forward();
  const gradients = await layer.backward();
  layer.dispose();
  const step = 1e-6;
  const above = await sums(moved(problems, directions, step), options);
  const below = await sums(moved(problems, directions, -step), options);
  const deviations = Array.from({ length: batch }, (_, k) => {
    const difference = (above[k]! - below[k]!) / (2 * step);
    const predicted = wrt.reduce((sum, name) => sum + inner(gradients, directions, name, k, batch), 0);
    return Math.abs(predicted - difference) / (1 + Math.abs(difference));
  });
  return median(deviations);

  async function sums(data: LayerData, { device, threads }: SolverOptions): Promise<number[]> {
    const solution = await qpSolveBatch(data as QpProblem<'float64'>, {
      tolerance: 1e-12,
      differentiable: false,
      ...(device && { device }),
      ...(threads !== undefined && { threads }),
    });
    solution.dispose();
    return Array.from({ length: batch }, (_, k) =>
      solution.z.data.subarray(k * n, (k + 1) * n).reduce((sum, value) => sum + value, 0),
    );
  }
}

/** A random direction for every datum; that of Q is symmetric. */
function directionsOf(problems: Problems, random: Random): LayerData {
  const drawn = wrt.map((name) => {
    const { data, shape } = problems[name];
    return [name, tensor(drawNormal(data.length, random), [...shape])] as const;
  });
  const directions = Object.fromEntries(drawn) as LayerData;
  const { batch, n } = problems;
  const { data } = directions.Q;
  for (let k = 0; k < batch; k++) {
    for (let i = 0; i < n; i++) {
      for (let j = 0; j < i; j++) data[(k * n + i) * n + j] = data[(k * n + j) * n + i]!;
    }
  }
  return directions;
}

function moved(problems: Problems, directions: LayerData, step: number): LayerData {
  const entries = wrt.map((name) => {
    const { data, shape } = problems[name];
    return [
      name,
      tensor(
        data.map((value, i) => value + step * directions[name].data[i]!),
        [...shape],
      ),
    ];
  });
  return Object.fromEntries(entries) as LayerData;
}

/** Of the gradient of datum `name` of problem k and its direction. */
function inner(
  gradients: BackwardResult<'float64'>,
  directions: LayerData,
  name: Datum,
  k: number,
  batch: number,
): number {
  const gradient = gradients[`d${name}`]!.data;
  const size = gradient.length / batch;
  let sum = 0;
  for (let i = k * size; i < (k + 1) * size; i++) sum += gradient[i]! * directions[name].data[i]!;
  return sum;
}
