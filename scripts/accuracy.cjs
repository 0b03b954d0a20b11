'use strict';
// `node scripts/accuracy.cjs`, after `npm run build`: solves the problems of test/data/maros-meszaros and writes
// docs/accuracy.md.
const fs = require('node:fs');
const Module = require('node:module');
const path = require('node:path');
const prettier = require('prettier');
const ts = require('typescript');
const { root } = require('./setup/run.cjs');

const { marosMeszaros, measure } = requireTypeScript('test/support/maros-meszaros.ts');

const columns = [
  ['problem', ({ name }) => name],
  ['n', ({ problem }) => problem.n],
  ['rows', ({ problem }) => problem.m + problem.q],
  ['status', ({ status }) => status],
  ['iterations', ({ iterations }) => iterations],
  ['primal', ({ primal }) => scientific(primal)],
  ['dual', ({ dual }) => scientific(dual)],
  ['gap', ({ gap }) => scientific(gap)],
  ['objective error', ({ objectiveError }) => scientific(objectiveError)],
  ['margin', ({ margin }) => scientific(margin)],
  ['derivative', ({ derivative }) => derivative],
];

const rows = marosMeszaros().map((one) => ({ ...one, ...measure(one) }));
const solved = rows.filter(({ status }) => status === 'solved');
const most = (name) => scientific(Math.max(...solved.map((row) => row[name])));
const table = [
  columns.map(([title]) => title),
  columns.map(() => '---'),
  ...rows.map((row) => columns.map(([, value]) => String(value(row)))),
]
  .map((cells) => `| ${cells.join(' | ')} |`)
  .join('\n');

write(path.join(root, 'docs', 'accuracy.md'));

async function write(file) {
  const text = `# Accuracy

The problems of the Maros–Mészáros test set with at most 200 variables and 1000 rows, each solved at the default settings.
Written by \`node scripts/accuracy.cjs\`.

Residuals are scaled as the tolerance, 1e-8, is: each is divided by its unit + 0.1 × the size of what it is the difference of, and
computed from the data, apart from the solver. The objective's error is relative to the known objective, absolute where that is
below 0.01. The margin is the least max(λᵢ, sᵢ): how far the active set is from changing. \`derivative\` says what gradients are
those of.

${solved.length} of ${rows.length} are solved; the largest residuals of these are ${most('primal')} (primal), ${most('dual')} (dual) and
${most('gap')} (gap), and the largest error of the objective is ${most('objectiveError')}.

${table}
`;
  const style = await prettier.resolveConfig(file);
  fs.writeFileSync(file, await prettier.format(text, { ...style, filepath: file }));
  console.log(`${path.relative(root, file)}: ${solved.length} of ${rows.length} solved`);
}

function scientific(value) {
  return value === 0 ? '0' : value.toExponential(1);
}

/** A TypeScript module of the repository, and those that it imports, compiled in memory. */
function requireTypeScript(name) {
  const compilerOptions = {
    module: ts.ModuleKind.CommonJS,
    target: ts.ScriptTarget.ES2023,
    esModuleInterop: true,
  };
  require.extensions['.ts'] = (module, file) => {
    const { outputText } = ts.transpileModule(fs.readFileSync(file, 'utf8'), {
      compilerOptions,
      fileName: file,
    });
    module._compile(outputText, file);
  };
  // Sources import each other by the names that they are compiled to.
  const resolve = Module._resolveFilename;
  Module._resolveFilename = (request, parent, ...rest) => {
    const source = request.replace(/\.js$/, '.ts');
    const isSource =
      request.startsWith('.') &&
      source !== request &&
      parent?.filename?.endsWith('.ts') &&
      fs.existsSync(path.resolve(path.dirname(parent.filename), source));
    return resolve(isSource ? source : request, parent, ...rest);
  };
  return require(path.join(root, name));
}
