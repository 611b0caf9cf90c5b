import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { decodeCredentialPublicKey } from '@simplewebauthn/server/helpers';

/** COSE algorithms offered at registration, most wanted first: ES256, EdDSA, RS256 (RFC 9053, RFC 8812). */
export const ALGORITHMS = [-7, -8, -257];

// COSE key parameters, RFC 9052 and RFC 9053.
const KTY = 1;
const ALG = 3;
const CRV = -1;
const X = -2;
const Y = -3;
const RSA_N = -1;
const RSA_E = -2;

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url');

function bytesOf(value: unknown, length: number): string | null {
  return value instanceof Uint8Array && value.length === length ? text(value) : null;
}

function members(key: Map<number, unknown>): Record<string, string> | null {
  const get = (label: number) => key.get(label);
  if (get(KTY) === 2 && get(ALG) === -7 && get(CRV) === 1 && key.size === 5) {
    const x = bytesOf(get(X), 32);
    const y = bytesOf(get(Y), 32);
    return x && y ? { kty: 'EC', crv: 'P-256', x, y } : null;
  }
  if (get(KTY) === 1 && get(ALG) === -8 && get(CRV) === 6 && key.size === 4) {
    const x = bytesOf(get(X), 32);
    return x ? { kty: 'OKP', crv: 'Ed25519', x } : null;
  }
  if (get(KTY) === 3 && get(ALG) === -257 && key.size === 4) {
    const n = get(RSA_N);
    const e = get(RSA_E);
    if (!(n instanceof Uint8Array) || !(e instanceof Uint8Array) || n.length > 512 || e.length > 4) return null;
    return { kty: 'RSA', n: text(n), e: text(e) };
  }
  return null;
}

/**
 * The public key of a credential as JWK, for hosts and auditors, who know nothing of CBOR. Null for anything but P-256
 * with ES256, Ed25519 with EdDSA and RSA of 2048 to 4096 bits with RS256, or for a point that is not on its curve.
 */
export function coseToJwk(cose: Uint8Array): Record<string, string> | null {
  try {
    const decoded: unknown = decodeCredentialPublicKey(Uint8Array.from(cose));
    if (!(decoded instanceof Map)) return null;
    const jwk = members(decoded as Map<number, unknown>);
    if (jwk === null) return null;
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
    if (jwk.kty === 'RSA') {
      const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
      const exponent = key.asymmetricKeyDetails?.publicExponent ?? 0n;
      if (bits < 2048 || bits > 4096 || exponent < 65537n) return null;
    }
    return jwk;
  } catch {
    return null;
  }
}
