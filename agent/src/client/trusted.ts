import { readFileSync } from 'node:fs';
import tls, { type SecureContext } from 'node:tls';

/** Where distributions keep what they trust in one file. */
const BUNDLES = [
  // Debian, Ubuntu, Arch, Alpine
  '/etc/ssl/certs/ca-certificates.crt',
  // Fedora, RHEL and what is made of it
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  // SUSE
  '/var/lib/ca-certificates/ca-bundle.pem',
];

/** Authorities that a server may have its certificate from. */
export interface Trusted {
  /** Null when there is nothing less than all. */
  most(): SecureContext | null;
  all(): SecureContext;
}

const contextOf = (ca: string | string[]): SecureContext => tls.createSecureContext({ ca, minVersion: 'TLSv1.2' });

function once<T>(make: () => T): () => T {
  let made: { value: T } | null = null;
  return () => {
    made ??= { value: make() };
    return made.value;
  };
}

/** Those in this PEM and no others. */
export function onlyTrusted(pem: string): Trusted {
  return { most: () => null, all: once(() => contextOf(pem)) };
}

/**
 * Those that the system and Node.js trust. Node.js keeps all it ever listed, from files, folders and itself, 5 MB of an agent
 * that stays; nearly every server is known by the one file that a distribution makes, so the others are looked at only for
 * one that is not.
 */
export function systemTrusted(bundles: readonly string[] = BUNDLES): Trusted {
  const most = once(() => {
    for (const path of bundles) {
      try {
        return contextOf(readFileSync(path, 'utf8'));
      } catch {}
    }
    return null;
  });
  return {
    most,
    all: once(() => contextOf([...tls.getCACertificates('bundled'), ...tls.getCACertificates('system')])),
  };
}

/** What OpenSSL says of a certificate whose issuer is none of those that were given. */
export const UNKNOWN_ISSUER: ReadonlySet<string | undefined> = new Set([
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  // The one in the file may be over or be told apart by less than its key.
  'CERT_HAS_EXPIRED',
  'CERT_SIGNATURE_FAILURE',
]);
