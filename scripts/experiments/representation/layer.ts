import { qpSolveBatchSync, tensor, type QpProblem } from 'optnet';

/** A function ℝⁱⁿ → ℝᵒᵘᵗ as a QP layer: its argument x enters one vector of the data, everything else is constant. */
export interface LayerFunction {
  readonly inputs: number;
  readonly outputs: number;
  /** The problem without that vector, shared by all points. */
  readonly constants: Partial<Record<'Q' | 'G' | 'A', Matrix>> &
    Partial<Record<'p' | 'h' | 'b', Float64Array>>;
  /** The vector that x enters, as M·x + c, M [length, inputs]. */
  readonly through: 'p' | 'h' | 'b';
  readonly M: Matrix;
  readonly c: Float64Array;
  /** The variables of the problem that are the value, [outputs]. */
  readonly value: readonly number[];
  /** For how many numbers the layer is to be stored, zeros not counted. */
  readonly parameters: number;
}

/** Row-major. */
export interface Matrix {
  rows: number;
  columns: number;
  data: Float64Array;
}

export interface Evaluation {
  /** [points, outputs] */
  values: Float64Array;
  /** ∂ value / ∂ x, [points, outputs, inputs]; the solver's, by the chain rule. */
  jacobians: Float64Array;
}

/** Solves for the values at `points` [count, inputs], all in one batch, and differentiates each output. */
export function evaluate(layer: LayerFunction, points: Float64Array): Evaluation {
  const { inputs, outputs, value, M, through } = layer;
  const count = points.length / inputs;
  using solution = qpSolveBatchSync(problemAt(layer, points), { tolerance: 1e-12 });
  const unsolved = solution.status.find((status) => status !== 'solved');
  if (unsolved !== undefined) throw new Error(`a point of the layer ended as '${unsolved}'`);
  const size = solution.z.data.length / count;
  const values = new Float64Array(count * outputs);
  const jacobians = new Float64Array(count * outputs * inputs);
  value.forEach((variable, i) => {
    const dz = new Float64Array(count * size);
    for (let k = 0; k < count; k++) {
      values[k * outputs + i] = solution.z.data[k * size + variable]!;
      dz[k * size + variable] = 1;
    }
    const gradients = solution.backwardSync({ dz: tensor(dz, [count, size]) }, { wrt: [through] });
    const { data } = (gradients as unknown as Record<string, { data: Float64Array }>)[`d${through}`]!;
    for (let k = 0; k < count; k++) {
      const gradient = timesTransposed(M, data.subarray(k * M.rows, (k + 1) * M.rows));
      jacobians.set(gradient, (k * outputs + i) * inputs);
    }
  });
  return { values, jacobians };
}

function problemAt({ inputs, constants, through, M, c }: LayerFunction, points: Float64Array): QpProblem {
  const count = points.length / inputs;
  const moving = new Float64Array(count * M.rows);
  for (let k = 0; k < count; k++) {
    const x = points.subarray(k * inputs, (k + 1) * inputs);
    for (let i = 0; i < M.rows; i++) moving[k * M.rows + i] = c[i]! + rowTimes(M, i, x);
  }
  const vectors = (['p', 'h', 'b'] as const).flatMap((name) => {
    const vector = constants[name];
    return vector ? [[name, tensor(vector, [vector.length])] as const] : [];
  });
  const matrices = (['Q', 'G', 'A'] as const).flatMap((name) => {
    const matrix = constants[name];
    return matrix ? [[name, tensor(matrix.data, [matrix.rows, matrix.columns])] as const] : [];
  });
  return Object.fromEntries([
    ...vectors,
    ...matrices,
    [through, tensor(moving, [count, M.rows])],
  ]) as unknown as QpProblem;
}

export function matrix(rows: number, columns: number, element: (i: number, j: number) => number): Matrix {
  const data = new Float64Array(rows * columns);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) data[i * columns + j] = element(i, j);
  return { rows, columns, data };
}

export const diagonal = (size: number, value: number): Matrix =>
  matrix(size, size, (i, j) => (i === j ? value : 0));

function rowTimes({ columns, data }: Matrix, i: number, x: Float64Array): number {
  let sum = 0;
  for (let j = 0; j < columns; j++) sum += data[i * columns + j]! * x[j]!;
  return sum;
}

function timesTransposed({ rows, columns, data }: Matrix, v: Float64Array): Float64Array {
  const product = new Float64Array(columns);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) product[j] = product[j]! + data[i * columns + j]! * v[i]!;
  }
  return product;
}
