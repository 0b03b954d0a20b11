// `optnet doctor`: what is here, whether it works, and what to do where it does not.
import path from 'node:path';

import { devices } from '../device.js';
import type { CpuDevice, Device, GpuDevice, UnusableDevice } from '../device.js';
import { loadedAddon } from '../native.js';

import { check, large, small } from './closed-form.js';
import type { Check } from './closed-form.js';
import { exitCodes } from './exit-codes.js';
import type { ExitCode } from './exit-codes.js';
import { remediesForCheck, remediesForLibraries, remediesForUnusable } from './remedies.js';
import { libc, packageFile, supports, surroundings } from './system.js';
import type { Surroundings } from './system.js';

/** What `optnet doctor --json` prints. */
export interface DoctorReport {
  /** The version of this package. */
  readonly optnet: string;
  readonly node: NodeReport;
  /** As Node.js names it: 'linux'. */
  readonly platform: string;
  /** As Node.js names it: 'x64'. */
  readonly arch: string;
  /** 'glibc 2.36' or 'musl', on Linux. */
  readonly libc?: string;
  readonly addon: AddonReport;
  /** The CPU, and then every GPU, or one entry that says why there is none. */
  readonly devices: readonly DeviceReport[];
  /** The outcome in one sentence. */
  readonly summary: string;
  /** With which the process ends: `optnet doctor --help` explains it. */
  readonly exitCode: ExitCode;
}

export interface NodeReport {
  /** '22.11.0' */
  readonly version: string;
  /** What the package needs: '>=20.17'. */
  readonly needed: string;
  readonly supported: boolean;
}

/** The native part of the package. */
export interface AddonReport {
  readonly loaded: boolean;
  /** The file that was found, if one was. */
  readonly file?: string;
  /** 'prebuilt': it came with the package; 'compiled': it was compiled here. */
  readonly origin?: 'prebuilt' | 'compiled';
  /** Why it could not be loaded, in one sentence. */
  readonly reason?: string;
  /** What to do about that, each with the command to type. */
  readonly remedies: readonly string[];
}

export interface DeviceReport {
  /** What `devices()` says of it. */
  readonly device: Device;
  /** 'absent': there is no such device, and nothing is wrong. */
  readonly state: 'ok' | 'absent' | 'failed';
  /** What was solved and differentiated on it. */
  readonly checks: readonly Check[];
  /** What is wrong, or why it is well that there is none: a sentence each. */
  readonly notes: readonly string[];
  /** What to do, each with the command to type; empty unless it failed. */
  readonly remedies: readonly string[];
}

/** Looks at everything; never throws. */
export async function examine(around: Surroundings = surroundings()): Promise<DoctorReport> {
  const addon = examineAddon();
  const reports: DeviceReport[] = [];
  for (const device of devices()) reports.push(await examineDevice(device, around));
  const node = {
    version: process.versions.node,
    needed: packageFile.engines.node,
    supported: supports(packageFile.engines.node, process.versions.node),
  };
  const libraryOfC = libc();
  return {
    optnet: packageFile.version,
    node,
    platform: process.platform,
    arch: process.arch,
    ...(libraryOfC === undefined ? {} : { libc: libraryOfC }),
    addon,
    devices: reports,
    ...conclude(node, addon, reports),
  };
}

function examineAddon(): AddonReport {
  const outcome = loadedAddon();
  if ('addon' in outcome) return { loaded: true, ...origin(outcome.file), remedies: [] };
  const { file, reason, remedies } = outcome.failure;
  return { loaded: false, ...(file === undefined ? {} : origin(file)), reason, remedies };
}

const origin = (file: string): Required<Pick<AddonReport, 'file' | 'origin'>> => ({
  file,
  origin: path.basename(path.dirname(path.dirname(file))) === 'prebuilds' ? 'prebuilt' : 'compiled',
});

function examineDevice(device: Device, around: Surroundings): DeviceReport | Promise<DeviceReport> {
  if (!device.usable) return examineUnusable(device, around);
  return device.name === 'cpu' ? examineCpu(device) : examineGpu(device);
}

async function examineCpu(device: CpuDevice): Promise<DeviceReport> {
  const checks = [await check(small, 'cpu'), await check(large, 'cpu')];
  return {
    device,
    state: checks.every(({ passed }) => passed) ? 'ok' : 'failed',
    checks,
    notes: [],
    remedies: remediesForChecks(checks, false),
  };
}

