/** Adam (Kingma and Ba, 2015), with the usual β₁ = 0.9, β₂ = 0.999, ε = 1e-8. Changes the parameters in place. */
export class Adam {
  readonly #parameters: readonly Float64Array[];
  readonly #first: Float64Array[];
  readonly #second: Float64Array[];
  #steps = 0;

  constructor(
    parameters: readonly Float64Array[],
    readonly beta1 = 0.9,
    readonly beta2 = 0.999,
    readonly epsilon = 1e-8,
  ) {
    this.#parameters = parameters;
    this.#first = parameters.map(({ length }) => new Float64Array(length));
    this.#second = parameters.map(({ length }) => new Float64Array(length));
  }

  /** θ ← θ − rate · m̂ / (√v̂ + ε), with one gradient for each parameter array, in their order. */
  step(gradients: readonly Float64Array[], rate: number): void {
    this.#steps++;
    const correction1 = 1 - this.beta1 ** this.#steps;
    const correction2 = 1 - this.beta2 ** this.#steps;
    this.#parameters.forEach((theta, k) => {
      const gradient = gradients[k]!;
      const m = this.#first[k]!;
      const v = this.#second[k]!;
      for (let i = 0; i < theta.length; i++) {
        const g = gradient[i]!;
        const mi = this.beta1 * m[i]! + (1 - this.beta1) * g;
        const vi = this.beta2 * v[i]! + (1 - this.beta2) * g * g;
        m[i] = mi;
        v[i] = vi;
        theta[i] = theta[i]! - (rate * (mi / correction1)) / (Math.sqrt(vi / correction2) + this.epsilon);
      }
    });
  }

  /** The moments, as plain numbers: what `load` takes. */
  save(): AdamState {
    return {
      steps: this.#steps,
      first: this.#first.map((m) => [...m]),
      second: this.#second.map((v) => [...v]),
    };
  }

  load(state: AdamState): void {
    this.#steps = state.steps;
    state.first.forEach((m, k) => this.#first[k]?.set(m));
    state.second.forEach((v, k) => this.#second[k]?.set(v));
  }
}

export interface AdamState {
  steps: number;
  first: number[][];
  second: number[][];
}
