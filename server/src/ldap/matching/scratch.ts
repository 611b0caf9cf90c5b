/** A growing buffer for one normal form at a time: bytes that are kept have to be copied. */
export interface Scratch {
  bytes: Uint8Array;
}

export function createScratch(capacity = 1024): Scratch {
  return { bytes: new Uint8Array(capacity) };
}

/** Makes room for `length` bytes in all, keeping what is there. */
export function grow(scratch: Scratch, length: number): Uint8Array {
  if (scratch.bytes.length < length) {
    const larger = new Uint8Array(Math.max(length, scratch.bytes.length * 2));
    larger.set(scratch.bytes);
    scratch.bytes = larger;
  }
  return scratch.bytes;
}
