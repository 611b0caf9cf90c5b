import type { z } from 'zod';
import type { ErrorCode } from '#shared/errors.ts';
import { CHAIN_START } from '#shared/events.ts';
import { HOST_BODY_LIMIT } from '#shared/host-api.ts';
import type { Reply } from '../client/reply.ts';

/** What the journal adds to an entry, as long as it gets. */
const CHAINED = { id: '00000000-0000-4000-8000-000000000000', at: 1e15, prevHash: CHAIN_START, hash: CHAIN_START };

/** Whether a server would take an entry of this content: who may choose what is in it must not choose that nobody hears of it. */
export const canBeTold = (schema: z.ZodType, content: object): boolean => {
  const entry = { ...CHAINED, ...content };
  return Buffer.byteLength(JSON.stringify(entry)) < HOST_BODY_LIMIT && schema.safeParse(entry).success;
};

/** Refusals of an entry itself, which it gets again whenever it is told. */
const NEVER: ReadonlySet<string> = new Set([
  'bad_request',
  'body_too_large',
  'wrong_host_record',
] satisfies ErrorCode[]);

/** Whether an entry will never be taken, and must not keep those after it: that it is missing the server sees by their hashes. */
export const isNeverTaken = (reply: Reply<unknown>): boolean => reply.kind === 'refused' && NEVER.has(reply.code);
