// A TypeScript user, compiled both as CommonJS and as an ES module.
import { type QpProblem, type Tensor, qpSolveBatch, tensor } from 'optnet';

const problem = (shift: number): QpProblem<'float32'> => ({
  Q: [
    [1, 0],
    [0, 1],
  ],
  p: tensor(Float32Array.of(shift, -2), [1, 2]),
  lb: [0, 0],
});

async function main(): Promise<void> {
  let shift = 1;
  let z = tensor(new Float32Array(2));
  for (let step = 0; step < 60; ++step) {
    const solution = await qpSolveBatch(problem(shift), { dtype: 'float32', smoothing: 0.1 });
    z = solution.z;
    const dz = [[2 * (z.data[0]! - 0.5), 0]];
    const { dp }: { dp: Tensor<'float32'> } = await solution.backward({ dz }, { wrt: ['p'] });
    shift -= 0.5 * dp.data[0]!;
    solution.dispose();
  }
  console.log(
    JSON.stringify({ z: Array.from(z.data, (x) => Number(x.toFixed(3))), type: z.data.constructor.name }),
  );
}

void main();
