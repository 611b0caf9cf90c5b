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

/** What a report is about: who reports goes on with nothing. */
const reported = z.object({ v: z.literal(1), answer: challengeAnswer.pick({ challengeId: true }) });

/**
 * Without what the answer brings beside the request: a set of approvers' keys has no bounds, and a token that the plugin
 * has no room for is none, so that nobody would be told what became of the command.
 */
export function writeToken({ record, answer, offset }: Omit<Continuation, 'v'>): Buffer {
  const { offlineGrant: _, grants: __, ...asked } = answer;
  const kept = { ...asked, verdict: null, approverKeys: null };
  return Buffer.from(JSON.stringify({ v: 1, record, answer: kept, offset } satisfies Continuation));
}

/** Of which request a token is. Null: no agent has written this. */
export function readChallengeId(token: Buffer): string | null {
  try {
    return reported.parse(JSON.parse(token.toString('utf8'))).answer.challengeId;
  } catch {
    return null;
  }
}

/** Null: no agent has written this. */
export function readToken(token: Buffer): Continuation | null {
  try {
    return continuation.parse(JSON.parse(token.toString('utf8')));
  } catch {
    return null;
  }
}
