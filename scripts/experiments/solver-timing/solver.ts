import type { Problems } from '../qp-problems.js';

/** What a solver found: z [batch, n] and the multipliers λ ≥ 0 of Gz ≤ h, [batch, m]. NaN where it gave up. */
export interface Answers {
  z: Float64Array;
  lambda: Float64Array;
}

/** One of those compared. */
export interface Solver {
  readonly name: string;
  /** In words: what it is, and how it is called. */
  readonly description: string;
  /** Brings problems into the form that the solver takes. The time of this does not count. */
  prepare(problems: Problems): () => Answers | Promise<Answers>;
}
