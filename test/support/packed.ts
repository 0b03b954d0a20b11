import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { root } from './node.js';

/** The package as it would be published. */
export interface Packed {
  tarball: string;
  /** What is in it, relative to the root. */
  files: string[];
  /** A project outside of the repository that has the package installed, and nothing else. */
  consumer: string;
  /** What that project has of the package. */
  installed: string;
}

/** What npm packs of a folder, as it is: nothing is compiled for it. */
export function npmPack(
  folder: string,
  destination: string,
): { filename: string; files: { path: string }[] } {
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', destination, folder];
  const npm = process.env.npm_execpath;
  const run = (command: string, given: string[]) =>
    execFileSync(command, given, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  const output = npm === undefined ? run('npm', args) : run(process.execPath, [npm, ...args]);
  return (JSON.parse(output) as [ReturnType<typeof npmPack>])[0];
}

/** Packs dist/ as it is, which the tests have compiled before. */
export function packPackage(): Packed {
  const folder = mkdtempSync(path.join(tmpdir(), 'optnet-packed-'));
  const { filename, files } = npmPack(root, folder);
  const tarball = path.join(folder, filename);
  const consumer = path.join(folder, 'consumer');
  const installed = path.join(consumer, 'node_modules/optnet');
  mkdirSync(installed, { recursive: true });
  execFileSync('tar', ['-xzf', tarball, '-C', installed, '--strip-components=1']);
  install(consumer, 'node-gyp-build');
  return { tarball, files: files.map((file) => file.path), consumer, installed };
}

/** A package that the repository has, for the consumer too. */
export function install(consumer: string, name: string): void {
  const link = path.join(consumer, 'node_modules', name);
  mkdirSync(path.dirname(link), { recursive: true });
  symlinkSync(path.join(root, 'node_modules', name), link, 'dir');
}

export function removePackage({ tarball }: Packed): void {
  rmSync(path.dirname(tarball), { recursive: true });
}
