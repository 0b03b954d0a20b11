// The machine, apart from what the addon says of it.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

interface PackageFile {
  version: string;
  engines: { node: string };
}

/** What is in package.json. */
export const packageFile = JSON.parse(
  readFileSync(path.join(__dirname, '../../package.json'), 'utf8'),
) as PackageFile;

/** Whether a version of Node.js, '20.17.0', is one that the package supports: `range` is '>=20.17'. */
export function supports(range: string, version: string): boolean {
  const [needed, given] = [range.replace(/^>=\s*/, ''), version].map((text) => text.split('.').map(Number));
  for (let i = 0; i < needed!.length; i++) {
    const difference = (given![i] ?? 0) - needed![i]!;
    if (difference !== 0) return difference > 0;
  }
  return true;
}

/** 'glibc 2.36' or 'musl'; undefined where there is neither, or where nobody can tell. */
export function libc(): string | undefined {
  if (process.platform !== 'linux') return undefined;
  const report = process.report as typeof process.report & { excludeNetwork?: boolean };
  report.excludeNetwork = true; // or names of all connections are looked up, which may take long
  const { header, sharedObjects } = report.getReport() as unknown as {
    header: { glibcVersionRuntime?: string };
    sharedObjects: string[];
  };
  if (header.glibcVersionRuntime !== undefined) return `glibc ${header.glibcVersionRuntime}`;
  return sharedObjects.some((file) => file.includes('ld-musl')) ? 'musl' : undefined;
}

/** What says whether there should be a GPU to use. */
export interface Surroundings {
  /** NVIDIA's GPUs on the PCI bus, with a driver or without. */
  cards: number;
  /** In a container, which sees a GPU only if it was started so. */
  container: boolean;
  /** CUDA_VISIBLE_DEVICES: what of the GPUs this process may use. */
  visibleDevices: string | undefined;
}

export function surroundings(): Surroundings {
  return {
    cards: countCards('/sys/bus/pci/devices'),
    container: ['/.dockerenv', '/run/.containerenv'].some((file) => existsSync(file)),
    visibleDevices: process.env.CUDA_VISIBLE_DEVICES,
  };
}

/** NVIDIA's GPUs in a folder as Linux's sysfs has one for the PCI bus; 0 where there is no such folder. */
export function countCards(folder: string): number {
  const read = (device: string, name: string) => readFileSync(path.join(folder, device, name), 'utf8').trim();
  try {
    return readdirSync(folder).filter(
      (device) => read(device, 'vendor') === '0x10de' && /^0x030[02]/.test(read(device, 'class')),
    ).length;
  } catch {
    return 0;
  }
}
