/** Arrays that grow while a snapshot is built; `pack` copies what is kept. */
export interface GrowingBytes {
  bytes: Buffer;
  length: number;
}

/**
 * What outgrows a megabyte becomes so large at once that it is a mapping of its own, of which only what is written takes
 * memory. The C library's heap, where smaller pieces come from, keeps for ever what it once had.
 */
const SMALL = 1 << 20;
const MAPPED = 40 << 20;

function larger(octets: number, needed: number): number {
  if (octets < SMALL && needed < SMALL) return Math.max(needed, octets * 2);
  return Math.max(needed, MAPPED, Math.ceil(octets * 1.6));
}

export function growingBytes(capacity = 1 << 16): GrowingBytes {
  return { bytes: Buffer.allocUnsafeSlow(capacity), length: 0 };
}

/** Makes room for `count` more. */
export function room(target: GrowingBytes, count: number): Buffer {
  const needed = target.length + count;
  if (needed > target.bytes.length) {
    const next = Buffer.allocUnsafeSlow(larger(target.bytes.length, needed));
    target.bytes.copy(next, 0, 0, target.length);
    target.bytes = next;
  }
  return target.bytes;
}

export interface GrowingNumbers {
  values: Uint32Array;
  length: number;
}

export function growingNumbers(capacity = 1 << 12): GrowingNumbers {
  return { values: new Uint32Array(capacity), length: 0 };
}

export function push(target: GrowingNumbers, value: number): void {
  if (target.length === target.values.length) {
    const octets = target.values.byteLength;
    const next = new Uint32Array(Math.ceil(larger(octets, octets + 4) / 4));
    next.set(target.values);
    target.values = next;
  }
  target.values[target.length++] = value;
}
