import type { Experiment } from './runner/experiment.js';
import { denoising } from './denoising/experiment.js';
import { sudoku } from './sudoku/experiment.js';

/** In the order of the paper. */
export const EXPERIMENTS: readonly Experiment[] = [denoising, sudoku];
