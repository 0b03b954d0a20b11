import { QpError, describe } from './errors.js';
import { native } from './native.js';

/** A device by name: 'cuda' is the first NVIDIA GPU, 'cuda:1' the second. */
export type DeviceRequest = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`;

/** What a solve can run on. */
export interface Device {
  readonly name: 'cpu' | 'cuda';
  readonly usable: boolean;
  /** Why it is not usable, in one sentence. */
  readonly reason?: string;
  /** CPU: the widest instruction set that the addon uses here: 'avx512', 'avx2', 'sse2' or 'neon'. */
  readonly instructionSet?: string;
  /** CPU: how many threads a call uses by default. */
  readonly threads?: number;
}

/** What a solution was computed on. */
export interface SolutionDevice {
  readonly name: 'cpu';
  /** Why this device, in one sentence. */
  readonly reason: string;
  readonly instructionSet: string;
  readonly threads: number;
}

let instructionSet: string | undefined;

/** That of the CPU. */
export function cpuInstructionSet(): string {
  return (instructionSet ??= native().cpuInfo().instructionSet);
}

const noCuda = 'this version of optnet has no CUDA backend';

/** Lists the devices that this package knows, usable or not. Never throws. */
export function devices(): Device[] {
  return [cpu(), { name: 'cuda', usable: false, reason: `${noCuda}.` }];
}

function cpu(): Device {
  try {
    return { name: 'cpu', usable: true, ...native().cpuInfo() };
  } catch (error) {
    return { name: 'cpu', usable: false, reason: (error as Error).message };
  }
}

/** Checks the name of a device, not whether it can serve. */
export function readDevice(value: unknown): DeviceRequest {
  if (value === 'auto' || value === 'cpu' || (typeof value === 'string' && /^cuda(:\d{1,3})?$/.test(value))) {
    return value as DeviceRequest;
  }
  throw new QpError(
    'ERR_QP_OPTION',
    `device is ${describe(value)}; expected 'auto', 'cpu', 'cuda' or 'cuda:1'`,
    {
      argument: 'device',
    },
  );
}

/**
 * Chooses the device, and says why.
 *
 * @throws QpError ERR_QP_DEVICE when the one that was named cannot serve
 */
export function chooseDevice(request: DeviceRequest): string {
  if (request === 'cpu') return 'The CPU was asked for.';
  if (request === 'auto') return `The CPU is the only usable device: ${noCuda}.`;
  throw new QpError('ERR_QP_DEVICE', `device '${request}' cannot be used: ${noCuda}`, { argument: 'device' });
}
