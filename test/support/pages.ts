// The pages for readers, README.md and docs/, taken apart into what can be checked.
//
// How code is written in them, so that test/docs can run all of it:
//
// - A fenced block names its language. `js` and `ts` are run, `sh` and `console` are checked for commands that exist, `text`
//   is not code. Any other kind, and a block without one, is an error: nothing is left out unnoticed.
// - The `js` or `ts` blocks of a section, from one `##` heading to the next, are one ES module, in the order of the page: a
//   block goes on where the one above it ended. What was imported earlier on the page need not be imported again. So a
//   section runs by itself, with the page's imports. `###` headings divide nothing.
// - All that a section prints is told in it: a comment `// → …` for each printed line, in their order. A number there
//   stands for every number that rounds to it, and `…` for anything. Quotation marks, blanks and the names of typed arrays
//   (`Float64Array(2) [ 1, 2 ]` is `[1, 2]`) do not count.
// - A word after the language says where to run: `js gpu` on a GPU, or an emulated one; `js no-addon` where the native addon
//   cannot be loaded. All else runs on the CPU.
// - `ts` blocks are type-checked too.
// - Indented blocks are formulas, or commands, which are checked like those of `sh`.
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

import { root } from './node.js';

/** README.md, and all of docs/ but the API reference that typedoc writes there. */
export const pages: readonly string[] = [
  'README.md',
  ...readdirSync(path.join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md') && !name.startsWith(`api${path.sep}`))
    .map((name) => path.posix.join('docs', ...name.split(path.sep)))
    .sort(),
];

export function readPage(page: string): string {
  return readFileSync(path.join(root, page), 'utf8');
}

export interface Block {
  /** Of its first line in the page, from 1. */
  line: number;
  /** What is written behind the fence: 'js gpu'. Indented blocks have 'indented'. */
  kind: string;
  /** Of the section that it is in: the last heading `##`. */
  section: string;
  code: string;
}

export interface Heading {
  line: number;
  level: number;
  text: string;
}

/** A page without its code, whose lines are empty there, and the code. */
export interface Page {
  prose: string[];
  headings: Heading[];
  blocks: Block[];
}

const fence = /^ {0,3}(`{3,}|~{3,})\s*(.*)$/;

export function parse(text: string): Page {
  const prose: string[] = [];
  const headings: Heading[] = [];
  const blocks: Block[] = [];
  let open: { mark: string; block: Block; code: string[] } | undefined;
  let indented: { block: Block; code: string[] } | undefined;
  let section = '';
  let above = ''; // an indented line after text or in a list is text
  text.split('\n').forEach((content, index) => {
    const line = index + 1;
    const match = fence.exec(content);
    prose.push('');
    if (open !== undefined) {
      if (match !== null && match[1]!.startsWith(open.mark) && match[2] === '') {
        blocks.push({ ...open.block, code: open.code.join('\n') });
        open = undefined;
        above = '';
      } else open.code.push(content);
      return;
    }
    if (match !== null) {
      open = {
        mark: match[1]!,
        block: { line: line + 1, kind: match[2]!.trim(), section, code: '' },
        code: [],
      };
      return;
    }
    if (/^ {4}\S/.test(content) && (indented !== undefined || above === '')) {
      indented ??= { block: { line, kind: 'indented', section, code: '' }, code: [] };
      indented.code.push(content.slice(4));
      return;
    }
    if (indented !== undefined && content.trim() !== '') {
      blocks.push({ ...indented.block, code: indented.code.join('\n') });
      indented = undefined;
    }
    const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(content);
    if (heading !== null) {
      headings.push({ line, level: heading[1]!.length, text: heading[2]! });
      if (heading[1]!.length <= 2) section = heading[2]!;
    }
    prose[index] = content;
    above = content.trim();
  });
  if (open !== undefined) throw new Error(`the block at line ${open.block.line} has no end`);
  if (indented !== undefined) blocks.push({ ...indented.block, code: indented.code.join('\n') });
  return { prose, headings, blocks };
}

/** Where a module runs. */
export type Place = 'cpu' | 'gpu' | 'no-addon';

/** The code of a section, as a module. */
export interface Section {
  title: string;
  line: number;
  language: 'js' | 'ts';
  place: Place;
  source: string;
  /** What it says that it prints. */
  expected: string[];
}

const places: Record<string, Place> = { '': 'cpu', gpu: 'gpu', 'no-addon': 'no-addon' };

/** The modules of a page. @throws Error for a kind of block that nothing here knows what to do with */
export function sectionsOf({ blocks }: Page): Section[] {
  const imports = new Imports();
  const sections = new Map<string, Section>();
  for (const { line, kind, section, code } of blocks) {
    const [language = '', word = '', ...rest] = kind.split(/\s+/);
    if (['sh', 'console', 'text', 'indented'].includes(language) && word === '') continue;
    const place = places[word];
    if ((language !== 'js' && language !== 'ts') || place === undefined || rest.length > 0) {
      throw new Error(`line ${line}: nothing is known of blocks of the kind '${kind}'`);
    }
    const key = `${section} ${language} ${place}`;
    const own = imports.takeFrom(code);
    const found = sections.get(key);
    const expected = expectedLines(code);
    if (found === undefined) {
      sections.set(key, { title: section, line, language, place, source: own, expected });
    } else {
      found.source += `\n${own}`;
      found.expected.push(...expected);
    }
  }
  const header = imports.toString();
  return [...sections.values()].map((section) => ({ ...section, source: `${header}\n${section.source}\n` }));
}

/** The import statements of a page, each on one line, put together. */
class Imports {
  readonly #named = new Map<string, Set<string>>();
  readonly #whole = new Set<string>();

  /** Returns the code without them. */
  takeFrom(code: string): string {
    return code.replace(/^import (.+) from ('[^']+');$/gm, (statement, names: string, from: string) => {
      const list = /^\{ (.+) \}$/.exec(names);
      if (list === null) this.#whole.add(statement);
      else {
        const known = this.#named.get(from) ?? new Set<string>();
        for (const name of list[1]!.split(/,\s*/)) known.add(name);
        this.#named.set(from, known);
      }
      return '';
    });
  }

  toString(): string {
    const named = [...this.#named].map(
      ([from, names]) => `import { ${[...names].join(', ')} } from ${from};`,
    );
    return [...this.#whole, ...named].join('\n');
  }
}

function expectedLines(code: string): string[] {
  return [...code.matchAll(/\/\/ → ?(.*)$/gm)].map(([, text]) => text!);
}

/** Whether a printed line is what a page says that it is. */
export function agrees(expected: string, actual: string): boolean {
  const wanted = tokens(expected);
  const printed = tokens(actual);
  return matches(wanted, 0, printed, 0);
}

function matches(wanted: readonly string[], i: number, printed: readonly string[], j: number): boolean {
  if (i === wanted.length) return j === printed.length;
  if (wanted[i] === '…') {
    for (let next = j; next <= printed.length; next++) if (matches(wanted, i + 1, printed, next)) return true;
    return false;
  }
  return j < printed.length && sameToken(wanted[i]!, printed[j]!) && matches(wanted, i + 1, printed, j + 1);
}

const number = /^[-−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?$/;

/** Numbers, words and marks; quotation marks and blanks are dropped, and so are the names of typed arrays. */
function tokens(line: string): string[] {
  const plain = line.replace(/\b\w+Array\(\d+\) (?=\[)/g, '').replace(/['"`]/g, '');
  return plain.match(/(?<![\w.])[-−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w])|[\p{L}\p{N}_$]+|…|[^\s]/gu) ?? [];
}

/** A number stands for what rounds to it. */
function sameToken(wanted: string, printed: string): boolean {
  if (!number.test(wanted) || !number.test(printed)) return wanted === printed;
  const [value, actual] = [wanted, printed].map((text) => Number(text.replace('−', '-')));
  const [digits, exponent = '0'] = wanted.split('e');
  const decimals = digits!.split('.')[1]?.length ?? 0;
  // A whole number is exact but for rounding.
  const half = decimals === 0 && exponent === '0' ? 1e-6 : 0.5 * 10 ** (Number(exponent) - decimals);
  return Math.abs(actual! - value!) <= half * (1 + 1e-9);
}
