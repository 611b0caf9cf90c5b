/**
 * Hash of an attribute's normal form. The seed differs from snapshot to snapshot, so that an attacker cannot choose names that
 * fall into one place of the table.
 */
export function hashKey(seed: number, attribute: number, bytes: Uint8Array, length: number): number {
  let hash = seed ^ Math.imul(attribute + 1, 0x9e3779b1);
  for (let i = 0; i < length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
