// `optnet bench`: how fast the devices of this machine solve and differentiate.
import { devices } from '../device.js';
import type { Device, DeviceRequest, GpuName } from '../device.js';
import { loadedAddon } from '../native.js';
import { qpSolveBatch } from '../solve.js';

import { exitCodes } from './exit-codes.js';
import type { ExitCode } from './exit-codes.js';
import { drawProblems } from './random-problems.js';
import type { RandomProblems, Sizes } from './random-problems.js';
import { packageFile } from './system.js';
import { verify } from './verify.js';

/** What `optnet bench --json` prints. */
export interface BenchReport {
  readonly optnet: string;
  readonly node: string;
  /** 'linux-x64' */
  readonly platform: string;
  readonly rows: readonly BenchRow[];
  /** What could not be measured, and why. */
  readonly failures: readonly BenchFailure[];
  readonly exitCode: ExitCode;
}

/** The times of one batch on one device. They are of whole calls, copies included, each the best of all rounds. */
export interface BenchRow extends Sizes {
  /** 'cpu' or 'cuda:0' */
  readonly device: string;
  /** Its model, or the instruction set and the threads of a CPU. */
  readonly model: string;
  /** How many a second are solved, from host memory to host memory. */
  readonly problemsPerSecond: number;
  /** To solve the batch, in milliseconds. */
  readonly forward: number;
  /** Then, for the gradients with respect to all data. */
  readonly backward: number;
  /** What each problem took, on average. */
  readonly iterations: number;
  /** How often it was measured. */
  readonly rounds: number;
  /** Always 'solved': what was not is in `failures`. All problems of all rounds were checked. */
  readonly status: 'solved';
}

export interface BenchFailure {
  readonly device: string;
  /** Absent where the device cannot be used at all. */
  readonly sizes?: Sizes;
  /** One sentence. */
  readonly reason: string;
}

export interface BenchOptions {
  readonly quick: boolean;
  /** Without it, every device that can be used. */
  readonly device?: Exclude<DeviceRequest, 'auto'>;
}

const shapes: readonly Sizes[] = [
  { n: 10, m: 10, q: 0, batch: 1024 },
  { n: 32, m: 64, q: 8, batch: 256 },
  { n: 100, m: 100, q: 0, batch: 128 },
  { n: 300, m: 300, q: 0, batch: 8 },
];

/** Seconds of rounds for a row. */
const seconds = { quick: 0.1, full: 1 };

interface Target {
  readonly name: 'cpu' | GpuName;
  readonly model: string;
}

/** Measures. What goes wrong is in the report; `progress` gets a line now and then. */
export async function measure(
  { quick, device }: BenchOptions,
  progress: (line: string) => void = () => {},
): Promise<BenchReport> {
  const { targets, failures } = findTargets(device);
  const rows: BenchRow[] = [];
  for (const sizes of targets.length === 0 ? [] : shapes.slice(0, quick ? 3 : undefined)) {
    const problem = drawProblems(sizes);
    for (const target of targets) {
      progress(`${target.name}: ${shapeName(sizes)} × ${sizes.batch}`);
      const outcome = await measureRow(target, sizes, problem, quick ? seconds.quick : seconds.full);
      if (typeof outcome === 'string') failures.push({ device: target.name, sizes, reason: outcome });
      else rows.push(outcome);
    }
  }
  return {
    optnet: packageFile.version,
    node: process.versions.node,
    platform: `${process.platform}-${process.arch}`,
    rows,
    failures,
    exitCode: exitCodeFor(failures),
  };
}

/** The devices to measure, or why the one that was named cannot be. */
function findTargets(request: BenchOptions['device']): { targets: Target[]; failures: BenchFailure[] } {
  const name = request === 'cuda' ? 'cuda:0' : request;
  const found = devices();
  const targets = found.flatMap((device): Target[] => {
    if (!device.usable || (name !== undefined && device.name !== name)) return [];
    return 'gpu' in device
      ? [{ name: device.name, model: device.gpu }]
      : [{ name: device.name, model: `${device.instructionSet}, ${device.threads} threads` }];
  });
  if (targets.length > 0) return { targets, failures: [] };
  return { targets, failures: [{ device: name ?? 'cpu', reason: whyNot(name ?? 'cpu', found) }] };
}

function whyNot(name: string, found: readonly Device[]): string {
  const unusable = found.filter((device) => !device.usable);
  // Without the addon, the first says so; without any GPU, the only one is called 'cuda'.
  const culprit =
    unusable.find((device) => device.name === 'cpu' || device.name === name) ??
    unusable.find((device) => device.name === 'cuda');
  if (culprit !== undefined) return culprit.reason;
  return `There is no ${name} here, only ${found.map((device) => device.name).join(', ')}.`;
}

function exitCodeFor(failures: readonly BenchFailure[]): ExitCode {
  if (failures.length === 0) return exitCodes.well;
  const broken = 'failure' in loadedAddon() || failures.some(({ device }) => device === 'cpu');
  return broken ? exitCodes.broken : exitCodes.gpu;
}

/** A row, or why there is none: one sentence. */
async function measureRow(
  { name, model }: Target,
  sizes: Sizes,
  problem: RandomProblems,
  budget: number,
): Promise<BenchRow | string> {
  const best = { forward: Infinity, backward: Infinity };
  let iterations = 0;
  let rounds = 0;
  try {
    // The first round gets the device ready, and is not measured.
    for (let end = Infinity; rounds <= 3 || performance.now() < end; rounds++) {
      const round = await measureRound(name, sizes, problem, rounds === 0);
      if (typeof round === 'string') return `The results are wrong: ${round}.`;
      if (rounds === 0) end = performance.now() + 1000 * budget;
      else
        for (const part of ['forward', 'backward'] as const) best[part] = Math.min(best[part], round[part]);
      ({ iterations } = round);
    }
  } catch (error) {
    return (error as Error).message;
  }
  const problemsPerSecond = (1000 * sizes.batch) / best.forward;
  return {
    device: name,
    model,
    ...sizes,
    problemsPerSecond,
    ...best,
    iterations,
    rounds: rounds - 1,
    status: 'solved',
  };
}

/** The times of one round, or what is wrong with its results; that takes longer to find out in `thorough` rounds. */
async function measureRound(
  device: 'cpu' | GpuName,
  sizes: Sizes,
  problem: RandomProblems,
  thorough: boolean,
): Promise<{ forward: number; backward: number; iterations: number } | string> {
  const start = performance.now();
  using solution = await qpSolveBatch(problem, { device });
  const solved = performance.now();
  const gradients = await solution.backward({ dz: solution.z });
  const end = performance.now();
  if (!solution.allSolved) {
    const k = solution.status.findIndex((status) => status !== 'solved');
    return `problem ${k} has a solution, and ended as ${solution.status[k]!}`;
  }
  const wrong = thorough ? verify(sizes, problem, solution, gradients) : undefined;
  if (wrong !== undefined) return wrong;
  const total = solution.iterations.reduce((sum, count) => sum + count, 0);
  return { forward: solved - start, backward: end - solved, iterations: total / sizes.batch };
}

/** What a problem is called by its sizes. */
export const shapeName = ({ n, m, q }: Sizes): string => `n = ${n}, m = ${m}, q = ${q}`;
