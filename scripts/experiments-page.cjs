'use strict';
// Puts the tables of the full runs, docs/experiments/NAME/tables.md, into docs/experiments.md, between the marks
// <!-- NAME --> and <!-- /NAME -->. A full run is written there with `npm run experiment -- NAME --out docs/experiments/NAME`.
const fs = require('node:fs');
const path = require('node:path');

const docs = path.join(__dirname, '..', 'docs');
const page = path.join(docs, 'experiments.md');
const section = /<!-- ([\w-]+) -->\n[^]*?<!-- \/\1 -->/g;

/** The page as it should be. */
function withTables() {
  return fs.readFileSync(page, 'utf8').replace(section, (_, name) => {
    const tables = fs.readFileSync(path.join(docs, 'experiments', name, 'tables.md'), 'utf8');
    return `<!-- ${name} -->\n\n${tables.trim()}\n\n<!-- /${name} -->`;
  });
}

if (require.main === module) fs.writeFileSync(page, withTables());

module.exports = { page, withTables };
