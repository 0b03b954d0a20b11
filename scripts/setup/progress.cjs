'use strict';
// Steps that take minutes, and how far they are: on a terminal one line that is rewritten, in a log a line now and then.
const { spawn } = require('node:child_process');
const os = require('node:os');
const { clearInterval, setInterval } = require('node:timers');
const { failure, root } = require('./run.cjs');

/** Between two lines in a log, where something has changed, and where nothing has. */
const SECONDS_BETWEEN = { news: 10, none: 30 };

/** What a line of Ninja or make says of how far the build is: '12 of 49', '24 %', or undefined. */
function progressIn(line) {
  // What Ninja does before it knows the build: there are only one or two steps of it.
  if (/Re-(checking|running)/.test(line)) return undefined;
  const [, done, all, percent] = /^\[(?: *(\d+)\/(\d+)| *(\d+)%)\]/.exec(line) ?? [];
  if (percent !== undefined) return `${percent} %`;
  return done === undefined ? undefined : `${done} of ${all}`;
}

/** What `step` says, and how far it is. On stderr: stdout belongs to the program. */
class Progress {
  #title;
  #stream;
  #now;
  #started;
  #latest;
  #said;
  #saidAt;
  #width = 0;

  constructor(title, { stream = process.stderr, now = () => performance.now() } = {}) {
    this.#title = title;
    this.#stream = stream;
    this.#now = now;
    this.#started = this.#saidAt = now();
    this.#stream.write(stream.isTTY ? `${title} ...` : `${title} ...\n`);
  }

  /** `far`, as progressIn gives it; without it, only the time goes on. */
  show(far = this.#latest) {
    this.#latest = far;
    const text = `${far === undefined ? '' : `${far}, `}${this.#seconds().toFixed(0)} s`;
    if (this.#stream.isTTY) {
      this.#rewrite(text);
    } else if (this.#now() - this.#saidAt >= 1000 * SECONDS_BETWEEN[far === this.#said ? 'none' : 'news']) {
      this.#said = far;
      this.#saidAt = this.#now();
      this.#stream.write(`${this.#title}: ${text}\n`);
    }
  }

  done() {
    const time = `${this.#seconds().toFixed(1)} s`;
    if (this.#stream.isTTY) this.#rewrite(time);
    this.#stream.write(this.#stream.isTTY ? '\n' : `${this.#title}: ${time}\n`);
  }

  failed() {
    if (this.#stream.isTTY) this.#stream.write('\n');
  }

  #seconds() {
    return (this.#now() - this.#started) / 1000;
  }

  #rewrite(text) {
    // A line that is wrapped cannot be rewritten.
    const line = `${this.#title} ... ${text}`.slice(0, (this.#stream.columns || 80) - 1);
    this.#stream.write(`\r${line.padEnd(this.#width)}`);
    this.#width = line.length;
  }
}

/** Runs `action(progress)`, which may take minutes. */
async function longStep(title, action) {
  const progress = new Progress(title);
  const clock = setInterval(() => progress.show(), 1000);
  try {
    const result = await action(progress);
    progress.done();
    return result;
  } catch (error) {
    progress.failed();
    throw error;
  } finally {
    clearInterval(clock);
  }
}

/** Builds what CMake has configured, and shows how far it is. Output is shown only when it fails, as by `run`. */
function build(folder, options, progress) {
  const args = ['--build', folder, '--parallel', os.availableParallelism().toString(), ...options];
  // Ninja's own default, which progressIn reads.
  const env = { ...process.env, NINJA_STATUS: '[%f/%t] ' };
  return runWatched('cmake', args, { env }, (line) => {
    const far = progressIn(line);
    if (far !== undefined) progress.show(far);
  });
}

function runWatched(command, args, options, watch) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'], ...options });
    const output = { stdout: '', stderr: '' };
    let line = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output.stdout += text;
      const lines = `${line}${text}`.split('\n');
      line = lines.pop();
      lines.forEach(watch);
    });
    child.stderr.setEncoding('utf8').on('data', (text) => (output.stderr += text));

    // A terminal sends Ctrl-C to the tool too, which then clears up; where only this process gets it, it means both.
    let interrupted = false;
    const interrupt = () => {
      interrupted = true;
      child.kill();
    };
    process.on('SIGINT', interrupt);
    child.on('exit', (status, signal) => {
      process.off('SIGINT', interrupt);
      if (!interrupted && signal !== 'SIGINT') return;
      if (process.stderr.isTTY) process.stderr.write('\n');
      process.exit(128 + os.constants.signals.SIGINT);
    });
    child.on('error', (error) => reject(failure(command, args, error.message)));
    child.on('close', (status) => {
      if (status === 0) resolve(output.stdout);
      else reject(failure(command, args, `${output.stdout}${output.stderr}`));
    });
  });
}

module.exports = { Progress, build, longStep, progressIn };
