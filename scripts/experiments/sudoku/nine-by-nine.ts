import { qpSolveBatch, tensor, type Gradients, type QpProblem, type QpSolution } from 'optnet';

import { dot, drawNormal } from '../qp-problems.js';
import { Random } from '../random.js';
import type { MeasuredPart, SolverOptions } from '../runner/experiment.js';
import { median } from '../stopwatch.js';
import {
  decodeNine,
  encodeNine,
  isNineSolution,
  makeNinePuzzle,
  NINE,
  NINE_VARIABLES,
  type NinePuzzle,
} from './nine-puzzles.js';
import { denseMatrix, independentEquations, ruleEquations } from './rules.js';

const GIVENS = 34;

/**
 * Of ½·cost·‖z‖² − puzzleᵀz. The paper's 0.1 blurs boards of 9×9: the best z then is an average of many. A tenth of it
 * lets the givens decide.
 */
const COSTS = { paper: 0.1, sharp: 0.01 };

export interface NineByNine {
  puzzles: number;
  givens: number;
  variables: number;
  inequalities: number;
  equations: number;
  paper: NineSolve;
  sharp: NineSolve;
  /** Of a directional derivative along A and b: backward's from that of central differences, relative. */
  derivative: number;
  /** The first puzzle, and the board that the sharper layer gives for it. */
  example: { puzzle: number[]; board: number[] };
}

export interface NineSolve {
  cost: number;
  solved: number;
  iterations: number;
  /** Puzzles whose board is the solution: it obeys the rules, and keeps what was given. */
  right: number;
  /** Cells with the right digit, as a fraction. */
  cells: number;
  /** The largest entry of the KKT conditions, from the data. */
  residual: number;
  /** z ≥ 0 as bounds, and as rows of G: seconds of a forward and of a backward pass for the batch, for A and b. */
  asBounds: { forward: number; backward: number };
  asRows: { forward: number; backward: number };
  /** The largest difference of z between those two. */
  difference: number;
}

/**
 * The layer of a 9×9 Sudoku, with its true rules: 729 variables, z ≥ 0, and 249 equations. Shows that one of that size can
 * be solved and differentiated, for a batch, in the time of a training step.
 */
export function nineByNine(size: Partial<NineSize> = {}, options: SolverOptions = {}): MeasuredPart {
  return {
    kind: 'measurement',
    name: '9×9',
    measure: (_, tell) => measureNineByNine(size, options, tell),
  };
}

export interface NineSize {
  puzzles: number;
  /** Times are the medians of so many rounds. */
  rounds: number;
  seed: number;
}

export async function measureNineByNine(
  { puzzles: count = 4, rounds = 3, seed = 0 }: Partial<NineSize>,
  options: SolverOptions = {},
  tell: (message: string) => void = () => undefined,
): Promise<NineByNine> {
  const random = Random.seeded(seed, 9);
  const puzzles = Array.from({ length: count }, () => makeNinePuzzle(GIVENS, random));
  const equations = independentEquations(ruleEquations(3), NINE_VARIABLES);
  const layer = new NineLayer(denseMatrix(equations, NINE_VARIABLES), puzzles, options);
  tell('9×9, with the paper’s cost');
  const paper = await solveAt(layer, COSTS.paper, rounds);
  tell('9×9, with less cost');
  const sharp = await solveAt(layer, COSTS.sharp, rounds);
  tell('9×9, derivatives');
  return {
    puzzles: count,
    givens: GIVENS,
    variables: NINE_VARIABLES,
    inequalities: NINE_VARIABLES,
    equations: equations.length,
    paper: paper.solve,
    sharp: sharp.solve,
    derivative: await layer.derivativeError(COSTS.sharp, random),
    example: {
      puzzle: [...puzzles[0]!.puzzle],
      board: [...decodeNine(sharp.z.subarray(0, NINE_VARIABLES))],
    },
  };
}

