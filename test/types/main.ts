// What TypeScript makes of a user's program. Nothing here runs: compile.test.ts compiles it, as CommonJS and as ESM. What
// must not compile says so with @ts-expect-error, which is an error itself where it does compile.
/* eslint-disable @typescript-eslint/no-meaningless-void-operator -- it reads what must not be there */
/* eslint-disable @typescript-eslint/no-unsafe-class-instance-assignment -- as TypeScript says too */
import { QpError, devices, qpSolveBatch, qpSolveBatchSync, tensor, toDevice } from 'optnet';
import type {
  Certificate,
  DatumName,
  DType,
  DeviceTensor,
  GpuName,
  Gradients,
  Output,
  Precision,
  QpErrorCode,
  QpProblem,
  QpSolution,
  SolveOptions,
  Status,
  Tensor,
  Upstream,
} from 'optnet';

const doubles = new Float64Array(4);
const singles = new Float32Array(4);
const problem: QpProblem<'float64'> = { Q: [[1]], p: [1] };

export async function dtypes(): Promise<void> {
  const plain = await qpSolveBatch({ Q: [[1]], p: [1] });
  exactly<QpSolution<'float64'>>()(plain);
  exactly<Tensor<'float64'>>()(plain.z);
  exactly<Float64Array>()(plain.z.data);

  const asked = await qpSolveBatch({ Q: [[1]], p: [1] }, { dtype: 'float32' });
  exactly<QpSolution<'float32'>>()(asked);
  exactly<Float32Array>()(asked.z.data);
  exactly<Float64Array>()(asked.objective);

  const fromTensors = await qpSolveBatch({ Q: tensor(singles, [2, 2]), p: [1, 2] });
  exactly<Float32Array>()(fromTensors.lambda.data);
  exactly<Float64Array>()((await qpSolveBatch({ p: doubles })).z.data);
  exactly<Float32Array>()((await qpSolveBatch({ p: singles }, { dtype: 'float32' })).z.data);
  exactly<Float32Array>()(qpSolveBatchSync({ p: tensor([1], [1], 'float32') }).nu.data);
  exactly<Float64Array>()((await qpSolveBatch({ Q: [[doubles, doubles]], p: [doubles] })).z.data);
  exactly<Float32Array>()((await qpSolveBatch({ p: [singles, singles] }, { dtype: 'float32' })).z.data);
  exactly<Tensor<'float64'>>()(tensor([doubles, doubles]));
  exactly<Tensor<'float32'>>()(tensor([[singles], [singles]]));
  exactly<Tensor<'float64'>>()(tensor([]));
  // @ts-expect-error -- rows are all of one kind
  await qpSolveBatch({ p: [singles, doubles] });
  // @ts-expect-error -- the tensor is float64, and so must the rows be
  await qpSolveBatch({ Q: tensor(doubles, [2, 2]), p: [singles] });
  // @ts-expect-error -- elements are numbers of 4 or 8 bytes
  await qpSolveBatch({ p: [new Int32Array(2)] });
  // @ts-expect-error -- nothing says that the data are float32: neither a tensor nor the option
  await qpSolveBatch({ p: singles });
  // @ts-expect-error -- the tensor is float64, and so must p be
  await qpSolveBatch({ Q: tensor(doubles, [2, 2]), p: singles });
  // @ts-expect-error -- the option is float64, and so must p be
  await qpSolveBatch({ p: singles }, { dtype: 'float64' });
  // @ts-expect-error -- there is no such dtype
  await qpSolveBatch(problem, { dtype: 'float16' });
  // @ts-expect-error -- elements are numbers of 4 or 8 bytes
  await qpSolveBatch({ p: new Int32Array(2) });

  // Code that serves both, or learns which only when it runs.
  const dtype: DType = Math.random() < 0.5 ? 'float64' : 'float32';
  exactly<Float64Array | Float32Array>()((await qpSolveBatch({ p: [1] }, { dtype })).z.data);
}

export function generic<D extends DType, O extends Output>(
  data: QpProblem<D>,
  options: SolveOptions<D, O>,
): Promise<QpSolution<D, O>> {
  return qpSolveBatch(data, options);
}

export async function problems(): Promise<void> {
  const nothing: undefined = undefined;
  await qpSolveBatch({ p: [1], Q: nothing, G: null, ub: [Infinity] });
  await qpSolveBatch({ p: { shape: [1], data: [1] }, lb: new Float64Array(1) });
  const rows: readonly (readonly number[])[] = [[1]];
  await qpSolveBatch({ p: [1], G: rows, h: [1] });
  // @ts-expect-error -- there is no datum C
  await qpSolveBatch({ p: [1], C: [[1]] });
  // @ts-expect-error -- p is missing
  await qpSolveBatch({ Q: [[1]] });
  // @ts-expect-error -- elements are numbers
  await qpSolveBatch({ p: ['1'] });
  // @ts-expect-error -- a tensor has a shape
  await qpSolveBatch({ p: { data: doubles } });
  // @ts-expect-error -- a problem is an object of data
  await qpSolveBatch([[1]]);
}