async function examineGpu(device: GpuDevice): Promise<DeviceReport> {
  const checks = [await check(small, device.name)];
  if (device.libraries === undefined) checks.push(await check(large, device.name));
  const failed = checks.some(({ passed }) => !passed);
  return {
    device,
    state: failed || device.libraries !== undefined ? 'failed' : 'ok',
    checks,
    notes: device.libraries === undefined ? [] : [missingLibraries(device.libraries)],
    remedies: [
      ...remediesForChecks(checks, true),
      ...(device.libraries === undefined ? [] : remediesForLibraries(device)),
    ],
  };
}

/** Without how to install them, which the remedies say better. */
const missingLibraries = (sentence: string): string =>
  `Large problems cannot be solved on this GPU. ${sentence.replace(/; install it with .*? in OPTNET_CUDA_LIBRARIES/g, '')}`;

const remediesForChecks = (checks: readonly Check[], onGpu: boolean): string[] => [
  ...new Set(checks.filter(({ passed }) => !passed).flatMap((failed) => remediesForCheck(failed, onGpu))),
];

function examineUnusable(device: UnusableDevice, around: Surroundings): DeviceReport {
  const note = whyAbsent(device, around);
  const absent = note !== undefined;
  return {
    device,
    state: absent ? 'absent' : 'failed',
    checks: [],
    notes: [absent ? note : device.reason, ...(absent ? [] : seen(device, around))],
    remedies: absent ? [] : remediesForUnusable(device, around),
  };
}

/** Values of CUDA_VISIBLE_DEVICES that are meant to hide all GPUs. Others that do are mistakes. */
const hidesAll = /^\s*(|-1|none|void|nodevfiles)\s*$/i;

/** Why it is well that there is no GPU, if it is. */
function whyAbsent({ obstacle, reason }: UnusableDevice, around: Surroundings): string | undefined {
  const { cards, visibleDevices } = around;
  if (obstacle === 'noGpu' && visibleDevices !== undefined && hidesAll.test(visibleDevices)) {
    return `CUDA_VISIBLE_DEVICES='${visibleDevices}' leaves this process no GPU. The CPU serves.`;
  }
  const mayBeAbsent = ['noBackend', 'noDriver', 'noGpu'].includes(obstacle);
  if (!mayBeAbsent || cards > 0) return undefined;
  return `This machine has no NVIDIA GPU. The CPU serves. (${reason})`;
}

/** That there is a GPU, where the driver does not say so. */
function seen({ obstacle }: UnusableDevice, { cards }: Surroundings): string[] {
  if (!['noBackend', 'noDriver', 'noGpu'].includes(obstacle)) return [];
  return [
    cards === 1
      ? 'There is an NVIDIA GPU in this machine.'
      : `There are ${cards} NVIDIA GPUs in this machine.`,
  ];
}

function conclude(
  node: NodeReport,
  addon: AddonReport,
  reports: readonly DeviceReport[],
): Pick<DoctorReport, 'summary' | 'exitCode'> {
  if (!node.supported) {
    const summary = `Node.js ${node.version} is too old: optnet needs ${node.needed}.`;
    return { summary, exitCode: exitCodes.broken };
  }
  if (!addon.loaded) {
    return { summary: 'The native addon cannot be loaded: nothing works.', exitCode: exitCodes.broken };
  }
  const isCpu = ({ device }: DeviceReport) => device.name === 'cpu';
  if (reports.some((each) => isCpu(each) && each.state !== 'ok')) {
    return { summary: 'The CPU does not solve as it should.', exitCode: exitCodes.broken };
  }
  const failed = reports.filter(({ state }) => state === 'failed').map(({ device }) => device.name);
  if (failed.length > 0) {
    const summary = `The CPU works; ${failed.join(', ')} ${failed.length === 1 ? 'does' : 'do'} not, or not fully.`;
    return { summary, exitCode: exitCodes.gpu };
  }
  const working = reports.filter(({ state }) => state === 'ok').map(({ device }) => device.name);
  return { summary: `All is well: ${working.join(', ')}.`, exitCode: exitCodes.well };
}
