'use strict';
// What the scripts that call a GPU from JavaScript have in common.

/** 'n,m,q,batch' */
function sizesOf(text) {
  const [n, m, q, batch] = text.split(',').map(Number);
  return { n, m, q, batch };
}

/** Whatever of it is in a GPU's memory. */
function disposeOf(...groups) {
  for (const group of groups) {
    for (const held of Object.values(group)) held?.dispose?.();
  }
}

/** The median time of a call in ms, after warming up: of up to 30, but of 5 at least, in about so many seconds. */
function median(seconds, call) {
  for (let i = 0; i < 3; i++) call();
  const times = [];
  const end = performance.now() + 1000 * seconds;
  while (times.length < 5 || (times.length < 30 && performance.now() < end)) {
    const start = performance.now();
    call();
    times.push(performance.now() - start);
  }
  return Number(times.sort((a, b) => a - b)[times.length >> 1].toPrecision(5));
}

module.exports = { disposeOf, median, sizesOf };
