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
  // No test is about time. This ends those that hang, however slow or busy the machine is.
  testTimeout: 600_000,
  // The solver takes every core by itself.
  maxWorkers: 1,
};
