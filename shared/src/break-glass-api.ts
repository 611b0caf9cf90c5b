import { z } from 'zod';
import { hostRecord } from './decision.ts';
import { sha256Text, timestamp, uuid } from './names.ts';
import { sealedPassword } from './sealed-password.ts';

/**
 * What hosts and the server say to each other about break-glass: the local password that opens a host whose server cannot
 * be reached. All of it is signed by the host, as everything else of the host API is.
 */

/** The longest password that can be kept, bytes: what bcrypt reads. */
export const BREAK_GLASS_PASSWORD_MAX = 72;

/** How a password is made. */
export const PASSWORD_TYPES = ['random', 'passphrase', 'alphanumeric'] as const;
export type PasswordType = (typeof PASSWORD_TYPES)[number];

/** `unknown`: by another program. */
export const breakGlassType = z.enum([...PASSWORD_TYPES, 'unknown']);

const escrowed = {
  /** Made by the host. A repetition of the same id changes nothing, so that a lost answer can be asked for again. */
  id: uuid,
  type: breakGlassType,
  createdAt: timestamp,
};

/** POST /break-glass/escrow: the server is to keep a password before it begins to open the host. */
export const escrowRequest = z.union([
  z.strictObject({
    ...escrowed,
    /** Printable ASCII. */
    password: z
      .string()
      .min(16)
      .max(BREAK_GLASS_PASSWORD_MAX)
      .regex(/^[\x21-\x7e]+$/),
  }),
  /** The same where the server itself is not to know it. */
  z.strictObject({ ...escrowed, sealed: sealedPassword }),
]);
export type EscrowRequest = z.infer<typeof escrowRequest>;

/** POST /break-glass/uses: a try at the door of a host while no server could be asked. Oldest first. */
export const breakGlassUse = z.strictObject({
  /** Made by the host; the server takes each once. */
  id: uuid,
  at: timestamp,
  /** `opened`: the password was right and the request went on. `wrong`: it was not. */
  outcome: z.enum(['opened', 'wrong']),
  /** What was asked for, as it would have been sent to the server. */
  record: hostRecord,
  /** Hash of the entry before it in the host's journal, and of this one: what is missing in between shows. */
  prevHash: sha256Text,
  hash: sha256Text,
});
export type BreakGlassUse = z.infer<typeof breakGlassUse>;

/** POST /break-glass/state: how things are at the host. */
export const breakGlassStateRequest = z.strictObject({
  /** False: an operator has turned it off, for this host in client.conf or for all of them at the server. */
  enabled: z.boolean(),
  /** What opens the host now; null: nothing does. */
  current: z
    .strictObject({
      createdAt: timestamp,
      type: breakGlassType,
      /** Under which the server keeps it; null: only who ran the command has seen it. */
      escrowId: uuid.nullable(),
    })
    .nullable(),
  /** Why the last change of the password failed, for operators; null: it did not. */
  problem: z.string().max(300).nullable(),
});
export type BreakGlassState = z.infer<typeof breakGlassStateRequest>;

/** The longest that the answer to POST /break-glass/state is held back, seconds: proxies let go of what is idle for 50. */
export const STATE_WAIT_SECONDS = 45;

/** `?…` of POST /break-glass/state. A server does without what it does not know of it. */
export const stateQuery = z.object({
  /**
   * How long the server may keep the answer while what the host has is what is wanted, seconds. One that does not know it
   * answers at once.
   */
  wait: z.coerce.number().int().min(0).max(STATE_WAIT_SECONDS).default(0),
  /** The settings that the host has heard (`defaultsDigest` in client-defaults.ts). Absent: it takes none. */
  defaults: sha256Text.optional(),
  /** 32 random bytes, echoed in signed settings. */
  nonce: sha256Text.optional(),
});

/** What the server wants. */
export const breakGlassStateResponse = z.object({
  /** Whether the server keeps passwords. */
  escrow: z.boolean(),
  /** A password made before this has to be replaced, milliseconds since the epoch; null: none has to. */
  rotateBefore: timestamp.nullable(),
  /** JWS; see client-defaults.ts. Absent: those that the host has heard, or a server that tells none. */
  clientDefaults: z.string().max(4096).optional(),
});
export type BreakGlassWanted = z.infer<typeof breakGlassStateResponse>;
