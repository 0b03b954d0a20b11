/** @type {import('jest').Config} */
module.exports = {
  testEnvironment: 'node',
  roots: ['<rootDir>/test'],
  testMatch: ['**/*.test.ts'],
  transform: {
    '^.+\\.ts$': ['ts-jest', { tsconfig: 'test/tsconfig.json', diagnostics: { ignoreCodes: [151002] } }],
  },
  // Sources import each other by the names that they are compiled to.
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  modulePathIgnorePatterns: ['<rootDir>/dist', '<rootDir>/build', '<rootDir>/prebuilds', '<rootDir>/.gpu'],
  globalSetup: '<rootDir>/test/support/compile.cjs',
  testTimeout: 30_000,
  // Some tests measure how late timers fire, and the solver takes every core by itself.
  maxWorkers: 1,
};
