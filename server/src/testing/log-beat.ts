import assert from 'node:assert/strict';
import { type LogHead, type LogShown, readLogHead, readLogKey } from '#shared/log-head.ts';
import type { App } from '../app/app.ts';
import type { TestHost } from './test-host.ts';

/** A head as a host keeps it. */
export type KeptHead = LogHead & { token: string; keyToken: string };

/** One heartbeat of a host that keeps a head, or of one that knows none yet. */
export async function logBeat(host: TestHost, kept: KeptHead | null, more: object = {}, app?: App) {
  host.counter += 1;
  const body = {
    counter: host.counter,
    machineId: host.machineId,
    approverKeysVersion: 0,
    now: Date.now(),
    checkpointSeq: kept?.seq ?? 0,
    ...(kept === null ? {} : { log: { head: kept.token, contradiction: null } }),
    agentVersion: '0.3.0',
    osInfo: 'Debian',
    ...more,
  };
  const answer = await host.send('POST', '/heartbeat', body, {}, app);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body.log as LogShown | null;
}

/** The head in an answer, as a host reads it: by keys that it has pinned. */
export async function logHeadOf(host: TestHost, shown: LogShown | null): Promise<KeptHead> {
  assert.ok(shown);
  const key = await readLogKey(shown.key, host.grant);
  assert.ok(key, 'the trust root vouches for the log key');
  const head = await readLogHead(shown.head, host.serverId, [key.key]);
  assert.ok(head, 'the log key signed the head');
  return { ...head, token: shown.head, keyToken: shown.key };
}
