// Sums of products of doubles without any rounding: every double is a whole number times a power of two.

interface Dyadic {
  digits: bigint;
  exponent: number;
}

const view = new DataView(new ArrayBuffer(8));

function dyadic(x: number): Dyadic {
  view.setFloat64(0, x);
  const bits = view.getBigUint64(0);
  const biased = Number((bits >> 52n) & 0x7ffn);
  if (biased === 0x7ff) throw new RangeError(`${x} is not finite`);
  const fraction = bits & 0xfffffffffffffn;
  const digits = biased === 0 ? fraction : fraction | (1n << 52n);
  return { digits: bits >> 63n ? -digits : digits, exponent: Math.max(biased, 1) - 1075 };
}

const absolute = (x: bigint) => (x < 0n ? -x : x);

/** A sum of products, with the largest of them, in units that they have in common. */
export interface ExactSum {
  sum: bigint;
  largest: bigint;
  /** What 1 is in these units. */
  one: bigint;
}

/** The exact sum of the products of pairs of doubles. */
export function exactSum(pairs: readonly (readonly [number, number])[]): ExactSum {
  const products = pairs
    .filter(([a, b]) => a !== 0 && b !== 0)
    .map(([a, b]) => {
      const [x, y] = [dyadic(a), dyadic(b)];
      return { digits: x.digits * y.digits, exponent: x.exponent + y.exponent };
    });
  const least = products.reduce((exponent, product) => Math.min(exponent, product.exponent), 0);
  let [sum, largest] = [0n, 0n];
  for (const { digits, exponent } of products) {
    const value = digits << BigInt(exponent - least);
    sum += value;
    if (absolute(value) > largest) largest = absolute(value);
  }
  return { sum, largest, one: 1n << BigInt(-least) };
}

/** Whether the sum is 0, or at most a billionth of its largest term. */
export const vanishes = ({ sum, largest }: ExactSum): boolean => absolute(sum) * 1_000_000_000n <= largest;

/** Whether the sum is at most 0, or above by at most a billionth of its largest term. */
export const isNotPositive = (terms: ExactSum): boolean => terms.sum <= 0n || vanishes(terms);
