import type { DeviceRequest } from 'optnet';

import { EXPERIMENTS } from './registry.js';
import { readCheckpoint, type Checkpoint } from './runner/checkpoint.js';
import { exitCodeOf, outputFolder } from './runner/cli.js';
import type { Experiment, Results, Settings } from './runner/experiment.js';
import { integer, MOST_SEED, readFlags } from './runner/options.js';
import { EXIT, run } from './runner/run.js';
import { UsageError } from './usage.js';

const list = EXPERIMENTS.map(({ name, title }) => `  ${name.padEnd(16)} ${title}`).join('\n');

const HELP = `Runs one of the paper's experiments.

  npm run experiment -- NAME [options]

${list}

  --quick          a small version of it, in about a minute
  --seed N         decides data, initial parameters and order: same seed, same digits (1)
  --device NAME    where problems are solved (auto)
  --threads N      threads of the solver, 0 for all (0)
  --out DIR        where results go (runs/NAME-DATE)
  --resume FILE    go on from a checkpoint, without NAME, --quick and --seed: it has them
  --help           this text

Ctrl-C finishes the batch and saves what was done; a second one quits at once.`;

const FLAGS = {
  quick: { type: 'boolean' },
  seed: { type: 'string' },
  device: { type: 'string' },
  threads: { type: 'string' },
  out: { type: 'string' },
  resume: { type: 'string' },
  help: { type: 'boolean' },
} as const;

/** What a checkpoint has already decided. */
const FIXED_BY_RESUME = ['quick', 'seed'] as const;

type Values = Partial<Record<Exclude<keyof typeof FLAGS, 'quick' | 'help'>, string>> & {
  quick?: boolean;
  help?: boolean;
};

/** Runs an experiment by its name, and gives the process's exit code. */
export function main(args: string[]): Promise<number> {
  return exitCodeOf(async () => {
    const { values, positionals } = readFlags(args, FLAGS, 1);
    const [name] = positionals;
    if (!values.help && (name !== undefined || values.resume !== undefined)) return await start(name, values);
    console.log(HELP);
    return values.help ? EXIT.done : EXIT.usage;
  });
}

async function start(name: string | undefined, values: Values): Promise<number> {
  const checkpoint = values.resume === undefined ? undefined : readCheckpoint(values.resume);
  const experiment = experimentOf(name, checkpoint);
  const settings = settingsOf(values, checkpoint);
  const solver = {
    device: (values.device ?? 'auto') as DeviceRequest,
    threads: integer('threads', values.threads ?? '0', 0),
  };
  const plan = {
    name: experiment.name,
    title: `${experiment.title}, seed ${settings.seed}${settings.quick ? ', quick' : ''}.`,
    settings,
    parts: experiment.parts(settings, solver),
    report: (results: Results) => experiment.report(results, settings),
    resume: 'npm run experiment -- --resume',
  };
  return await run(plan, outputFolder(experiment.name, values), checkpoint);
}

function settingsOf(values: Values, checkpoint: Checkpoint | undefined): Settings {
  if (checkpoint === undefined) {
    return { seed: integer('seed', values.seed ?? '1', 0, MOST_SEED), quick: values.quick ?? false };
  }
  const fixed = FIXED_BY_RESUME.find((flag) => values[flag] !== undefined);
  if (fixed === undefined) return checkpoint.settings as Settings;
  throw new UsageError(`--${fixed} cannot be given with --resume: the checkpoint has it`);
}

function experimentOf(name: string | undefined, checkpoint: Checkpoint | undefined): Experiment {
  if (checkpoint && name !== undefined && name !== checkpoint.experiment) {
    throw new UsageError(`the checkpoint is of the experiment '${checkpoint.experiment}', not of '${name}'`);
  }
  const wanted = name ?? checkpoint?.experiment;
  const found = EXPERIMENTS.find((experiment) => experiment.name === wanted);
  if (found) return found;
  const names = EXPERIMENTS.map((experiment) => experiment.name).join(', ');
  throw new UsageError(`'${wanted ?? ''}' is not an experiment; there are ${names}`);
}
