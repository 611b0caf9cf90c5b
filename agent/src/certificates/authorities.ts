import { X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { sha256 } from '#shared/digest.ts';
import { type HostAuthorities, MAX_AUTHORITIES } from '#shared/host-api.ts';
import { sha256Text } from '#shared/names.ts';
import { atomicWrite } from '../state/atomic-write.ts';
import { readTrustedFile } from '../state/trusted-file.ts';
import { splitPem } from './check.ts';
import type { CertificateSet } from './store.ts';

/** By which hosts and servers name an authority. @throws when a certificate cannot be read */
export const fingerprintsOf = (bundle: string): string[] =>
  splitPem(bundle).map((pem) => sha256(new X509Certificate(pem).raw));

/** Whom a host goes by with these files. @throws when one of them cannot be read */
export function authoritiesOf({ certificate, ca }: CertificateSet): HostAuthorities {
  const own = new X509Certificate(certificate);
  const signer = splitPem(ca).find((pem) => {
    const authority = new X509Certificate(pem);
    return own.checkIssued(authority) && own.verify(authority.publicKey);
  });
  return { issuer: signer === undefined ? null : sha256(new X509Certificate(signer).raw), bundle: fingerprintsOf(ca) };
}

/**
 * Pure rule: what the server is told of them. First those that it named: the directory may be verified with every authority
 * of the system beside them, more than a heartbeat holds.
 */
export const authoritiesToTell = (held: HostAuthorities, heard: readonly string[]): HostAuthorities => ({
  issuer: held.issuer,
  bundle: [...new Set([...held.bundle.filter((one) => heard.includes(one)), ...held.bundle])].slice(0, MAX_AUTHORITIES),
});

/**
 * Pure rule: whether the server goes by other authorities than this host, so that its certificate is due.
 *
 * @param heard as the server names them, the one that signs first
 * @param granted those that came with the last certificate; null: unknown. The host may accept others beside them, of an
 * operator's directory.
 */
export function isBehind(held: HostAuthorities, heard: readonly string[], granted: readonly string[] | null): boolean {
  const [signing] = heard;
  if (signing === undefined) return false;
  return (
    held.issuer !== signing ||
    heard.some((one) => !held.bundle.includes(one)) ||
    granted?.some((one) => !heard.includes(one)) === true
  );
}

const grantedFile = z.strictObject({ v: z.literal(1), authorities: z.array(sha256Text) });

/** Those that came with the last certificate; null when that is not known. */
export async function readGranted(path: string): Promise<string[] | null> {
  const bytes = await readTrustedFile(path).catch(() => null);
  try {
    return bytes && grantedFile.parse(JSON.parse(bytes.toString('utf8'))).authorities;
  } catch {
    return null;
  }
}

export const writeGranted = (path: string, bundle: string): Promise<void> =>
  atomicWrite(path, `${JSON.stringify({ v: 1, authorities: fingerprintsOf(bundle) })}\n`, 0o644);

/** What the server said of its authorities last, between who hears it and who renews the certificate. */
export interface HeardAuthorities {
  /** Null: nothing. */
  current(): readonly string[] | null;
  hear(authorities: readonly string[] | null): void;
  /** Aborts when it says something else than before. */
  changed(): AbortSignal;
  /** This host goes by others now. */
  follow(): void;
  /** Aborts when this host goes by others, which the server waits to hear. */
  followed(): AbortSignal;
}

/** A signal that can be given again and again: each one who waits gets the next. */
function createBell(): { ring(): void; next(): AbortSignal } {
  let bell = new AbortController();
  return {
    ring() {
      bell.abort();
      bell = new AbortController();
    },
    next: () => bell.signal,
  };
}

export function createHeardAuthorities(): HeardAuthorities {
  let current: readonly string[] | null = null;
  const [changed, followed] = [createBell(), createBell()];
  return {
    current: () => current,
    hear(authorities) {
      if (authorities === null || authorities.join() === current?.join()) return;
      current = [...authorities];
      changed.ring();
    },
    changed: changed.next,
    follow: followed.ring,
    followed: followed.next,
  };
}
