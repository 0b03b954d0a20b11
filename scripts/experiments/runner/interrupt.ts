/** A second signal is a second Ctrl-C only after this time: npm passes on the one that the terminal sent already. */
const SAME_SIGNAL_MS = 500;

/** Ctrl-C, or a request to end: the first is for the program to notice in good time, a second one ends it at once. */
export class Interrupt {
  readonly #exitCode: number;
  #at: number | undefined;

  constructor(exitCode: number) {
    this.#exitCode = exitCode;
  }

  get requested(): boolean {
    return this.#at !== undefined;
  }

  listen(): void {
    process.on('SIGINT', this.#notice).on('SIGTERM', this.#notice);
  }

  release(): void {
    process.off('SIGINT', this.#notice).off('SIGTERM', this.#notice);
  }

  readonly #notice = (): void => {
    const now = performance.now();
    if (this.#at !== undefined && now - this.#at > SAME_SIGNAL_MS) process.exit(this.#exitCode);
    this.#at ??= now;
  };
}
