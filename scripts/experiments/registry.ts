import { denoising } from './denoising/experiment.js';
import { layerTiming } from './layer-timing/experiment.js';
import { mnist } from './mnist/experiment.js';
import { representation } from './representation/experiment.js';
import type { Experiment } from './runner/experiment.js';
import { solverTiming } from './solver-timing/experiment.js';
import { sudoku } from './sudoku/experiment.js';

export const EXPERIMENTS: readonly Experiment[] = [
  denoising,
  sudoku,
  mnist,
  solverTiming,
  layerTiming,
  representation,
];
