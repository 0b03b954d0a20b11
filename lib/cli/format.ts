// Numbers for people.

/** '1.3 ms' */
export function duration(milliseconds: number): string {
  return `${significant(milliseconds)} ms`;
}

/** '139.8 GiB' */
export function memory(bytes: number): string {
  const gibibytes = bytes / 2 ** 30;
  return gibibytes >= 1 ? `${gibibytes.toFixed(1)} GiB` : `${Math.round(bytes / 2 ** 20)} MiB`;
}

/** About three digits of a positive number: '0.12', '1.3', '45.7', '12,300'. */
export function significant(value: number): string {
  if (value >= 1000) return Math.round(Number(value.toPrecision(3))).toLocaleString('en-US');
  if (value >= 100) return value.toFixed(0);
  return value >= 1 ? value.toFixed(1) : value.toFixed(2);
}

/** Columns of text, the first ones of words to the left, the others of numbers to the right. */
export function table(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  words: number,
): string {
  const lines = [header, ...rows];
  const widths = header.map((_, i) => Math.max(...lines.map((cells) => cells[i]!.length)));
  const print = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i < words ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '-'.repeat(width));
  return `${[header, rule, ...rows].map(print).join('\n')}\n`;
}
