import { parseArgs, type ParseArgsConfig } from 'node:util';

import { UsageError } from '../usage.js';

type Flags = NonNullable<ParseArgsConfig['options']>;

/** Reads flags, and at most as many names before them. A mistake is a `UsageError` of one line. */
export function readFlags<Options extends Flags>(args: string[], options: Options, names = 0) {
  const { values, positionals } = attempt(() => parseArgs({ args, options, allowPositionals: true }));
  const unexpected = positionals[names];
  if (unexpected !== undefined) {
    throw new UsageError(`Unexpected argument '${unexpected}' (--help lists the options)`);
  }
  return { values, positionals };
}

function attempt<T>(parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    // Node's message goes on with advice after the first sentence.
    const [first = ''] = (error as Error).message.split(/\. |\n/);
    throw new UsageError(`${first.replace(/\.$/, '')} (--help lists the options)`);
  }
}

export function integer(name: string, text: string, least: number, most = Number.MAX_SAFE_INTEGER): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  const range = most < Number.MAX_SAFE_INTEGER ? `${least}–${most}` : `≥ ${least}`;
  throw new UsageError(`--${name} ${text}: expected an integer ${range}`);
}

export function positive(name: string, text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value;
  throw new UsageError(`--${name} ${text}: expected a number > 0`);
}

export const MOST_SEED = 2 ** 32 - 1;
