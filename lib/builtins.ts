// Node's own modules, asked for and not imported: so they are there in a bundle too, which can then say that the package
// must stay outside of it. What esbuild makes of an import of them, in an ES module, only throws.
const { getBuiltinModule } = process as Partial<Pick<typeof process, 'getBuiltinModule'>>;
if (getBuiltinModule === undefined) {
  throw new Error(`optnet needs Node.js 20.17 or newer; this is ${process.versions.node}`);
}

export const fs = getBuiltinModule('node:fs');
export const path = getBuiltinModule('node:path');
export const { createRequire } = getBuiltinModule('node:module');
export const { types } = getBuiltinModule('node:util');
