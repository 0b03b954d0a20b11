#!/usr/bin/env node
// The command `optnet`. The library prints nothing; what is printed is printed here.
import { parseArgs } from 'node:util';
import type { ParseArgsConfig } from 'node:util';

import { readDevice } from '../device.js';

import { benchText } from './bench-text.js';
import { measure } from './bench.js';
import type { BenchOptions } from './bench.js';
import { doctorText } from './doctor-text.js';
import { examine } from './doctor.js';
import { exitCodes } from './exit-codes.js';
import { packageFile } from './system.js';
import { commandUsage, usage } from './usage.js';
import type { CommandName } from './usage.js';

type Options = NonNullable<ParseArgsConfig['options']>;

/** Wrong usage: says what is wrong, without a final stop. */
class UsageError extends Error {
  constructor(
    message: string,
    readonly command?: CommandName,
  ) {
    super(message);
  }
}

const general = { help: { type: 'boolean', short: 'h' } } as const satisfies Options;

const commands: Readonly<Record<CommandName, (args: string[]) => Promise<number>>> = {
  async doctor(args) {
    const options = { ...general, json: { type: 'boolean' } } as const;
    const { help, json } = read('doctor', args, options);
    if (help === true) return print(commandUsage.doctor);
    const report = await examine();
    print(json === true ? asJson(report) : doctorText(report));
    return report.exitCode;
  },

  async bench(args) {
    const options = {
      ...general,
      json: { type: 'boolean' },
      quick: { type: 'boolean' },
      device: { type: 'string' },
    } as const;
    const { help, json, quick = false, device } = read('bench', args, options);
    if (help === true) return print(commandUsage.bench);
    const chosen = device === undefined ? {} : { device: readBenchDevice(device) };
    const report = await measure({ quick, ...chosen }, showProgress);
    showProgress('');
    print(json === true ? asJson(report) : benchText(report));
    return report.exitCode;
  },
};

/** @throws UsageError, which names what is wrong */
function read<T extends Options>(command: CommandName | undefined, args: string[], options: T) {
  try {
    return parseArgs({ args, options, strict: true, allowPositionals: false }).values;
  } catch (error) {
    // After the first sentence come hints on how to parse.
    const [first] = (error as Error).message.split(/\.(?:\s|$)|\n/, 1);
    throw new UsageError(first!.charAt(0).toLowerCase() + first!.slice(1), command);
  }
}

function readBenchDevice(name: string): NonNullable<BenchOptions['device']> {
  try {
    const device = readDevice(name);
    if (device !== 'auto') return device;
  } catch {
    // said below
  }
  throw new UsageError(`--device is '${name}'; expected 'cpu', 'cuda' or 'cuda:1'`, 'bench');
}

const asJson = (report: unknown): string => `${JSON.stringify(report, undefined, 2)}\n`;

function print(text: string): number {
  process.stdout.write(text);
  return exitCodes.well;
}

/** A line that the next one replaces, for people only. */
function showProgress(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${line}`);
}

async function main(args: string[]): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined) throw new UsageError('a command is missing');
  if (Object.hasOwn(commands, name)) return commands[name as CommandName](rest);
  if (!name.startsWith('-')) throw new UsageError(`unknown command '${name}'`);
  const { help, version } = read(undefined, args, { ...general, version: { type: 'boolean', short: 'v' } });
  if (help === true) return print(usage);
  if (version === true) return print(`${packageFile.version}\n`);
  throw new UsageError('a command is missing');
}

function explain(error: unknown): number {
  if (error instanceof UsageError) {
    const help = error.command === undefined ? usage : commandUsage[error.command];
    process.stderr.write(`optnet: ${error.message}\n\n${help}`);
    return exitCodes.usage;
  }
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`optnet: ${message}\n`);
  return exitCodes.internal;
}

// Whoever reads the output may stop reading it.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') process.stderr.write(`optnet: ${error.message}\n`);
});

void main(process.argv.slice(2))
  .catch(explain)
  .then((code) => (process.exitCode = code));
