import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto as never);

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

export interface TestCertificate {
  certificate: string;
  key: string;
}

export interface TestCa {
  certificate: string;
  /** A certificate for a server or a client. */
  issue(
    name: string,
    use: 'server' | 'client',
    options?: { serial?: string; days?: number; uris?: string[]; kind?: 'ECDSA' | 'RSA' },
  ): Promise<TestCertificate>;
}

async function exportKey(keys: webcrypto.CryptoKeyPair): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return `-----BEGIN PRIVATE KEY-----\n${der.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END PRIVATE KEY-----\n`;
}

const makeRsa = (): Promise<webcrypto.CryptoKeyPair> => {
  const publicExponent = Uint8Array.of(1, 0, 1);
  const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256', modulusLength: 2048, publicExponent };
  return webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>;
};

const DAY = 86_400_000;

/** A certificate authority for one test. */
export async function createTestCa(name = 'test CA'): Promise<TestCa> {
  const make = (): Promise<webcrypto.CryptoKeyPair> =>
    webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>;
  const caKeys = await make();
  const now = Date.now();
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: '01',
    name: `CN=${name}`,
    notBefore: new Date(now - DAY),
    notAfter: new Date(now + DAY),
    signingAlgorithm: ALGORITHM,
    keys: caKeys,
    extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
  });
  return {
    certificate: ca.toString('pem'),
    async issue(subject, use, { serial = '0a', days = 1, uris = [], kind = 'ECDSA' } = {}) {
      const keys = await (kind === 'RSA' ? makeRsa() : make());
      const usage = use === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
      const certificate = await x509.X509CertificateGenerator.create({
        serialNumber: serial,
        subject: `CN=${subject}`,
        issuer: ca.subject,
        notBefore: new Date(now - 2 * DAY),
        notAfter: new Date(now + days * DAY),
        signingAlgorithm: ALGORITHM,
        signingKey: caKeys.privateKey,
        publicKey: keys.publicKey,
        extensions: [
          new x509.ExtendedKeyUsageExtension([usage]),
          new x509.SubjectAlternativeNameExtension([
            { type: 'dns', value: subject },
            ...(use === 'server' ? ([{ type: 'ip', value: '127.0.0.1' }] as const) : []),
            ...uris.map((value) => ({ type: 'url' as const, value })),
          ]),
        ],
      });
      return { certificate: certificate.toString('pem'), key: await exportKey(keys) };
    },
  };
}
