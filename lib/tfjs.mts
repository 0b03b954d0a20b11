export { qpLayer } from './tfjs.js';
export type * from './tfjs.js';
