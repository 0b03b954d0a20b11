// The package as a user installs it, with a published addon in it.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { root } from './node.js';
import { npmPack } from './packed.js';

/** Where node-gyp-build looks for the addon of this machine. */
export const addonPath = path.join('prebuilds', `${process.platform}-${process.arch}`, 'optnet.glibc.node');

export interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** A folder for tarballs, projects and programs. */
export class Workbench {
  readonly folder = mkdtempSync(path.join(tmpdir(), 'optnet-release-'));
  /** Where programs are looked for: Node, a shell, and nothing that compiles. */
  readonly bin = path.join(this.folder, 'bin');
  readonly #dependency: string;
  readonly #package: string;
  readonly #npm: string;

  constructor() {
    this.#npm = process.env.npm_execpath ?? realpathSync(which('npm'));
    mkdirSync(this.bin);
    symlinkSync(process.execPath, path.join(this.bin, 'node'));
    symlinkSync(which('sh'), path.join(this.bin, 'sh'));
    this.#dependency = this.#pack(path.join(root, 'node_modules/node-gyp-build'));
    this.#package = this.#pack(root);
  }

  /** The tarball with these files in place of its prebuilds. */
  tarball(name: string, prebuilds: Record<string, string>): string {
    const folder = path.join(this.folder, name);
    mkdirSync(folder);
    execFileSync('tar', ['-xzf', this.#package, '-C', folder]);
    const unpacked = path.join(folder, 'package');
    rmSync(path.join(unpacked, 'prebuilds'), { recursive: true, force: true });
    for (const [place, addon] of Object.entries(prebuilds)) {
      mkdirSync(path.join(unpacked, path.dirname(place)), { recursive: true });
      copyFileSync(addon, path.join(unpacked, place));
    }
    const tarball = path.join(this.folder, `${name}.tgz`);
    execFileSync('tar', ['-czf', tarball, '-C', folder, 'package']);
    return tarball;
  }

  /** An empty project in which the tarball was installed, without a network. */
  install(tarball: string, name: string, options: string[] = []): Outcome & { project: string } {
    const project = path.join(this.folder, name);
    mkdirSync(project);
    writeFileSync(path.join(project, 'package.json'), '{ "private": true }');
    const args = [this.#npm, 'install', '--offline', '--no-audit', '--no-fund', ...options];
    return { project, ...this.run(project, [...args, this.#dependency, tarball]) };
  }

  /** Node, in a project, where no compiler is. */
  run(project: string, args: string[]): Outcome {
    const environment = Object.entries(process.env).filter(([key]) => !/^(npm_|NODE_|INIT_CWD)/.test(key));
    const { status, stdout, stderr } = spawnSync(process.execPath, args, {
      cwd: project,
      env: { ...Object.fromEntries(environment), PATH: this.bin, CUDA_VISIBLE_DEVICES: '' },
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  }

  remove(): void {
    rmSync(this.folder, { recursive: true });
  }

  #pack(folder: string): string {
    return path.join(this.folder, npmPack(folder, this.folder).filename);
  }
}

/** The packages in a project's node_modules, npm's own files aside. */
export function installedPackages(project: string): string[] {
  const lock = readFileSync(path.join(project, 'node_modules/.package-lock.json'), 'utf8');
  const { packages } = JSON.parse(lock) as { packages: Record<string, unknown> };
  return Object.keys(packages).map((name) => name.replace('node_modules/', ''));
}

function which(program: string): string {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  return folders.map((folder) => path.join(folder, program)).find(existsSync)!;
}
