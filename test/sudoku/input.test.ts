import { parseGames } from '../../scripts/experiments/sudoku/csv.js';
import { parseOptions } from '../../scripts/experiments/sudoku/options.js';
import { UsageError } from '../../scripts/experiments/usage.js';

const GAME = '1000040020000020,1234341221434321';
const file = (...games: string[]): string => ['quizzes,solutions', ...games, ''].join('\n');
const ten = Array.from({ length: 10 }, () => GAME);

describe('a file of games', () => {
  test('is read, with the line ends and the byte-order mark that other systems write', () => {
    expect(parseGames(file(...ten), 'f.csv')).toHaveLength(10);
    expect(parseGames('\uFEFF' + file(...ten).replace(/\n/g, '\r\n'), 'f.csv')).toHaveLength(10);
    expect(parseGames(file(...ten), 'f.csv')[0]!.puzzle.join('')).toBe('1000040020000020');
  });

  test.each([
    [
      'no header',
      ten.join('\n'),
      "f.csv:1: expected the header 'quizzes,solutions', found '1000040020000020,123434",
    ],
    ['nothing', '', 'f.csv:1: expected the header'],
    [
      'a short line',
      file(...ten, '1,2'),
      "f.csv:12: expected 16 digits 0–4, a comma and 16 digits 1–4, found '1,2'",
    ],
    ['a digit too large', file(GAME.replace('1', '5'), ...ten), 'f.csv:2: expected 16 digits'],
    ['an empty line', file(GAME, '', ...ten), 'f.csv:3: expected 16 digits'],
    ['a third column', file(GAME, `${GAME},1`), 'f.csv:3: expected 16 digits'],
    [
      'an invalid solution',
      file(GAME.replace(',1', ',2')),
      'f.csv:2: the solution 2234341221434321 breaks a rule',
    ],
    ['another puzzle', file(GAME.replace('1', '2')), 'f.csv:2: the solution changes a digit of its quiz'],
    ['too few games', file(GAME), 'f.csv: 1 games, expected at least 10'],
  ])('with %s is refused, in one line that says where', (_, text, message) => {
    const read = () => parseGames(text, 'f.csv');
    expect(read).toThrow(UsageError);
    expect(read).toThrow(message);
    expect(read).not.toThrow('\n');
  });
});

describe('the command line', () => {
  test('has the defaults of the main job', () => {
    expect(parseOptions([])).toMatchObject({
      epochs: 10,
      seed: 1,
      batch: 150,
      learningRate: 0.1,
      device: 'auto',
    });
  });

  test('sets them', () => {
    const args = '--epochs 3 --seed=7 --batch 10 --lr 0.05 --device cpu --threads 2 --out x'.split(' ');
    expect(parseOptions(args)).toMatchObject({
      epochs: 3,
      seed: 7,
      batch: 10,
      learningRate: 0.05,
      threads: 2,
      out: 'x',
    });
  });

  test('asks for help', () => {
    expect(parseOptions(['--help'])).toBeUndefined();
  });

  test.each([
    ['--epoch 3', "Unknown option '--epoch'"],
    ['--epochs', '--epochs'],
    ['--epochs 0', '--epochs 0: expected an integer ≥ 1'],
    ['--epochs 1.5', '--epochs 1.5: expected an integer ≥ 1'],
    ['--seed 4294967296', '--seed 4294967296: expected an integer 0–4294967295'],
    ['--lr fast', '--lr fast: expected a number > 0'],
    ['--lr 0', '--lr 0: expected a number > 0'],
    ['games.csv', 'games.csv'],
    ['--resume c.json --seed 2', '--seed cannot be given with --resume'],
  ])('%s is refused in one line', (args, message) => {
    const parse = () => parseOptions(args.split(' '));
    expect(parse).toThrow(UsageError);
    expect(parse).toThrow(message);
    expect(parse).not.toThrow('\n');
  });
});
