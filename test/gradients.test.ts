// Gradients against central differences of the solution, along random directions, for all six data.
import { qpSolveBatchSync, tensor } from '../lib/index.js';
import type { QpProblem, QpSolution } from '../lib/index.js';

import { given, knownProblem, paperProblem } from './support/generators.js';
import type { KnownProblem } from './support/generators.js';
import { largest } from './support/kkt.js';
import type { Sizes, TensorProblem } from './support/problems.js';
import { normal, uniform } from './support/random.js';
import { expectWithin } from './support/within.js';

type DatumName = keyof TensorProblem;
const names: readonly DatumName[] = ['Q', 'p', 'G', 'h', 'A', 'b'];
const ranks = { Q: 2, p: 1, G: 2, h: 1, A: 2, b: 1 };
const parts = ['dz', 'dlambda', 'dnu'] as const;
type Part = (typeof parts)[number];
type Given = Partial<TensorProblem> & Pick<TensorProblem, 'Q' | 'p'>;

const precise = { tolerance: 1e-13 };
const step = 1e-3;
/** Derivatives that are smaller, such as those of a z that the equalities alone determine, are compared with this. */
const least = 1e-3;

/** Rows of (G, h) or (A, b) that a problem has not, and the upstream gradients that it then cannot have, are left out. */
function present(problem: Given): DatumName[] {
  return names.filter((name) => problem[name] !== undefined);
}

/**
 * Draws an upstream gradient for each part of the solution, and for each datum a direction (symmetric for Q), and returns
 * the relative errors of the directional derivatives, problem by problem where the datum is not shared. Where one is
 * near zero by chance, its standard deviation over random directions takes its place: ‖gradient‖/√size for unit ones.
 */
function derivativeErrors(problem: Given, seed: number): Record<string, number> {
  const gauss = normal(uniform(seed));
  using solution = qpSolveBatchSync(problem, precise);
  expect(solution.status).toEqual(solution.status.map(() => 'solved'));
  const batch = solution.status.length;
  const upstream = drawUpstream(solution, gauss);
  const cases: [string, Partial<typeof upstream>][] = [
    ...parts.filter((part) => part in upstream).map((part) => [part, { [part]: upstream[part] }] as never),
    ['all', upstream],
  ];
  const gradients = cases.map(([label, part]) => ({ label, part, gradient: solution.backwardSync(part) }));

  const errors: Record<string, number> = {};
  for (const name of present(problem)) {
    const { shape, data } = problem[name]!;
    const isShared = shape.length === ranks[name];
    const groups = isShared ? 1 : batch;
    const size = data.length / groups;
    const direction = drawDirection(name, shape, gauss);
    const moved = (steps: number): Solved => {
      const changed = data.map((x, i) => x + steps * step * direction[i]!);
      using result = qpSolveBatchSync({ ...problem, [name]: tensor(changed, shape) }, precise);
      return result;
    };
    const differences = centralDifferences(moved);
    for (const { label, part, gradient } of gradients) {
      const values = gradient[`d${name}`]!;
      expect(values.shape).toEqual(shape);
      let worst = 0;
      for (let k = 0; k < groups; k++) {
        const block = values.data.subarray(k * size, (k + 1) * size);
        const analytic = dot(block, direction.subarray(k * size, (k + 1) * size));
        const numeric = lossChange(differences, part, isShared ? undefined : k, batch);
        const typical = Math.max(Math.sqrt(dot(block, block) / size), Math.abs(numeric), least);
        const error = Math.abs(analytic - numeric) / typical;
        if (!(error <= worst)) worst = error;
      }
      errors[`d${name} from ${label}`] = worst;
    }
  }
  return errors;
}

type Solved = Pick<QpSolution, 'z' | 'lambda' | 'nu'>;
type Differences = Record<Part, Float64Array>;

/** The derivatives of z, λ and ν by the five-point rule, from solutions at ±1 and ±2 steps. */
function centralDifferences(moved: (steps: number) => Solved): Differences {
  const [back2, back, ahead, ahead2] = [-2, -1, 1, 2].map(moved) as [Solved, Solved, Solved, Solved];
  const rule = (name: 'z' | 'lambda' | 'nu') =>
    Float64Array.from(back[name].data, (_, i) => {
      const at = (solved: Solved) => solved[name].data[i]!;
      return (8 * (at(ahead) - at(back)) - (at(ahead2) - at(back2))) / (12 * step);
    });
  return { dz: rule('z'), dlambda: rule('lambda'), dnu: rule('nu') };
}

/** The change of the loss of problem k, or of the whole batch. */
function lossChange(
  differences: Differences,
  upstream: Partial<Record<Part, { data: Float64Array }>>,
  k: number | undefined,
  batch: number,
): number {
  let change = 0;
  for (const part of parts) {
    const weights = upstream[part]?.data;
    if (weights === undefined) continue;
    const size = weights.length / batch;
    const [first, last] = k === undefined ? [0, weights.length] : [k * size, (k + 1) * size];
    change += dot(weights.subarray(first, last), differences[part].subarray(first, last));
  }
  return change;
}

