/**
 * The OptNet layer for TensorFlow.js.
 *
 * @packageDocumentation
 */
import type * as tfjs from '@tensorflow/tfjs';

import type { Upstream } from './backward.js';
import { QpError, describe } from './errors.js';
import type { SyncSolveOptions } from './options.js';
import { datumNames } from './problem.js';
import type { DatumName, QpDatum, QpProblem } from './problem.js';
import type { QpSolution } from './solution.js';
import { partNames } from './solved.js';
import type { PartName } from './solved.js';
import { qpSolveBatchSync } from './solve.js';

/** What the layer uses of TensorFlow.js: the module `@tensorflow/tfjs`, `@tensorflow/tfjs-node` or `…/tfjs-core`. */
export type TensorFlow = Pick<typeof tfjs, 'Tensor' | 'customGrad' | 'engine' | 'slice' | 'tensor'>;

/** A datum of the layer's problems. Gradients flow into tensors of TensorFlow.js; all others are constants. */
export type QpLayerDatum = tfjs.Tensor | QpDatum;

/** The data of a batch of problems, in the shapes of {@link QpProblem}. */
export interface QpLayerData {
  /** [n, n] or [batch, n, n]. */
  readonly Q?: QpLayerDatum | null | undefined;
  /** [n] or [batch, n]. */
  readonly p: QpLayerDatum;
  /** [m, n] or [batch, m, n]. */
  readonly G?: QpLayerDatum | null | undefined;
  /** [m] or [batch, m]. */
  readonly h?: QpLayerDatum | null | undefined;
  /** [q, n] or [batch, q, n]. */
  readonly A?: QpLayerDatum | null | undefined;
  /** [q] or [batch, q]. */
  readonly b?: QpLayerDatum | null | undefined;
  /** [m] or [batch, m]. */
  readonly gl?: QpLayerDatum | null | undefined;
  /** [n] or [batch, n]. */
  readonly lb?: QpLayerDatum | null | undefined;
  /** [n] or [batch, n]. */
  readonly ub?: QpLayerDatum | null | undefined;
}

/** Options of {@link qpLayer}: those of the solver, and two of its own. */
export interface QpLayerOptions extends Omit<
  SyncSolveOptions<'float32'>,
  'dtype' | 'differentiable' | 'output' | 'warmStart'
> {
  /**
   * What to do about a batch in which a problem was not solved: throw an error that names the first (default), nothing,
   * or call a function, for example to count them. After the last two, z is the best iterate there was.
   */
  readonly onUnsolved?: 'throw' | 'ignore' | ((solution: QpSolution<'float32'>) => void) | undefined;
  /** Return the multipliers too, { z, lambda, nu, … }; they can be differentiated like z. By default only z. */
  readonly multipliers?: boolean | undefined;
}

/**
 * Minimisers [batch, n], and multipliers [batch, m] of Gz ≤ h, [batch, q] of Az = b, [batch, m] of gl ≤ Gz, and [batch, n]
 * of lb ≤ z and z ≤ ub; without columns for what the problems do not have.
 */
export type QpLayerResult = { readonly [Name in PartName]: tfjs.Tensor2D };

/**
 * Makes a layer that solves quadratic programs: a function of their data, which TensorFlow.js differentiates with
 * respect to every datum that is a tensor of its own. Shapes are those of `qpSolveBatch`; the gradient of a datum that
 * the batch shares is summed over it. First derivatives only.
 *
 * Values pass as float32, as TensorFlow.js has no float64; inside, by default, float32 factors are refined in float64.
 * The call blocks, as automatic differentiation does. Outside of a gradient computation no factors are kept.
 *
 * @throws QpError in the cases of `qpSolveBatch`, and ERR_QP_UNSOLVED, see {@link QpLayerOptions.onUnsolved}
 *
 * @example
 * import * as tf from '@tensorflow/tfjs';
 * import { qpLayer } from 'optnet/tfjs';
 *
 * const project = qpLayer(tf);                          // onto the simplex: z ≥ 0, Σz = 1
 * const p = tf.variable(tf.randomNormal([32, 3]));
 * const loss = () => project({ Q: [[1, 0, 0], [0, 1, 0], [0, 0, 1]], p: tf.neg(p), A: [[1, 1, 1]], b: [1],
 *   G: [[-1, 0, 0], [0, -1, 0], [0, 0, -1]], h: [0, 0, 0] }).square().mean() as tf.Scalar;
 * tf.train.adam(0.1).minimize(loss);
 */
