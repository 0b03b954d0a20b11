'use strict';
// docs/gpu-kernels.md: the kernels' resources as tables.

/** `kernels`: of ptxas.cjs's kernelsOf; `plans`: what optnet_plans prints. */
function document({ compiler, kernels, plans }) {
  const targets = [...new Set(kernels.map(({ target }) => target))];
  const names = [...new Set(kernels.map(({ kernel }) => kernel))];
  const at = (kernel, target) => kernels.find((found) => found.kernel === kernel && found.target === target);
  const spills = kernels.filter(({ spillStores, spillLoads }) => spillStores + spillLoads > 0);
  return [
    '# GPU kernels',
    '',
    `Written by \`node scripts/cuda/resources.cjs\`, from what ptxas of CUDA ${compiler} says and what the planner decides. \`npm test\``,
    'compares what it compiles with `gpu-kernels.json`: a kernel that spills or takes more registers than written down fails it.',
    '',
    '## Registers a thread',
    '',
    'A multiprocessor has 65,536. With a “+”, bytes of stack (local memory), and with an “s” the bytes of spills in it.',
    '',
    table(
      ['kernel', 'static shared memory', ...targets],
      names.map((name) => [
        `\`${name}\``,
        bytes(Math.max(...kernels.filter(({ kernel }) => kernel === name).map(({ shared }) => shared))),
        ...targets.map((target) => registers(at(name, target))),
      ]),
    ),
    '',
    spills.length === 0 ? 'No kernel spills.' : `${spills.length} of ${kernels.length} spill.`,
    '',
    '## The largest problem that each tier takes',
    '',
    'n = m without equalities, float64, everything given per problem. `lanes`: some lanes of a warp a problem; `block`: a thread',
    'block; beyond that, cuBLAS and cuSOLVER. Shared memory: what a block asks for at that size.',
    '',
    table(
      ['GPU', 'shared memory a block', 'precision', 'tier', 'largest n', 'threads', 'shared memory'],
      plans.map((plan) => [
        plan.target,
        bytes(plan.limit),
        plan.precision,
        plan.tier,
        plan.n === 0 ? '–' : plan.n,
        plan.n === 0 ? '–' : plan.threads,
        plan.n === 0 ? '–' : bytes(plan.shared),
      ]),
    ),
    '',
  ].join('\n');
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
