import { axisScale, type Scale } from './axis.js';
import { at, escape, svgDocument, text } from './svg.js';

export interface Axis {
  label: string;
  /** 'percent': 0.01–100 %, logarithmic, and 0 on the axis itself, where a logarithm has no place for it. */
  scale?: 'linear' | 'log' | 'percent';
  /** Where it begins and ends; by default just around the values. */
  range?: readonly [number, number];
  /** Of a linear axis: values are whole numbers, and so are the ticks. */
  whole?: boolean;
}

/** That of learning curves. */
export const EPOCHS: Axis = { label: 'Epoch', whole: true };

export interface Series {
  name: string;
  points: readonly (readonly [x: number, y: number | undefined])[];
  /** By default the next colour of a palette. Series of one name share their entry in the legend. */
  colour?: string;
  /** As in stroke-dasharray. */
  dash?: string;
  /** A dot at every point. */
  dots?: boolean;
  /** False draws dots alone. */
  line?: boolean;
  /** Thinner and paler than the rest, for many of a kind. */
  faint?: boolean;
}

export interface Panel {
  title?: string;
  x: Axis;
  y: Axis;
  series: readonly Series[];
}

/** Wong's palette (Nature Methods 8:441, 2011), told apart by the colour-blind too; without its yellow. */
const PALETTE = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#222222'];
const WIDTH = 900;
const MARGIN = { left: 78, right: 22, top: 34, bottom: 58 };
const TITLE_HEIGHT = 34;
const LEGEND_LINE = 22;

interface Styled extends Series {
  colour: string;
}

interface Frame {
  left: number;
  top: number;
  width: number;
  height: number;
}

/** Panels in rows of `columns`, under one title and over one legend. */
export function drawChart(title: string, panels: readonly Panel[], columns = 2): string {
  const perRow = Math.min(columns, panels.length);
  const cell = { width: WIDTH / perRow, height: perRow > 2 ? 290 : 360 };
  const colours = palette(panels);
  const drawn = panels.map((panel, i) => {
    const frame = {
      left: (i % perRow) * cell.width + MARGIN.left,
      top: TITLE_HEIGHT + Math.floor(i / perRow) * cell.height + MARGIN.top,
      width: cell.width - MARGIN.left - MARGIN.right,
      height: cell.height - MARGIN.top - MARGIN.bottom,
    };
    return drawPanel(panel, frame, i, colours);
  });
  const bottom = TITLE_HEIGHT + Math.ceil(panels.length / perRow) * cell.height;
  const legend = drawLegend(panels, colours, bottom);
  return svgDocument(title, WIDTH, bottom + legend.height + 8, [
    text(WIDTH / 2, 24, title, 'text-anchor="middle" font-size="17"'),
    ...drawn,
    legend.svg,
  ]);
}

/** One colour to each name, in the order in which they come. */
function palette(panels: readonly Panel[]): Map<string, string> {
  const colours = new Map<string, string>();
  for (const { name, colour } of panels.flatMap(({ series }) => series)) {
    if (!colours.has(name)) colours.set(name, colour ?? PALETTE[colours.size % PALETTE.length]!);
  }
  return colours;
}

function drawPanel(panel: Panel, frame: Frame, index: number, colours: Map<string, string>): string {
  const values = panel.series.flatMap(({ points }) => points);
  const x = axisScale(
    panel.x,
    values.map(([value]) => value),
    frame.width / 60,
  );
  const y = axisScale(
    panel.y,
    values.map(([, value]) => value),
    frame.height / 40,
  );
  const styled = panel.series.map((series) => ({
    ...series,
    colour: series.colour ?? colours.get(series.name)!,
  }));
  const clip = `panel${index}`;
  return [
    ...(panel.title === undefined
      ? []
      : [
          text(
            frame.left + frame.width / 2,
            frame.top - 12,
            panel.title,
            'text-anchor="middle" font-size="14"',
          ),
        ]),
    drawYAxis(y, panel.y.label, frame),
    drawXAxis(x, panel.x.label, frame),
    // Half a dot more than the frame, so that points on its edge are whole.
    `<clipPath id="${clip}"><rect x="${at(frame.left - 4)}" y="${at(frame.top - 4)}" ` +
      `width="${at(frame.width + 8)}" height="${at(frame.height + 8)}"/></clipPath>`,
    `<g clip-path="url(#${clip})">`,
    ...styled.map((series) => drawSeries(series, x, y, frame)),
    '</g>',
  ].join('\n');
}