async function solveAt(
  layer: NineLayer,
  cost: number,
  rounds: number,
): Promise<{ solve: NineSolve; z: Float64Array }> {
  const passes: Record<'bounds' | 'rows', Pass[]> = { bounds: [], rows: [] };
  for (let round = 0; round < rounds; round++) {
    for (const form of ['bounds', 'rows'] as const) passes[form].push(await layer.pass(cost, form));
  }
  const [bounds, rows] = [passes.bounds[0]!, passes.rows[0]!];
  const seconds = (form: 'bounds' | 'rows'): NineSolve['asRows'] => ({
    forward: median(passes[form].map((pass) => pass.seconds.forward)),
    backward: median(passes[form].map((pass) => pass.seconds.backward)),
  });
  const solve = {
    cost,
    ...layer.judge(bounds.z),
    solved: bounds.solved,
    iterations: bounds.iterations,
    residual: layer.residual(cost, bounds),
    asBounds: seconds('bounds'),
    asRows: seconds('rows'),
    difference: bounds.z.reduce((most, value, i) => Math.max(most, Math.abs(value - rows.z[i]!)), 0),
  };
  return { solve, z: bounds.z };
}

interface Pass {
  z: Float64Array;
  /** ν of the equations, and λ of z ≥ 0. */
  nu: Float64Array;
  lambda: Float64Array;
  solved: number;
  iterations: number;
  seconds: { forward: number; backward: number };
  gradients: Gradients<'float64', 'A' | 'b'>;
}

/** minimise ½·cost·‖z‖² − puzzleᵀz subject to Az = b, z ≥ 0, for a batch of puzzles. */
class NineLayer {
  readonly #A: Float64Array;
  readonly #b: Float64Array;
  readonly #puzzles: readonly NinePuzzle[];
  readonly #p: Float64Array;
  /** The upstream gradient, that of −(solution)ᵀz. */
  readonly #dz: Float64Array;
  readonly #options: SolverOptions;

  constructor(A: Float64Array, puzzles: readonly NinePuzzle[], options: SolverOptions) {
    this.#A = A;
    this.#b = new Float64Array(A.length / NINE_VARIABLES).fill(1);
    this.#puzzles = puzzles;
    this.#options = options;
    this.#p = joined(puzzles.map(({ puzzle }) => encodeNine(puzzle).map((given) => -given)));
    this.#dz = joined(puzzles.map(({ solution }) => encodeNine(solution).map((digit) => -digit)));
  }

