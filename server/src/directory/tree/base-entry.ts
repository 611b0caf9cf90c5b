import type { BareEntry } from './model.ts';

/** The entry at the base DN: its class follows from the attribute that names it (RFC 4519, RFC 2247). */
export function baseEntry(dn: string, rdns: readonly { type: string; value: string }[], entryUUID: string): BareEntry {
  const [first] = rdns as [{ type: string; value: string }];
  switch (first.type) {
    case 'dc':
      return {
        dn,
        objectClass: ['top', 'organization', 'dcObject'],
        attributes: [
          ['o', [first.value]],
          ['dc', [first.value]],
        ],
        entryUUID,
      };
    case 'o':
      return { dn, objectClass: ['top', 'organization'], attributes: [['o', [first.value]]], entryUUID };
    case 'c':
      return { dn, objectClass: ['top', 'country'], attributes: [['c', [first.value]]], entryUUID };
    default:
      return { dn, objectClass: ['top', 'organizationalUnit'], attributes: [['ou', [first.value]]], entryUUID };
  }
}
