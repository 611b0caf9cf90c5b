import { X509Certificate } from 'node:crypto';
import { checkServerIdentity } from 'node:tls';
import { visibleText } from '#shared/visible-text.ts';
import type { CertificateFacts, CertificateFault } from '../setup-state.ts';

/** Longer than any certificate of a server; the file of the profiles holds nine of them. */
const MAX_PEM = 6000;
const MAX_NAMES = 20;
const MAX_TEXT = 100;

/**
 * The one certificate in a text, in the form in which it is kept.
 *
 * @returns null when there is none, more than one, or anything that is no certificate: what is trusted must be what
 * the person was shown.
 */
export function readCertificate(pem: string): string | null {
  const [block, other] = pem.match(/-----BEGIN [A-Z ]+-----[^-]*-----END [A-Z ]+-----/g) ?? [];
  if (!block?.startsWith('-----BEGIN CERTIFICATE-----') || other !== undefined) return null;
  try {
    const text = new X509Certificate(block).toString();
    return text.length <= MAX_PEM ? text : null;
  } catch {
    return null;
  }
}

/** What a person compares. Its maker chose every text in it: they are one line each, bounded, and hide nothing. */
export function certificateFacts(pem: string): CertificateFacts {
  const certificate = new X509Certificate(pem);
  const names = (certificate.subjectAltName ?? '').split(', ').filter((name) => name !== '');
  return {
    subject: nameOf(certificate.subject),
    issuer: nameOf(certificate.issuer),
    issuedByItself: certificate.checkIssued(certificate),
    names: names.slice(0, MAX_NAMES).map((name) => shown(name.replace(/^(DNS|IP Address):/, ''))),
    validFrom: certificate.validFromDate.getTime(),
    validTo: certificate.validToDate.getTime(),
    fingerprint: certificate.fingerprint256,
  };
}

/**
 * Why the certificate is of no use for this server, whoever vouches for it; null when it is. Nobody can wave this
 * through: a certificate for another name says that this is another server.
 */
export function certificateFault(pem: string, origin: string, now: number): CertificateFault | null {
  const certificate = new X509Certificate(pem);
  if (checkServerIdentity(hostOf(origin), certificate.toLegacyObject())) return 'other_name';
  if (now < certificate.validFromDate.getTime()) return 'not_yet_valid';
  return now > certificate.validToDate.getTime() ? 'expired' : null;
}

/** The host of an origin as TLS names it: an IPv6 address without its brackets. */
export function hostOf(origin: string): string {
  return new URL(origin).hostname.replace(/^\[(.*)\]$/, '$1');
}

/** The common name where there is one, else all of the name. */
function nameOf(distinguished: string): string {
  const lines = distinguished.split('\n');
  return shown(lines.find((line) => line.startsWith('CN='))?.slice('CN='.length) ?? lines.join(', '));
}

function shown(text: string): string {
  const chars = [...visibleText(text)];
  return chars.length <= MAX_TEXT ? chars.join('') : `${chars.slice(0, MAX_TEXT - 1).join('')}…`;
}
