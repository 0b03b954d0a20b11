/**
 * Adam (Kingma and Ba, 2015), with the usual β₁ = 0.9, β₂ = 0.999, ε = 1e-8. Changes the parameters in place. Weight
 * decay is that of a term ½·decay·‖θ‖² in the loss.
 */
export class Adam<Numbers extends Float32Array | Float64Array> {
  readonly #parameters: readonly Numbers[];
  readonly #first: Numbers[];
  readonly #second: Numbers[];
  #steps = 0;

  constructor(
    parameters: readonly Numbers[],
    readonly beta1 = 0.9,
    readonly beta2 = 0.999,
    readonly epsilon = 1e-8,
    readonly weightDecay = 0,
  ) {
    this.#parameters = parameters;
    this.#first = parameters.map((theta) => theta.map(() => 0) as Numbers);
    this.#second = parameters.map((theta) => theta.map(() => 0) as Numbers);
  }

  /** θ ← θ − rate · m̂ / (√v̂ + ε), with one gradient for each parameter array, in their order. */
  step(gradients: readonly Numbers[], rate: number): void {
    this.#steps++;
    this.#parameters.forEach((theta, k) =>
      this.#move(theta, gradients[k]!, this.#first[k]!, this.#second[k]!, rate),
    );
  }

  /** Copies of the moments: what `load` takes. */
  save(): AdamState<Numbers> {
    return {
      steps: this.#steps,
      first: this.#first.map((m) => m.slice() as Numbers),
      second: this.#second.map((v) => v.slice() as Numbers),
    };
  }

  load(state: AdamState<Numbers>): void {
    this.#steps = state.steps;
    state.first.forEach((m, k) => this.#first[k]?.set(m));
    state.second.forEach((v, k) => this.#second[k]?.set(v));
  }

  /** Constants are read once: this loop takes as long as the products of a small network. */
  #move(theta: Numbers, gradient: Numbers, m: Numbers, v: Numbers, rate: number): void {
    const { beta1, beta2, epsilon, weightDecay } = this;
    const correction1 = 1 - beta1 ** this.#steps;
    const correction2 = 1 - beta2 ** this.#steps;
    for (let i = 0; i < theta.length; i++) {
      const g = gradient[i]! + weightDecay * theta[i]!;
      const mi = beta1 * m[i]! + (1 - beta1) * g;
      const vi = beta2 * v[i]! + (1 - beta2) * g * g;
      m[i] = mi;
      v[i] = vi;
      theta[i] = theta[i]! - (rate * (mi / correction1)) / (Math.sqrt(vi / correction2) + epsilon);
    }
  }
}

export interface AdamState<Numbers> {
  steps: number;
  first: Numbers[];
  second: Numbers[];
}