function drawUpstream(solution: QpSolution<'float64'>, gauss: () => number) {
  const draw = (shape: readonly number[]) =>
    tensor(Float64Array.from({ length: shape[0]! * shape[1]! }, gauss), shape);
  const { z, lambda, nu } = solution;
  return {
    dz: draw(z.shape),
    ...(lambda.data.length > 0 && { dlambda: draw(lambda.shape) }),
    ...(nu.data.length > 0 && { dnu: draw(nu.shape) }),
  };
}

/** Of about unit norm per problem. */
function drawDirection(name: DatumName, shape: readonly number[], gauss: () => number): Float64Array {
  const size = shape.slice(-ranks[name]).reduce((product, length) => product * length, 1);
  const count = shape.reduce((product, length) => product * length, 1);
  const direction = Float64Array.from({ length: count }, () => gauss() / Math.sqrt(size));
  if (name !== 'Q') return direction;
  const n = shape.at(-1)!;
  return direction.map((x, i) => {
    const row = Math.floor(i / n) % n;
    const column = i % n;
    return (x + direction[i + (column - row) * (n - 1)]!) / 2;
  });
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** The smallest of all λᵢ + sᵢ: how far the solution is from a change of the active set, where it has no derivative. */
function margin({
  lambda,
  slack,
}: {
  lambda: { data: Float64Array };
  slack: { data: Float64Array };
}): number {
  return lambda.data.reduce((least, x, i) => Math.min(least, x + slack.data[i]!), Infinity);
}

describe('gradients of z, λ and ν, alone and together, agree with central differences to 1e-6:', () => {
  const shapes: [string, Sizes][] = [
    ['no inequalities', { batch: 3, n: 7, m: 0, q: 3 }],
    ['no equalities', { batch: 3, n: 7, m: 9, q: 0 }],
    ['neither', { batch: 3, n: 7, m: 0, q: 0 }],
    ['both', { batch: 3, n: 8, m: 10, q: 3 }],
    ['a batch of one', { batch: 1, n: 12, m: 9, q: 2 }],
    ['a batch larger than any pack', { batch: 19, n: 5, m: 6, q: 1 }],
    ['one variable', { batch: 3, n: 1, m: 0, q: 0 }],
    ['one variable and one row', { batch: 3, n: 1, m: 1, q: 0 }],
    ['one variable and two rows', { batch: 3, n: 1, m: 2, q: 0 }],
    ['one variable and many rows', { batch: 3, n: 1, m: 6, q: 0 }],
    ['one variable, held by an equality', { batch: 3, n: 1, m: 0, q: 1 }],
    ['as many equalities as variables', { batch: 3, n: 4, m: 0, q: 4 }],
    ['twice as many rows as variables', { batch: 2, n: 16, m: 32, q: 5 }],
    ['many more rows than variables', { batch: 3, n: 6, m: 40, q: 2 }],
    ['many more rows than variables, no equalities', { batch: 3, n: 9, m: 60, q: 0 }],
    ['the size of the larger packs', { batch: 2, n: 60, m: 70, q: 20 }],
    ['large n', { batch: 2, n: 160, m: 40, q: 10 }],
    ['large n without constraints', { batch: 2, n: 151, m: 0, q: 0 }],
    ['large m', { batch: 2, n: 80, m: 160, q: 8 }],
    ['large m, many more rows than variables', { batch: 2, n: 30, m: 170, q: 4 }],
  ];
  it.each(shapes)('%s', (_, sizes) => {
    for (const seed of sizes.n * sizes.m < 1000 ? [1, 2, 3] : [1]) {
      const { problem } = knownProblem(sizes, seed);
      expectWithin(derivativeErrors(given(problem), seed + 100), 1e-6);
    }
  });

  it('for random sizes', () => {
    const random = uniform(2017);
    for (let trial = 0; trial < 40; trial++) {
      const upTo = (most: number) => Math.floor(random() * (most + 1));
      const n = 1 + upTo(24);
      const sizes = { batch: 1 + upTo(5), n, m: upTo(4) === 0 ? 0 : upTo(70), q: upTo(Math.floor(n / 2)) };
      const { problem } = knownProblem(sizes, trial);
      expectWithin(derivativeErrors(given(problem), trial), 1e-6);
    }
  });
});

describe('whatever data the batch shares,', () => {
  const sizes = { batch: 3, n: 5, m: 6, q: 2 };
  const patterns = Array.from({ length: 64 }, (_, bits) => names.filter((_, i) => bits & (1 << i)));

  /** A problem of which these data are shared, the rest drawn near those of one problem; strictly complementary. */
  function sharing(shared: readonly DatumName[], seed: number): TensorProblem {
    const gauss = normal(uniform(1000 * seed + shared.length));
    const { problem } = knownProblem({ ...sizes, batch: 1 }, seed);
    const entries = names.map((name) => {
      const { shape, data } = problem[name];
      if (shared.includes(name)) return [name, tensor(data, shape.slice(1))];
      const n = shape.at(-1)!;
      const batched = [0, 1, 2].flatMap(() => {
        const near = data.map((x) => x + 0.05 * gauss());
        if (name === 'Q') {
          for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) near[i * n + j] = near[j * n + i]!;
        }
        return [...near];
      });
      return [name, tensor(batched, [3, ...shape.slice(1)])];
    });
    const result = Object.fromEntries(entries) as TensorProblem;
    using solution = qpSolveBatchSync(result, precise);
    return margin(solution) > 0.1 ? result : sharing(shared, seed + 100);
  }

  it('gradients agree with central differences to 1e-6', () => {
    patterns.forEach((shared, seed) => {
      expectWithin(derivativeErrors(sharing(shared, seed), seed), 1e-6);
    });
  });

  it('the gradient of a shared datum is the sum of those of the problems', () => {
    patterns.forEach((shared, seed) => {
      const problem = sharing(shared, seed);
      const batch = shared.length === names.length ? 1 : sizes.batch;
      const entries = names.map((name) => {
        const { shape, data } = problem[name];
        if (!shared.includes(name)) return [name, problem[name]];
        return [
          name,
          tensor(
            Array(batch)
              .fill([...data])
              .flat() as number[],
            [batch, ...shape],
          ),
        ];
      });
      const expanded = Object.fromEntries(entries) as TensorProblem;
      using solution = qpSolveBatchSync(problem, precise);
      using each = qpSolveBatchSync(expanded, precise);
      const upstream = drawUpstream(solution, normal(uniform(seed)));
      const gradients = solution.backwardSync(upstream);
      const expected = each.backwardSync(upstream);
      for (const name of names) {
        const { shape, data } = gradients[`d${name}`]!;
        expect(shape).toEqual(problem[name].shape);
        const sum = new Float64Array(data.length);
        expected[`d${name}`]!.data.forEach((x, i) => (sum[i % sum.length]! += x));
        const reference = shared.includes(name) ? sum : expected[`d${name}`]!.data;
        const error = largest(data.map((x, i) => x - reference[i]!)) / (1 + largest(reference));
        expectWithin({ [`d${name} of ${shared.join('')}`]: error }, 1e-12);
      }
    });
  });
});

