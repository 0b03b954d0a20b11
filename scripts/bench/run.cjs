'use strict';
// `npm run bench`: how fast the solver is, on random problems as the paper's code draws them.
//   --quick           fewer and shorter rounds
//   --qpth DIR        also runs the paper's own batched solver on the paper's shape, on this CPU: DIR holds the Python
//                     package qpth, and python3 has PyTorch (--python-path adds the folder that it is in)
//   --prototype DIR   also compares with another solver: DIR/main.cpp, which prints lines such as
//                     (100,100, 0)x128     pack-dual       39.272      3259 …     (shape, name, ms, problems a second)
// Machines are shared and noisy, so all that is compared is measured in turn, several rounds of it. Times are the best
// of all rounds; ratios are the median over the rounds of the ratio within one.
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { parseArgs } = require('node:util');
const { setup } = require('../setup.cjs');
const { build, longStep } = require('../setup/progress.cjs');
const { root, run, SetupError, step } = require('../setup/run.cjs');

const shapes = [
  { n: 10, m: 10, q: 0, batch: 1024 },
  { n: 32, m: 64, q: 8, batch: 1024 },
  { n: 64, m: 64, q: 40, batch: 152 },
  { n: 100, m: 100, q: 0, batch: 128 },
  { n: 100, m: 50, q: 50, batch: 128 },
  { n: 500, m: 500, q: 0, batch: 8 },
  { n: 50, m: 0, q: 0, batch: 512, box: true },
];
const buildFolder = path.join(root, '.cache', 'bench');

async function buildBench(instructionSet) {
  await longStep('Building the benchmark', async (progress) => {
    const options = [
      '-DCMAKE_BUILD_TYPE=Release',
      '-DOPTNET_BENCH=ON',
      '-DOPTNET_CUDA=OFF', // it measures the CPU
      `-DOPTNET_INSTRUCTION_SETS=${instructionSet}`,
    ];
    run('cmake', ['-S', '.', '-B', buildFolder, ...options]);
    await build(buildFolder, ['--target', 'optnet_bench'], progress);
  });
  return path.join(buildFolder, 'scripts', 'bench', 'native', 'optnet_bench');
}

function buildPrototype(folder, instructionSet) {
  const target = {
    avx512: ['-march=x86-64-v4', '-mprefer-vector-width=512'],
    avx2: ['-march=x86-64-v3', '-DLANES=4'],
  }[instructionSet];
  if (target === undefined)
    throw new SetupError(`The prototype needs AVX2; this machine runs ${instructionSet}.`);
  const executable = path.join(buildFolder, 'prototype');
  const flags = ['-O3', '-std=c++20', ...target, '-mtune=znver3', '-ffp-contract=fast', '-fno-math-errno'];
  step('Building the prototype', () =>
    run('g++', [...flags, path.join(path.resolve(folder), 'main.cpp'), '-o', executable]),
  );
  return executable;
}

/** Problems a second of the prototype at shapes by their label: the better of its two layouts. */
function parsePrototype(output) {
  const best = new Map();
  for (const line of output.split('\n')) {
    const match = /^\(\s*(\d+),\s*(\d+),\s*(\d+)\)x(\d+)\s+(?:pack|block)-dual\s+([\d.]+)\s/.exec(line);
    if (match === null) continue;
    const key = match.slice(1, 5).join();
    best.set(key, Math.min(best.get(key) ?? Infinity, Number(match[5])));
  }
  return best;
}

