import { readFileSync } from 'node:fs';

/** Unsigned bytes in row-major order. */
export interface ByteArray {
  shape: number[];
  data: Uint8Array;
}

/** The type byte of unsigned bytes. */
const BYTES = 0x08;

/**
 * Reads a file of the format of the MNIST database: two zeros, the type of the values, the number of dimensions, the
 * dimensions as big-endian 32-bit integers, the values.
 */
export function readIdx(file: string): ByteArray {
  const bytes = readFileSync(file);
  if (bytes.readUInt16BE(0) !== 0 || bytes[2] !== BYTES) throw new Error(`${file}: not an IDX file of bytes`);
  const shape = Array.from({ length: bytes[3]! }, (_, i) => bytes.readUInt32BE(4 + 4 * i));
  const start = 4 + 4 * shape.length;
  const length = shape.reduce((product, side) => product * side, 1);
  if (bytes.length !== start + length) {
    throw new Error(
      `${file}: ${bytes.length} bytes, expected ${start + length} for ${shape.join('×')} values`,
    );
  }
  return { shape, data: new Uint8Array(bytes.buffer, bytes.byteOffset + start, length) };
}
