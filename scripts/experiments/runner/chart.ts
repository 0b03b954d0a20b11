/** A line chart of one panel or several, as SVG. Written next. */
export interface Axis {
  label: string;
  /** 'percent': 0.01–100 %, logarithmic, and 0 on the axis itself, where a logarithm has no place for it. */
  scale?: 'linear' | 'log' | 'percent';
  /** Where it begins and ends; by default just around the values. */
  range?: readonly [number, number];
}

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

export function drawChart(title: string, panels: readonly Panel[], columns = 2): string {
  return `${title}${panels.length}${columns}`;
}
