'use strict';
// What was built last is known by the contents that went into it, not by times: a checkout or a copy changes those.
const { createHash } = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { root } = require('./run.cjs');

/** A hash of files and folders (given relative to the root; what is absent counts as empty) and of plain texts. */
function fingerprint(paths, texts = []) {
  const hash = createHash('sha256');
  for (const text of texts) hash.update(`${text}\0`);
  for (const file of paths.flatMap(filesUnder))
    hash.update(`${file}\0`).update(fs.readFileSync(path.join(root, file)));
  return hash.digest('hex');
}

function filesUnder(relative) {
  const stat = fs.statSync(path.join(root, relative), { throwIfNoEntry: false });
  if (!stat) return [];
  if (!stat.isDirectory()) return [relative];
  const names = fs.readdirSync(path.join(root, relative)).sort();
  return names.flatMap((name) => filesUnder(path.join(relative, name)));
}

/** `stamp` is a file that says what the last build was made from. */
function isFresh(stamp, value) {
  try {
    return fs.readFileSync(path.join(root, stamp), 'utf8') === value;
  } catch {
    return false;
  }
}

function markFresh(stamp, value) {
  fs.mkdirSync(path.dirname(path.join(root, stamp)), { recursive: true });
  fs.writeFileSync(path.join(root, stamp), value);
}

function markStale(stamp) {
  fs.rmSync(path.join(root, stamp), { force: true });
}

module.exports = { fingerprint, isFresh, markFresh, markStale };
