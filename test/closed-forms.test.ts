// Problems whose solutions and derivatives have formulas.
import { qpSolveBatchSync, tensor } from '../lib/index.js';
import type { Tensor } from '../lib/index.js';

import { times, timesTransposed } from './support/kkt.js';
import { normal, uniform } from './support/random.js';

const precise = { tolerance: 1e-13 };
const batch = 7;
const n = 6;
const gauss = normal(uniform(5));

const draw = (...shape: number[]) =>
  tensor(Float64Array.from({ length: shape.reduce((product, size) => product * size, 1) }, gauss), shape);
/** Where |x| is small, a piecewise formula is near its kink, and its derivative is that only of an exact solution. */
const awayFromZero = ({ data, shape }: Tensor<'float64'>) =>
  tensor(
    data.map((x) => x + 0.2 * Math.sign(x)),
    shape,
  );
const diagonal = (value: number) =>
  tensor(
    Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? value : 0)),
    [n, n],
  );
const constant = (value: number, ...shape: number[]) =>
  tensor(new Float64Array(shape.reduce((product, size) => product * size, 1)).fill(value), shape);
const negated = ({ data, shape }: Tensor<'float64'>) =>
  tensor(
    data.map((x) => -x),
    shape,
  );

/** Problem k's part of a result. */
const rowOf = ({ data, shape }: Tensor<'float64'>, k: number) => {
  const size = data.length / shape[0]!;
  return data.subarray(k * size, (k + 1) * size);
};

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, digits = 8): void {
  expect(actual).toHaveLength(expected.length);
  for (let i = 0; i < expected.length; i++) expect(actual[i]).toBeCloseTo(expected[i]!, digits);
}

/** Solves Mx = v by elimination with pivoting. */
function linearSolve(M: ArrayLike<number>, v: ArrayLike<number>): Float64Array {
  const size = v.length;
  const rows = Array.from({ length: size }, (_, i) => [
    ...Array.from({ length: size }, (_, j) => M[i * size + j]!),
    v[i]!,
  ]);
  for (let column = 0; column < size; column++) {
    const pivots = rows.map((row, i) => (i < column ? -1 : Math.abs(row[column]!)));
    const pivot = pivots.indexOf(Math.max(...pivots));
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    for (let i = 0; i < size; i++) {
      if (i === column) continue;
      const factor = rows[i]![column]! / rows[column]![column]!;
      for (let j = column; j <= size; j++) rows[i]![j]! -= factor * rows[column]![j]!;
    }
  }
  return Float64Array.from(rows, (row, i) => row[size]! / row[i]!);
}

describe('max(x, 0), as the nearest point of the positive orthant,', () => {
  const x = awayFromZero(draw(batch, n));
  const problem = { Q: diagonal(1), p: negated(x), G: diagonal(-1), h: constant(0, n) };

  it('has the value of the formula', () => {
    using solution = qpSolveBatchSync(problem, precise);
    expectClose(
      solution.z.data,
      x.data.map((value) => Math.max(value, 0)),
    );
    expectClose(
      solution.lambda.data,
      x.data.map((value) => Math.max(-value, 0)),
    );
  });

  it('passes a gradient on where x is positive, and nowhere else', () => {
    using solution = qpSolveBatchSync(problem, precise);
    const dz = draw(batch, n);
    const { dp } = solution.backwardSync({ dz }, { wrt: ['p'] });
    expectClose(
      dp.data,
      dz.data.map((g, i) => (x.data[i]! > 0 ? -g : 0)), // p = −x
    );
  });
});

/** θ of the projection onto the simplex, by sorting. */
function threshold(point: Float64Array): number {
  let [sum, theta] = [0, 0];
  [...point]
    .sort((a, b) => b - a)
    .forEach((value, i) => {
      sum += value;
      if (value > (sum - 1) / (i + 1)) theta = (sum - 1) / (i + 1);
    });
  return theta;
}

describe('the projection onto the simplex', () => {
  const x = constant(0, batch, n);
  for (let k = 0; k < batch;) {
    const point = draw(n).data;
    rowOf(x, k).set(point);
    const shift = threshold(point);
    if (point.every((value) => Math.abs(value - shift) > 0.05)) k++;
  }
  const problem = {
    Q: diagonal(1),
    p: negated(x),
    G: diagonal(-1),
    h: constant(0, n),
    A: constant(1, 1, n),
    b: constant(1, 1),
  };

  /** x − θ, cut off at 0. */
  const formula = (point: Float64Array) => point.map((value) => Math.max(value - threshold(point), 0));

  it('has the value that sorting finds', () => {
    using solution = qpSolveBatchSync(problem, precise);
    for (let k = 0; k < batch; k++) expectClose(rowOf(solution.z, k), formula(rowOf(x, k)));
  });

  it('has the Jacobian diag(e) − eeᵀ/|e|, e marking the support', () => {
    using solution = qpSolveBatchSync(problem, precise);
    for (let i = 0; i < n; i++) {
      const unit = Float64Array.from({ length: batch * n }, (_, index) => (index % n === i ? 1 : 0));
      const { dp } = solution.backwardSync({ dz: tensor(unit, [batch, n]) }, { wrt: ['p'] });
      for (let k = 0; k < batch; k++) {
        const support = formula(rowOf(x, k)).map((value) => (value > 0 ? 1 : 0));
        const count = support.reduce((sum, e) => sum + e, 0);
        const row = support.map((e, j) => e * ((i === j ? 1 : 0) - support[i]! / count));
        expectClose(
          rowOf(dp, k),
          row.map((value) => -value),
        );
      }
    }
  });
});

