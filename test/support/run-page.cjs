'use strict';
// Runs ES modules one after the other, and sends what they print, line by line: for the tests of the documentation.
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { formatWithOptions } = require('node:util');

// One line for each value, however long.
const format = { breakLength: Infinity, compact: Infinity, maxArrayLength: Infinity };

let lines = [];
console.log = (...values) => lines.push(...formatWithOptions(format, ...values).split('\n'));

async function run(file) {
  lines = [];
  try {
    await import(pathToFileURL(path.resolve(file)).href);
    return { lines };
  } catch (error) {
    return { lines, error: error?.stack ?? String(error) };
  }
}

(async () => {
  const results = [];
  for (const file of process.argv.slice(2)) results.push(await run(file));
  process.send(results, () => process.disconnect());
})();
