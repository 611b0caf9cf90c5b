import { createPrivateKey, X509Certificate } from 'node:crypto';

/** id-kp-clientAuth, RFC 5280 4.2.1.12. */
const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
/** The clock of a host may be wrong; signed requests will say so. */
const LEEWAY_MS = 86_400_000;

/** Certificates in a PEM bundle, each with its newline. */
export function splitPem(bundle: string): string[] {
  const blocks = bundle.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => `${block}\n`);
}

/** Several bundles as one, each certificate once. */
export function joinPem(bundles: readonly string[]): string {
  return [...new Set(bundles.flatMap(splitPem))].join('');
}

/** When a certificate begins and ends, milliseconds since the epoch. @throws when it cannot be read. */
export function lifetimeOf(certificatePem: string): { from: number; until: number; serial: string } {
  const { validFromDate, validToDate, serialNumber } = new X509Certificate(certificatePem);
  return { from: validFromDate.getTime(), until: validToDate.getTime(), serial: serialNumber.toLowerCase() };
}

/**
 * What is wrong with a client certificate for this host, in words; null when nothing is: it belongs to our key, names
 * this host by name and id and nothing else, is good for clients only, and one of the given authorities signed it.
 *
 * @param expected.key the private key in PEM
 */
export function certificateProblem(
  set: { certificate: string; caBundle: string },
  expected: { key: string; hostname: string; hostId: string; now: number },
): string | null {
  let certificate: X509Certificate;
  let authorities: X509Certificate[];
  try {
    certificate = new X509Certificate(set.certificate);
    authorities = splitPem(set.caBundle).map((pem) => new X509Certificate(pem));
    if (!certificate.checkPrivateKey(createPrivateKey(expected.key)))
      return 'it does not belong to the key of this host';
  } catch {
    return 'it cannot be read';
  }
  const names = (certificate.subjectAltName ?? '').split(', ').sort().join(', ');
  if (names !== `DNS:${expected.hostname}, URI:urn:uuid:${expected.hostId}`) return 'it names somebody else';
  if (certificate.ca || certificate.keyUsage?.join() !== CLIENT_AUTH) return 'it is not for a client';
  const signed = authorities.some(
    (authority) => authority.ca && certificate.checkIssued(authority) && certificate.verify(authority.publicKey),
  );
  if (!signed) return 'the CA of the server has not signed it';
  if (certificate.validToDate.getTime() <= expected.now - LEEWAY_MS) return 'it has expired';
  return null;
}
