/** Arrays that grow while a snapshot is built; what is kept is copied to its exact size in shared memory. */
export interface GrowingBytes {
  bytes: Buffer;
  length: number;
}

export function growingBytes(capacity = 1 << 16): GrowingBytes {
  return { bytes: Buffer.allocUnsafeSlow(capacity), length: 0 };
}

/** Makes room for `count` more. */
export function room(target: GrowingBytes, count: number): Buffer {
  const needed = target.length + count;
  if (needed > target.bytes.length) {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, Math.ceil(target.bytes.length * 1.6)));
    target.bytes.copy(larger, 0, 0, target.length);
    target.bytes = larger;
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
    const larger = new Uint32Array(target.values.length * 2);
    larger.set(target.values);
    target.values = larger;
  }
  target.values[target.length++] = value;
}

export const sharedBytes = (length: number): Uint8Array => new Uint8Array(new SharedArrayBuffer(length));
export const sharedShorts = (length: number): Uint16Array => new Uint16Array(new SharedArrayBuffer(length * 2));
export const sharedNumbers = (length: number): Uint32Array => new Uint32Array(new SharedArrayBuffer(length * 4));

/** Copies bytes into shared memory of exactly their size. */
export function shareBytes(source: Uint8Array): Uint8Array {
  const target = sharedBytes(source.length);
  target.set(source);
  return target;
}

/** Copies numbers into shared memory of exactly their size. */
export function shareNumbers(source: Uint32Array): Uint32Array {
  const target = sharedNumbers(source.length);
  target.set(source);
  return target;
}
