// Problems whose solutions and derivatives are known by hand, solved on a device.
import type { BackwardResult, QpProblem, QpSolution } from '../index.js';
import { qpSolveBatch } from '../solve.js';

/** How a device did on a problem whose answer is known. */
export interface Check {
  /** 'small': with the kernels for small problems; 'large': on a GPU, with cuBLAS and cuSOLVER. */
  readonly problem: 'small' | 'large';
  readonly n: number;
  readonly m: number;
  readonly q: number;
  readonly passed: boolean;
  /** The kernels that solved, if it was solved: 'packed', 'blocked', 'lanes', 'block' or 'library'. */
  readonly backend?: string;
  /** The largest difference to the known solution and its known derivatives. */
  readonly error?: number;
  /** To solve and differentiate, the first time, in which the device gets ready. */
  readonly firstMilliseconds?: number;
  /** The same, the second time. */
  readonly milliseconds?: number;
  /** What went wrong: one sentence. */
  readonly failure?: string;
  /** The code of the QpError, where it was one. */
  readonly code?: string;
}

/** A problem, a loss, and what is known of them. */
interface ClosedForm {
  readonly problem: 'small' | 'large';
  readonly n: number;
  readonly m: number;
  readonly q: number;
  readonly data: QpProblem<'float64'>;
  readonly dz: number[][];
  readonly z: number[];
  readonly gradients: Readonly<Record<'dp' | 'dh', number[]> & { db?: number[] }>;
}

/** The solver's results are exact up to rounding. */
const tolerance = 1e-6;

/**
 * Two points projected onto the simplex, z ≥ 0 and Σz = 1, with the loss z₁. Of the first, z₃ = 0 is active: z₁ = (b + h₃ −
 * p₁ + p₂)/2. Of the second nothing is: z₁ = (b + Σp)/3 − p₁. h and b are shared, and their gradients sums.
 */
export const small: ClosedForm = {
  problem: 'small',
  n: 3,
  m: 3,
  q: 1,
  data: {
    Q: diagonal(3, 3, 1),
    p: [
      [-0.9, -0.4, 0.2],
      [-0.1, -0.2, -0.3],
    ],
    G: diagonal(3, 3, -1),
    h: [0, 0, 0],
    A: [[1, 1, 1]],
    b: [1],
  },
  dz: [
    [1, 0, 0],
    [1, 0, 0],
  ],
  z: [0.75, 0.25, 0, 7 / 30, 10 / 30, 13 / 30],
  gradients: { dp: [-1 / 2, 1 / 2, 0, -2 / 3, 1 / 3, 1 / 3], dh: [0, 0, 1 / 2], db: [1 / 2 + 1 / 3] },
};

/**
 * minimise ½‖z‖² + pᵀz subject to z ≥ −h in the first 8 of 400 coordinates, with the loss Σ wz: z = −p where that is allowed, and
 * −h elsewhere. There are too many variables for the kernels that keep a problem in the shared memory of a GPU.
 */
export const large: ClosedForm = (() => {
  const [n, m] = [400, 8];
  const p = Array.from({ length: n }, (_, i) => (i % 2 === 0 ? 1 : -1) * (1 + (i % 7) / 7));
  const weights = p.map((_, i) => 1 + (i % 3));
  const active = p.map((value, i) => i < m && value > 0);
  return {
    problem: 'large',
    n,
    m,
    q: 0,
    data: { Q: diagonal(n, n, 1), p: [p], G: diagonal(m, n, -1), h: Array.from({ length: m }, () => 0) },
    dz: [weights],
    z: p.map((value, i) => (active[i] ? 0 : -value)),
    gradients: {
      dp: weights.map((weight, i) => (active[i] ? 0 : -weight)),
      dh: weights.slice(0, m).map((weight, i) => (active[i] ? -weight : 0)),
    },
  };
})();

function diagonal(rows: number, columns: number, value: number): number[][] {
  return Array.from({ length: rows }, (_, i) =>
    Array.from({ length: columns }, (_, j) => (i === j ? value : 0)),
  );
}

/** Solves and differentiates on a device, twice, and compares with what is known. Never throws. */
export async function check(form: ClosedForm, device: 'cpu' | `cuda:${number}`): Promise<Check> {
  const { problem, n, m, q } = form;
  const size = { problem, n, m, q };
  try {
    const first = await timed(form, device);
    const second = await timed(form, device);
    const error = Math.max(first.error, second.error);
    const failure =
      first.failure ?? second.failure ?? (error <= tolerance ? undefined : wrongBy(error, device));
    return {
      ...size,
      passed: failure === undefined,
      backend: first.backend,
      error,
      firstMilliseconds: first.milliseconds,
      milliseconds: second.milliseconds,
      ...(failure === undefined ? {} : { failure }),
    };
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    return { ...size, passed: false, failure: message, ...(code === undefined ? {} : { code }) };
  }
}

const wrongBy = (error: number, device: string): string =>
  `The results of ${device} are wrong: they differ from the known solution by ${error.toExponential(0)}.`;

async function timed(form: ClosedForm, device: 'cpu' | `cuda:${number}`) {
  const start = performance.now();
  using solution = await qpSolveBatch(form.data, { device });
  const wrt = form.gradients.db === undefined ? (['p', 'h'] as const) : (['p', 'h', 'b'] as const);
  const gradients = await solution.backward({ dz: form.dz }, { wrt });
  const milliseconds = performance.now() - start;
  const unsolved = solution.status.find((status) => status !== 'solved');
  const failure =
    unsolved === undefined ? undefined : `A problem that has a solution ended as ${unsolved} on ${device}.`;
  return {
    milliseconds,
    backend: solution.device.backend,
    error: largestError(form, solution, gradients),
    failure,
  };
}

function largestError(
  { z, gradients: known }: ClosedForm,
  solution: QpSolution<'float64'>,
  gradients: BackwardResult,
): number {
  return Math.max(
    distance(solution.z.data, z),
    distance(gradients.dp.data, known.dp),
    distance(gradients.dh?.data, known.dh),
    known.db === undefined ? 0 : distance(gradients.db?.data, known.db),
  );
}

/** The largest difference; Infinity where one is missing or not a number. */
function distance(data: ArrayLike<number> | undefined, known: readonly number[]): number {
  if (data?.length !== known.length) return Infinity;
  let largest = 0;
  for (let i = 0; i < known.length; i++) {
    const difference = Math.abs(data[i]! - known[i]!);
    if (!(difference <= largest)) largest = Number.isNaN(difference) ? Infinity : difference;
  }
  return largest;
}
