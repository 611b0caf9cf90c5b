import 'reflect-metadata';
import { generateKeyPairSync, webcrypto } from 'node:crypto';
import { Pkcs10CertificateRequestGenerator, SubjectAlternativeNameExtension } from '@peculiar/x509';
import { type PublicJwk, publicJwk, type SigningKey } from '#shared/token.ts';

/** The keys that a host makes for itself. They never leave it. */
export interface HostKeys {
  /** Signs requests; Ed25519. */
  api: SigningKey & { pem: string; public: PublicJwk };
  /** LDAP and other TLS; P-256. A key of its own, so that neither use can be turned against the other. */
  tls: { pem: string; csr: string };
}

/** Makes both keys, and a PKCS #10 request that names the host. */
export async function generateHostKeys(hostname: string): Promise<HostKeys> {
  const api = generateKeyPairSync('ed25519');
  const jwk = await publicJwk(api.publicKey);
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
  return {
    api: {
      kid: jwk.kid,
      privateKey: api.privateKey,
      pem: api.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      public: jwk,
    },
    tls: { pem: `-----BEGIN PRIVATE KEY-----\n${lines}\n-----END PRIVATE KEY-----\n`, csr: csr.toString('pem') },
  };
}
