/**
 * Bytes to be sent. `reserve` first, then write through `bytes` and move `length`; the buffer may be replaced by a larger
 * one at every `reserve`.
 */
export interface Output {
  bytes: Buffer;
  length: number;
}

export function createOutput(capacity = 64 * 1024): Output {
  return { bytes: Buffer.allocUnsafeSlow(capacity), length: 0 };
}

/** Makes room for `count` more bytes. */
export function reserve(output: Output, count: number): void {
  const needed = output.length + count;
  if (needed <= output.bytes.length) return;
  const larger = Buffer.allocUnsafeSlow(Math.max(needed, output.bytes.length * 2));
  output.bytes.copy(larger, 0, 0, output.length);
  output.bytes = larger;
}

/** Octets that tag and length take for contents of this many octets. */
export function headerLength(contents: number): number {
  if (contents < 0x80) return 2;
  if (contents < 0x100) return 3;
  if (contents < 0x10000) return 4;
  return contents < 0x1000000 ? 5 : 6;
}

/** Writes tag and definite length in the shortest form. @returns the position behind it. */
export function writeHeader(bytes: Uint8Array, at: number, tag: number, contents: number): number {
  let i = at;
  bytes[i++] = tag;
  if (contents < 0x80) {
    bytes[i++] = contents;
  } else if (contents < 0x100) {
    bytes[i++] = 0x81;
    bytes[i++] = contents;
  } else if (contents < 0x10000) {
    bytes[i++] = 0x82;
    bytes[i++] = contents >>> 8;
    bytes[i++] = contents & 0xff;
  } else if (contents < 0x1000000) {
    bytes[i++] = 0x83;
    bytes[i++] = contents >>> 16;
    bytes[i++] = (contents >>> 8) & 0xff;
    bytes[i++] = contents & 0xff;
  } else {
    bytes[i++] = 0x84;
    bytes[i++] = contents >>> 24;
    bytes[i++] = (contents >>> 16) & 0xff;
    bytes[i++] = (contents >>> 8) & 0xff;
    bytes[i++] = contents & 0xff;
  }
  return i;
}

/** Octets that an integer of 0 … 2^31 − 1 takes, without its header. */
export function integerLength(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x8000) return 2;
  return value < 0x800000 ? 3 : 4;
}

/** Writes an integer of 0 … 2^31 − 1 with its header. @returns the position behind it. */
export function writeInteger(bytes: Uint8Array, at: number, tag: number, value: number): number {
  let i = at;
  const length = integerLength(value);
  bytes[i++] = tag;
  bytes[i++] = length;
  for (let shift = (length - 1) * 8; shift >= 0; shift -= 8) bytes[i++] = (value >>> shift) & 0xff;
  return i;
}

/** Builds one element from text (UTF-8), bytes and other elements: for answers that are rare enough to cost objects. */
export function element(tag: number, ...contents: (string | Uint8Array)[]): Buffer {
  const parts = contents.map((part) => (typeof part === 'string' ? Buffer.from(part, 'utf8') : part));
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const header = Buffer.alloc(headerLength(length));
  writeHeader(header, 0, tag, length);
  return Buffer.concat([header, ...parts]);
}

/** An INTEGER, ENUMERATED or the like of −2^31 … 2^31 − 1, in its shortest form. */
export function integerElement(tag: number, value: number): Buffer {
  const octets: number[] = [];
  let rest = value;
  do {
    octets.unshift(rest & 0xff);
    rest >>= 8;
  } while (!((rest === 0 && octets[0]! < 0x80) || (rest === -1 && octets[0]! >= 0x80)));
  return element(tag, Uint8Array.from(octets));
}
