// What to do about a device that cannot be used: each remedy names the command to type.
import type { CudaLibrary, GpuDevice, UnusableDevice } from '../device.js';
import { packageManager } from '../installation.js';
import { buildFromSource, compileRemedy } from '../load-failure.js';

import type { Check } from './closed-form.js';
import type { Surroundings } from './system.js';

/** The oldest driver that serves a major version of CUDA. */
const oldestDriver: Readonly<Record<string, number>> = { 12: 525, 13: 580 };

const report = (): string => `report it, with the output of: ${packageManager().run} doctor --json`;

const installDriver = (release: string): string =>
  `install NVIDIA's driver${release}: sudo ubuntu-drivers install (Ubuntu), sudo apt-get install -y nvidia-driver` +
  " (Debian), or sudo dnf install -y cuda-drivers (Fedora and RHEL, from NVIDIA's repository); then: sudo reboot";

const containerRemedy =
  'start the container with its GPUs: docker run --gpus all … (the host needs its driver and the NVIDIA Container' +
  ' Toolkit: sudo apt-get install -y nvidia-container-toolkit)';

const lookAtDriver = 'see what the driver itself says: nvidia-smi';

/** For a GPU that is there, or should be, and cannot be used. */
export function remediesForUnusable(
  device: UnusableDevice,
  { container, visibleDevices }: Surroundings,
): string[] {
  switch (device.obstacle) {
    case 'noAddon':
      return [];
    case 'noBackend':
      return [
        `install the package with its prebuilt addon, which has the CUDA backend: ${packageManager().add}`,
        `or install a CUDA toolkit, 12.8 or newer, put nvcc into PATH, and compile: ${buildFromSource()}`,
      ];
    case 'noDriver':
      return container ? [containerRemedy] : [installDriver(neededDriver(device)), lookAtDriver];
    case 'noGpu':
      return [
        ...(visibleDevices === undefined
          ? []
          : [
              `let this process use the GPUs, which CUDA_VISIBLE_DEVICES='${visibleDevices}' may hide: unset CUDA_VISIBLE_DEVICES`,
            ]),
        ...(container ? [containerRemedy] : []),
        lookAtDriver,
      ];
    case 'driverTooOld':
      return container
        ? [`on the host, ${installDriver(neededDriver(device))}`, ...olderBuild(device)]
        : [installDriver(neededDriver(device)), ...olderBuild(device)];
    case 'driverFails':
      return [
        lookAtDriver,
        'if it was updated since the machine was started (“version mismatch”): sudo reboot',
        'load its kernel modules: sudo modprobe nvidia && sudo modprobe nvidia-uvm',
      ];
    case 'noAnswer':
      return [
        `${lookAtDriver}, and the kernel: sudo dmesg | grep -i -E 'nvrm|xid'`,
        'start the machine again: sudo reboot',
      ];
    case 'tooOld':
      return ["use another GPU, or the CPU: qpSolveBatch(problem, { device: 'cpu' })"];
    case 'forbidden':
      return ['allow computing on it: sudo nvidia-smi --compute-mode=DEFAULT'];
  }
}

/** ' 580 or newer', where the addon's CUDA is known. */
function neededDriver({ runtime }: UnusableDevice): string {
  const release = oldestDriver[runtime?.split('.', 1)[0] ?? ''];
  return release === undefined ? '' : `, ${release} or newer`;
}

/** A driver that is too old for this build may be new enough for one with an older CUDA. */
function olderBuild({ driver }: UnusableDevice): string[] {
  const [major, minor] = (driver ?? '0.0').split('.').map(Number);
  if (major! * 100 + minor! < 1208) return [];
  return [`or compile with a CUDA toolkit that the driver serves, ${driver!} or older: ${buildFromSource()}`];
}

/** For a GPU that can be used, but for large problems: cuBLAS or cuSOLVER are missing. */
export function remediesForLibraries({ driver, loaded }: GpuDevice): string[] {
  const missing = (['cuBLAS', 'cuSOLVER'] as const).filter(
    (name) => !loaded.some((library: CudaLibrary) => library.name === name),
  );
  const packages = missing.map((name) => name.toLowerCase());
  const major = Number(driver.split('.', 1)[0]);
  const wheels = packages.map((name) => (major >= 13 ? `nvidia-${name}` : `nvidia-${name}-cu12`));
  const folders =
    major >= 13
      ? 'echo ~/.optnet-cuda/lib/python3*/site-packages/nvidia/cu13/lib'
      : "echo ~/.optnet-cuda/lib/python3*/site-packages/nvidia/{cublas,cusolver}/lib | tr ' ' :";
  return [
    `install them with pip: python3 -m venv ~/.optnet-cuda && ~/.optnet-cuda/bin/pip install ${wheels.join(' ')};` +
      ` then say where they are: export OPTNET_CUDA_LIBRARIES=$(${folders})`,
    `or from NVIDIA's repository: sudo apt-get install -y ${packages.map((name) => `lib${name}-13-0`).join(' ')}` +
      ` (Debian, Ubuntu), or sudo dnf install -y ${packages.map((name) => `lib${name}-13-0`).join(' ')} (Fedora, RHEL)`,
    'or, if they are on this machine, name their folder: export OPTNET_CUDA_LIBRARIES=/path/to/lib',
  ];
}

/** For a device that was to solve a problem, and did not. */
export function remediesForCheck({ failure, code }: Check, onGpu: boolean): string[] {
  if (!onGpu) return [compileRemedy(), report()];
  if (code === 'ERR_QP_MEMORY') return ['see who uses the memory of the GPU, and end it: nvidia-smi'];
  // The addon finds that out when it first uses the GPU, and has no code of its own for it.
  if (failure?.includes('no kernels for')) return [compileRemedy()];
  return [lookAtDriver, report()];
}
