'use strict';
// docs/gpu-kernels.md: the kernels' resources as tables.

/** From what docs/gpu-kernels.json holds. */
function document({ compiler, numbers, kernels, plans }) {
  const found = Object.entries(kernels).flatMap(([kernel, targets]) =>
    Object.entries(targets).map(([target, values]) => ({
      kernel,
      target,
      ...Object.fromEntries(numbers.map((name, i) => [name, values[i]])),
    })),
  );
  const targets = [...new Set(found.map(({ target }) => target))].sort(byNumber);
  const spilling = found.filter(({ spillStores, spillLoads }) => spillStores + spillLoads > 0);
  const row = (kernel) => {
    const own = found.filter((one) => one.kernel === kernel);
    const shared = bytes(Math.max(...own.map((one) => one.shared)));
    return [
      `\`${kernel}\``,
      shared,
      ...targets.map((target) => registers(own.find((one) => one.target === target))),
    ];
  };
  const length = (kernel) => [
    `\`${kernel}\``,
    ...targets.map(
      (target) => found.find((one) => one.kernel === kernel && one.target === target)?.instructions ?? '–',
    ),
  ];
  return [
    '# GPU kernels',
    '',
    `Written by \`node scripts/cuda/resources.cjs\`, from what ptxas of CUDA ${compiler} says and what the planner decides. \`npm test\``,
    'compares what it compiles with `gpu-kernels.json`: a kernel that takes more than written down fails it, and so does one whose',
    'stack is smaller than what its deepest path of calls takes, by its machine code (`node scripts/cuda/stack.cjs`).',
    '',
    '## Registers a thread',
    '',
    'A multiprocessor has 65,536. After a “+”, bytes of stack, which is in local memory; “s”, bytes of it that are spills.',
    '',
    table(['kernel', 'static shared memory', ...targets], Object.keys(kernels).map(row)),
    '',
    '## Instructions a kernel',
    '',
    'Each has 16 bytes.',
    '',
    table(['kernel', ...targets], Object.keys(kernels).map(length)),
    '',
    spilling.length === 0 ? 'No kernel spills.' : `${spilling.length} of ${found.length} spill.`,
    '',
    '## The largest problem that each tier takes',
    '',
    'n = m without equalities, everything given per problem. `lanes`: some lanes of a warp work on a problem; `block`: a thread',
    'block does; what is larger goes to cuBLAS and cuSOLVER. In brackets, the threads and the shared memory of a block then.',
    '',
    table(['GPU', 'shared memory a block', 'precision', 'lanes', 'block'], planRows(plans)),
    '',
  ].join('\n');
}

const byNumber = (a, b) => a.localeCompare(b, 'en', { numeric: true });

function planRows(plans) {
  const cell = ({ n, threads, shared }) => (n === 0 ? '–' : `${n} (${threads}, ${bytes(shared)})`);
  const tier = (plan, name) =>
    cell(
      plans.find(
        (one) => one.target === plan.target && one.precision === plan.precision && one.tier === name,
      ),
    );
  return plans
    .filter((plan) => plan.tier === 'lanes')
    .map((plan) => [
      plan.target,
      bytes(plan.limit),
      plan.precision,
      tier(plan, 'lanes'),
      tier(plan, 'block'),
    ]);
}

function registers(found) {
  if (!found) return '–';
  const spills = found.spillStores + found.spillLoads;
  return `${found.registers}${found.stack > 0 ? ` + ${found.stack}` : ''}${spills > 0 ? ` (s ${spills})` : ''}`;
}

function bytes(number) {
  return number < 1024 ? `${number} B` : `${(number / 1024).toFixed(number % 1024 === 0 ? 0 : 1)} KiB`;
}

/** As prettier writes it. */
function table(header, rows) {
  const cells = [header, ...rows].map((row) => row.map(String));
  const widths = header.map((_, i) => Math.max(3, ...cells.map((row) => row[i].length)));
  const line = (row) => `| ${row.map((cell, i) => cell.padEnd(widths[i])).join(' | ')} |`;
  return [line(cells[0]), line(widths.map((width) => '-'.repeat(width))), ...cells.slice(1).map(line)].join(
    '\n',
  );
}

module.exports = { document };
