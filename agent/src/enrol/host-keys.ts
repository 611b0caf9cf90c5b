import { generateKeyPairSync } from 'node:crypto';
import { type PublicJwk, publicJwk, type SigningKey } from '#shared/token.ts';
import { generateTlsKey } from '../certificates/key.ts';

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
  return {
    api: {
      kid: jwk.kid,
      privateKey: api.privateKey,
      pem: api.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
      public: jwk,
    },
    tls: await generateTlsKey(hostname),
  };
}
