// What the tests of the pages make of a page: test/support/pages.ts.
import { agrees, parse, sectionsOf } from '../support/pages.js';

describe('a printed line', () => {
  it.each([
    ['[0.75, 0.25]', 'Float64Array(2) [ 0.75, 0.25 ]'],
    ['0.2333', '0.23333333333333334'],
    ['[0, 1]', '[ -1e-17, 0.9999999999999 ]'],
    ["['solved'], 3", "[ 'solved' ] 3".replace(' 3', ', 3')],
    ['2.1e-12', '2.0999e-12'],
    ['−1', '-1'],
    ['device: …', 'device: cpu, avx2'],
    ['a … z', 'a b c z'],
    ['sigma_2 is 1.5', 'sigma_2 is 1.4999'],
  ])('agrees: %s, %s', (expected, actual) => {
    expect(agrees(expected, actual)).toBe(true);
  });
  it.each([
    ['0.75', '0.76'],
    ['0.2333', '0.2334'],
    ['1', '1.01'],
    ['[1, 2]', '[ 1, 2, 3 ]'],
    ["['solved']", "[ 'maxIterations' ]"],
    ['2.1e-12', '2.3e-12'],
    ['1', '-1'],
    ['a … z', 'a b c'],
    ['', '1'],
    ['z1', 'z2'],
  ])('does not agree: %s, %s', (expected, actual) => {
    expect(agrees(expected, actual)).toBe(false);
  });
});

const page = (...lines: string[]) => parse(lines.join('\n'));

describe('a page', () => {
  it('has a module for each section, with the imports of all', () => {
    const sections = sectionsOf(
      page(
        '## One',
        '```js',
        "import { a } from 'x';",
        'a(); // → 1',
        '```',
        'and',
        '```js',
        'b();',
        '// → 2',
        '```',
        '## Two',
        '```js gpu',
        "import { c } from 'x';",
        '```',
      ),
    );
    expect(sections).toMatchObject([
      { title: 'One', line: 3, place: 'cpu', language: 'js', expected: ['1', '2'] },
      { title: 'Two', line: 13, place: 'gpu', expected: [] },
    ]);
    expect(sections[0]!.source.replace(/\n+/g, '\n')).toBe(
      "import { a, c } from 'x';\na(); // → 1\nb();\n// → 2\n",
    );
  });

  it.each(['```', '```python', '```js later', '```js gpu too', '```sh later'])(
    'must not have a block %s',
    (fence) => {
      expect(() => sectionsOf(page(fence, 'x', '```'))).toThrow(/nothing is known of blocks of the kind/);
    },
  );

  it('must close its blocks', () => {
    expect(() => page('```js', 'x')).toThrow(/no end/);
  });

  it('has indented blocks, but not in the middle of text', () => {
    const { blocks, prose } = page('text', '    more text', '', '    npm test', '    npm start', '', 'text');
    expect(blocks).toEqual([{ line: 4, kind: 'indented', section: '', code: 'npm test\nnpm start' }]);
    expect(prose[1]).toBe('    more text');
  });
});
