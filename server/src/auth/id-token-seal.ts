import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import type { Random } from '../platform/random.ts';

const IV_BYTES = 12;
const TAG_BYTES = 16;
/** Longer ones are not kept: they come back in an address, and proxies cut those. Signing out works without. */
const MOST_BYTES = 4096;

const keyOf = (sessionValue: string): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', sessionValue, '', 'identree id_token of a session', 32));

/**
 * An ID token as it is kept for signing out at the provider: readable with the session's cookie only, so that the
 * database and its backups hold no token that can be used. AES-256-GCM; null for a token that is too long.
 */
export function sealIdToken(sessionValue: string, idToken: string, random: Random): string | null {
  if (Buffer.byteLength(idToken) > MOST_BYTES) return null;
  const iv = random.bytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', keyOf(sessionValue), iv);
  const content = Buffer.concat([cipher.update(idToken, 'utf8'), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), content]).toString('base64url');
}

/** The token; null when it was sealed with another session's cookie or has been changed. */
export function openIdToken(sessionValue: string, sealed: string): string | null {
  const bytes = Buffer.from(sealed, 'base64url');
  const [iv, tag] = [bytes.subarray(0, IV_BYTES), bytes.subarray(IV_BYTES, IV_BYTES + TAG_BYTES)];
  if (tag.length !== TAG_BYTES) return null;
  try {
    const decipher = createDecipheriv('aes-256-gcm', keyOf(sessionValue), iv, { authTagLength: TAG_BYTES });
    decipher.setAuthTag(tag);
    return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]).toString('utf8');
  } catch {
    return null;
  }
}
