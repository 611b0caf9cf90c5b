import { createHmac, timingSafeEqual } from 'node:crypto';

/**
 * Standard Webhooks: the headers and the signature with which a receiver tells what came from here, and what was altered,
 * is old or has come before. `whsec_` and the key in base64.
 */

/** The key of a `whsec_` secret, 24 to 64 bytes; null when it is none. */
export function signingKey(secret: string): Buffer | null {
  const [, text] = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(secret) ?? [];
  const key = text === undefined ? null : Buffer.from(text, 'base64');
  return key !== null && key.length >= 24 && key.length <= 64 ? key : null;
}

const signatureOf = (key: Buffer, { id, timestamp, body }: { id: string; timestamp: string; body: string | Buffer }) =>
  createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();

/** The three headers. `at`: milliseconds of this try; the id stays the same on every one. Two keys: both sign. */
export function signedHeaders(
  keys: readonly Buffer[],
  { id, at, body }: { id: string; at: number; body: string },
): Record<string, string> {
  const timestamp = String(Math.floor(at / 1000));
  const signatures = keys.map((key) => `v1,${signatureOf(key, { id, timestamp, body }).toString('base64')}`);
  return {
    'webhook-id': id,
    'webhook-timestamp': timestamp,
    ...(signatures.length === 0 ? {} : { 'webhook-signature': signatures.join(' ') }),
  };
}

export interface ReceivedWebhook {
  id: string;
  timestamp: string;
  signature: string;
  body: Buffer;
}

/**
 * What is wrong with a webhook that somebody received; null: it is from the owner of one of the keys, and of now. Who
 * receives it looks for the id among those that came before.
 *
 * @param toleranceMs how far the clocks of both may be apart
 */
export function webhookProblem(
  keys: readonly Buffer[],
  { id, timestamp, signature, body }: ReceivedWebhook,
  { now, toleranceMs }: { now: number; toleranceMs: number },
): 'no headers' | 'too old or too new' | 'wrong signature' | null {
  if (id === '' || id.includes('.') || !/^[0-9]{1,12}$/.test(timestamp)) return 'no headers';
  const given = signature.split(' ').flatMap((one) => {
    const [, text] = /^v1,([A-Za-z0-9+/]{43}=)$/.exec(one) ?? [];
    return text === undefined ? [] : [Buffer.from(text, 'base64')];
  });
  const isRight = keys.some((key) => {
    const expected = signatureOf(key, { id, timestamp, body });
    return given.some((one) => one.length === expected.length && timingSafeEqual(one, expected));
  });
  if (!isRight) return 'wrong signature';
  return Math.abs(now - Number(timestamp) * 1000) > toleranceMs ? 'too old or too new' : null;
}
