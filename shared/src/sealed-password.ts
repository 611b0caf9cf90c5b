import { z } from 'zod';

/**
 * A break-glass password that is sealed to people: a server that carries or keeps it cannot read it.
 *
 * Each part is a file of age (age-encryption.org/v1, armored) for one recipient. With a threshold of one it holds the
 * password itself, so that stock `age --decrypt` shows it; with a higher one it holds a line that
 * `identree combine-breakglass` puts together with those of others.
 */

/** All of them are sent at once. */
export const SEALED_PARTS_MAX = 16;

/** A recipient of age (X25519): bech32, lower case. */
export const AGE_RECIPIENT = /^age1[02-9ac-hj-np-z]{58}$/;

const part = z.strictObject({
  recipient: z.string().regex(AGE_RECIPIENT),
  /** For nobody but this recipient. */
  age: z
    .string()
    .max(1024)
    .regex(/^-----BEGIN AGE ENCRYPTED FILE-----\n[A-Za-z0-9+/=\n]+-----END AGE ENCRYPTED FILE-----\n?$/),
});

export const sealedPassword = z
  .strictObject({
    format: z.literal('identree-sealed-1'),
    /** How many parts have to be opened. */
    threshold: z.int().min(1).max(SEALED_PARTS_MAX),
    parts: z.array(part).min(1).max(SEALED_PARTS_MAX),
  })
  .refine(({ threshold, parts }) => threshold <= parts.length, 'nobody could put it together');
export type SealedPassword = z.infer<typeof sealedPassword>;
