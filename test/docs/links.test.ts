// No dead link in the pages for readers and contributors. Nothing is fetched.
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';

import { root } from '../support/node.js';
import { pages, parse, readPage } from '../support/pages.js';

const documents = [...pages, 'CONTRIBUTING.md', 'CHANGELOG.md'];

/** Folders that are not in the repository. */
const generated = /^(dist|build|prebuilds|node_modules|runs|docs\/api)(\/|$)/;

interface Link {
  line: number;
  target: string;
}

/** Inline links and images, definitions, and those in angle brackets. Code between backticks is no link. */
function linksOf(prose: readonly string[]): Link[] {
  return prose.flatMap((content, index) => {
    const text = content.replace(/(`+)(?!`).*?[^`]\1(?!`)/g, (code) => 'x'.repeat(code.length));
    const found = [
      ...text.matchAll(/\]\(\s*<?([^)\s>]*)>?(?:\s+"[^"]*")?\s*\)/g),
      ...text.matchAll(/^ {0,3}\[[^\]]+\]:\s*(\S+)/g),
      ...text.matchAll(/<((?:https?|mailto):[^>\s]+)>/g),
      ...text.matchAll(/(?:src|href)="([^"]+)"/g),
    ];
    return found.map(([, target]) => ({ line: index + 1, target: target! }));
  });
}

/** The anchors of the headings, as GitHub makes them. */
function anchorsOf(text: string): Set<string> {
  const anchors = new Set<string>();
  for (const { text: heading } of parse(text).headings) {
    const base = heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\p{M}\p{Pc}\- ]/gu, '')
      .replaceAll(' ', '-');
    let anchor = base;
    for (let i = 1; anchors.has(anchor); i++) anchor = `${base}-${i}`;
    anchors.add(anchor);
  }
  return anchors;
}

/** What is wrong with a link; undefined: nothing. */
function problemOf(document: string, target: string): string | undefined {
  if (/^[a-z][a-z+.-]*:/i.test(target)) {
    if (!URL.canParse(target)) return 'is not a URL';
    return new URL(target).protocol === 'https:' ? undefined : 'is not https';
  }
  const [file = '', anchor] = target.split('#');
  const found =
    file === ''
      ? document
      : path.posix.normalize(path.posix.join(path.posix.dirname(document), decodeURI(file)));
  if (found.startsWith('..')) return 'leaves the repository';
  if (generated.test(found)) return 'is not in the repository';
  if (!existsSync(path.join(root, found))) return 'does not exist';
  if (anchor === undefined) return undefined;
  if (!found.endsWith('.md') || statSync(path.join(root, found)).isDirectory()) return 'has no headings';
  return anchorsOf(readPage(found)).has(decodeURI(anchor)) ? undefined : 'has no such heading';
}

it.each(documents)('every link of %s leads somewhere', (document) => {
  const dead = linksOf(parse(readPage(document)).prose).flatMap(({ line, target }) => {
    const problem = problemOf(document, target);
    return problem === undefined ? [] : [`${document}:${line}: ${target} ${problem}`];
  });
  expect(dead).toEqual([]);
});

it('every page can be reached from the README', () => {
  const reached = new Set(['README.md']);
  for (const page of reached) {
    for (const { target } of linksOf(parse(readPage(page)).prose)) {
      if (/^[a-z]+:/.test(target) || target.startsWith('#')) continue;
      const found = path.posix.normalize(path.posix.join(path.posix.dirname(page), target.split('#')[0]!));
      if (found.endsWith('.md') && existsSync(path.join(root, found))) reached.add(found);
    }
  }
  expect(pages.filter((page) => !reached.has(page) && !page.startsWith('docs/experiments/'))).toEqual([]);
});

describe('dead links are found', () => {
  it.each([
    ['nowhere.md', 'does not exist'],
    ['#no-such-heading', 'has no such heading'],
    ['docs/accuracy.md#no-such-heading', 'has no such heading'],
    ['../elsewhere', 'leaves the repository'],
    ['dist/index.js', 'is not in the repository'],
    ['LICENSE#terms', 'has no headings'],
    ['http://example.org', 'is not https'],
    ['https://', 'is not a URL'],
  ])('%s', (target, problem) => {
    expect(problemOf('README.md', target)).toBe(problem);
  });
  it.each(['#license', 'docs/accuracy.md#accuracy', 'docs', 'https://arxiv.org/abs/1703.00443'])(
    'not so %s',
    (target) => {
      expect(problemOf('README.md', target)).toBeUndefined();
    },
  );
  it('in every form', () => {
    const text = ['[a](b) ![c](d "e") `[f](g)`', '[h]: i', '<https://j>', '<img src="k">'];
    expect(linksOf(text).map(({ target }) => target)).toEqual(['b', 'd', 'i', 'https://j', 'k']);
  });
});
