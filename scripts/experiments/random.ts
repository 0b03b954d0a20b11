/**
 * xoshiro128** (Blackman and Vigna, 2018), seeded by splitmix64. Math.random cannot be seeded, saved or resumed.
 * The state is four integers, so a training run can be stopped and taken up again where it was.
 */

export type RandomState = [number, number, number, number];

const rotateLeft = (x: number, k: number): number => (x << k) | (x >>> (32 - k));

export class Random {
  #state: RandomState;

  private constructor(state: RandomState) {
    this.#state = state;
  }

  /** Independent streams of one seed: a longer use of one does not change what another draws. */
  static seeded(seed: number, stream = 0): Random {
    const mask = (1n << 64n) - 1n;
    let counter = (BigInt(seed) << 32n) | BigInt(stream);
    const next = (): bigint => {
      counter = (counter + 0x9e3779b97f4a7c15n) & mask;
      let x = counter;
      x = ((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n) & mask;
      x = ((x ^ (x >> 27n)) * 0x94d049bb133111ebn) & mask;
      return x ^ (x >> 31n);
    };
    const halves = (x: bigint): [number, number] => [Number(x & 0xffffffffn), Number(x >> 32n)];
    return new Random([...halves(next()), ...halves(next())]);
  }

  static restored(state: RandomState): Random {
    return new Random([...state]);
  }

  state(): RandomState {
    return [...this.#state];
  }

  /** An integer of 32 bits, 0 … 2³² − 1. */
  bits(): number {
    const s = this.#state;
    const result = Math.imul(rotateLeft(Math.imul(s[1], 5), 7), 9) >>> 0;
    const shifted = s[1] << 9;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotateLeft(s[3], 11);
    for (let i = 0; i < 4; i++) s[i as 0 | 1 | 2 | 3] >>>= 0;
    return result;
  }

  /** A double in [0, 1), all 53 bits of it random. */
  uniform(): number {
    const high = this.bits() >>> 5;
    const low = this.bits() >>> 6;
    return (high * 2 ** 26 + low) / 2 ** 53;
  }

  /** An integer in 0 … below − 1. */
  integer(below: number): number {
    return Math.floor(this.uniform() * below);
  }

  /** Of the standard normal distribution, by Box and Muller's transform: two uniform draws for each. */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** Fisher–Yates, in place. */
  shuffle<T extends Uint32Array | unknown[]>(items: T): T {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      const item = items[i];
      items[i] = items[j];
      items[j] = item;
    }
    return items;
  }
}
