import { readFileSync } from 'node:fs';

import { UsageError } from '../usage.js';
import { keepsGivens, obeysRules, parseBoard } from './board.js';
import type { Game } from './games.js';

const HEADER = 'quizzes,solutions';
const FEWEST_GAMES = 10;

/** Reads games from a file with the header `quizzes,solutions`, 16 digits each, 0 for a blank. */
export function readGames(file: string): Game[] {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    throw new UsageError(
      `${file}: cannot be read (${(error as NodeJS.ErrnoException).code ?? String(error)})`,
    );
  }
  return parseGames(text, file);
}

export function parseGames(text: string, file: string): Game[] {
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/);
  while (lines.at(-1) === '') lines.pop();
  const fail = (line: number, what: string): never => {
    throw new UsageError(`${file}:${line}: ${what}`);
  };
  if (lines[0] !== HEADER) fail(1, `expected the header '${HEADER}', found '${excerpt(lines[0] ?? '')}'`);

  const games = lines.slice(1).map((line, i) => {
    const match = /^([0-4]{16}),([1-4]{16})$/.exec(line);
    if (!match) {
      return fail(i + 2, `expected 16 digits 0–4, a comma and 16 digits 1–4, found '${excerpt(line)}'`);
    }
    const puzzle = parseBoard(match[1] ?? '');
    const solution = parseBoard(match[2] ?? '');
    if (!obeysRules(solution)) fail(i + 2, `the solution ${match[2] ?? ''} breaks a rule of Sudoku`);
    if (!keepsGivens(solution, puzzle)) fail(i + 2, 'the solution changes a digit of its quiz');
    return { puzzle, solution };
  });
  if (games.length < FEWEST_GAMES) {
    throw new UsageError(`${file}: ${games.length} games, expected at least ${FEWEST_GAMES}`);
  }
  return games;
}

function excerpt(line: string): string {
  return line.length > 60 ? `${line.slice(0, 57)}...` : line;
}
