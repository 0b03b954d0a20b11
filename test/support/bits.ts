import type { QpSolution, Tensor } from '../../lib/index.js';

/** Everything that a solution and its gradients say of problem k. */
export function bitsOf(
  solution: QpSolution<'float64'>,
  gradients: Record<string, Tensor>,
  k: number,
): Buffer {
  const { z, lambda, nu, lambdaGl, lambdaLb, lambdaUb, slack } = solution;
  const { objective, iterations, residuals, status, margin, derivative } = solution;
  const batch = objective.length;
  const part = (data: Float64Array | Float32Array | Int32Array) => {
    const size = data.length / batch;
    const { buffer, byteOffset, byteLength } = data.slice(k * size, (k + 1) * size);
    return Buffer.from(buffer, byteOffset, byteLength);
  };
  const results = [z, lambda, nu, lambdaGl, lambdaLb, lambdaUb, slack];
  const tensors = [...results, ...Object.values(gradients)].map(({ data }) => part(data));
  const vectors = [objective, iterations, residuals.primal, residuals.dual, residuals.gap, margin].map(part);
  return Buffer.concat([...tensors, ...vectors, Buffer.from(status[k]! + derivative[k]!)]);
}
