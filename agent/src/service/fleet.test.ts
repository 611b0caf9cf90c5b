import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { HostReport } from '#shared/host-api.ts';
import { createHeardAuthorities } from '../certificates/authorities.ts';
import { generateTlsKey } from '../certificates/key.ts';
import { dueAt, keepCertificate } from '../certificates/schedule.ts';
import type { HostClient } from '../client/host-client.ts';
import type { Clock } from '../platform/clock.ts';
import { silentLog } from '../platform/log.ts';
import { createWaker } from '../platform/waker.ts';
import { NOTHING_SEEN } from '../state/checkpoint.ts';
import { createTestAuthority } from '../testing/certificate.ts';
import { NO_GRANTS } from '../testing/no-grants.ts';
import { NO_JOURNALS } from '../testing/no-journals.ts';
import { type HeartbeatDeps, keepBeating } from './heartbeat.ts';

/** What a thousand hosts send that began in the same second: each by the code of its own agent, on a clock that leaps. */

const HOSTS = 1000;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const START = Date.UTC(2027, 0, 1);
const REPORT: HostReport = { v: 1, grants: [], accounts: [], unread: 0, drift: [], cut: false };

/** The same numbers each time, other ones for each host (mulberry32). */
function randomOf(host: number): () => number {
  let state = host * 2_654_435_761;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** A clock that is at once where somebody sleeps to; `stopped` aborts when it is there. */
function leapingClock(until: number): { clock: Clock; stopped: AbortSignal } {
  let now = START;
  const stop = new AbortController();
  const sleep = async (ms: number) => {
    now += ms;
    if (now >= until) stop.abort();
  };
  return { clock: { now: () => now, monotonic: () => now, sleep }, stopped: stop.signal };
}

/** How many there are in the busiest span of so many milliseconds. */
function most(times: readonly number[], span: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  let from = 0;
  return Math.max(
    ...sorted.map((time, n) => {
      while (time - sorted[from]! >= span) from += 1;
      return n - from + 1;
    }),
  );
}

/** When a host sends heartbeats, after the first. @param isAway whether nobody answers at that time */
async function beats(host: number, isAway: (now: number) => boolean): Promise<number[]> {
  const { clock, stopped } = leapingClock(START + HOUR);
  const sent: number[] = [];
  const client = {
    async heartbeat() {
      const now = clock.now();
      sent.push(now);
      if (isAway(now)) return { kind: 'unavailable', unreachable: true, outage: true, message: 'ECONNREFUSED' };
      return { kind: 'ok', value: { now, state: 'active', approverKeys: null, checkpoint: { seq: 0, hash: '' } } };
    },
  } as unknown as HostClient;
  const deps: HeartbeatDeps = {
    client,
    keys: { current: () => ({ version: 1, keys: [] }), offer: async () => 'unchanged' } as never,
    grants: NO_GRANTS,
    authorities: createHeardAuthorities(),
    ownAuthorities: async () => null,
    checkpoints: { current: () => NOTHING_SEEN, keep: async () => undefined },
    trust: null as never,
    osInfo: 'Debian x64',
    report: async () => REPORT,
    doctor: { news: () => null, heard: () => undefined, changed: () => undefined, isAwaited: () => false },
    journals: NO_JOURNALS,
    save: async () => undefined,
    clock,
    log: silentLog,
  };
  await keepBeating({ ...deps, random: randomOf(host), waker: createWaker() }, stopped);
  return sent.slice(1);
}

const fleet = <T>(work: (host: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: HOSTS }, (_, host) => work(host)));

describe('1,000 hosts', () => {
  it('that began at once send their heartbeats spread over the hour', async () => {
    const each = await fleet((host) => beats(host, () => false));
    assert.ok(each.every((times) => times.length >= 9 && times.length <= 12));
    const busiest = most(each.flat(), SECOND);
    assert.ok(busiest <= 40, `${busiest} in a second`);
  });

  it('whose server was away for ten minutes come back without a storm', async () => {
    const away = (now: number) => now - START > 20 * MINUTE && now - START < 30 * MINUTE;
    const each = await fleet((host) => beats(host, away));
    const after = each.map((times) => times.find((now) => now - START >= 30 * MINUTE)!);
    assert.ok(
      after.every((now) => now - START < 31 * MINUTE),
      'all of them within a minute',
    );
    const busiest = most(each.flat(), SECOND);
    assert.ok(busiest <= 60, `${busiest} in a second`);
  });

  it('that were enrolled in the same second renew their certificates spread over an hour, each in time', async () => {
    const [hostname, hostId] = ['web1.example.com', '0b9d7c9e-4a52-4a0b-9a3e-6d1f0c2b7a11'];
    const authority = await createTestAuthority();
    const key = await generateTlsKey(hostname);
    // A twentieth of their life is an hour. Seconds count in certificates.
    const life = { from: START, until: START + 20 * HOUR };
    const certificate = await authority.issue(key.csr, [`dns:${hostname}`, `url:urn:uuid:${hostId}`], life);
    const set = { certificate, key: key.pem, ca: authority.pem };
    const renewals = await fleet(async (host) => {
      const { clock, stopped } = leapingClock(START + 30 * HOUR);
      const done = new AbortController();
      let renewed = Number.NaN;
      await keepCertificate(
        {
          current: async () => set,
          identity: { hostname, hostId },
          async renew() {
            renewed = clock.now();
            done.abort();
            return { ok: true, serial: '1', until: life.until, isWhole: true };
          },
          heard: createHeardAuthorities(),
          granted: async () => null,
          save: async () => undefined,
          clock,
          log: silentLog,
          random: randomOf(host),
        },
        AbortSignal.any([stopped, done.signal]),
      );
      return renewed;
    });
    assert.ok(renewals.every((at) => at >= dueAt(life, 1) && at <= dueAt(life, 0) + HOUR));
    const busiest = { second: most(renewals, SECOND), minute: most(renewals, MINUTE) };
    assert.ok(busiest.second <= 5 && busiest.minute <= 50, JSON.stringify(busiest));
    assert.ok(Math.max(...renewals) - Math.min(...renewals) > 45 * MINUTE);
  });
});
