import { createHash } from 'node:crypto';
import { uuid } from '#shared/names.ts';

const NAMESPACE = Buffer.from('6f3d1f0a6a4c5b0e9d0b8a7c2f1e4d5c', 'hex');

/** RFC 9562 UUID version 5 of a text, in a name space of this program. */
export function nameUuid(name: string): string {
  const bytes = createHash('sha1').update(NAMESPACE).update(name).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x50;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The source's own UUID where it is one and no other entry has it, else one made from the identity. */
export function createEntryUuids() {
  const used = new Set<string>();
  return {
    of(kind: string, issuer: string, id: string): string {
      const own = id.toLowerCase();
      if ((kind === 'user' || kind === 'group') && uuid.safeParse(own).success && !used.has(own)) {
        used.add(own);
        return own;
      }
      return nameUuid(`${kind} ${issuer} ${id}`);
    },
  };
}
