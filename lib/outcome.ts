// What the addon made of a call.
import type { NativeFailure } from '../binding.js';

import { errorOf } from './errors.js';

/** Its result, unless it refused. @throws QpError */
export function served<T>(outcome: T | NativeFailure, onGpu = false): T {
  if (isFailure(outcome)) throw errorOf(outcome, onGpu);
  return outcome;
}

function isFailure(outcome: unknown): outcome is NativeFailure {
  return typeof outcome === 'object' && outcome !== null && 'failure' in outcome;
}

/** Starts a call without a result, and waits for its end. Rejects with a QpError. */
export function finished(
  start: (done: (failure: NativeFailure | undefined) => void) => NativeFailure | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    served(start((failure) => (failure === undefined ? resolve() : reject(errorOf(failure)))));
  });
}
