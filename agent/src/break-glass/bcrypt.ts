import bcrypt from 'bcryptjs';
import { LONGEST_PASSWORD } from './password.ts';

/**
 * bcrypt over bytes. The library knows only text, which cannot be wiped: this is for processes that end after it.
 * It gives others their turn in between.
 */

/** Null for what no password of ours can be. bcrypt would take 80 bytes for their first 72, and so those of another password. */
function textOf(password: Uint8Array): string | null {
  if (password.length === 0 || password.length > LONGEST_PASSWORD) return null;
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(password);
    return text.includes('\0') ? null : text;
  } catch {
    return null;
  }
}

/** @param cost 10 to 16; each step doubles the work. */
export async function hashPassword(password: Uint8Array, cost: number): Promise<string> {
  const text = textOf(password);
  if (text === null) throw new Error('no password that can be hashed');
  return bcrypt.hash(text, cost);
}

export async function isPassword(password: Uint8Array, hash: string): Promise<boolean> {
  const text = textOf(password);
  return text !== null && bcrypt.compare(text, hash);
}