function drawYAxis({ ticks, position }: Scale, label: string, { left, top, width, height }: Frame): string {
  const marks = ticks.map(({ value, name }) => {
    const y = top + height * (1 - position(value));
    return line(left, y, left + width, y, '#ddd') + text(left - 8, y + 4, name, 'text-anchor="end"');
  });
  const [x, y] = [left - 58, top + height / 2];
  const turned = `text-anchor="middle" transform="rotate(-90 ${at(x)} ${at(y)})"`;
  return [...marks, line(left, top, left, top + height, '#555'), text(x, y, label, turned)].join('\n');
}

function drawXAxis({ ticks, position }: Scale, label: string, { left, top, width, height }: Frame): string {
  const bottom = top + height;
  const marks = ticks.map(({ value, name }) => {
    const x = left + width * position(value);
    return line(x, bottom, x, bottom + 5, '#555') + text(x, bottom + 20, name, 'text-anchor="middle"');
  });
  const axis = line(left, bottom, left + width, bottom, '#555');
  return [axis, ...marks, text(left + width / 2, bottom + 42, label, 'text-anchor="middle"')].join('\n');
}

function drawSeries(series: Styled, x: Scale, y: Scale, { left, top, width, height }: Frame): string {
  // What an axis has no place for is left out: values that are none, and on a logarithmic axis those of 0 and less.
  const points = series.points
    .map(([px, py]) => [x.position(px), y.position(py ?? NaN)] as const)
    .filter((place) => place.every(Number.isFinite))
    .map(([px, py]) => [at(left + width * px), at(top + height * (1 - py))] as const);
  const dots = points.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="2.6"/>`).join('');
  return (
    (series.line === false
      ? ''
      : `<polyline points="${points.map((point) => point.join(',')).join(' ')}" ${stroke(series)}/>`) +
    (series.dots === true || series.line === false ? `<g fill="${series.colour}">${dots}</g>` : '')
  );
}

const stroke = ({ colour, dash, faint }: Styled): string =>
  `fill="none" stroke="${colour}" stroke-width="${faint ? 1.2 : 2}" stroke-linejoin="round"` +
  `${faint ? ' stroke-opacity="0.55"' : ''}${dash === undefined ? '' : ` stroke-dasharray="${dash}"`}`;

/** An entry for each name, in lines as wide as the chart. */
function drawLegend(panels: readonly Panel[], colours: Map<string, string>, top: number) {
  const entries = [...colours].map(([name, colour]) => {
    const series = panels.flatMap(({ series }) => series).find((one) => one.name === name)!;
    return { series: { ...series, colour }, width: 66 + 7 * name.length };
  });
  const lines: (typeof entries)[] = [[]];
  for (const entry of entries) {
    const current = lines.at(-1)!;
    const used = current.reduce((sum, { width }) => sum + width, 0);
    if (used > 0 && used + entry.width > WIDTH - 40) lines.push([entry]);
    else current.push(entry);
  }
  const drawn = lines.flatMap((line, row) => {
    let left = (WIDTH - line.reduce((sum, { width }) => sum + width, 0)) / 2;
    return line.map(({ series, width }) => {
      left += width;
      return drawEntry(series, left - width, top + LEGEND_LINE * row + 12);
    });
  });
  return { svg: drawn.join('\n'), height: LEGEND_LINE * lines.length };
}

function drawEntry(series: Styled, left: number, y: number): string {
  const mark =
    series.line === false
      ? `<circle cx="${at(left + 17)}" cy="${at(y)}" r="3" fill="${series.colour}"/>`
      : `<polyline points="${at(left)},${at(y)} ${at(left + 34)},${at(y)}" ${stroke(series)}/>`;
  return mark + text(left + 42, y + 4, series.name);
}

const line = (x1: number, y1: number, x2: number, y2: number, colour: string): string =>
  `<line x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}" stroke="${escape(colour)}"/>`;
