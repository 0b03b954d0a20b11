/** The npm package quadprog 1.6.1, which has no types of its own. All arrays are 1-based: element 0 is ignored. */
declare module 'quadprog' {
  type OneBased = (number | undefined)[];

  /**
   * Minimises ½xᵀDx − dᵀx subject to Aᵀx ≥ b, by the dual active set method of Goldfarb and Idnani. D and d are
   * overwritten. `message` is empty when there is a solution.
   */
  export function solveQP(
    Dmat: (OneBased | undefined)[],
    dvec: OneBased,
    Amat: (OneBased | undefined)[],
    bvec: OneBased,
  ): { solution: number[]; Lagrangian: number[]; message: string };
}
