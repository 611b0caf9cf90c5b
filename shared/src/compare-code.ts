import { createHash } from 'node:crypto';

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/**
 * What a person compares between the desktop window and the consent page in the browser: the first 40 bits of
 * SHA-256 over the PKCE code challenge (RFC 7636), in RFC 4648 base32, as `XXXX-XXXX`. Both sides derive it from the
 * challenge that the sign-in is bound to, so a consent page opened by anybody else's sign-in shows another code.
 */
export function compareCode(codeChallenge: string): string {
  const digest = createHash('sha256').update(codeChallenge).digest();
  let bits = digest.readUIntBE(0, 5);
  let text = '';
  for (let i = 0; i < 8; i++) {
    text = BASE32[bits % 32]! + text;
    bits = Math.floor(bits / 32);
  }
  return `${text.slice(0, 4)}-${text.slice(4)}`;
}