describe('the projection onto a box', () => {
  const half = draw(batch, n).data.map((value) => 0.5 + Math.abs(value));
  const middle = draw(batch, n).data;
  const position = draw(batch, n).data.map((t) => (Math.abs(Math.abs(t) - 1) > 0.1 ? t : 0.5 * t));
  const x = tensor(
    middle.map((c, i) => c + half[i]! * position[i]!),
    [batch, n],
  );
  const [lower, upper] = [middle.map((c, i) => c - half[i]!), middle.map((c, i) => c + half[i]!)];
  const G = tensor([...diagonal(1).data, ...diagonal(-1).data], [2 * n, n]);
  const h = new Float64Array(batch * 2 * n);
  for (let k = 0; k < batch; k++) {
    h.set(upper.subarray(k * n, (k + 1) * n), k * 2 * n);
    h.set(
      lower.subarray(k * n, (k + 1) * n).map((value) => -value),
      (2 * k + 1) * n,
    );
  }
  const problem = { Q: diagonal(1), p: negated(x), G, h: tensor(h, [batch, 2 * n]) };

  it('is x, cut off at the bounds', () => {
    using solution = qpSolveBatchSync(problem, precise);
    expectClose(
      solution.z.data,
      x.data.map((value, i) => Math.min(Math.max(value, lower[i]!), upper[i]!)),
    );
  });

  it('passes a gradient on to x inside, and to the bound that it meets outside', () => {
    using solution = qpSolveBatchSync(problem, precise);
    const dz = draw(batch, n);
    const { dp, dh } = solution.backwardSync({ dz }, { wrt: ['p', 'h'] });
    for (let k = 0; k < batch; k++) {
      for (let j = 0; j < n; j++) {
        const i = k * n + j;
        const [below, above] = [x.data[i]! < lower[i]!, x.data[i]! > upper[i]!];
        const g = dz.data[i]!;
        expect(dp.data[i]).toBeCloseTo(below || above ? 0 : -g, 8);
        expect(dh.data[k * 2 * n + j]).toBeCloseTo(above ? g : 0, 8);
        expect(dh.data[(2 * k + 1) * n + j]).toBeCloseTo(below ? -g : 0, 8); // h = −lower
      }
    }
  });
});

describe('the shortest z with Az = b', () => {
  const q = 3;
  const A = draw(batch, q, n);
  const b = draw(batch, q);
  const problem = { Q: diagonal(1), p: constant(0, n), A, b };
  /** (AAᵀ)⁻¹v for problem k */
  const solveGram = (k: number, v: ArrayLike<number>) => {
    const rows = Array.from({ length: q }, (_, i) => rowOf(A, k).subarray(i * n, (i + 1) * n));
    return linearSolve(
      rows.flatMap((row) => rows.map((other) => times(row, other, n)[0]!)),
      v,
    );
  };

  it('is Aᵀ(AAᵀ)⁻¹b, with the multipliers −(AAᵀ)⁻¹b', () => {
    using solution = qpSolveBatchSync(problem, precise);
    for (let k = 0; k < batch; k++) {
      const y = solveGram(k, rowOf(b, k));
      expectClose(rowOf(solution.z, k), timesTransposed(rowOf(A, k), y, n), 9);
      expectClose(
        rowOf(solution.nu, k),
        y.map((value) => -value),
        9,
      );
    }
  });

  it('passes a gradient g of z on to b as (AAᵀ)⁻¹Ag, and one of ν as −(AAᵀ)⁻¹g', () => {
    using solution = qpSolveBatchSync(problem, precise);
    const [dz, dnu] = [draw(batch, n), draw(batch, q)];
    const ofZ = solution.backwardSync({ dz }, { wrt: ['b'] }).db;
    const ofNu = solution.backwardSync({ dnu }, { wrt: ['b'] }).db;
    for (let k = 0; k < batch; k++) {
      expectClose(rowOf(ofZ, k), solveGram(k, times(rowOf(A, k), rowOf(dz, k), n)), 9);
      expectClose(
        rowOf(ofNu, k),
        solveGram(k, rowOf(dnu, k)).map((value) => -value),
        9,
      );
    }
  });
});

describe('without constraints', () => {
  const L = draw(batch, n, n);
  const Q = new Float64Array(batch * n * n);
  for (let k = 0; k < batch; k++) {
    for (let i = 0; i < n; i++) {
      const row = times(rowOf(L, k), rowOf(L, k).subarray(i * n, (i + 1) * n), n);
      row[i]! += 1;
      Q.set(row, (k * n + i) * n);
    }
  }
  const problem = { Q: tensor(Q, [batch, n, n]), p: draw(batch, n) };

  it('z is −Q⁻¹p', () => {
    using solution = qpSolveBatchSync(problem, precise);
    for (let k = 0; k < batch; k++) {
      const z = linearSolve(rowOf(problem.Q, k), rowOf(problem.p, k)).map((value) => -value);
      expectClose(rowOf(solution.z, k), z, 9);
    }
    expect([...solution.iterations]).toEqual(Array(batch).fill(0));
  });

  it('dp is −Q⁻¹g, and dQ is ½(dp zᵀ + z dpᵀ)', () => {
    using solution = qpSolveBatchSync(problem, precise);
    const dz = draw(batch, n);
    const { dQ, dp } = solution.backwardSync({ dz });
    for (let k = 0; k < batch; k++) {
      const v = linearSolve(rowOf(problem.Q, k), rowOf(dz, k)).map((value) => -value);
      const z = rowOf(solution.z, k);
      expectClose(rowOf(dp, k), v, 9);
      const outer = Float64Array.from({ length: n * n }, (_, index) => {
        const [i, j] = [Math.floor(index / n), index % n];
        return (v[i]! * z[j]! + z[i]! * v[j]!) / 2;
      });
      expectClose(rowOf(dQ!, k), outer, 9);
    }
  });
});
