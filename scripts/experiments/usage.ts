/** What the user asked for cannot be done. Shown as one line, without a stack; the exit code is 2. */
export class UsageError extends Error {}
