import { qpSolveBatch, qpSolveBatchSync } from '../../lib/index.js';
import type { QpErrorCode, QpProblem, QpSolution, SyncSolveOptions } from '../../lib/index.js';
import { failure } from '../support/errors.js';
import { randomProblem } from '../support/problems.js';

const onCpu = { device: 'cpu' } as const;
const problem = { Q: [[2, 0], [0, 2]], p: [-2, -5], G: [[1, 1]], h: [1] }; // prettier-ignore

describe('a warm start is refused', () => {
  it.each<[string, QpErrorCode, RegExp, QpProblem, SyncSolveOptions]>([
    ['of another batch', 'ERR_QP_SHAPE', /batch = 2; expected 1/, { ...problem, h: [[1], [2]] }, {}],
    ['of other variables', 'ERR_QP_SHAPE', /n = 1; expected 2/, { Q: [[1]], p: [1], G: [[1]], h: [1] }, {}],
    ['of other inequalities', 'ERR_QP_SHAPE', /m = 0; expected 1/, { Q: problem.Q, p: problem.p }, {}],
    ['of other equalities', 'ERR_QP_SHAPE', /q = 1; expected 0/, { ...problem, A: [[1, 2]], b: [0] }, {}],
    ['of another dtype', 'ERR_QP_DTYPE', /is float32; expected float64/, problem, { dtype: 'float32' }],
    ['without factors', 'ERR_QP_OPTION', /differentiable: false/, problem, { differentiable: false }],
  ])('%s', async (_, code, message, other, options) => {
    using warmStart = qpSolveBatchSync(other, { ...onCpu, ...options });
    const error = await failure(code, () => qpSolveBatchSync(problem, { ...onCpu, warmStart }));
    expect(error.argument).toBe('warmStart');
    expect(error.message).toMatch(message);
    const promised = await failure(code, () => qpSolveBatch(problem, { ...onCpu, warmStart }));
    expect(promised.message).toBe(error.message);
  });

  it('with other bounds', async () => {
    using warmStart = qpSolveBatchSync({ ...problem, lb: [0, 0] }, onCpu);
    const error = await failure('ERR_QP_SHAPE', () => qpSolveBatchSync(problem, { warmStart }));
    expect(error.message).toBe('warmStart was solved with lb; expected the same bounds');
  });

  it('that was disposed of', async () => {
    const warmStart = qpSolveBatchSync(problem, onCpu);
    warmStart.dispose();
    const error = await failure('ERR_QP_DISPOSED', () => qpSolveBatchSync(problem, { warmStart }));
    expect([error.argument, error.message]).toEqual([
      'warmStart',
      'warmStart was disposed of, and its factors with it',
    ]);
  });

  it.each([null, 1, 'cold', {}, [], () => 1])('that is no solution: %p', async (warmStart) => {
    const call = () => qpSolveBatchSync(problem, { warmStart: warmStart as unknown as QpSolution });
    expect((await failure('ERR_QP_OPTION', call)).argument).toBe('warmStart');
  });

  it('that is a proxy of one', async () => {
    using solution = qpSolveBatchSync(problem, onCpu);
    const warmStart = new Proxy(solution, {});
    const error = await failure('ERR_QP_OPTION', () => qpSolveBatchSync(problem, { warmStart }));
    expect(error.message).toBe('warmStart is a proxy; expected a QpSolution');
  });
});

describe('a warm start', () => {
  const cold = randomProblem({ batch: 8, n: 12, m: 16, q: 3 }, 11);
  const moved = {
    ...cold,
    p: { shape: cold.p.shape, data: cold.p.data.map((x, i) => x + 1e-4 * Math.sin(i)) },
  };
  const largestDifference = (a: QpSolution<'float64'>, b: QpSolution<'float64'>) =>
    Math.max(...a.z.data.map((x, i) => Math.abs(x - b.z.data[i]!)));

  it('leads to the same solution', async () => {
    using warmStart = qpSolveBatchSync(cold, onCpu);
    using expected = qpSolveBatchSync(moved, onCpu);
    using warm = await qpSolveBatch(moved, { ...onCpu, warmStart });
    expect(warm.allSolved).toBe(true);
    expect(largestDifference(warm, expected)).toBeLessThan(1e-6);
  });

  it('may be disposed of as soon as the call has returned', async () => {
    const warmStart = qpSolveBatchSync(cold, onCpu);
    using expected = qpSolveBatchSync(moved, { ...onCpu, warmStart });
    const running = qpSolveBatch(moved, { ...onCpu, warmStart });
    warmStart.dispose();
    using warm = await running;
    expect(warm.z).toEqual(expected.z);
  });

  it('may itself have had one, with bounds too', () => {
    const bounded = { ...moved, lb: new Float64Array(12).fill(-1), ub: new Float64Array(12).fill(1) };
    using first = qpSolveBatchSync(bounded);
    using second = qpSolveBatchSync(bounded, { warmStart: first });
    using third = qpSolveBatchSync(bounded, { warmStart: second });
    expect(largestDifference(third, first)).toBeLessThan(1e-6);
  });
});
