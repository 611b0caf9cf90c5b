import { OID } from '../protocol/operation.ts';
import type { SpecialEntry } from './special-entry.ts';

/** What the rootDSE depends on. */
export interface RootFacts {
  /** Null until the first snapshot has arrived. */
  directory: { baseDn: string; lastUsn: number } | null;
  /** A certificate is configured and the connection does not use it yet. */
  startTls: boolean;
  /** The connection showed a verified certificate. */
  external: boolean;
  authenticated: boolean;
  vendorName: string;
  vendorVersion: string;
}

/**
 * The rootDSE (RFC 4512 5.1). sssd decides by it how it works: without the paging control it never pages, without
 * that for dereferencing it asks for each member of a group by itself, without
 * `lastUSN` it compares timestamps of whole seconds. `highestCommittedUSN` would make it take us for Active Directory.
 */
export function rootDse(facts: RootFacts): SpecialEntry {
  const attributes: [string, string[]][] = [
    ['supportedLDAPVersion', ['3']],
    ['supportedControl', [OID.paging, OID.passwordPolicy, OID.manageDsaIt, OID.dereference]],
    ['supportedExtension', [OID.whoAmI, OID.cancel, ...(facts.startTls ? [OID.startTls] : [])]],
    ['supportedFeatures', [OID.allOperational, OID.trueFalseFilters]],
    ['vendorName', [facts.vendorName]],
  ];
  if (facts.directory !== null) {
    attributes.push(['namingContexts', [facts.directory.baseDn]]);
    attributes.push(['defaultNamingContext', [facts.directory.baseDn]]);
    attributes.push(['lastUSN', [String(facts.directory.lastUsn)]]);
  }
  if (facts.external) attributes.push(['supportedSASLMechanisms', ['EXTERNAL']]);
  if (facts.authenticated) attributes.push(['vendorVersion', [facts.vendorVersion]]);
  return { dn: '', objectClass: ['top'], attributes };
}
