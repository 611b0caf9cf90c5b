import { z } from 'zod';
import { sha256Text } from './names.ts';

/**
 * Enrolment token: `idt1.<id>.<secret>.<fingerprint>`. The id finds the row, the secret (32 random bytes) is stored
 * only as a hash, the fingerprint (RFC 7638 thumbprint of the trust root) lets the host recognise the right server.
 */
export interface EnrolmentToken {
  id: string;
  secret: string;
  fingerprint: string;
}

const parts = z.tuple([z.literal('idt1'), z.string().regex(/^[A-Za-z0-9_-]{16}$/), sha256Text, sha256Text]);

export function formatEnrolmentToken(token: EnrolmentToken): string {
  return `idt1.${token.id}.${token.secret}.${token.fingerprint}`;
}

/** Null when the text is not an enrolment token. */
export function parseEnrolmentToken(text: string): EnrolmentToken | null {
  const parsed = parts.safeParse(text.trim().split('.'));
  if (!parsed.success) return null;
  const [, id, secret, fingerprint] = parsed.data;
  return { id, secret, fingerprint };
}
