import type { PasswordType } from '#shared/break-glass-api.ts';
import type { Random } from '../platform/random.ts';
import { WORDS } from './words.ts';

/** What bcrypt reads; it ignores all further bytes, so that a longer password would be as good as its beginning. */
export const LONGEST_PASSWORD = 72;

/** Without 0, O, 1, I, i, l and o, which are taken for each other when they are read out or copied by hand. */
const SYMBOLS = '23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz';

const RANDOM_BYTES = 32;
const SYMBOL_COUNT = 24;
const WORD_COUNT = 10;

/** How hard each type is to guess, bits. */
export const PASSWORD_BITS: Readonly<Record<PasswordType, number>> = {
  random: RANDOM_BYTES * 8,
  passphrase: WORD_COUNT * Math.log2(WORDS.length),
  alphanumeric: SYMBOL_COUNT * Math.log2(SYMBOLS.length),
};

/** A number below `limit` (at most 65,536). What would make some numbers likelier than others is thrown away. */
export function below(random: Random, limit: number): number {
  const fair = Math.floor(0x10000 / limit) * limit;
  for (;;) {
    const value = random.bytes(2).readUInt16BE(0);
    if (value < fair) return value % limit;
  }
}

/** A new password: printable ASCII, at most {@link LONGEST_PASSWORD} bytes. The caller wipes it. */
export function makePassword(type: PasswordType, random: Random): Buffer {
  switch (type) {
    case 'random': {
      const bytes = random.bytes(RANDOM_BYTES);
      const password = Buffer.from(bytes.toString('base64url'), 'latin1');
      bytes.fill(0);
      return password;
    }
    case 'passphrase':
      return Buffer.from(
        Array.from({ length: WORD_COUNT }, () => WORDS[below(random, WORDS.length)]).join('-'),
        'latin1',
      );
    case 'alphanumeric':
      return Buffer.from(
        Array.from({ length: SYMBOL_COUNT }, () => SYMBOLS[below(random, SYMBOLS.length)]).join(''),
        'latin1',
      );
  }
}
