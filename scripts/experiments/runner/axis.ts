import type { Axis } from './chart.js';

/** From a value to the part of the axis before it, 0–1, and the values that are named on it. */
export interface Scale {
  position: (value: number) => number;
  ticks: { value: number; name: string }[];
}

/** The scale that an axis asks for, with about as many ticks. Values that are none, of runs that went wrong, are left out. */
export function axisScale(
  { scale = 'linear', range, whole = false }: Axis,
  values: readonly (number | undefined)[],
  ticks: number,
): Scale {
  if (scale === 'percent') return PERCENT;
  const finite = values.filter((value): value is number => value !== undefined && Number.isFinite(value));
  if (scale === 'log') return logScale(range ?? extent(finite.filter((value) => value > 0)), ticks);
  return linearScale(range ?? extent(finite), ticks, whole ? 1 : 0);
}

function extent(values: readonly number[]): [number, number] {
  const [low, high] = values.reduce(
    ([least, most], value) => [Math.min(least, value), Math.max(most, value)],
    [Infinity, -Infinity],
  );
  return low <= high ? [low, high] : [1, 1];
}

/** 0.01–100 %, logarithmic, and 0 on the axis itself. */
const PERCENT: Scale = {
  position: (value) => (value < 0.01 ? 0 : 0.12 + (0.88 * (Math.log10(value) + 2)) / 4),
  ticks: [0, 0.01, 0.1, 1, 10, 100].map((value) => ({ value, name: value.toString() })),
};

function linearScale([low, high]: readonly [number, number], ticks: number, leastStep: number): Scale {
  const spread = high - low || Math.abs(high) || 1;
  const step = Math.max(leastStep, roundStep(spread / Math.max(1, ticks)));
  const [first, last] = [
    Math.floor(low / step + 1e-9),
    Math.ceil(low === high ? (low + spread) / step : high / step - 1e-9),
  ];
  const decimals = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  return {
    position: (value) => (value - first * step) / ((last - first) * step),
    ticks: Array.from({ length: last - first + 1 }, (_, i) => {
      const value = (first + i) * step;
      return { value, name: value.toFixed(decimals).replace('-', '−') };
    }),
  };
}

/** 1, 2 or 5 times a power of ten, at least as large. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  return power * ([1, 2, 5, 10].find((factor) => factor * power >= step * (1 - 1e-9)) ?? 10);
}

/** Within one decade 1, 2 and 5 are named too. */
function logScale([low, high]: readonly [number, number], ticks: number): Scale {
  const [start, end] = [Math.log10(low), Math.log10(high)];
  const wide = end - start > 2;
  const [first, last] = wide ? [Math.floor(start + 1e-9), Math.ceil(end - 1e-9)] : roundedTo125(low, high);
  const every = Math.max(1, Math.ceil((last - first) / ticks));
  const decades = Array.from(
    { length: Math.floor(last + 1e-9) - Math.ceil(first - 1e-9) + 1 },
    (_, i) => Math.ceil(first - 1e-9) + i,
  );
  const values = wide
    ? decades.filter((decade) => (decade - decades[0]!) % every === 0).map((decade) => 10 ** decade)
    : steps125(first, last);
  return {
    position: (value) => (Math.log10(value) - first) / (last - first || 1),
    ticks: values.map((value) => ({ value, name: logName(value) })),
  };
}

function roundedTo125(low: number, high: number): [number, number] {
  const decade = Math.floor(Math.log10(low));
  const all = steps125(decade, decade + 4);
  const least = all.findLast((value) => value <= low * (1 + 1e-9)) ?? low;
  const most = all.find((value) => value >= high * (1 - 1e-9) && value > least) ?? high;
  return [Math.log10(least), Math.log10(most)];
}

/** 1, 2 and 5 times the powers of ten between two exponents. */
function steps125(first: number, last: number): number[] {
  const decades = Array.from(
    { length: Math.ceil(last) - Math.floor(first) + 1 },
    (_, i) => Math.floor(first) + i,
  );
  return decades
    .flatMap((decade) => [1, 2, 5].map((factor) => factor * 10 ** decade))
    .filter((value) => Math.log10(value) > first - 1e-9 && Math.log10(value) < last + 1e-9);
}

const logName = (value: number): string =>
  value >= 0.001 && value < 10_000 ? Number(value.toPrecision(1)).toString() : power(Math.log10(value));

const power = (exponent: number): string => {
  const whole = Math.floor(exponent + 1e-9);
  const factor = Math.round(10 ** (exponent - whole));
  return `${factor === 1 ? '' : `${factor}·`}10${superscript(whole)}`;
};

const superscript = (n: number): string =>
  n.toString().replace(/[-\d]/g, (sign) => (sign === '-' ? '⁻' : ('⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(sign)] ?? '')));
