import { axisScale } from '../../scripts/experiments/runner/axis.js';
import { drawChart, type Panel } from '../../scripts/experiments/runner/chart.js';
import { unbalancedTags } from '../support/xml.js';

const panel: Panel = {
  title: 'Boards <1 & "2">',
  x: { label: 'Epoch' },
  y: { label: 'Mean squared error', scale: 'log' },
  series: [
    {
      name: 'train',
      points: [
        [0, undefined],
        [1, 0.2],
        [2, 0.01],
      ],
      dots: true,
    },
    {
      name: 'test',
      points: [
        [0, 1.4],
        [1, 0.07],
        [2, 0.005],
      ],
      dash: '2 5',
    },
  ],
};

test('a chart is well-formed XML, with axes named, a point for every value, and a legend', () => {
  const svg = drawChart('A & B', [panel, { ...panel, title: 'Second' }]);
  expect(unbalancedTags(svg)).toEqual([]);
  expect(svg).toContain('>Boards &lt;1 &amp; &quot;2&quot;&gt;<');
  for (const name of ['A &amp; B', 'Second', 'Mean squared error', 'Epoch'])
    expect(svg).toContain(`>${name}<`);
  expect(svg.match(/>train</g)).toHaveLength(1);
  expect(lengths(svg)).toEqual([2, 3, 2, 3, 2, 2]); // two panels of train and test, then the legend's strokes
  expect(svg.match(/<circle/g)).toHaveLength(4);
});

test.each([
  ['no values', []],
  ['one value', [[0, 1]] as const],
  [
    'values that are none',
    [
      [0, 1],
      [1, NaN],
      [2, Infinity],
    ] as const,
  ],
  [
    'equal values',
    [
      [0, 3],
      [1, 3],
    ] as const,
  ],
  [
    'values below 0',
    [
      [-1, -3],
      [1, -2],
    ] as const,
  ],
])('%s can be drawn, on any axis', (_, points) => {
  for (const scale of ['linear', 'log', 'percent'] as const) {
    const svg = drawChart('x', [
      { x: { label: 'x' }, y: { label: 'y', scale }, series: [{ name: 'a', points }] },
    ]);
    expect(unbalancedTags(svg)).toEqual([]);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  }
});

test('series of one name have one colour, and different names different ones', () => {
  const svg = drawChart('x', [panel, panel]);
  const strokes = [...svg.matchAll(/<polyline [^>]*stroke="([^"]*)"/g)].map((match) => match[1]);
  expect(new Set(strokes).size).toBe(2);
});

describe('an axis', () => {
  const names = (...args: Parameters<typeof axisScale>): string[] =>
    axisScale(...args).ticks.map(({ name }) => name);

  test('has round ticks that enclose the values', () => {
    expect(names({ label: '' }, [0, 10], 5)).toEqual(['0', '2', '4', '6', '8', '10']);
    expect(names({ label: '' }, [13.2, 16.9], 5)).toEqual(['13', '14', '15', '16', '17']);
    expect(names({ label: '' }, [-0.1, 0.25], 4)).toEqual(['−0.1', '0.0', '0.1', '0.2', '0.3']);
  });

  test('has its range where one is given', () => {
    expect(names({ label: '', range: [0, 1] }, [0.4], 5)).toEqual(['0.0', '0.2', '0.4', '0.6', '0.8', '1.0']);
  });

  test('of whole numbers has no ticks between them', () => {
    expect(names({ label: '', whole: true }, [0, 3], 12)).toEqual(['0', '1', '2', '3']);
  });

  test('of logarithms has powers of ten, and 1, 2, 5 where there are few decades', () => {
    expect(names({ label: '', scale: 'log' }, [3e-5, 20], 8)).toEqual([
      '10⁻⁵',
      '10⁻⁴',
      '0.001',
      '0.01',
      '0.1',
      '1',
      '10',
      '100',
    ]);
    expect(names({ label: '', scale: 'log' }, [14, 66], 8)).toEqual(['10', '20', '50', '100']);
  });

  test('puts values in their order', () => {
    for (const scale of ['linear', 'log', 'percent'] as const) {
      const { position } = axisScale({ label: '', scale }, [0.5, 40], 5);
      const places = [0.5, 1, 7, 40].map(position);
      expect(places).toEqual(places.toSorted((a, b) => a - b));
      expect(Math.min(...places)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...places)).toBeLessThanOrEqual(1);
    }
  });
});

const lengths = (svg: string): number[] =>
  [...svg.matchAll(/<polyline points="([^"]*)"/g)].map((match) => match[1]!.split(' ').length);
