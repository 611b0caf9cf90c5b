import { z } from 'zod';
import { challengeId, userCode } from '#shared/names.ts';
import { shortened } from './shortened.ts';

/** One request that waits, as far as menus and notifications tell about it. Every text is safe to display. */
export interface PendingRequest {
  id: string;
  code: string;
  who: string;
  command: string;
  host: string;
  /** By this computer's clock, milliseconds since the Unix epoch. */
  createdAt: number;
  expiresAt: number;
  /** This person may deny it. */
  canDeny: boolean;
  /** A notification is to tell of it, by what the person has chosen at that server. */
  isTold: boolean;
}

/** Longer than what any menu or notification shows of it. */
const NAME_LENGTH = 64;
const COMMAND_LENGTH = 200;

const entry = z.object({
  id: challengeId,
  userCode,
  user: z.string().max(300),
  command: z.string(),
  host: z.object({ name: z.string().max(300) }),
  createdAt: z.int(),
  expiresAt: z.int(),
  now: z.int(),
  can: z.object({ deny: z.boolean() }),
});
const answer = z.object({ result: z.object({ data: z.array(entry).max(1000) }) });

/**
 * Reads the answer of `challenges.inbox`, newest first.
 *
 * @param now of this computer; the server's clock may be another
 * @throws when it is not such an answer
 */
export function readInbox(body: unknown, now: number): Omit<PendingRequest, 'isTold'>[] {
  return answer
    .parse(body)
    .result.data.map((one) => ({
      id: one.id,
      code: one.userCode,
      // A server may send megabytes, or what reads as another line.
      who: shortened(one.user, NAME_LENGTH),
      command: shortened(one.command, COMMAND_LENGTH),
      host: shortened(one.host.name, NAME_LENGTH),
      createdAt: one.createdAt + now - one.now,
      expiresAt: one.expiresAt + now - one.now,
      canDeny: one.can.deny,
    }))
    .sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? 1 : -1));
}
