// Where the package is, who installed it, and what to type so that they do it again.
import { fs, path } from './builtins.js';

/** Where package.json is: the folder above this file's. Undefined where a bundler left no `__dirname`. */
export const packageDirectory: string | undefined =
  typeof __dirname === 'string' ? path.resolve(__dirname, '..') : undefined;

/** What to type, by package manager. */
export interface PackageManager {
  /** Adds the package to a project. */
  readonly add: string;
  /** Installs all that a project needs, after what there was is gone. */
  readonly reinstall: string;
  /** Runs the package's install script once more, … */
  readonly rebuild: string;
  /** … and what that takes where scripts of dependencies do not run by themselves. */
  readonly first?: string;
  /** Runs the command `optnet`. */
  readonly run: string;
}

const npm: PackageManager = {
  add: 'npm install optnet',
  reinstall: 'rm -rf node_modules && npm install',
  rebuild: 'npm rebuild optnet',
  first: 'with npm 12 or newer, first: npm install-scripts approve optnet',
  run: 'npx optnet',
};

const pnpm: PackageManager = {
  add: 'pnpm add optnet',
  reinstall: 'rm -rf node_modules && pnpm install',
  rebuild: 'pnpm rebuild optnet',
  first: 'with pnpm 10 or newer, first: pnpm approve-builds',
  run: 'pnpm exec optnet',
};

const yarnClassic: PackageManager = {
  add: 'yarn add optnet',
  reinstall: 'rm -rf node_modules && yarn install',
  rebuild: 'yarn install --force',
  run: 'yarn run optnet',
};

const yarn: PackageManager = {
  ...yarnClassic,
  reinstall: 'rm -rf node_modules .yarn/unplugged && yarn install',
  rebuild: 'yarn rebuild optnet',
  first:
    'with Yarn 4.14 or newer, first, in package.json: "dependenciesMeta": { "optnet": { "built": true } }',
};

const bun: PackageManager = {
  add: 'bun add optnet',
  reinstall: 'rm -rf node_modules && bun install',
  rebuild: 'bun install --force',
  first: 'first: bun pm trust optnet',
  run: 'bunx optnet',
};

/** Folders that only one of them has. */
const stores: readonly [RegExp, PackageManager][] = [
  [/[\\/](\.pnpm|pnpm[\\/]store)[\\/]/, pnpm],
  [/[\\/]\.yarn[\\/]/, yarn],
  [/[\\/]node_modules[\\/]\.bun[\\/]/, bun],
];

/** What each leaves behind where it has installed. */
const traces: readonly [string, PackageManager][] = [
  ['node_modules/.modules.yaml', pnpm],
  ['node_modules/.yarn-state.yml', yarn],
  ['node_modules/.yarn-integrity', yarnClassic],
  ['node_modules/.package-lock.json', npm],
];

const lockFiles: readonly [string, PackageManager][] = [
  ['pnpm-lock.yaml', pnpm],
  ['.pnp.cjs', yarn],
  ['.yarnrc.yml', yarn],
  ['yarn.lock', yarnClassic],
  ['bun.lock', bun],
  ['bun.lockb', bun],
  ['package-lock.json', npm],
];

/**
 * Who installed what is in `folder`: by its path, by what is beside it, by who runs this process, by lock files. npm where
 * nothing tells.
 *
 * @param agent npm_config_user_agent, which they all set for the scripts that they run: 'pnpm/10.34.9 npm/? …'
 */
export function packageManagerOf(folder: string, agent = process.env.npm_config_user_agent): PackageManager {
  const store = stores.find(([pattern]) => pattern.test(folder + path.sep));
  return store?.[1] ?? nearest(folder, traces) ?? byAgent(agent) ?? nearest(folder, lockFiles) ?? npm;
}

/** Of the package itself, or, in a bundle, of the application. */
export function packageManager(): PackageManager {
  return packageManagerOf(packageDirectory ?? process.cwd());
}

/** By the files that are in `folder`, or else in the one above it. */
function nearest(folder: string, files: readonly [string, PackageManager][]): PackageManager | undefined {
  const found = files.find(([file]) => fs.existsSync(path.join(folder, file)));
  if (found !== undefined) return found[1];
  const above = path.dirname(folder);
  return above === folder ? undefined : nearest(above, files);
}

function byAgent(agent: string | undefined): PackageManager | undefined {
  const [, name, major] = /^(npm|pnpm|yarn|bun)\/(\d+)/.exec(agent ?? '') ?? [];
  switch (name) {
    case 'npm':
      return npm;
    case 'pnpm':
      return pnpm;
    case 'yarn':
      return Number(major) < 2 ? yarnClassic : yarn;
    case 'bun':
      return bun;
    default:
      return undefined;
  }
}
