import { at, svgDocument, text } from '../runner/svg.js';

/** A matrix to be drawn as a grid of colours. */
export interface HeatMap {
  title: string;
  rows: readonly (readonly number[])[];
}

const SIDE = 400;
const MARGIN = 40;
/** Colours on either side of zero. */
const LEVELS = 10;

/** Matrices side by side: negative entries blue, positive ones red, zero white, each up to its largest entry. */
export function drawHeatMaps(title: string, maps: readonly HeatMap[]): string {
  const width = MARGIN + maps.length * (SIDE + MARGIN);
  return svgDocument(title, width, SIDE + 2 * MARGIN + 36, [
    text(width / 2, 26, title, 'text-anchor="middle" font-size="17"'),
    ...maps.map((map, i) => drawMap(map, MARGIN + i * (SIDE + MARGIN), MARGIN + 36)),
  ]);
}

/** Rows in the order of where their largest entry is, which is how a matrix of differences shows itself. */
export function sortedRows(rows: readonly (readonly number[])[]): (readonly number[])[] {
  const peak = (row: readonly number[]): number => {
    const sizes = row.map(Math.abs);
    return sizes.indexOf(Math.max(...sizes));
  };
  return [...rows].sort((a, b) => peak(a) - peak(b));
}

function drawMap({ title, rows }: HeatMap, left: number, top: number): string {
  const columns = rows[0]?.length ?? 0;
  const largest = Math.max(...rows.flat().map(Math.abs));
  const scale = `translate(${at(left)} ${at(top)}) scale(${SIDE / columns} ${SIDE / rows.length})`;
  const caption = `${title}; largest entry ${largest.toPrecision(2)}`;
  return [
    text(left + SIDE / 2, top - 10, caption, 'text-anchor="middle" font-size="14"'),
    `<g transform="${scale}" shape-rendering="crispEdges">`,
    ...[...pathsByLevel(rows, largest)].map(([level, path]) => `<path fill="${colour(level)}" d="${path}"/>`),
    '</g>',
    `<rect x="${at(left)}" y="${at(top)}" width="${SIDE}" height="${SIDE}" fill="none" stroke="#555"/>`,
  ].join('\n');
}

/** For each level but zero, the cells that have it, neighbours in a row joined: a tenth of the size of one element each. */
function pathsByLevel(rows: readonly (readonly number[])[], largest: number): Map<number, string> {
  const paths = new Map<number, string>();
  rows.forEach((row, y) => {
    const levels = row.map((value) => (value === 0 ? 0 : Math.round((LEVELS * value) / largest)));
    for (let x = 0; x < levels.length;) {
      const level = levels[x]!;
      let end = x + 1;
      while (levels[end] === level) end++;
      if (level !== 0) paths.set(level, `${paths.get(level) ?? ''}M${x} ${y}h${end - x}v1h${x - end}z`);
      x = end;
    }
  });
  return paths;
}

/** From white to blue or to red, of the palette that charts use. */
function colour(level: number): string {
  const [red, green, blue] = level < 0 ? [0, 114, 178] : [213, 94, 0];
  const part = Math.min(1, Math.abs(level) / LEVELS);
  const mixed = [red, green, blue].map((channel) => Math.round(255 + part * (channel - 255)));
  return `rgb(${mixed.join(' ')})`;
}
