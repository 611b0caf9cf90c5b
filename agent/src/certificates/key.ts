import { webcrypto } from 'node:crypto';

/**
 * Makes a P-256 key for TLS and a PKCS #10 request for a certificate to it, both in PEM. The key never leaves the host.
 */
export async function generateTlsKey(hostname: string): Promise<{ pem: string; csr: string }> {
  // An agent that stays needs these twice a year, and would keep them in memory all the time.
  await import('reflect-metadata');
  const { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } = await import('@peculiar/x509');
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
  const pair = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const csr = await Pkcs10CertificateRequestGenerator.create(
    {
      name: [{ CN: [hostname.slice(0, 64)] }],
      keys: pair,
      signingAlgorithm: algorithm,
      extensions: [new SubjectAlternativeNameExtension([{ type: 'dns', value: hostname }])],
    },
    webcrypto,
  );
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', pair.privateKey));
  const lines = der
    .toString('base64')
    .match(/.{1,64}/g)!
    .join('\n');
  return { pem: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`, csr: csr.toString('pem') };
}
