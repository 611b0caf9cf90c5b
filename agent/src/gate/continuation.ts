import { z } from 'zod';
import { hostRecord } from '#shared/decision.ts';
import { challengeAnswer } from '#shared/host-api.ts';

/** By what a request is known again by another agent, which has nothing else of it. Root's own memory holds it. */
const continuation = z.object({
  v: z.literal(1),
  record: hostRecord,
  answer: challengeAnswer,
  offset: z.number(),
});

type Continuation = z.infer<typeof continuation>;

export const writeToken = ({ record, answer, offset }: Omit<Continuation, 'v'>): Buffer =>
  Buffer.from(JSON.stringify({ v: 1, record, answer, offset } satisfies Continuation));

/** Null: no agent has written this. */
export function readToken(token: Buffer): Continuation | null {
  try {
    return continuation.parse(JSON.parse(token.toString('utf8')));
  } catch {
    return null;
  }
}