export function qpLayer(
  tf: TensorFlow,
  options: QpLayerOptions & { readonly multipliers: true },
): (data: QpLayerData) => QpLayerResult;
export function qpLayer(
  tf: TensorFlow,
  options?: QpLayerOptions & { readonly multipliers?: false | undefined },
): (data: QpLayerData) => tfjs.Tensor2D;
export function qpLayer(
  tf: TensorFlow,
  options?: QpLayerOptions,
): (data: QpLayerData) => tfjs.Tensor2D | QpLayerResult;
export function qpLayer(
  tf: TensorFlow,
  options: QpLayerOptions = {},
): (data: QpLayerData) => tfjs.Tensor2D | QpLayerResult {
  const { onUnsolved = 'throw', multipliers = false, ...solverOptions } = options;
  checkOptions(onUnsolved, multipliers);

  return (data) => {
    const inputs = tensorInputs(tf, data);
    const names = inputs.map(({ name }) => name);
    const differentiable = inputs.length > 0 && tf.engine().isTapeOn();
    let sizes: Sizes | undefined;

    const forward = (tensors: readonly tfjs.Tensor[]) => {
      const solution = qpSolveBatchSync(readProblem(data, names, tensors), {
        ...solverOptions,
        dtype: 'float32',
        differentiable,
      });
      if (!solution.allSolved) report(solution, onUnsolved);
      sizes = sizesOf(solution);
      const value = multipliers
        ? joined(tf, solution, sizes)
        : tf.tensor(solution.z.data, [...solution.z.shape]);
      return { value, solution };
    };

    const value = !differentiable
      ? forward(inputs.map(({ tensor }) => tensor)).value
      : tf.customGrad((...args) => {
          // The last argument saves tensors for the gradient; the solution holds all that is needed.
          const { value, solution } = forward(args.slice(0, -1) as tfjs.Tensor[]);
          const gradFunc = (dy: tfjs.Tensor) =>
            gradients(tf, solution, names, upstreamOf(dy, sizes!, multipliers));
          return { value, gradFunc };
        })(...inputs.map(({ tensor }) => tensor));
    return multipliers ? split(tf, value, sizes!) : (value as tfjs.Tensor2D);
  };
}

/** A datum that is a tensor of TensorFlow.js. */
interface TensorInput {
  name: DatumName;
  tensor: tfjs.Tensor;
}

/** The batch, and how many columns each part of the solution has. */
interface Sizes {
  batch: number;
  widths: Record<PartName, number>;
}

function checkOptions(onUnsolved: unknown, multipliers: unknown): void {
  if (onUnsolved !== 'throw' && onUnsolved !== 'ignore' && typeof onUnsolved !== 'function') {
    throw optionError('onUnsolved', onUnsolved, "'throw', 'ignore' or a function");
  }
  if (typeof multipliers !== 'boolean') throw optionError('multipliers', multipliers, 'true or false');
}

function optionError(argument: string, value: unknown, expected: string): QpError {
  return new QpError('ERR_QP_OPTION', `${argument} is ${describe(value)}; expected ${expected}`, {
    argument,
  });
}

function tensorInputs(tf: TensorFlow, data: QpLayerData): TensorInput[] {
  return datumNames.flatMap((name) => {
    const tensor = data[name];
    if (!(tensor instanceof tf.Tensor)) return [];
    if (tensor.dtype === 'float32') return [{ name, tensor }];
    throw new QpError('ERR_QP_DTYPE', `${name} is a tensor of dtype ${tensor.dtype}; expected float32`, {
      argument: name,
    });
  });
}

/** The problem for the solver: values of the tensors, and the constants in the same precision. */
function readProblem(
  data: QpLayerData,
  names: readonly DatumName[],
  tensors: readonly tfjs.Tensor[],
): QpProblem<'float32'> {
  const problem: Record<string, unknown> = { ...data };
  for (const [name, value] of Object.entries(problem)) problem[name] = rounded(value);
  names.forEach((name, i) => {
    const { shape } = tensors[i]!;
    problem[name] = { shape, data: tensors[i]!.dataSync() };
  });
  return problem as unknown as QpProblem<'float32'>;
}

/** Constants made by `tensor` are often float64. */
function rounded(value: unknown): unknown {
  if (value instanceof Float64Array) return Float32Array.from(value);
  if (Array.isArray(value)) return hasRows(value) ? value.map(rounded) : value;
  const { data, shape } = (value ?? {}) as { data?: unknown; shape?: unknown };
  return data instanceof Float64Array ? { shape, data: Float32Array.from(data) } : value;
}

