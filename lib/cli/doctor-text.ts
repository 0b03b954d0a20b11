// The doctor's report for people.
import type { CpuDevice, Device, GpuDevice } from '../device.js';

import type { Check } from './closed-form.js';
import type { AddonReport, DeviceReport, DoctorReport } from './doctor.js';
import { duration, memory } from './format.js';

const words = { ok: 'ok', absent: '-', failed: 'FAILED' } as const;

export function doctorText(report: DoctorReport): string {
  const { optnet, node, platform, arch, libc } = report;
  const system = [`${platform}-${arch}`, ...(libc === undefined ? [] : [libc])].join(', ');
  const lines = [
    `optnet ${optnet}, Node.js ${node.version}, ${system}`,
    '',
    ...addonLines(report.addon),
    // Without the addon there is nothing to say of devices.
    ...(report.addon.loaded ? report.devices.flatMap(deviceLines) : []),
    '',
    ...(node.supported ? [] : ['What to do: install a newer Node.js, such as with: nvm install 22', '']),
    report.summary,
  ];
  return `${lines.join('\n')}\n`;
}

/** A line with a label, and lines that belong to it. */
function entry(label: string, state: keyof typeof words, details: readonly string[]): string[] {
  return details.map((detail, i) =>
    i === 0 ? `${label.padEnd(8)}${words[state].padEnd(8)}${detail}` : `${' '.repeat(16)}${detail}`,
  );
}

function remedyLines(remedies: readonly string[]): string[] {
  if (remedies.length === 0) return [];
  return ['What to do:', ...remedies.map((remedy) => `  - ${remedy}`)];
}

function addonLines({ loaded, file, origin, reason, remedies }: AddonReport): string[] {
  const found =
    file === undefined ? [] : [`${origin === 'prebuilt' ? 'prebuilt' : 'compiled here'}: ${file}`];
  return loaded
    ? entry('addon', 'ok', found)
    : entry('addon', 'failed', [reason!, ...found, ...remedyLines(remedies)]);
}

function deviceLines({ device, state, checks, notes, remedies }: DeviceReport): string[] {
  const facts = device.usable ? deviceFacts(device) : [];
  const rest = device.usable ? [] : versions(device);
  return entry(device.name, state, [
    ...facts,
    ...checks.map(checkLine),
    ...notes,
    ...rest,
    ...remedyLines(remedies),
  ]);
}

function deviceFacts(device: CpuDevice | GpuDevice): string[] {
  if (device.name === 'cpu') {
    const { instructionSet, threads } = device;
    return [`${instructionSet}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`];
  }
  const { gpu, computeCapability, totalMemory, freeMemory, loaded } = device;
  const free = freeMemory > 0 ? `, ${memory(freeMemory)} of it free` : '';
  return [
    `${gpu}, compute capability ${computeCapability}, ${memory(totalMemory)}${free}`,
    ...versions(device),
    ...loaded.map(({ name, version, path }) => `${name}${version === '' ? '' : ` ${version}`}: ${path}`),
  ];
}

/** Of the driver, and of the CUDA that the addon has. */
function versions(device: Device): string[] {
  const { driver, driverRelease, runtime } = device as Partial<GpuDevice>;
  const release = driverRelease === undefined ? '' : ` ${driverRelease}`;
  const parts = [
    ...(driver === undefined ? [] : [`NVIDIA driver${release}, which serves CUDA ${driver}`]),
    ...(runtime === undefined ? [] : [`the addon has CUDA ${runtime}`]),
  ];
  return driver === undefined ? [] : [parts.join('; ')];
}

function checkLine({ problem, n, m, q, passed, backend, ...result }: Check): string {
  const what = `${problem} problem (n = ${n}, m = ${m}, q = ${q})`;
  if (!passed) return `${what}: FAILED: ${result.failure!}`;
  const { error, milliseconds, firstMilliseconds } = result;
  return (
    `${what}: solved and differentiated, right to ${error!.toExponential(0)}, in ${duration(milliseconds!)}` +
    ` (the first time ${duration(firstMilliseconds!)}), kernels: ${backend!}`
  );
}
