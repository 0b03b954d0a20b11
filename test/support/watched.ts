import type * as Binding from '../../binding.js';
import * as loading from '../../lib/native.js';

/** A solve of the addon's, as it is seen from below the API. */
export interface Watched {
  /** Problems that it has solved so far. */
  solved: () => number;
  /** Settles when nothing of it runs any more. */
  ended: Promise<unknown>;
}

/** Shows what becomes of the next call of qpSolveBatch, also after it was aborted. */
export function watchNextSolve(): Promise<Watched> {
  const addon = loading.native();
  const names = Object.getOwnPropertyNames(addon) as (keyof typeof Binding)[];
  const bound = Object.fromEntries(
    names.map((name) => [name, (addon[name] as (...args: unknown[]) => unknown).bind(addon)]),
  ) as unknown as typeof Binding;
  return new Promise((seen) => {
    const spy = jest.spyOn(loading, 'native').mockReturnValue({
      ...bound,
      solve(problem, settings, results, done, progress) {
        spy.mockRestore();
        const { iterations } = results; // at least one of each that was solved
        let end!: (outcome: unknown) => void;
        const ended = new Promise((resolve) => (end = resolve));
        seen({ solved: () => iterations.filter((count) => count > 0).length, ended });
        return bound.solve(
          problem,
          settings,
          results,
          (outcome) => {
            end(outcome);
            done(outcome);
          },
          progress,
        );
      },
    });
  });
}