  /** Forward, and backward with respect to A and b. */
  async pass(cost: number, form: 'bounds' | 'rows', A = this.#A, b = this.#b): Promise<Pass> {
    const problem = this.#problem(cost, form, A, b);
    const start = performance.now();
    using solution = await qpSolveBatch(problem, this.#options);
    const middle = performance.now();
    const gradients = await solution.backward({ dz: this.#batch(this.#dz) }, { wrt: ['A', 'b'] });
    const end = performance.now();
    return {
      z: solution.z.data,
      nu: solution.nu.data,
      lambda: form === 'bounds' ? solution.lambdaLb.data : solution.lambda.data,
      solved: solvedOf(solution),
      iterations: Math.max(...solution.iterations),
      seconds: { forward: (middle - start) / 1000, backward: (end - middle) / 1000 },
      gradients,
    };
  }

  judge(z: Float64Array): { right: number; cells: number } {
    const boards = this.#puzzles.map((_, k) => decodeNine(this.#part(z, k)));
    const rightCells = boards.map((board, k) => {
      const { solution } = this.#puzzles[k]!;
      return board.filter((digit, cell) => digit === solution[cell]).length;
    });
    // A puzzle has one solution: what obeys the rules and keeps the givens is it.
    const right = boards.filter((board, k) => isNineSolution(board) && rightCells[k] === board.length).length;
    const all = boards.reduce((sum, board) => sum + board.length, 0);
    return { right, cells: rightCells.reduce((sum, cells) => sum + cells, 0) / all };
  }

  /** The largest entry of cost·z + p + Aᵀν − λ, Az − b, the negative parts of z and λ, and z ∘ λ. */
  residual(cost: number, { z, nu, lambda }: Pass): number {
    const q = this.#b.length;
    let worst = 0;
    this.#puzzles.forEach((_, k) => {
      const [zk, lambdak] = [this.#part(z, k), this.#part(lambda, k)];
      const gradient = this.#part(this.#p, k).map((value, j) => value + cost * zk[j]! - lambdak[j]!);
      for (let i = 0; i < q; i++) {
        const row = i * NINE_VARIABLES;
        worst = Math.max(worst, Math.abs(dot(this.#A, row, zk, 0, NINE_VARIABLES) - this.#b[i]!));
        for (let j = 0; j < NINE_VARIABLES; j++) gradient[j]! += nu[k * q + i]! * this.#A[row + j]!;
      }
      for (let j = 0; j < NINE_VARIABLES; j++) {
        const complementarity = Math.abs(zk[j]! * lambdak[j]!);
        worst = Math.max(worst, Math.abs(gradient[j]!), -zk[j]!, -lambdak[j]!, complementarity);
      }
    });
    return worst;
  }

  /**
   * Compares backward with central differences as all of A and b move in a random direction. Not at the true rules: there,
   * more constraints are active than there are variables, so that z has a kink in b, and differences tell nothing. But at
   * rules as a training would have them on its way: A near the true one, and b = A·z₀ with z₀ > 0.
   */
  async derivativeError(cost: number, random: Random): Promise<number> {
    const A = this.#A.map((value) => value + 0.05 * random.normal());
    const z0 = Float64Array.from({ length: NINE_VARIABLES }, () => (0.5 + random.uniform()) / NINE);
    const b = this.#b.map((_, i) => dot(A, i * NINE_VARIABLES, z0, 0, NINE_VARIABLES));
    const { gradients } = await this.pass(cost, 'bounds', A, b);
    const dA = drawNormal(A.length, random);
    const db = drawNormal(b.length, random);
    const predicted =
      dot(gradients.dA.data, 0, dA, 0, dA.length) + dot(gradients.db.data, 0, db, 0, db.length);
    const step = 1e-7;
    const lossAt = async (move: number): Promise<number> => {
      const shifted = (values: Float64Array, along: Float64Array): Float64Array =>
        values.map((value, i) => value + move * along[i]!);
      const problem = this.#problem(cost, 'bounds', shifted(A, dA), shifted(b, db));
      using solution = await qpSolveBatch(problem, { ...this.#options, tolerance: 1e-12 });
      return dot(solution.z.data, 0, this.#dz, 0, this.#dz.length);
    };
    const difference = ((await lossAt(step)) - (await lossAt(-step))) / (2 * step);
    return Math.abs(predicted - difference) / Math.max(1, Math.abs(difference));
  }

  #problem(cost: number, form: 'bounds' | 'rows', A: Float64Array, b: Float64Array): QpProblem<'float64'> {
    const n = NINE_VARIABLES;
    const zeros = tensor(new Float64Array(n));
    return {
      Q: tensor(diagonal(n, cost), [n, n]),
      p: this.#batch(this.#p),
      A: tensor(A, [b.length, n]),
      b: tensor(b),
      ...(form === 'bounds' ? { lb: zeros } : { G: tensor(diagonal(n, -1), [n, n]), h: zeros }),
    };
  }

  #batch = (data: Float64Array) => tensor(data, [this.#puzzles.length, NINE_VARIABLES]);

  #part = (data: Float64Array, k: number): Float64Array =>
    data.subarray(k * NINE_VARIABLES, (k + 1) * NINE_VARIABLES);
}

const solvedOf = (solution: QpSolution<'float64'>): number =>
  solution.status.filter((status) => status === 'solved').length;

function joined(parts: readonly Float64Array[]): Float64Array {
  const all = new Float64Array(parts.length * NINE_VARIABLES);
  parts.forEach((part, k) => all.set(part, k * NINE_VARIABLES));
  return all;
}

function diagonal(size: number, value: number): Float64Array {
  const matrix = new Float64Array(size * size);
  for (let i = 0; i < size; i++) matrix[i * size + i] = value;
  return matrix;
}
