import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { EXPERIMENTS } from '../../scripts/experiments/registry.js';
import { runExperiment } from '../support/experiment.js';
import { unbalancedTags } from '../support/xml.js';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'optnet-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

// Each asserts, by its exit code, that its layers learned: see the checks of its report.
test.each(EXPERIMENTS.map(({ name }) => name))(
  'the quick run of %s shows what it must, within two minutes',
  async (name) => {
    const out = path.join(folder, name);
    const { code, stdout, stderr } = await runExperiment([name, '--quick', '--out', out]);
    if (code !== 0) throw new Error(`exit code ${code ?? 'none'}\n${stderr}\n${stdout}`);
    expect(stdout).toContain('✓ ');
    expect(stdout).not.toContain('✗ ');
    const pictures = readdirSync(out).filter((file) => file.endsWith('.svg'));
    expect(pictures.length).toBeGreaterThan(0);
    for (const picture of pictures) {
      const svg = readFileSync(path.join(out, picture), 'utf8');
      expect(unbalancedTags(svg)).toEqual([]);
      expect(svg).not.toMatch(/NaN|Infinity|undefined/);
    }
  },
  120_000,
);
