import type { Random } from '../random.js';
import type { Arrays, Tally, Task } from '../runner/training.js';
import { add, emptyTally } from '../runner/training.js';
import { Parameters, tf } from '../tensorflow.js';
import { decode, encode, keepsGivens, obeysRules, SIDE, VARIABLES } from './board.js';
import { convolve } from './convolution.js';
import type { Game, Games } from './games.js';

/** Convolutions with ReLU; one more, to a channel for each digit, comes after them. */
const LAYERS = 10;

const TEST_BATCH = 250;

/**
 * What the paper compares its Sudoku layer with (section 4.4): a convolutional network from a puzzle to the likelihoods
 * of the digits of each cell. Ten layers of 3×3 filters, 512 of them in the paper, see all of a board from each of its cells.
 */
export class ConvNetTask implements Task {
  readonly #games: Games;
  readonly #parameters: Parameters<string>;

  constructor(filters: number, games: Games, random: Random) {
    this.#games = games;
    this.#parameters = new Parameters(initial(filters, random));
  }

  get examples(): number {
    return this.#games.train.length;
  }

  trainOn(indices: Uint32Array, rate: number): Tally {
    const games = Array.from(indices, (i) => this.#games.train[i]!);
    const wanted = encoded(games, 'solution');
    let measured = emptyTally();
    this.#parameters.minimize(() => {
      const boards = this.#boards(games);
      measured = tally(games, wanted, boards.dataSync<'float32'>());
      return tf.losses.meanSquaredError(tf.tensor(wanted, boards.shape), boards).asScalar();
    }, rate);
    return measured;
  }

  test(): Tally {
    const { test } = this.#games;
    let sum = emptyTally();
    for (let start = 0; start < test.length; start += TEST_BATCH) {
      const games = test.slice(start, start + TEST_BATCH);
      const boards = tf.tidy(() => this.#boards(games).dataSync<'float32'>());
      sum = add(sum, tally(games, encoded(games, 'solution'), boards));
    }
    return sum;
  }

  save(): Arrays {
    return this.#parameters.save();
  }

  load(arrays: Arrays): void {
    this.#parameters.load(arrays);
  }

  dispose(): void {
    this.#parameters.dispose();
  }

  /** Likelihoods of digits [games, row, column, digit]. */
  #boards(games: readonly Game[]): tf.Tensor4D {
    const { tensors } = this.#parameters;
    // Digits are the channels.
    let values = tf.tensor4d(encoded(games, 'puzzle'), [games.length, SIDE, SIDE, SIDE]);
    for (let layer = 0; layer <= LAYERS; layer++) {
      values = convolve(values, tensors[`filters${layer}`] as tf.Tensor4D).add(tensors[`bias${layer}`]!);
      if (layer < LAYERS) values = tf.relu(values);
    }
    return tf.softmax(values);
  }
}

/** Filters uniform with variance 2/(9·in) (He et al., 2015), so that ten layers neither shrink nor blow up what passes. */
function initial(filters: number, random: Random) {
  const parameters: Record<string, { shape: number[]; data: Float32Array }> = {};
  for (let layer = 0; layer <= LAYERS; layer++) {
    const inputs = layer === 0 ? SIDE : filters;
    const outputs = layer === LAYERS ? SIDE : filters;
    const shape = [3, 3, inputs, outputs];
    const bound = Math.sqrt(6 / (9 * inputs));
    const data = Float32Array.from(
      { length: 9 * inputs * outputs },
      () => bound * (2 * random.uniform() - 1),
    );
    parameters[`filters${layer}`] = { shape, data };
    parameters[`bias${layer}`] = { shape: [outputs], data: new Float32Array(outputs) };
  }
  return parameters;
}

/** [games, row, column, digit] */
function encoded(games: readonly Game[], which: 'puzzle' | 'solution'): Float32Array {
  const values = new Float64Array(games.length * VARIABLES);
  games.forEach((game, i) => encode(game[which], values, i * VARIABLES));
  return Float32Array.from(values);
}

/** The scores of the Sudoku layer: mean squared error over 64 values, rules broken, rules broken or givens changed. */
function tally(games: readonly Game[], wanted: Float32Array, found: Float32Array): Tally {
  const values = Float64Array.from(found);
  const squares = values.reduce((total, value, i) => total + (value - wanted[i]!) ** 2, 0);
  const boards = games.map((_, i) => decode(values, i * VARIABLES));
  const broken = boards.map((board) => !obeysRules(board));
  const wrong = boards.map((board, i) => broken[i]! || !keepsGivens(board, games[i]!.puzzle));
  return {
    examples: games.length,
    sums: { loss: squares / VARIABLES, error: count(broken), strictError: count(wrong) },
  };
}

const count = (flags: readonly boolean[]): number => flags.filter(Boolean).length;
