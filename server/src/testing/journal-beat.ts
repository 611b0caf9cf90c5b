import { randomUUID } from 'node:crypto';
import type { BreakGlassUse } from '#shared/break-glass-api.ts';
import { canonicalSha256 } from '#shared/digest.ts';
import { JOURNAL_START, type JournalHeads, type JournalSaid } from '#shared/journal-head.ts';
import { signToken, tokenType } from '#shared/token.ts';
import type { Clock } from '../platform/clock.ts';
import type { TestAnswer, TestHost } from './test-host.ts';

export type JournalBeats = ReturnType<typeof journalBeats>;

/** Heartbeats of a host that says something of its journal of break-glass uses, and nothing new of the other one. */
export function journalBeats({ clock }: { clock: Pick<Clock, 'now'> }, host: TestHost) {
  function send(journals?: string): Promise<TestAnswer> {
    host.counter += 1;
    const { counter, machineId } = host;
    const facts = { approverKeysVersion: 0, now: clock.now(), checkpointSeq: 0, agentVersion: '1', osInfo: 'x' };
    return host.send('POST', '/heartbeat', { counter, machineId, ...facts, ...(journals ? { journals } : {}) });
  }
  const heads = (breakGlass: JournalSaid | null, at = clock.now()): JournalHeads => ({
    v: 1,
    iss: host.id,
    aud: host.serverId,
    at,
    journals: { breakGlass, offlineGrants: { ...JOURNAL_START, after: JOURNAL_START } },
  });
  const sent = async (journals?: string) => {
    const answer = await send(journals);
    if (answer.status !== 200) throw new Error(JSON.stringify(answer));
    return answer.body;
  };
  return {
    send,
    heads,
    plain: () => sent(),
    /** What the host says of it; null: that it cannot be read. */
    say: async (said: JournalSaid | null, at?: number) =>
      sent(await signToken(tokenType.journalHeads, heads(said, at), { kid: host.keyId, privateKey: host.key })),
  };
}

/** Wrong break-glass passwords, one entry after the other. */
export function breakGlassUses(host: TestHost, from: number, count: number): BreakGlassUse[] {
  let prevHash = JOURNAL_START.hash;
  return Array.from({ length: count }, (_, n) => {
    const entry = { id: randomUUID(), at: from + n, outcome: 'wrong' as const, record: host.record(), prevHash };
    prevHash = canonicalSha256(entry);
    return { ...entry, hash: prevHash };
  });
}
