/** What the command tells the scripts that run it. */
export const exitCodes = {
  /** All is well. On a machine without an NVIDIA GPU, that the CPU serves. */
  well: 0,
  /** The addon cannot be loaded, Node.js is too old, or the CPU solves wrong: nothing works. */
  broken: 1,
  /** There is a GPU, and it cannot be used, lacks its libraries, or solves wrong. The CPU works. */
  gpu: 2,
  /** An unknown command or option, or a value that is none. */
  usage: 64,
  /** A mistake of this program. */
  internal: 70,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];
