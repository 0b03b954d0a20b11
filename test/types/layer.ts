// As main.ts, for the layer of TensorFlow.js.
/* eslint-disable @typescript-eslint/no-meaningless-void-operator -- it reads what must not be there */
import type * as tfjs from '@tensorflow/tfjs';
import type { QpSolution } from 'optnet';
import { qpLayer } from 'optnet/tfjs';
import type { QpLayerData, QpLayerOptions, QpLayerResult } from 'optnet/tfjs';

declare const tf: typeof tfjs;
declare const x: tfjs.Tensor2D;

export function layers(many?: boolean): void {
  const layer = qpLayer(tf);
  exactly<tfjs.Tensor2D>()(layer({ Q: [[1]], p: x }));
  exactly<tfjs.Tensor2D>()(qpLayer(tf, { tolerance: 1e-6, multipliers: undefined })({ p: x }));

  const all = qpLayer(tf, { multipliers: true })({ Q: [[1]], p: x, lb: [0] });
  exactly<QpLayerResult>()(all);
  exactly<tfjs.Tensor2D>()(all.lambdaLb);
  exactly<tfjs.Tensor2D | QpLayerResult>()(qpLayer(tf, { multipliers: many })({ p: x }));

  const unsolved: QpSolution<'float32'>[] = [];
  qpLayer(tf, { onUnsolved: (solution) => unsolved.push(solution) });

  // @ts-expect-error -- there is no datum C
  layer({ p: x, C: [[1]] });
  // @ts-expect-error -- p is missing
  layer({ Q: [[1]] });
  // @ts-expect-error -- TensorFlow.js has float32 only
  qpLayer(tf, { dtype: 'float64' });
  // @ts-expect-error -- TensorFlow.js keeps its tensors in host memory
  qpLayer(tf, { output: 'device' });
  // @ts-expect-error -- there is no such way out
  qpLayer(tf, { onUnsolved: 'retry' });
  // @ts-expect-error -- the first argument is the module
  qpLayer({ tolerance: 1e-6 });
  // @ts-expect-error -- without the option, there is only z
  void layer({ p: x }).lambda;
  // @ts-expect-error -- results are read-only
  all.z = x;
}

export const makeLayer = (options: QpLayerOptions) => qpLayer(tf, options);
export const data: QpLayerData = { p: [1], ub: null };
