import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { sampleRecord } from '#shared/testing/request-record.ts';
import type { Reply } from '../client/reply.ts';
import type { Clock } from '../platform/clock.ts';
import { silentLog } from '../platform/log.ts';
import { systemRandom } from '../platform/random.ts';
import { NO_GRANTS } from '../testing/no-grants.ts';
import { type Asked, createAsk } from './ask.ts';
import { createVoice } from './terminal-text.ts';

const HOST = '5c7bb2bb-2f4a-4c57-9d61-0dbb40f5e1a9';
const OUTAGE: Reply<never> = { kind: 'unavailable', unreachable: true, outage: true, message: 'ECONNREFUSED: x' };
const BROKEN: Reply<never> = { kind: 'unavailable', unreachable: false, outage: false, message: 'ECONNRESET: x' };

/** A wait for an approver, while polls come to what `polls` says; the last one again and again. */
async function waiting(
  polls: readonly (Reply<never> | 'pending')[],
  options: { ready?: boolean; allOutSince?: (at: number) => boolean } = {},
) {
  let now = 1_700_000_000_000;
  const start = now;
  const clock: Clock = {
    now: () => now,
    monotonic: () => now - start,
    sleep: async (ms, signal) => {
      if (signal?.aborted) return;
      // Those who speak meanwhile do not move the time of who waits.
      if (signal === undefined || ms <= 5000) now += ms;
      else await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    },
  };
  const answer = {
    challengeId: 'a'.repeat(32),
    userCode: 'ABCDEF-123456',
    status: 'pending' as const,
    approvalUrl: 'https://id.example.com/approve/ABCDEF-123456',
    expiresAt: now + 600_000,
    now,
    approvers: [],
    verdict: null,
    approverKeys: null,
  };
  const asked: Asked = { record: sampleRecord({ hostId: HOST }), answer, deadline: 600_000, offset: 0 };
  const left = [...polls];
  const cancelled: string[] = [];
  const said: string[] = [];
  const ask = createAsk({
    grants: NO_GRANTS,
    client: {
      prepare: () => undefined,
      createChallenge: () => assert.fail('asked again'),
      poll: async () => {
        const next = left.length > 1 ? left.shift()! : left[0]!;
        if (next !== 'pending') return next;
        now += 25_000;
        return { kind: 'ok', value: answer };
      },
      cancel: async (id) => {
        cancelled.push(id);
        return { kind: 'ok', value: null };
      },
      outcome: async () => ({ kind: 'ok', value: null }),
      run: async () => ({ kind: 'ok', value: null }),
    },
    keys: { current: () => ({ version: 1 }) as never, offer: async () => 'not_newer' },
    trust: {} as never,
    hostId: HOST,
    externalUrl: 'https://id.example.com',
    minimumClass: 'policy',
    timeoutMs: () => 900_000,
    contact: null,
    breakGlassReady: async () => options.ready ?? true,
    allOutSince: options.allOutSince ?? (() => true),
    blocked: () => null,
    background: (work) => void work,
    clock,
    random: systemRandom,
    log: silentLog,
  });
  const voice = createVoice((line) => void said.push(line), { cols: 200, rows: 24, term: '', locale: '' });
  const outcome = await ask.wait(asked, voice, { unchanged: async () => true }, new AbortController().signal);
  return { outcome, after: (now - start) / 1000, cancelled, said: said.join('\n') };
}

describe('a server that dies while somebody waits for an answer', () => {
  it('is given half a minute, then the request is withdrawn and the host can be entered without it', async () => {
    const { outcome, after, cancelled, said } = await waiting(['pending', OUTAGE]);
    assert.equal(outcome.kind, 'unreachable');
    assert.ok(after >= 25 + 30 && after < 25 + 40, `${after} s`);
    assert.deepEqual(cancelled, ['a'.repeat(32)]);
    assert.match(said, /cannot be reached, so nobody can approve this/);
  });

  it('is waited for where the host has no other way in', async () => {
    assert.equal((await waiting(['pending', OUTAGE], { ready: false })).outcome.kind, 'expired');
  });

  it('is waited for where another server was not asked since', async () => {
    assert.equal((await waiting(['pending', OUTAGE], { allOutSince: () => false })).outcome.kind, 'expired');
    const asked: number[] = [];
    const { outcome } = await waiting(['pending', OUTAGE], { allOutSince: (at) => asked.push(at) > 0 });
    assert.equal(outcome.kind, 'unreachable');
    // Not what was seen of the others before this server gave its last sign of life.
    assert.deepEqual(asked, [25_000]);
  });

  it('one that is there and fails is waited for, however long', async () => {
    assert.equal((await waiting(['pending', BROKEN])).outcome.kind, 'expired');
  });

  it('a sign of life begins the half minute anew', async () => {
    const { after } = await waiting([...Array(6).fill(OUTAGE), BROKEN, OUTAGE]);
    assert.ok(after > 45, `${after} s`);
  });
});
