import type { EpochRecord } from './trainer.js';

/** Learning curves as an SVG of two panels: loss, and the share of boards that break a rule. */
export function drawCurves(history: readonly EpochRecord[], title: string): string {
  const epochs = history.map(({ epoch }) => epoch);
  const last = Math.max(1, ...epochs);
  const losses = history.flatMap(({ train, test }) => (train ? [train.loss, test.loss] : [test.loss]));
  const lossAxis = logAxis(losses);
  const panels = [
    panel(LEFT[0], 'Mean squared error', last, lossAxis, [
      { ...TRAIN, points: history.map(({ epoch, train }) => [epoch, train?.loss]) },
      { ...TEST, points: history.map(({ epoch, test }) => [epoch, test.loss]) },
    ]),
    panel(LEFT[1], 'Boards in error (%)', last, ERROR_AXIS, [
      { ...TRAIN, points: history.map(({ epoch, train }) => [epoch, toPercent(train?.error)]) },
      { ...TEST, points: history.map(({ epoch, test }) => [epoch, toPercent(test.error)]) },
      { ...STRICT, points: history.map(({ epoch, test }) => [epoch, toPercent(test.strictError)]) },
    ]),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" \
width="${WIDTH}" height="${HEIGHT}" font-family="sans-serif" font-size="13" fill="#222">
<title>${escape(title)}</title>
<rect width="100%" height="100%" fill="#fff"/>
${text(WIDTH / 2, 26, title, 'text-anchor="middle" font-size="16"')}
${panels.join('\n')}
${legend([TRAIN, TEST, STRICT])}
</svg>
`;
}

interface Style {
  name: string;
  colour: string;
  dash: string;
}

interface Series extends Style {
  points: (readonly [epoch: number, value: number | undefined])[];
}

/** From a value to the distance up the axis, 0–1. */
interface Axis {
  position(value: number): number;
  ticks: { value: number; label: string }[];
}

const WIDTH = 900;
const HEIGHT = 420;
const PLOT = { width: 350, height: 270, top: 52 };
const LEFT = [82, 527] as const;

// Blue and orange are told apart by the colour-blind too; the dashes tell where one line covers another.
const TRAIN: Style = { name: 'train', colour: '#d1660f', dash: '' };
const TEST: Style = { name: 'test', colour: '#1f5fa8', dash: '' };
const STRICT: Style = { name: 'test, strict (givens kept)', colour: '#111', dash: '2 5' };

/** Whole decades around the values, those of a run that went wrong left out. */
function logAxis(values: readonly number[]): Axis {
  const exponents = values.map(Math.log10).filter(Number.isFinite);
  const low = Math.floor(Math.min(0, ...exponents));
  const high = Math.max(low + 1, Math.ceil(Math.max(...exponents)));
  const decades = Array.from({ length: high - low + 1 }, (_, i) => low + i);
  return {
    position: (value) => (Math.log10(value) - low) / (high - low),
    ticks: decades.map((decade) => ({ value: 10 ** decade, label: `10${superscript(decade)}` })),
  };
}

/** 0.01–100 %, logarithmic, and 0 on the axis itself, where a logarithm has no place for it. */
const ERROR_AXIS: Axis = {
  position: (value) => (value < 0.01 ? 0 : 0.12 + (0.88 * (Math.log10(value) + 2)) / 4),
  ticks: [0, 0.01, 0.1, 1, 10, 100].map((value) => ({ value, label: value.toString() })),
};

function panel(left: number, yTitle: string, last: number, axis: Axis, series: readonly Series[]): string {
  const { width, height, top } = PLOT;
  const bottom = top + height;
  const x = (epoch: number): number => left + (width * epoch) / last;
  const y = (value: number): number => bottom - height * axis.position(value);

  const grid = axis.ticks.map(
    ({ value, label }) =>
      line(left, y(value), left + width, y(value), value === 0 ? '#999' : '#ddd') +
      text(left - 8, y(value) + 4, label, 'text-anchor="end"'),
  );
  const step = Math.ceil(last / 10);
  const marks = Array.from({ length: Math.floor(last / step) + 1 }, (_, i) => i * step).map(
    (epoch) =>
      line(x(epoch), bottom, x(epoch), bottom + 5, '#555') +
      text(x(epoch), bottom + 20, epoch.toString(), 'text-anchor="middle"'),
  );
  const middle = top + height / 2;
  const titleLeft = left - 56;
  return [
    ...grid,
    line(left, top, left, bottom, '#555'),
    line(left, bottom, left + width, bottom, '#555'),
    ...marks,
    text(left + width / 2, bottom + 42, 'Epoch', 'text-anchor="middle"'),
    text(
      titleLeft,
      middle,
      yTitle,
      `text-anchor="middle" transform="rotate(-90 ${at(titleLeft)} ${at(middle)})"`,
    ),
    ...series.map((curve) => drawSeries(curve, x, y)),
  ].join('\n');
}

function drawSeries(curve: Series, x: (epoch: number) => number, y: (value: number) => number): string {
  const points = curve.points.flatMap(([epoch, value]) =>
    value === undefined || !Number.isFinite(value) ? [] : [[at(x(epoch)), at(y(value))] as const],
  );
  const path = points.map((point) => point.join(',')).join(' ');
  const dots =
    curve.dash === '' ? points.map(([cx, cy]) => `<circle cx="${cx}" cy="${cy}" r="2.6"/>`).join('') : '';
  return (
    `<polyline points="${path}" fill="none" stroke="${curve.colour}" stroke-width="2" ` +
    `stroke-linejoin="round" stroke-dasharray="${curve.dash === '' ? 'none' : curve.dash}"/>` +
    `<g fill="${curve.colour}">${dots}</g>`
  );
}

function legend(styles: readonly Style[]): string {
  const y = HEIGHT - 22;
  const starts = [270, 380, 480];
  return styles
    .map((style, i) => {
      const left = starts[i] ?? 0;
      return (
        `<line x1="${at(left)}" y1="${at(y)}" x2="${at(left + 34)}" y2="${at(y)}" stroke="${style.colour}" ` +
        `stroke-width="2" stroke-dasharray="${style.dash === '' ? 'none' : style.dash}"/>` +
        text(left + 42, y + 4, style.name, '')
      );
    })
    .join('\n');
}

const line = (x1: number, y1: number, x2: number, y2: number, colour: string): string =>
  `<line x1="${at(x1)}" y1="${at(y1)}" x2="${at(x2)}" y2="${at(y2)}" stroke="${colour}"/>`;

const text = (x: number, y: number, content: string, attributes: string): string =>
  `<text x="${at(x)}" y="${at(y)}" ${attributes}>${escape(content)}</text>`;

const at = (coordinate: number): string => coordinate.toFixed(1);

const toPercent = (fraction: number | undefined): number | undefined =>
  fraction === undefined ? undefined : 100 * fraction;

const escape = (content: string): string =>
  content.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');

const superscript = (n: number): string =>
  n.toString().replace(/[-\d]/g, (sign) => (sign === '-' ? '⁻' : ('⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(sign)] ?? '')));