export async function options(signal?: AbortSignal, tolerance?: number): Promise<void> {
  await qpSolveBatch(problem, { signal, tolerance, onProgress: ({ solved, batch }) => solved / batch });
  const precision: Precision = 'mixed';
  await qpSolveBatch(problem, { precision, device: 'cuda:1', infeasible: 'closest', polish: false });
  // @ts-expect-error -- there is no option eps
  await qpSolveBatch(problem, { eps: 1e-8 });
  // @ts-expect-error -- a tolerance is a number
  await qpSolveBatch(problem, { tolerance: '1e-8' });
  // @ts-expect-error -- there is no such device
  await qpSolveBatch(problem, { device: 'gpu' });
  // @ts-expect-error -- a call that blocks reports no progress
  qpSolveBatchSync(problem, { onProgress: () => undefined });
  // @ts-expect-error -- results go to the host or to the device
  await qpSolveBatch(problem, { output: 'gpu' });
  // @ts-expect-error -- a start is a solution, not its z
  await qpSolveBatch(problem, { warmStart: (await qpSolveBatch(problem)).z });
}

export async function outputs(): Promise<void> {
  const onDevice = await qpSolveBatch(problem, { output: 'device' });
  exactly<QpSolution<'float64', 'device'>>()(onDevice);
  exactly<DeviceTensor<'float64'>>()(onDevice.z);
  exactly<Tensor<'float64'>>()(await onDevice.z.toHost());
  exactly<Tensor<'float64'>>()((await qpSolveBatch(problem, { output: 'host' })).z);
  // Gradients are where the solution is, unless they are asked for elsewhere.
  const { dp } = await onDevice.backward({ dz: onDevice.z });
  exactly<DeviceTensor<'float64'>>()(dp);
  const { dQ } = await onDevice.backward({ dz: onDevice.z }, { wrt: ['Q'], output: 'host' });
  exactly<Tensor<'float64'>>()(dQ);
  // @ts-expect-error -- what is on a GPU has no data here
  void onDevice.z.data;

  const moved = await toDevice(tensor(singles, [2, 2]), 'cuda:0');
  exactly<DeviceTensor<'float32'>>()(moved);
  exactly<GpuName>()(moved.device);
  exactly<Float32Array>()((await qpSolveBatch({ Q: moved, p: [1, 2] })).z.data);
  exactly<DeviceTensor<'float32'>>()(await toDevice([singles, singles]));
  exactly<DeviceTensor<'float64'>>()(await toDevice([doubles]));
  exactly<DeviceTensor<'float64'>>()(await toDevice([]));
  // @ts-expect-error -- the CPU has no memory of its own
  await toDevice([1], 'cpu');
  const foreign = { pointer: 0n, shape: [2], dtype: 'float32', device: 'cuda:0' } as const;
  exactly<Float32Array>()((await qpSolveBatch({ p: foreign })).z.data);
}

export async function gradients(): Promise<void> {
  const solution = await qpSolveBatch({ Q: [[1]], p: [1], A: [[1]], b: [1] });
  const chosen = await solution.backward({ dz: [1] }, { wrt: ['p', 'A'] });
  exactly<Gradients<'float64', 'p' | 'A'>>()(chosen);
  exactly<Tensor<'float64'>>()(chosen.dA);
  await solution.backward({ dz: [doubles], dnu: [[1]] });
  await solution.jvp({ dp: [doubles], dA: [[doubles]] });
  // @ts-expect-error -- the problem is float64, and so is its gradient
  await solution.backward({ dz: [singles] });
  // @ts-expect-error -- dQ was not asked for
  void chosen.dQ;
  // @ts-expect-error -- a problem has no datum C
  await solution.backward({ dz: [1] }, { wrt: ['C'] });
  // @ts-expect-error -- the data go by their own names
  await solution.backward({ dz: [1] }, { wrt: ['dp'] });

  // Without wrt, all that the problem was given: always p, perhaps the others.
  const all = await solution.backward({ dz: solution.z, dobjective: solution.objective });
  exactly<Tensor<'float64'>>()(all.dp);
  exactly<Tensor<'float64'> | undefined>()(all.dQ);

  const names: DatumName[] = ['p'];
  exactly<Gradients<'float64'>>()(solution.backwardSync({ dz: [1] }, { wrt: names }));
  const measured = solution.backwardSync({ dnu: [1] }, { wrt: ['b'], residuals: true });
  exactly<Float64Array>()(measured.residuals);
  exactly<Tensor<'float64'>>()(measured.db);
  // @ts-expect-error -- they were not asked for
  void solution.backwardSync({ dnu: [1] }, { wrt: ['b'] }).residuals;

  // @ts-expect-error -- the solution is float64
  await solution.backward({ dz: singles });
  // @ts-expect-error -- the solution is float64
  await solution.backward({ dz: tensor(singles, [1, 4]) });
  // @ts-expect-error -- a gradient is an array
  await solution.backward({ dz: 1 });
  // @ts-expect-error -- a solution has no x
  await solution.backward({ dx: [1] });
  // @ts-expect-error -- there is no option
  await solution.backward({ dz: [1] }, { average: true });
  const single = await qpSolveBatch({ p: [1] }, { dtype: 'float32' });
  exactly<Tensor<'float32'>>()((await single.backward({ dz: singles })).dp);
  const upstream: Upstream<'float32'> = { dz: single.z, dlambda: null };
  exactly<Float32Array>()((await single.backward(upstream)).dp.data);
  // @ts-expect-error -- upstream is of the other dtype
  await solution.backward(upstream);
}