describe('at the default settings, gradients', () => {
  it.each<[string, Sizes]>([
    ['small', { batch: 256, n: 10, m: 10, q: 0 }],
    ['with equalities', { batch: 64, n: 32, m: 64, q: 8 }],
    ['as in the Sudoku layer', { batch: 32, n: 64, m: 64, q: 40 }],
    ['with many rows', { batch: 32, n: 10, m: 60, q: 2 }],
    ['large', { batch: 2, n: 200, m: 200, q: 20 }],
  ])('are finite, and near those of the exact solution: %s', (_, sizes) => {
    const { problem } = knownProblem(sizes, 5);
    using solution = qpSolveBatchSync(problem);
    using exact = qpSolveBatchSync(problem, precise);
    const upstream = drawUpstream(solution, normal(uniform(1)));
    const gradients = solution.backwardSync(upstream);
    const expected = exact.backwardSync(upstream);
    for (const name of names) {
      const [actual, reference] = [gradients[`d${name}`]!.data, expected[`d${name}`]!.data];
      const error = largest(actual.map((x, i) => x - reference[i]!)) / (1 + largest(reference));
      expectWithin({ [`d${name}`]: error }, 1e-4);
    }
  });

  it('are finite on the paper’s generator, in every precision', () => {
    for (const precision of ['double', 'mixed', 'single'] as const) {
      for (const sizes of [
        { batch: 256, n: 10, m: 10, q: 0 },
        { batch: 32, n: 32, m: 64, q: 8 },
        { batch: 8, n: 10, m: 60, q: 2 },
        { batch: 1, n: 170, m: 160, q: 8 },
      ]) {
        using solution = qpSolveBatchSync(paperProblem(sizes, 3), { precision });
        const gradients = solution.backwardSync(drawUpstream(solution, normal(uniform(1))));
        for (const name of names) expect(largest(gradients[`d${name}`]!.data)).toBeLessThan(Infinity);
      }
    }
  });
});

it('the generator’s solutions, drawn before the problems, are found', () => {
  for (const sizes of [
    { batch: 9, n: 8, m: 10, q: 3 },
    { batch: 3, n: 6, m: 40, q: 2 },
    { batch: 2, n: 80, m: 160, q: 8 },
  ]) {
    const known: KnownProblem = knownProblem(sizes, 11);
    using solution = qpSolveBatchSync(known.problem as QpProblem<'float64'>, precise);
    for (const name of ['z', 'lambda', 'nu', 'slack'] as const) {
      const error = largest(known[name].map((x, i) => x - solution[name].data[i]!));
      expectWithin({ [name]: error }, 1e-9);
    }
  }
});
