import { sha256 } from '#shared/digest.ts';
import type { SealedPassword } from '#shared/sealed-password.ts';
import { splitPassword, writeShare } from './shares.ts';

/** To whom a break-glass password is sealed. */
export interface Sealing {
  /** Recipients of age, `age1…`: each gets a part of its own. */
  recipients: readonly string[];
  /** How many of them it takes to open the host, at least 1. */
  threshold: number;
}

/** The password cannot be sealed; the message is for operators and holds nothing secret. */
export class SealingFailed extends Error {}

/** Tells one set of people, and how many of them it takes, from another. Null: the password is sealed to nobody. */
export function sealingId(sealing: Sealing | null): string | null {
  if (sealing === null) return null;
  return sha256(`${sealing.threshold} ${[...sealing.recipients].sort().join(' ')}`).slice(0, 22);
}

/**
 * Seals a password, so that whoever keeps the result cannot read it.
 *
 * @param id of this password: its parts are told from those of others by it.
 * @throws SealingFailed
 */
export async function seal(password: Uint8Array, sealing: Sealing, id: string): Promise<SealedPassword> {
  const { recipients, threshold } = sealing;
  // Only who replaces a password pays for loading them.
  const { armor, Encrypter } = await import('age-encryption');
  const texts = threshold === 1 ? recipients.map(() => Uint8Array.from(password)) : await shares(password, sealing, id);
  const parts = [];
  try {
    for (const [index, recipient] of recipients.entries()) {
      const encrypter = new Encrypter();
      try {
        encrypter.addRecipient(recipient);
      } catch {
        throw new SealingFailed(`IDENTREE_BREAKGLASS_RECIPIENTS: ${recipient} is no recipient of age`);
      }
      parts.push({ recipient, age: armor.encode(await encrypter.encrypt(texts[index]!)) });
    }
  } finally {
    for (const text of texts) text.fill(0);
  }
  return { format: 'identree-sealed-1', threshold, parts };
}

/** As many of these lines as the threshold says give the password, fewer give nothing. */
async function shares(password: Uint8Array, { recipients, threshold }: Sealing, id: string): Promise<Uint8Array[]> {
  const each = await splitPassword(password, { id, threshold, people: recipients.length });
  return each.map((one) => {
    const line = writeShare(one);
    one.share.fill(0);
    return Buffer.from(line, 'latin1');
  });
}
