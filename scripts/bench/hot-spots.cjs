'use strict';
// Where a kernel spends its time, as a short text, from what Nsight Compute has exported of one profile:
//   node scripts/bench/hot-spots.cjs SOURCE.csv [DETAILS.csv]
// SOURCE.csv: ncu --import REPORT --page source --csv --print-source sass; DETAILS.csv: the same with --page details.
// Samples are times at which a warp was looked at, and what it was waiting for; instructions are those of warps.
const fs = require('node:fs');

/** Of the details: what bounds the kernel, and how full the GPU is. By the names that Nsight Compute gives them. */
const DETAILS = [
  'Duration',
  'Registers Per Thread',
  'Dynamic Shared Memory Per Block',
  'Local Memory Spilling Requests',
  'Achieved Occupancy',
  'Issue Slots Busy',
  'Executed Ipc Active',
  'No Eligible',
  'DRAM Throughput',
  'L1/TEX Hit Rate',
  'L2 Hit Rate',
];

/** Opcodes by what they are for; the first that matches. */
const KINDS = [
  ['float64', /^D(FMA|MUL|ADD|MMA|SETP)$/],
  ['float32', /^(F(FMA|MUL|ADD|SETP|SEL|MNMX|CHK)|HMMA|MUFU|F2F|F2I|I2F)/],
  ['local memory', /^(LDL|STL)/],
  ['shared memory', /^(LDS|STS|ATOMS|LDSM)/],
  ['generic memory', /^(LD|ST|ATOM)$/],
  ['global memory', /^(LDG|STG|ATOMG|RED|LDGSTS)/],
  ['constants', /^(LDC|ULDC)/],
  ['shuffles and votes', /^(SHFL|VOTE|REDUX|MATCH)/],
  ['barriers', /^(BAR|WARPSYNC|BSYNC|BSSY|DEPBAR|MEMBAR|YIELD|NANOSLEEP)/],
  ['calls and branches', /^(CALL|RET|BRA|BRX|JMP|EXIT|BREAK|BMOV)/],
  [
    'integers and addresses',
    /^(U?I|U?LEA|VI|U?SHF|U?LOP|U?SEL|R2UR|U?PRMT|U?SGXT|U?P(LOP|2R)|R2P|LOP|SHL|SHR|POPC|FLO|UF|VABS)/,
  ],
  ['moves', /^(U?MOV|S2R|S2UR|CS2R)/],
];

/** Rows of fields: quoted or not, with doubled quotes within quotes, and lines ended by \n or \r\n. */
function parseCsv(text) {
  const rows = [];
  let row = [];
  const field = /("(?:[^"]|"")*"|[^,\r\n]*)(,|\r?\n|$)/y;
  while (field.lastIndex < text.length) {
    const [, value, end] = field.exec(text);
    row.push(value.startsWith('"') ? value.slice(1, -1).replaceAll('""', '"') : value);
    if (end === ',') continue;
    rows.push(row);
    row = [];
  }
  return rows;
}

/** The rows under the header that has these columns, whatever stands before it, as objects. */
function table(text, columns) {
  const rows = parseCsv(text);
  const start = rows.findIndex((row) => columns.every((column) => row.includes(column)));
  if (start < 0) throw new Error(`there is no line with the columns ${columns.join(', ')}`);
  const names = rows[start];
  return rows
    .slice(start + 1)
    .filter((row) => row.length === names.length)
    .map((row) => Object.fromEntries(names.map((name, i) => [name, row[i]])));
}

const numberOf = (text) => Number((text ?? '').replaceAll(',', '')) || 0;

/** '@!P0 DFMA.RN R2, …' is a DFMA. */
const opcodeOf = (source) => /^(?:@!?U?P\w+\s+)?([A-Z0-9_]+)/.exec(source.trim())?.[1] ?? '?';
const kindOf = (opcode) => KINDS.find(([, pattern]) => pattern.test(opcode))?.[0] ?? 'others';

