import { z } from 'zod';
import { sha256Text } from '#shared/names.ts';

/** Longer than any: that of a request, which most reports are about, is not looked into for this. */
const LONGEST = 128;

/** By what sudo's plugin says which use it reports on. Root's own memory holds it, as it does the token of a request. */
const useToken = z.strictObject({ v: z.literal(1), grantUse: sha256Text });

/** @param nonce of the record of the use */
export const writeUseToken = (nonce: string): Buffer =>
  Buffer.from(JSON.stringify({ v: 1, grantUse: nonce } satisfies z.infer<typeof useToken>));

/** Null: it is of no use of a grant. */
export function readUseToken(token: Buffer): string | null {
  if (token.length > LONGEST) return null;
  try {
    return useToken.parse(JSON.parse(token.toString('utf8'))).grantUse;
  } catch {
    return null;
  }
}
