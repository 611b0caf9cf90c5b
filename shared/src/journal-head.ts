import { z } from 'zod';
import { CHAIN_START } from './events.ts';
import { sha256Text, timestamp, uuid } from './names.ts';

/**
 * Heads of the journals that a host keeps of what it did without a server. It signs them with its own key, and they go up
 * with every heartbeat: who takes entries away on the host, before the server was told of them or after, is noticed.
 */

export const journalName = z.enum(['breakGlass', 'offlineGrants']);
export type JournalName = z.infer<typeof journalName>;

/** Where a journal stands. */
export const journalPosition = z.strictObject({
  /** How many entries it has ever had. */
  seq: z.int().min(0),
  /** Hash of the last of them. */
  hash: sha256Text,
});
export type JournalPosition = z.infer<typeof journalPosition>;

/** Where a journal begins. */
export const JOURNAL_START: JournalPosition = { seq: 0, hash: CHAIN_START };

/** What a host says of one journal. */
export const journalSaid = z.strictObject({
  ...journalPosition.shape,
  /**
   * What it has at the number that the server named last, so that a longer journal shows that it continues what was seen; where
   * that was laid aside, the first that it can still show. Null: the server has named none, or it is not there.
   */
  after: journalPosition.nullable(),
});
export type JournalSaid = z.infer<typeof journalSaid>;

/** The payload of the JWS in a heartbeat, signed by the key of the host. Null: a journal that cannot be read. */
export const journalHeads = z.strictObject({
  v: z.literal(1),
  /** The host. */
  iss: uuid,
  /** The server. */
  aud: uuid,
  at: timestamp,
  journals: z.strictObject({ breakGlass: journalSaid.nullable(), offlineGrants: journalSaid.nullable() }),
});
export type JournalHeads = z.infer<typeof journalHeads>;

/**
 * What is wrong with a journal. `went_back`: it is shorter than it was. `forked`: what was seen is not in it. `gap`: what
 * comes after what was seen cannot be shown any more. `unreadable`: the host says so.
 */
export const journalProblem = z.enum(['went_back', 'forked', 'gap', 'unreadable']);
export type JournalProblem = z.infer<typeof journalProblem>;

/** What the answer to a heartbeat says of a journal. */
export const journalKept = z.object({ ...journalPosition.shape, problem: journalProblem.nullable() });
export type JournalKept = z.infer<typeof journalKept>;

/** Null: the server knows nothing of it yet. */
export const journalsKept = z.object({ breakGlass: journalKept.nullable(), offlineGrants: journalKept.nullable() });
export type JournalsKept = z.infer<typeof journalsKept>;

export const JOURNAL_NAMES = journalName.options;