class Tally {
  counts = new Map();
  total = 0;
  add(name, count) {
    this.counts.set(name, (this.counts.get(name) ?? 0) + count);
    this.total += count;
  }
  /** 'DFMA 12 %, …' of the largest. */
  text(most) {
    return [...this.counts]
      .filter(([, count]) => count > 0)
      .sort(([, a], [, b]) => b - a)
      .slice(0, most)
      .map(([name, count]) => `${name} ${percent(count, this.total)}`)
      .join(', ');
  }
}

const percent = (part, whole) => `${((100 * part) / (whole || 1)).toFixed(part < 0.0995 * whole ? 1 : 0)} %`;

function instructionsOf(text) {
  return table(text, ['Source', '# Samples', 'Instructions Executed']).map((row, index) => ({
    index,
    opcode: opcodeOf(row.Source),
    source: row.Source.trim().replace(/\s+/g, ' '),
    samples: numberOf(row['# Samples']),
    executed: numberOf(row['Instructions Executed']),
    stalls: Object.entries(row).flatMap(([name, value]) =>
      /^stall_/.test(name) && !/not.?issued/i.test(name) && numberOf(value) > 0
        ? [[name.slice('stall_'.length).replaceAll('_', ' '), numberOf(value)]]
        : [],
    ),
  }));
}

function tallies(instructions) {
  const [stalls, samples, executed, kinds] = Array.from({ length: 4 }, () => new Tally());
  for (const each of instructions) {
    samples.add(each.opcode, each.samples);
    executed.add(each.opcode, each.executed);
    kinds.add(kindOf(each.opcode), each.executed);
    for (const [name, count] of each.stalls) stalls.add(name, count);
  }
  return { stalls, samples, executed, kinds };
}

/** Stretches of code that are executed equally often, within a quarter, most samples first. A loop's body is one. */
function stretches(instructions, most) {
  const found = [];
  for (const each of instructions) {
    const last = found.at(-1);
    const like = last && Math.abs(last.times - each.executed) <= last.times / 4;
    if (like) last.instructions.push(each);
    else found.push({ times: each.executed, instructions: [each] });
  }
  return found
    .map((stretch) => ({ ...stretch, ...tallies(stretch.instructions) }))
    .sort((a, b) => b.samples.total - a.samples.total)
    .slice(0, most);
}

function stretchText({ instructions, times, samples, stalls, kinds }, all) {
  const [first, last] = [instructions[0].index, instructions.at(-1).index];
  return (
    `  ${first}–${last}: ${percent(samples.total, all)} of samples, ${times} times each; ` +
    `${kinds.text(3)}; ${stalls.text(2)}`
  );
}

function detailsText(text) {
  const rows = table(text, ['Metric Name', 'Metric Value']);
  const found = DETAILS.flatMap((name) => {
    const row = rows.find((each) => each['Metric Name'] === name);
    return row ? [`${name} ${row['Metric Value']} ${row['Metric Unit'] ?? ''}`.trim()] : [];
  });
  return found.join('; ');
}

function hotSpots(source, details) {
  const instructions = instructionsOf(source);
  const { stalls, samples, executed, kinds } = tallies(instructions);
  const hottest = instructions.toSorted((a, b) => b.samples - a.samples).slice(0, 5);
  return [
    ...(details === undefined ? [] : [detailsText(details)]),
    `${instructions.length} instructions of machine code; ${executed.total.toExponential(2)} executed, ${samples.total} samples`,
    `stalls: ${stalls.text(8)}`,
    `executed, by kind: ${kinds.text(10)}`,
    `executed, by opcode: ${executed.text(10)}`,
    `samples, by opcode: ${samples.text(8)}`,
    'stretches that are executed equally often:',
    ...stretches(instructions, 6).map((stretch) => stretchText(stretch, samples.total)),
    'single instructions:',
    ...hottest.map(
      (each) => `  ${each.index}: ${percent(each.samples, samples.total)} ${each.source.slice(0, 60)}`,
    ),
  ].join('\n');
}

if (require.main === module) {
  const [source, details] = process.argv.slice(2).map((file) => fs.readFileSync(file, 'utf8'));
  console.log(hotSpots(source, details));
}

module.exports = { hotSpots };
