// One problem that is infeasible, one that is unbounded and one that is hard leave the good ones of their batch alone.
import { qpSolveBatchSync, tensor } from '../lib/index.js';
import type { QpSolution, SyncSolveOptions, Tensor } from '../lib/index.js';

import { bitsOf } from './support/bits.js';
import { makeBatch } from './support/families.js';
import type { Form } from './support/families.js';
import { batchOf, data, parts, rowOf } from './support/general.js';
import type { OneProblem, Part } from './support/general.js';
import { largest, times, timesTransposed } from './support/kkt.js';
import { normal, uniform } from './support/random.js';
import { expectWithin } from './support/within.js';

const forms: [string, Form][] = [
  ['G, h, A, b', { n: 8, h: true, gl: false, A: true, lb: false, ub: false }],
  ['the same with lb, ub, gl', { n: 8, h: true, gl: true, A: true, lb: true, ub: true }],
];

/** gᵀz ≤ h and gᵀz ≥ h + 1 */
function infeasible(good: OneProblem): OneProblem {
  const [G, h, gl] = [good.G.slice(), good.h!.slice(), good.gl?.slice()];
  for (let j = 0; j < good.n; j++) G[good.n + j] = -G[j]!;
  h[0] = 1;
  h[1] = -2;
  gl?.fill(-Infinity, 0, 2);
  return { ...good, G, h, gl };
}

/** The first variable costs −1, and nothing holds it; the others have room. */
function unbounded(good: OneProblem): OneProblem {
  const { n, m } = good;
  const without = (M: Float64Array) => M.map((x, at) => (at % n === 0 ? 0 : x));
  const Q = good.Q && without(good.Q).map((x, at) => (at < n ? 0 : x));
  const bound = (size: number, value: number, first = value) =>
    new Float64Array(size).map((_, j) => (j === 0 ? first : value));
  return {
    ...good,
    Q,
    p: good.p.map((x, j) => (j === 0 ? -1 : x)),
    G: without(good.G),
    h: bound(m, 100),
    gl: good.gl && bound(m, -100),
    A: without(good.A),
    lb: good.lb && bound(n, -100, -Infinity),
    ub: good.ub && bound(n, 100, Infinity),
  };
}

/** Upstream gradients of every part, for as many problems. */
function upstreamOf(solution: QpSolution<'float64'>) {
  const batch = solution.objective.length;
  const drawn = parts
    .filter((part) => solution[part].data.length > 0)
    .map((part) => {
      const width = solution[part].data.length / batch;
      // Problem k's are its own, whoever else is there.
      const gauss = normal(uniform(part.length));
      return { part, width, all: Float64Array.from({ length: 64 * width }, gauss) };
    });
  return (indices: readonly number[]) =>
    Object.fromEntries(
      drawn.map(({ part, width, all }) => [
        `d${part}`,
        tensor(Float64Array.from(indices.flatMap((k) => [...all.subarray(k * width, (k + 1) * width)])), [
          indices.length,
          width,
        ]),
      ]),
    ) as Partial<Record<`d${Part}`, Tensor<'float64'>>>;
}

/** Of 64 problems, where the bad ones are. */
const places = { infeasible: 3, unbounded: 18, hard: 40 };
const bad = Object.values(places);
const everyone = Array.from({ length: 64 }, (_, k) => k);
const good = everyone.filter((k) => !bad.includes(k));