const keyOf = ({ n, m, q, batch, box }) => [n, m, q, batch, ...(box ? ['box'] : [])].join();
const median = (values) => {
  const sorted = values.toSorted((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

/** Of the shape of the paper's figure 2, in ms: its batched solver on a Titan X. */
const paper = { n: 100, m: 100, q: 0, batch: 128, ms: 180 };

/** How the paper's time compares with the best of these rounds on two threads. */
function beside(rounds) {
  const best = Math.min(...rounds.map(({ two }) => two.forward));
  const { n, m, q, batch, ms } = paper;
  return (
    `(${n}, ${m}, ${q}) × ${batch} on two threads: ${best.toFixed(1)} ms, ${Math.round(ms / best)} times as fast as ` +
    `the paper's batched solver (${ms / 1000} s on a Titan X GPU)`
  );
}

/** The prototype's numbers for its shapes: it takes the index of one, which is found by asking for each once. */
function prototypeIndices(executable) {
  const indices = new Map();
  for (let index = 0; indices.size < shapes.length && index < 9; index++) {
    for (const key of parsePrototype(execFileSync(executable, [`${index}`], { encoding: 'utf8' })).keys()) {
      if (shapes.some((shape) => keyOf(shape) === key)) indices.set(key, `${index}`);
    }
  }
  return indices;
}

function measure(shape, { bench, prototype, index, data, seconds }) {
  const json = (command, args) => JSON.parse(execFileSync(command, args, { cwd: root, encoding: 'utf8' }));
  const native = (threads) =>
    json(bench, ['--json', '--seconds', `${seconds}`, '--threads', `${threads}`, keyOf(shape)]);
  const { n, m, q, batch, box } = shape;
  const javascript = path.join(__dirname, 'javascript.cjs');
  const sizes = [n, m, q, batch, seconds, 1, ...(box ? ['box'] : [])].map(String);
  return {
    prototype:
      index && parsePrototype(execFileSync(prototype, [index], { encoding: 'utf8' })).get(keyOf(shape)),
    one: native(1),
    javascript: json(process.execPath, [javascript, data, ...sizes]),
    two: native(2),
  };
}

function row(shape, rounds) {
  const { n, m, q, batch, box } = shape;
  const best = Math.min(...rounds.map(({ one }) => one.forward));
  const ratio = (value) => median(rounds.map(value));
  const cells = {
    '(n, m, q) × batch': `${box ? `n = ${n} in a box` : `(${n}, ${m}, ${q})`} × ${batch}`,
    ms: best.toFixed(2),
    'problems/s': Math.round((1000 * batch) / best).toString(),
    iterations: rounds[0].one.iterations.toFixed(1),
    backward: `${(100 * ratio(({ one }) => one.backward / one.forward)).toFixed(1)} %`,
    '2 threads': `${ratio(({ one, two }) => one.forward / two.forward).toFixed(2)}×`,
    'JS sync': `${(100 * ratio(({ one, javascript }) => javascript.sync / one.forward)).toFixed(0)} %`,
    'JS async': `${(100 * ratio(({ one, javascript }) => javascript.async / one.forward)).toFixed(0)} %`,
  };
  if (rounds[0].prototype !== undefined) {
    cells['vs prototype'] = `${ratio(({ one, prototype }) => prototype / one.forward).toFixed(2)}×`;
  }
  return cells;
}

function table(rows) {
  const names = Object.keys(rows[0]);
  const lines = [names, ...rows.map((cells) => names.map((name) => cells[name] ?? '–'))];
  const widths = names.map((_, i) => Math.max(...lines.map((cells) => cells[i].length)));
  const print = (cells) =>
    cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  ');
  const rule = widths.map((width) => '─'.repeat(width));
  return `${[names, rule, ...lines.slice(1)].map(print).join('\n')}\n`;
}

/** A line on qpth, with as many threads as there are cores, and on us with the same problems, in turn. */
function besideQpth({ data, seconds, folder, qpth, pythonPath }) {
  const { n, m, q, batch } = paper;
  const header = Buffer.from(BigInt64Array.from([n, m, q, batch, batch].map(BigInt)).buffer);
  fs.writeFileSync(path.join(folder, 'paper.problems'), Buffer.concat([header, fs.readFileSync(data)]));
  const paths = [qpth, ...(pythonPath ? [pythonPath] : [])].flatMap((each) => ['--path', path.resolve(each)]);
  const peers = [
    path.join(__dirname, 'peers.py'),
    folder,
    '--peers',
    'qpth',
    '--device',
    'cpu',
    '--seconds',
    '5',
  ];
  const javascript = [
    path.join(__dirname, 'javascript.cjs'),
    data,
    ...[n, m, q, batch, seconds, 0].map(String),
  ];
  const rounds = Array.from({ length: 3 }, () => {
    const [line] = execFileSync('python3', [...peers, ...paths], { encoding: 'utf8' }).split('\n');
    if (!line) throw new SetupError('qpth or PyTorch cannot be imported.');
    const theirs = JSON.parse(line);
    if (theirs.error) throw new SetupError(`qpth: ${theirs.error}`);
    const ours = JSON.parse(execFileSync(process.execPath, javascript, { cwd: root, encoding: 'utf8' }));
    return { theirs: theirs.forward, ours: ours.async };
  });
  const [theirs, ours] = ['theirs', 'ours'].map((name) => Math.min(...rounds.map((round) => round[name])));
  const times = median(rounds.map((round) => round.theirs / round.ours));
  return (
    `(${n}, ${m}, ${q}) × ${batch}, float64, to 1e-8, on all cores of this CPU: the paper's solver, qpth, ` +
    `${theirs.toFixed(0)} ms; ours from JavaScript ${ours.toFixed(1)} ms: ${times.toFixed(0)} times as fast`
  );
}

async function main() {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean' },
      prototype: { type: 'string' },
      qpth: { type: 'string' },
      'python-path': { type: 'string' },
    },
  });
  await setup({ here: true });
  const { instructionSet } = require('optnet').devices()[0];
  const bench = await buildBench(instructionSet);
  const prototype = values.prototype && buildPrototype(values.prototype, instructionSet);
  const indices = prototype ? prototypeIndices(prototype) : new Map();
  const [count, seconds] = values.quick ? [3, 0.15] : [7, 0.4];

  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'optnet-bench-'));
  try {
    const contexts = shapes.map((shape) => {
      const data = path.join(folder, keyOf(shape));
      execFileSync(bench, ['--dump', data, keyOf(shape)]);
      return { bench, prototype, index: indices.get(keyOf(shape)), data, seconds };
    });
    const rounds = shapes.map(() => []);
    step(`Measuring ${count} rounds`, () => {
      for (let round = 0; round < count; round++) {
        shapes.forEach((shape, i) => rounds[i].push(measure(shape, contexts[i])));
      }
    });
    process.stdout.write(
      `${instructionSet}, float64, tolerance 1e-8, one thread. backward, JS: of the time of a forward pass in C++.\n\n`,
    );
    process.stdout.write(table(shapes.map((shape, i) => row(shape, rounds[i]))));
    const index = shapes.findIndex((shape) => keyOf(shape) === keyOf(paper));
    process.stdout.write(`\n${beside(rounds[index])}\n`);
    if (values.qpth !== undefined) {
      const peer = { folder, qpth: values.qpth, pythonPath: values['python-path'] };
      process.stdout.write(`${besideQpth({ ...contexts[index], ...peer })}\n`);
    }
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

main().catch((error) => {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
