import js from '@eslint/js';
import { defineConfig } from 'eslint/config';
import tseslint from 'typescript-eslint';

const node = {
  Buffer: 'readonly',
  __dirname: 'readonly',
  console: 'readonly',
  module: 'writable',
  performance: 'readonly',
  process: 'readonly',
  require: 'readonly',
};

export default defineConfig(
  {
    ignores: [
      'dist/',
      'build/',
      'prebuilds/',
      'coverage/',
      'runs/',
      '.cache/',
      '.gpu/',
      'gpu-check-out/',
      'docs/api/',
    ],
  },
  js.configs.recommended,
  {
    files: ['**/*.{ts,mts}'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      // Elements of arrays within their bounds, all over numerical code.
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  {
    files: ['lib/*.ts'],
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: '^node:',
              allowTypeImports: true,
              message: 'In a bundle it may throw: lib/builtins.ts.',
            },
          ],
        },
      ],
    },
  },
  { files: ['**/*.cjs'], languageOptions: { sourceType: 'commonjs', globals: node } },
);
