import { QpError } from '../../lib/index.js';
import type { QpErrorCode } from '../../lib/index.js';

/** Runs `call`, which must end in a QpError of this code; returns it. */
export async function failure(code: QpErrorCode, call: () => unknown): Promise<QpError> {
  let result: unknown;
  try {
    result = await call();
  } catch (error) {
    if (!(error instanceof QpError) || error.code !== code) throw error;
    return error;
  }
  throw new Error(`expected ${code}, got ${String(result)}`);
}
