// The JavaScript tests with CUDA as the device: on the addon whose GPU is emulated, which the C++ tests build.
const base = require('./jest.config.cjs');

/** @type {import('jest').Config} */
module.exports = {
  ...base,
  globalSetup: '<rootDir>/test/support/emulated.cjs',
  // What needs no device, or is not about this one.
  testPathIgnorePatterns: [
    '/test/cli/', // its tests choose the addon themselves
    '/test/cuda/',
    '/test/(docs|experiments|package|setup|types)/',
    '/test/sudoku/(?!training)',
    '/test/instruction-sets',
  ],
  maxWorkers: '100%',
  testTimeout: 1_800_000, // each barrier of each emulated thread takes its time
};
