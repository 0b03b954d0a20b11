// The benchmark's report for people.
import { packageManager } from '../installation.js';

import { shapeName } from './bench.js';
import type { BenchReport } from './bench.js';
import { significant, table } from './format.js';

export function benchText({ optnet, node, platform, rows, failures }: BenchReport): string {
  const sections = [`optnet ${optnet}, Node.js ${node}, ${platform}\n`];
  if (rows.length > 0) {
    const models = [...new Set(rows.map(({ device, model }) => `${device}: ${model}`))].join('\n');
    const header = ['device', 'problem', 'batch', 'problems/s', 'forward ms', 'backward ms'];
    const cells = rows.map((row) => [
      row.device,
      shapeName(row),
      `${row.batch}`,
      significant(row.problemsPerSecond),
      significant(row.forward),
      significant(row.backward),
    ]);
    sections.push(
      `${models}\n`,
      table(header, cells, 2),
      'A row is a batch of random problems with n variables, m inequalities and q equalities each, float64, solved to 1e-8:\n' +
        'how many of them a second, how long the batch takes (forward), and then the gradients of all data (backward).\n' +
        'All were checked: every problem is solved, and optimality conditions and gradients agree with the data.\n',
    );
  }
  for (const { device, sizes, reason } of failures) {
    const where = sizes === undefined ? device : `${device}, ${shapeName(sizes)}`;
    sections.push(`FAILED: ${where}: ${reason}\nTo find out more: ${packageManager().run} doctor\n`);
  }
  return sections.join('\n');
}