describe.each(forms)('with %s, the good problems of a batch', (_, form) => {
  const problems = [...makeBatch('well posed', form, 5, 64).problems];
  problems[places.infeasible] = infeasible(problems[places.infeasible]!);
  problems[places.unbounded] = unbounded(problems[places.unbounded]!);
  problems[places.hard] = makeBatch('scales over 12 orders', form, 6, 1).problems[0]!;

  const solved = (indices: readonly number[], options: SyncSolveOptions<'float64'>) => {
    using solution = qpSolveBatchSync(batchOf(indices.map((k) => problems[k]!)), options);
    const gradients = solution.backwardSync(upstreamOf(solution)(indices));
    const named = gradients as Record<string, Tensor<'float64'>>;
    return { solution, gradients, bits: indices.map((_, i) => bitsOf(solution, named, i)) };
  };
  const mixed = solved(everyone, {});

  it('are solved, and the bad ones end as they must', () => {
    const { status, derivative } = mixed.solution;
    expect(good.filter((k) => status[k] !== 'solved')).toEqual([]);
    expect(status[places.infeasible]).toBe('primalInfeasible');
    expect(status[places.unbounded]).toBe('dualInfeasible');
    expect(['solved', 'maxIterations', 'numericalError']).toContain(status[places.hard]);
    expect([derivative[places.infeasible], derivative[places.unbounded]]).toEqual(['none', 'none']);
  });

  // Under 'auto' the bad ones take the good ones with them, from a GPU to the CPU.
  it('have, on the CPU, the same results and gradients as without the bad ones, to the last bit', () => {
    const together = solved(everyone, { device: 'cpu', threads: 1 });
    for (const threads of [1, 2]) {
      const alone = solved(good, { device: 'cpu', threads });
      expect(good.filter((k, i) => !alone.bits[i]!.equals(together.bits[k]!))).toEqual([]);
    }
  });

  it('have finite gradients, as the bad ones have, and those without a solution have none', () => {
    for (const name of data) {
      const gradient = mixed.gradients[`d${name}`];
      if (gradient === undefined) continue;
      expectWithin({ [name]: largest(gradient.data) }, Number.MAX_VALUE);
      for (const k of [places.infeasible, places.unbounded]) {
        expect(largest(rowOf(gradient, 64, k))).toBe(0);
      }
    }
  });
});

describe('with Q, G and A for all of the batch,', () => {
  const [n, m, q] = [6, 7, 2];
  const gauss = normal(uniform(12));
  const draw = (size: number) => Float64Array.from({ length: size }, gauss);
  // Of the first variable there is only a lower bound, the first row of G; the next two rows are opposites.
  const L = draw(n * n).map((x, at) => (at < n ? 0 : x));
  const Q = new Float64Array(n * n);
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) Q[i * n + j] = dot(L, i, j);
  const G = draw(m * n).map((x, at) => (at % n === 0 ? (at === 0 ? -1 : 0) : x));
  for (let j = 1; j < n; j++) {
    G[j] = 0;
    G[2 * n + j] = -G[n + j]!;
  }
  const A = draw(q * n).map((x, at) => (at % n === 0 ? 0 : x));

  function dot(M: Float64Array, i: number, j: number): number {
    let sum = 0;
    for (let k = 0; k < n; k++) sum += M[i * n + k]! * M[j * n + k]!;
    return sum;
  }

  const problems = everyone.map((): OneProblem => {
    const z = draw(n);
    const lambda = new Float64Array(m);
    lambda[0] = 1;
    lambda[3] = 0.5;
    const nu = draw(q);
    const terms = [times(Q, z, n), timesTransposed(G, lambda, n), timesTransposed(A, nu, n)];
    const p = Float64Array.from({ length: n }, (_, j) => -terms.reduce((sum, term) => sum + term[j]!, 0));
    const h = times(G, z, n).map((x, i) => x + (lambda[i]! > 0 ? 0 : 0.5));
    return { n, m, q, Q, p, G, h, gl: undefined, A, b: times(A, z, n), lb: undefined, ub: undefined };
  });
  const [infeasibleAt, unboundedAt] = [places.infeasible, places.unbounded];
  problems[infeasibleAt]!.h![1]! -= 2;
  problems[unboundedAt]!.p[0] = -1;
  const others = everyone.filter((k) => k !== infeasibleAt && k !== unboundedAt);

  const solved = (indices: readonly number[]) => {
    using solution = qpSolveBatchSync(
      batchOf(
        indices.map((k) => problems[k]!),
        ['Q', 'G', 'A'],
      ),
    );
    return { solution, gradients: solution.backwardSync(upstreamOf(solution)(indices)) };
  };

  it('gradients of the shared data are finite, and the sums over those that have a solution', () => {
    const mixed = solved(everyone);
    const alone = solved(others);
    expect(mixed.solution.status[infeasibleAt]).toBe('primalInfeasible');
    expect(mixed.solution.status[unboundedAt]).toBe('dualInfeasible');
    expect(alone.solution.status.filter((status) => status !== 'solved')).toEqual([]);
    for (const name of ['dQ', 'dG', 'dA'] as const) {
      const [actual, expected] = [mixed.gradients[name]!.data, alone.gradients[name]!.data];
      expect(largest(expected)).toBeGreaterThan(0.1);
      const error = largest(actual.map((x, i) => x - expected[i]!)) / largest(expected);
      expectWithin({ [name]: error }, 1e-12);
    }
  });
});
