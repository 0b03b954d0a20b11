import path from 'node:path';

import { QpError } from 'optnet';

import { UsageError } from '../usage.js';
import { EXIT } from './run.js';

/** Shows in one line what the user can mend, and gives the exit code that says so. */
export async function exitCodeOf(program: () => Promise<number>): Promise<number> {
  try {
    return await program();
  } catch (error) {
    if (!(error instanceof UsageError) && !isAboutOptions(error)) throw error;
    console.error(error.message);
    return EXIT.usage;
  }
}

/** A device or a number of threads that the library does not accept. */
function isAboutOptions(error: unknown): error is QpError {
  return error instanceof QpError && ['ERR_QP_DEVICE', 'ERR_QP_OPTION'].includes(error.code);
}

/** A resumed run goes on in the folder of its checkpoint. */
export function outputFolder(
  name: string,
  { out, resume }: { out?: string | undefined; resume?: string | undefined },
): string {
  const started = new Date().toISOString().slice(0, 19).replace(/:/g, '-');
  return out ?? (resume === undefined ? `runs/${name}-${started}` : path.dirname(resume));
}
