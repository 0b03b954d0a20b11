import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { EXPERIMENTS } from '../../scripts/experiments/registry.js';

// eslint-disable-next-line @typescript-eslint/no-require-imports -- a script, without types
const { page, withTables } = require('../../scripts/experiments-page.cjs') as {
  page: string;
  withTables: () => string;
};
const text = readFileSync(page, 'utf8');

test('the page has the tables of the full runs as they were written', () => {
  expect(text).toBe(withTables());
});

test.each(EXPERIMENTS.map(({ name }) => name))(
  'the page has the command, the tables and a picture of %s',
  (name) => {
    expect(text).toContain(`npm run experiment -- ${name}\n`);
    expect(text).toContain(`<!-- ${name} -->`);
    expect(text).toMatch(new RegExp(`!\\[[^\\]]+\\]\\(experiments/${name}/[\\w-]+\\.svg\\)`));
  },
);

test('every picture of the page is there', () => {
  const pictures = [...text.matchAll(/!\[[^\]]*\]\(([^)]+)\)/g)].map((match) => match[1]!);
  expect(pictures.filter((picture) => !existsSync(path.join(path.dirname(page), picture)))).toEqual([]);
});
