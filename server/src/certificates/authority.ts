import 'reflect-metadata';
import { createPrivateKey, createPublicKey, randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto as never);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;
const CA_DAYS = 3650;
/** Hosts renew at two thirds of this. */
const LEAF_DAYS = 90;

/** As the library names it: the console's type check reads this file with the browser's idea of a CryptoKey. */
type Key = x509.X509CertificateCreateWithKeyParams['signingKey'];

async function privateKey(pem: string): Promise<Key> {
  const der = createPrivateKey(pem).export({ type: 'pkcs8', format: 'der' });
  return (await webcrypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign'])) as Key;
}

async function publicKeyOf(pem: string): Promise<Key> {
  const der = createPublicKey(pem).export({ type: 'spki', format: 'der' });
  return (await webcrypto.subtle.importKey('spki', der, ALGORITHM, true, ['verify'])) as Key;
}

const serial = () => {
  const bytes = randomBytes(16);
  bytes[0] = bytes[0]! & 0x7f;
  return bytes.toString('hex');
};

/** Self-signed CA certificate for a P-256 key, PEM: path length 0, certificate and CRL signing only. */
export async function makeCaCertificate(keyPem: string, now: number): Promise<string> {
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: 'CN=identree host CA, O=identree',
    notBefore: new Date(now - 5 * MINUTE),
    notAfter: new Date(now + CA_DAYS * DAY),
    signingAlgorithm: ALGORITHM,
    keys: { privateKey: await privateKey(keyPem), publicKey: await publicKeyOf(keyPem) },
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
    ],
  });
  return certificate.toString('pem');
}

/** Issues client certificates to hosts: the name comes from the enrolment, never from the request. */
export interface CertificateAuthority {
  /** CA certificates in PEM, newest first. */
  bundle: string;
  /** @returns the certificate in PEM, its serial and expiry; null when the CSR is not a valid P-256 or Ed25519 one. */
  issue(
    csrPem: string,
    hostname: string,
    hostId: string,
  ): Promise<{ pem: string; serial: string; expiresAt: number } | null>;
}

export function createCertificateAuthority(deps: {
  ca: { keyPem: string; certificatePem: string };
  now: () => number;
}): CertificateAuthority {
  return {
    bundle: deps.ca.certificatePem,
    async issue(csrPem, hostname, hostId) {
      let request: x509.Pkcs10CertificateRequest;
      try {
        request = new x509.Pkcs10CertificateRequest(csrPem);
        if (!(await request.verify())) return null;
        const algorithm = request.publicKey.algorithm as { name: string; namedCurve?: string };
        if (!(algorithm.name === 'ECDSA' && algorithm.namedCurve === 'P-256') && algorithm.name !== 'Ed25519')
          return null;
      } catch {
        return null;
      }
      const issuer = new x509.X509Certificate(deps.ca.certificatePem);
      const serialNumber = serial();
      const notAfter = new Date(deps.now() + LEAF_DAYS * DAY);
      const certificate = await x509.X509CertificateGenerator.create({
        serialNumber,
        subject: [{ CN: [hostname] }],
        issuer: issuer.subjectName,
        notBefore: new Date(deps.now() - 5 * MINUTE),
        notAfter,
        signingAlgorithm: ALGORITHM,
        signingKey: await privateKey(deps.ca.keyPem),
        publicKey: request.publicKey,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
          new x509.SubjectAlternativeNameExtension([
            { type: 'dns', value: hostname },
            { type: 'url', value: `urn:uuid:${hostId}` },
          ]),
          await x509.AuthorityKeyIdentifierExtension.create(issuer),
        ],
      });
      return { pem: certificate.toString('pem'), serial: serialNumber, expiresAt: notAfter.getTime() };
    },
  };
}
