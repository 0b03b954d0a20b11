// What --help prints.

export type CommandName = 'doctor' | 'bench';

export const usage = `Usage: optnet COMMAND [OPTIONS]

Commands:
  doctor       check what optnet can use here, and say what to do where something does not work
  bench        measure how fast it solves and differentiates here

Options:
  -h, --help   this text; after a command, what that command takes
  --version    the version of optnet
`;

export const commandUsage: Readonly<Record<CommandName, string>> = {
  doctor: `Usage: optnet doctor [--json]

Lists what optnet finds here: Node.js, its native addon, the CPU, the GPUs with their driver and their libraries. Solves and
differentiates problems whose answers are known on each device, and says what to do where something does not work.

Options:
  --json       print one JSON object: optnet, node, platform, arch, libc, addon, devices (each with device, as devices()
               describes it, state, checks, notes and remedies), summary, exitCode (dist/cli/doctor.d.ts: DoctorReport)
  -h, --help   this text

Exit codes:
  0    all is well; also without an NVIDIA GPU, as the CPU serves
  1    nothing works: the addon cannot be loaded, Node.js is too old, or the CPU solves wrong
  2    the CPU works; there is a GPU, and it cannot be used, lacks cuBLAS or cuSOLVER, or solves wrong
  64   wrong usage
  70   a mistake of this program
`,
  bench: `Usage: optnet bench [--quick] [--device DEVICE] [--json]

Measures how many problems a second are solved here, and how long their gradients take, for a few sizes. Takes less than
half a minute. All results are checked.

Options:
  --quick          fewer sizes and shorter measurements: a few seconds
  --device DEVICE  cpu, cuda, cuda:1, …: this one only; otherwise all that can be used
  --json           print one JSON object: optnet, node, platform, rows, failures, exitCode; times are in milliseconds
                   (dist/cli/bench.d.ts: BenchReport)
  -h, --help       this text

Exit codes:
  0    all was measured
  1    the addon cannot be loaded, or the CPU solves wrong
  2    the GPU that was asked for cannot be used, or a GPU does not solve, or solves wrong
  64   wrong usage
  70   a mistake of this program
`,
};
