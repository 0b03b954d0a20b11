import { qpSolveBatch, tensor, type QpSolution } from 'optnet';

import type { Random } from '../random.js';
import type { SolverOptions } from '../runner/experiment.js';
import { VARIABLES } from './board.js';

/** Rows of A. The rules of mini-Sudoku are 64 equations of rank 40. */
export const EQUALITIES = 40;

/**
 * The paper's Sudoku layer (section 4.4). A board is the solution of
 *
 *     minimise ½·0.1·‖z‖² − puzzleᵀz   subject to   A z = b,  z ≥ 0
 *
 * and what is learned is the feasible set: A, and b = A·exp(w), which keeps a point z = exp(w) > 0 feasible for
 * any A and w.
 */
export class SudokuLayer {
  readonly A: Float64Array;
  readonly w = new Float64Array(VARIABLES);

  readonly #Q = tensor(identity(0.1), [VARIABLES, VARIABLES]);
  readonly #G = tensor(identity(-1), [VARIABLES, VARIABLES]);
  readonly #h = tensor(new Float64Array(VARIABLES), [VARIABLES]);
  readonly #options: SolverOptions & { tolerance?: number };

  /** A starts uniform in [0, 1), w at 0. */
  constructor(random: Random, options: SolverOptions & { tolerance?: number } = {}) {
    this.A = Float64Array.from({ length: EQUALITIES * VARIABLES }, () => random.uniform());
    this.#options = options;
  }

  get parameters(): Float64Array[] {
    return [this.A, this.w];
  }

  /** Boards for `count` puzzles in one-hot form. With `differentiable`, the solution can be given to `backward`. */
  async forward(
    puzzles: Float64Array,
    count: number,
    differentiable: boolean,
  ): Promise<QpSolution<'float64'>> {
    return qpSolveBatch(
      {
        Q: this.#Q,
        p: tensor(
          puzzles.map((given) => -given),
          [count, VARIABLES],
        ),
        G: this.#G,
        h: this.#h,
        A: tensor(this.A, [EQUALITIES, VARIABLES]),
        b: tensor(this.#b(), [EQUALITIES]),
      },
      { ...this.#options, differentiable },
    );
  }

  /** Gradients for `parameters`, in their order, from that of the boards (`dz`, count × 64). */
  async backward(solution: QpSolution<'float64'>, dz: Float64Array): Promise<Float64Array[]> {
    const upstream = { dz: tensor(dz, [dz.length / VARIABLES, VARIABLES]) };
    const { dA, db } = await solution.backward(upstream, { wrt: ['A', 'b'] });
    return throughOffset(this.A, this.w, dA.data, db.data);
  }

  /** b = A·exp(w). */
  #b(): Float64Array {
    const point = this.w.map(Math.exp);
    return Float64Array.from({ length: EQUALITIES }, (_, i) =>
      point.reduce((sum, value, j) => sum + this.A[i * VARIABLES + j]! * value, 0),
    );
  }
}

/** The chain rule through b = A·exp(w): adds db·exp(w)ᵀ to dA, and gives dw = (Aᵀdb) ∘ exp(w). */
function throughOffset(A: Float64Array, w: Float64Array, dA: Float64Array, db: Float64Array): Float64Array[] {
  const point = w.map(Math.exp);
  const total = Float64Array.from(dA);
  const dw = new Float64Array(w.length);
  for (let i = 0; i < db.length; i++) {
    const dbi = db[i]!;
    for (let j = 0; j < w.length; j++) {
      const k = i * w.length + j;
      total[k] = total[k]! + dbi * point[j]!;
      dw[j] = dw[j]! + dbi * A[k]! * point[j]!;
    }
  }
  return [total, dw];
}

function identity(scale: number): Float64Array {
  const matrix = new Float64Array(VARIABLES * VARIABLES);
  for (let i = 0; i < VARIABLES; i++) matrix[i * VARIABLES + i] = scale;
  return matrix;
}
