import type { Random } from '../platform/random.ts';

/** 24 letters: without I and O, which are read as 1 and 0. */
const LETTERS = 'ABCDEFGHJKLMNPQRSTUVWXYZ';

/** A new user code, `ABCDEF-123456`: about 47 bits. */
export function newUserCode(random: Random): string {
  const letters = Array.from({ length: 6 }, () => LETTERS[random.int(LETTERS.length)]).join('');
  return `${letters}-${String(random.int(1_000_000)).padStart(6, '0')}`;
}
