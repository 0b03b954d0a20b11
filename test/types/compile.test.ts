// Compiles users' programs against the package as packed, in projects of their own.
import { copyFileSync, cpSync, mkdirSync, realpathSync } from 'node:fs';
import path from 'node:path';

import ts from 'typescript';

import { install, packPackage, removePackage } from '../support/packed.js';
import type { Packed } from '../support/packed.js';

let packed: Packed;
/** A project with nothing but the package. */
let bare: string;
/** One with TensorFlow.js and the types of Node. */
let full: string;
beforeAll(() => {
  packed = packPackage();
  bare = realpathSync(packed.consumer);
  full = path.join(bare, '../full');
  mkdirSync(full);
  cpSync(packed.installed, path.join(full, 'node_modules/optnet'), { recursive: true });
  for (const name of ['node-gyp-build', '@types/node', '@tensorflow/tfjs']) install(full, name);
});
afterAll(() => removePackage(packed));

interface Compiled {
  /** Of the programs, and of all the declarations of ours that they use. */
  errors: string;
  /** These declarations. */
  declarations: string[];
}

/** Each of the programs as each kind of file. */
function compile(
  project: string,
  programs: string[],
  extensions: string[],
  options: ts.CompilerOptions,
): Compiled {
  const files = extensions.flatMap((extension) =>
    programs.map((name) => {
      const file = path.join(project, `${name}.${extension}`);
      copyFileSync(path.join(__dirname, `${name}.ts`), file);
      return file;
    }),
  );
  const settings: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    declaration: true,
    outDir: path.join(project, 'out'),
    types: [],
    ...options,
  };
  const program = ts.createProgram(
    [...files, path.join(__dirname, 'exactly.d.ts')],
    settings,
    readingOnce(settings),
  );
  // Mistakes in the declarations of TypeScript, of Node and of TensorFlow.js are not ours to find.
  const ours = program.getSourceFiles().filter(({ fileName }) => fileName.startsWith(`${project}/`));
  const diagnostics = [
    ...program.getOptionsDiagnostics(),
    ...program.getGlobalDiagnostics(),
    ...ours.flatMap((file) => [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
      ...(file.isDeclarationFile ? [] : program.getDeclarationDiagnostics(file)),
    ]),
  ];
  const host = {
    getCanonicalFileName: (name: string) => name,
    getCurrentDirectory: () => project,
    getNewLine: () => '\n',
  };
  return {
    errors: ts.formatDiagnostics(diagnostics, host),
    declarations: ours
      .map(({ fileName }) => path.relative(path.join(project, 'node_modules/optnet'), fileName))
      .filter((name) => !name.startsWith('..')),
  };
}

const parsed = new Map<string, ts.SourceFile | undefined>();

/** What others declare is the same in all programs. */
function readingOnce(settings: ts.CompilerOptions): ts.CompilerHost {
  const host = ts.createCompilerHost(settings);
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (file, version, ...rest) => {
    if (!file.endsWith('.d.ts') || file.includes('/optnet/')) return read(file, version, ...rest);
    const key = `${file} ${JSON.stringify(version)}`;
    if (!parsed.has(key)) parsed.set(key, read(file, version, ...rest));
    return parsed.get(key);
  };
  return host;
}

const { CommonJS, Node16, NodeNext, ESNext } = ts.ModuleKind;
// eslint-disable-next-line @typescript-eslint/no-deprecated -- but still in use
const { Bundler, Node10 } = ts.ModuleResolutionKind;
const forRequire = ['dist/index.d.ts', 'dist/tfjs.d.ts'];
const forImport = ['dist/index.d.mts', 'dist/tfjs.d.mts'];

test.each<[string, string[], ts.CompilerOptions, string[]]>([
  // What is imported re-exports what is required.
  ['CommonJS and ESM, in Node', ['cts', 'mts'], { module: Node16 }, [...forRequire, ...forImport]],
  [
    'what a bundler takes',
    ['ts'],
    { module: ESNext, moduleResolution: Bundler },
    [...forRequire, ...forImport],
  ],
  [
    'CommonJS as of old',
    ['ts'],
    { module: CommonJS, moduleResolution: Node10, ignoreDeprecations: '6.0' },
    forRequire,
  ],
])('programs compile, and wrong ones do not: %s', (_, extensions, options, entries) => {
  const settings = { ...options, types: ['node'] };
  const { errors, declarations } = compile(full, ['main', 'layer'], extensions, settings);
  expect(errors).toBe('');
  expect(declarations.filter((name) => [...forRequire, ...forImport].includes(name)).sort()).toEqual(
    entries.sort(),
  );
});

test('a program that has neither TensorFlow.js nor the types of Node compiles', () => {
  const { errors, declarations } = compile(bare, ['main'], ['cts', 'mts'], { module: NodeNext });
  expect(errors).toBe('');
  expect(declarations).toEqual(expect.arrayContaining(['dist/index.d.ts', 'dist/index.d.mts']));
});