export async function tangents(): Promise<void> {
  const solution = await qpSolveBatch(problem, { dtype: 'float64' });
  const { dz, dlambdaUb, dobjective } = await solution.jvp({ dp: [1], dQ: [[0]] });
  exactly<Tensor<'float64'>>()(dz);
  exactly<Tensor<'float64'>>()(dlambdaUb);
  exactly<Float64Array>()(dobjective);
  exactly<Tensor<'float64'>>()(solution.jvpSync({ dp: doubles }).dnu);
  // @ts-expect-error -- data move, and z is none
  await solution.jvp({ dz: [1] });
  // @ts-expect-error -- the solution is float64
  await solution.jvp({ dp: singles });
  // @ts-expect-error -- there are no options
  await solution.jvp({ dp: [1] }, { output: 'device' });
}

export async function results(): Promise<void> {
  using solution = await qpSolveBatch(problem);
  await using same = await qpSolveBatch(problem, { warmStart: solution });
  void same;
  exactly<readonly Status[]>()(solution.status);
  exactly<boolean>()(solution.allSolved);
  exactly<Int32Array>()(solution.iterations);
  exactly<Tensor<'float64'> | undefined>()(solution.shiftH);
  const { shape } = solution.z;

  // @ts-expect-error -- results are read-only
  solution.z = solution.nu;
  // @ts-expect-error -- results are read-only
  solution.z.data = doubles;
  // @ts-expect-error -- a shape is read-only
  shape[0] = 2;
  // @ts-expect-error -- a status is read-only
  solution.status[0] = 'solved';
  // @ts-expect-error -- residuals are read-only
  solution.residuals.primal = doubles;
  const computed = await solution.backward({ dz: [1] });
  // @ts-expect-error -- gradients are read-only
  computed.dp = solution.z;

  // Every status has its case, or this function would not return a number in all of them.
  const rank = (status: Status): number => {
    switch (status) {
      case 'solved':
        return 0;
      case 'maxIterations':
      case 'numericalError':
        return 1;
      case 'primalInfeasible':
      case 'dualInfeasible':
        return 2;
    }
  };
  solution.status.map(rank);

  const certificate: Certificate<'float64'> | undefined = solution.certificate(0);
  if (certificate?.kind === 'dualInfeasible') exactly<Float64Array>()(certificate.direction);
  if (certificate?.kind === 'primalInfeasible') exactly<Float64Array>()(certificate.lambda);
  // @ts-expect-error -- there may be none, and of either kind
  void solution.certificate(0).lambda;
}

export function places(solution: QpSolution): string {
  for (const device of devices()) {
    // @ts-expect-error -- only what cannot be used has a reason
    void device.reason;
    if (!device.usable) return device.reason;
    if (device.name === 'cpu') return device.instructionSet;
    exactly<number>()(device.freeMemory);
  }
  const { device } = solution;
  return device.name === 'cpu' ? device.instructionSet : device.gpu;
}

export function errors(error: unknown): string {
  if (!(error instanceof QpError)) throw error;
  exactly<QpErrorCode>()(error.code);
  exactly<number | undefined>()(error.index);
  // @ts-expect-error -- there is no such code
  if (error.code === 'ERR_QP_OTHER') return '';
  return `${error.argument ?? ''}: ${error.message}`;
}

export function tensors(): void {
  exactly<Tensor<'float64'>>()(tensor([[1, 2]]));
  exactly<Tensor<'float32'>>()(tensor([[1, 2]], [1, 2], 'float32'));
  exactly<Tensor<'float32'>>()(tensor(singles));
  // @ts-expect-error -- a typed array has its dtype
  tensor(singles, [4], 'float64');
  // @ts-expect-error -- a tensor is made of numbers
  tensor('1');
  // @ts-expect-error -- made by toDevice only: it is one of ours, or a description of memory
  void ({ pointer: 0n, shape: [1], dtype: 'float64', device: 'cuda:0' } satisfies DeviceTensor);
}

// What a library of its own would export: every inferred type can be named.
export const solveMany = (p: number[][]) => qpSolveBatch({ p }, { output: 'host' });
export const differentiate = (solution: QpSolution<'float32'>) =>
  solution.backward({ dz: [1] }, { wrt: ['p', 'G'], residuals: true });
export const push = (solution: QpSolution) => solution.jvp({ dp: [1] });
export const place = () => toDevice(doubles);
