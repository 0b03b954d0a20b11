// A build for this processor alone is for the instruction set that would be chosen here from all.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import { root } from '../support/node.js';

const canBuild = ['cmake', process.env['CXX'] ?? 'c++'].every(
  (tool) => spawnSync(tool, ['--version']).status === 0,
);

(canBuild ? it : it.skip)('CMake finds what the solver chooses', () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'optnet-native-'));
  try {
    const options = ['-DOPTNET_INSTRUCTION_SETS=native', '-DOPTNET_CUDA=OFF'];
    const told = execFileSync('cmake', ['-S', root, '-B', folder, ...options], { encoding: 'utf8' });
    const env = { ...process.env, OPTNET_INSTRUCTION_SET: '' };
    const program = "console.log(require('optnet').devices()[0].instructionSet)";
    const chosen = execFileSync(process.execPath, ['-e', program], { cwd: root, env, encoding: 'utf8' });
    expect(/^-- Instruction sets: (.*)$/m.exec(told)?.[1]).toBe(chosen.trim());
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
