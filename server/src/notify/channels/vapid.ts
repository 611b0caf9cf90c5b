import { createECDH, createPrivateKey, hkdfSync, type KeyObject } from 'node:crypto';
import { SignJWT } from 'jose';

/** What push services know this server by (RFC 8292). */
export interface Vapid {
  /** Browsers subscribe with it: an uncompressed point of P-256 in base64url. */
  readonly publicKey: string;
  /** The header that shows a push service who sends. `at`: milliseconds. */
  authorization(endpoint: URL, at: number): Promise<string>;
}

const HOURS_12_S = 12 * 3600;
const CURVE = 'prime256v1';

/**
 * The key follows from a secret of this server, so that all servers of a cluster have it and none has to be kept beside
 * those that are backed up.
 *
 * @param subject `https:` or `mailto:`, where the operator of a push service finds the one of this server
 */
export function createVapid(secret: Uint8Array, subject: string): Vapid {
  const { key, point } = derivedKey(secret);
  const publicKey = point.toString('base64url');
  return {
    publicKey,
    async authorization({ origin }, at) {
      const token = await new SignJWT({ aud: origin, exp: Math.floor(at / 1000) + HOURS_12_S, sub: subject })
        .setProtectedHeader({ typ: 'JWT', alg: 'ES256' })
        .sign(key);
      return `vapid t=${token}, k=${publicKey}`;
    },
  };
}

function derivedKey(secret: Uint8Array): { key: KeyObject; point: Buffer } {
  const pair = createECDH(CURVE);
  // One in 2³² numbers is too large to be a key of this curve.
  for (let count = 0; ; count++) {
    const scalar = Buffer.from(hkdfSync('sha256', secret, '', `identree web push vapid ${count}`, 32));
    try {
      pair.setPrivateKey(scalar);
    } catch {
      continue;
    }
    const point = pair.getPublicKey();
    const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((part) => part.toString('base64url'));
    const jwk = { kty: 'EC', crv: 'P-256', d: scalar.toString('base64url'), x: x!, y: y! };
    return { key: createPrivateKey({ format: 'jwk', key: jwk }), point };
  }
}
