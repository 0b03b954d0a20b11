/** Rows of text under headings. The first column is a name, the others are figures. */
export interface Table {
  title?: string;
  headings: readonly string[];
  rows: readonly (readonly string[])[];
  notes?: readonly string[];
}

/** For a terminal: columns that line up. */
export function plainTable({ title, headings, rows, notes = [] }: Table): string {
  const lines = [headings, ...rows];
  const widths = headings.map((_, i) => Math.max(...lines.map((cells) => cells[i]?.length ?? 0)));
  const row = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd();
  const rule = widths.map((width) => '─'.repeat(width)).join('  ');
  return [...(title ? [title, ''] : []), row(headings), rule, ...rows.map(row), ...notes].join('\n');
}

/** For a page. */
export function markdownTable({ title, headings, rows, notes = [] }: Table): string {
  const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  const rule = row(headings.map((_, i) => (i === 0 ? '---' : '--:')));
  const table = [row(headings), rule, ...rows.map(row)].join('\n');
  return [...(title ? [`**${title}**`] : []), table, ...notes].join('\n\n');
}
