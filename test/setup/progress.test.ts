// How a build of some minutes says how far it is.
interface Stream {
  isTTY: boolean;
  columns?: number;
  write: (text: string) => void;
}
interface Progress {
  show: (far?: string) => void;
  done: () => void;
  failed: () => void;
}

// eslint-disable-next-line @typescript-eslint/no-require-imports -- a script, without types
const { Progress, progressIn } = require('../../scripts/setup/progress.cjs') as {
  Progress: new (title: string, around: { stream: Stream; now: () => number }) => Progress;
  progressIn: (line: string) => string | undefined;
};

describe('the build tool says how far it is', () => {
  it.each([
    ['[12/49] Building CXX object CMakeFiles/optnet.dir/solve.cpp.o', '12 of 49'],
    ['[ 3/123] Linking CXX static library liboptnet_core.a', '3 of 123'],
    ['[  4%] Building CXX object CMakeFiles/optnet.dir/solve.cpp.o', '4 %'],
    ['[100%] Built target optnet', '100 %'],
  ])('in %s', (line, far) => {
    expect(progressIn(line)).toBe(far);
  });

  it.each([
    '',
    '[0/2] Re-checking globbed directories...',
    '[1/2] Re-running CMake...',
    "solve.cpp:12: warning: unused parameter 'x'",
    'FAILED: [12/49] solve.cpp.o',
    "  at [12/49], 'inlined from here'",
  ])('and not in %j', (line) => {
    expect(progressIn(line)).toBeUndefined();
  });
});

/** What is written while a build of `steps` steps takes `seconds`, with a look at the clock each second. */
function written({ steps, seconds, ...stream }: Omit<Stream, 'write'> & { steps: number; seconds: number }) {
  let text = '';
  let time = 0;
  const progress = new Progress('Building', {
    stream: { ...stream, write: (more) => (text += more) },
    now: () => 1000 * time,
  });
  let step = 0;
  for (; time < seconds; time++) {
    for (; step < (time * steps) / seconds; step++) progress.show(`${step + 1} of ${steps}`);
    progress.show();
  }
  progress.done();
  return text;
}

describe('on a terminal', () => {
  it('one line is rewritten, and moves every second', () => {
    const text = written({ isTTY: true, steps: 4, seconds: 40 });
    expect(text.match(/\n/g)).toHaveLength(1);
    const lines = text.trimEnd().split('\r');
    expect(lines[0]).toBe('Building ...');
    expect(lines.at(-2)).toBe('Building ... 4 of 4, 39 s');
    expect(lines.at(-1)!.trimEnd()).toBe('Building ... 40.0 s');
    expect(new Set(lines).size).toBeGreaterThanOrEqual(40);
  });

  it('it moves before the first step is done', () => {
    const lines = written({ isTTY: true, steps: 0, seconds: 3 }).split('\r');
    expect(lines.slice(0, 3)).toEqual(['Building ...', 'Building ... 0 s', 'Building ... 1 s']);
  });

  it('nothing of a longer line stays', () => {
    const screen = written({ isTTY: true, steps: 4, seconds: 40 }).replace(/\n$/, '').split('\r');
    let shown = '';
    for (const line of screen) shown = line + shown.slice(line.length);
    expect(shown.trimEnd()).toBe('Building ... 40.0 s');
  });

  it('it is never wrapped', () => {
    const lines = written({ isTTY: true, columns: 20, steps: 4, seconds: 40 }).trimEnd().split('\r');
    for (const line of lines) expect(line.length).toBeLessThan(20);
  });
});

describe('in a log', () => {
  it('a line now and then says how far it is', () => {
    const text = written({ isTTY: false, steps: 500, seconds: 60 });
    expect(text).not.toContain('\r');
    const lines = text.trimEnd().split('\n');
    expect(lines[0]).toBe('Building ...');
    expect(lines[1]).toMatch(/^Building: \d+ of 500, 10 s$/);
    expect(lines.at(-1)).toBe('Building: 60.0 s');
    expect(lines.length).toBeLessThanOrEqual(8);
    expect(new Set(lines).size).toBe(lines.length);
  });

  it('and more seldom while nothing moves', () => {
    const lines = written({ isTTY: false, steps: 1, seconds: 60 }).trimEnd().split('\n');
    expect(lines.slice(1)).toEqual(['Building: 1 of 1, 10 s', 'Building: 1 of 1, 40 s', 'Building: 60.0 s']);
  });
});