/** Whether nested arrays are of typed arrays. */
function hasRows(value: unknown[]): boolean {
  let first: unknown = value;
  // Deeper than any datum, and not for ever where an array contains itself.
  for (let depth = 0; depth < 4 && Array.isArray(first); depth++) first = first[0];
  return ArrayBuffer.isView(first);
}

function report(
  solution: QpSolution<'float32'>,
  onUnsolved: NonNullable<QpLayerOptions['onUnsolved']>,
): void {
  if (typeof onUnsolved === 'function') onUnsolved(solution);
  if (onUnsolved !== 'throw') return;
  const index = solution.status.findIndex((status) => status !== 'solved');
  const others = solution.status.filter((status) => status !== 'solved').length - 1;
  solution.dispose();
  throw new QpError(
    'ERR_QP_UNSOLVED',
    `problem ${index} of ${solution.status.length} ended as '${solution.status[index]!}'` +
      `${others > 0 ? `, and so or alike ${others} more` : ''}; onUnsolved: 'ignore' goes on with the best iterate`,
    { index },
  );
}

function sizesOf(solution: QpSolution): Sizes {
  const widths: Partial<Record<PartName, number>> = {};
  for (const name of partNames) widths[name] = solution[name].shape[1]!;
  return { batch: solution.z.shape[0]!, widths: widths as Sizes['widths'] };
}

/** Where each part of the solution has its columns, when they are all side by side. */
function columnsOf(widths: Sizes['widths']) {
  let start = 0;
  const parts = partNames.map((name) => {
    const width = widths[name];
    start += width;
    return { name, start: start - width, width };
  });
  return { parts, total: start };
}

/** z and all multipliers side by side, as a custom gradient has one output. */
function joined(tf: TensorFlow, solution: QpSolution<'float32'>, { batch, widths }: Sizes): tfjs.Tensor {
  const { parts, total } = columnsOf(widths);
  const rows = new Float32Array(batch * total);
  for (const { name, start, width } of parts) {
    const { data } = solution[name];
    for (let i = 0; i < batch; i++) rows.set(data.subarray(i * width, (i + 1) * width), i * total + start);
  }
  return tf.tensor(rows, [batch, total]);
}

function split(tf: TensorFlow, rows: tfjs.Tensor, { batch, widths }: Sizes): QpLayerResult {
  const result: Partial<Record<PartName, tfjs.Tensor2D>> = {};
  for (const { name, start, width } of columnsOf(widths).parts) {
    result[name] = tf.slice(rows as tfjs.Tensor2D, [0, start], [batch, width]);
  }
  return result as QpLayerResult;
}

/** ∂ℓ/∂z, and with `multipliers` those of the multipliers, out of the gradient for the layer's one output. */
function upstreamOf(dy: tfjs.Tensor, { batch, widths }: Sizes, multipliers: boolean): Upstream<'float32'> {
  const rows = dy.dataSync<'float32'>();
  if (!multipliers) return { dz: { shape: [batch, widths.z], data: rows } };
  const { parts, total } = columnsOf(widths);
  const upstream: Partial<Record<`d${PartName}`, { shape: number[]; data: Float32Array }>> = {};
  for (const { name, start, width } of parts) {
    if (width === 0) continue;
    const data = new Float32Array(batch * width);
    for (let i = 0; i < batch; i++) {
      data.set(rows.subarray(i * total + start, i * total + start + width), i * width);
    }
    upstream[`d${name}`] = { shape: [batch, width], data };
  }
  return upstream;
}

/** In the order of `names`. The factors are let go: TensorFlow.js asks once for each forward pass. */
function gradients(
  tf: TensorFlow,
  solution: QpSolution<'float32'>,
  names: readonly DatumName[],
  upstream: Upstream<'float32'>,
): tfjs.Tensor[] {
  if (tf.engine().isTapeOn()) {
    // It would be recorded as a constant, and the second derivative come out wrong.
    throw new QpError(
      'ERR_QP_ARGUMENT',
      'qpLayer has first derivatives only; a gradient of its gradient was asked for',
    );
  }
  const results: Partial<Record<`d${DatumName}`, { data: Float32Array; shape: readonly number[] }>> =
    solution.backwardSync(upstream, { wrt: names });
  solution.dispose();
  return names.map((name) => {
    const { data, shape } = results[`d${name}`]!;
    return tf.tensor(data, [...shape]);
  });
}
