import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { silentLog } from '../platform/log.ts';
import { createWaker } from '../platform/waker.ts';
import { createDoctor } from '../service/doctor.ts';
import { keepBeating } from '../service/heartbeat.ts';
import { NOTHING_SEEN, type StoredCheckpoint } from '../state/checkpoint.ts';
import { createTestAuthority, type IssueOptions, type TestAuthority } from '../testing/certificate.ts';
import { NO_GRANTS } from '../testing/no-grants.ts';
import { NO_JOURNALS } from '../testing/no-journals.ts';
import { createHeardAuthorities, fingerprintsOf } from './authorities.ts';
import { generateTlsKey } from './key.ts';
import { keepCertificate } from './schedule.ts';
import type { CertificateSet } from './store.ts';

/** A whole fleet in one process, in time that leaps: what its server hears, second by second. */

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const START = Date.UTC(2027, 0, 1);
const HOSTS = 1000;
/** All hosts are one here: what they do when does not depend on their names. */
const HOST = { hostname: 'web1.example.com', hostId: '0b9d7c9e-4a52-4a0b-9a3e-6d1f0c2b7a11' };
const NAMES = [`dns:${HOST.hostname}`, `url:urn:uuid:${HOST.hostId}`];
const key = await generateTlsKey(HOST.hostname);

/**
 * Time in which nothing happens between one sleeper and the next.
 *
 * @param work what really takes time: meanwhile none passes, or all who wait for it would go on in one moment.
 */
function createLeapingClock(work: ReadonlyMap<string, Promise<unknown>>) {
  let now = START;
  const sleepers = new Set<{ at: number; wake: () => void }>();
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  /** Everything that runs comes to where it sleeps. */
  async function settle(): Promise<void> {
    await turn();
    await Promise.all(work.values());
    await turn();
  }
  return {
    now: () => now,
    monotonic: () => now,
    sleep: (ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve) => {
        if (signal?.aborted) return resolve();
        const sleeper = { at: now + ms, wake: resolve };
        sleepers.add(sleeper);
        signal?.addEventListener(
          'abort',
          () => {
            sleepers.delete(sleeper);
            resolve();
          },
          { once: true },
        );
      }),
    async runUntil(end: number): Promise<void> {
      await settle();
      for (;;) {
        let next = Infinity;
        for (const { at } of sleepers) next = Math.min(next, at);
        if (next > end) break;
        now = next;
        for (const sleeper of sleepers) {
          if (sleeper.at > now) continue;
          sleepers.delete(sleeper);
          sleeper.wake();
        }
        await settle();
      }
      now = end;
    },
  };
}

/** Numbers that look like chance, the same each time. */
function createChance(): () => number {
  let state = 1;
  return () => {
    state = (state * 48271) % 2147483647;
    return state / 2147483647;
  };
}

/** Hosts that start within a minute, as after a power failure, and what their server hears of them. */
function startFleet(options: { life: IssueOptions; first: TestAuthority; beats: boolean }) {
  /** Certificates of one time and signer are the same for all: making them is not what is measured. */
  const made = new Map<string, Promise<CertificateSet>>();
  const clock = createLeapingClock(made);
  const chance = createChance();
  const stop = new AbortController();
  const heard = { heartbeats: [] as number[], renewals: [] as number[] };
  const server = { authorities: fingerprintsOf(options.first.pem), signer: options.first, bundle: options.first.pem };
  const issue = (life: { from: number; until: number }): Promise<CertificateSet> => {
    const name = `${life.from} ${server.authorities.join()}`;
    const known = made.get(name);
    if (known) return known;
    const { bundle } = server;
    const fresh = server.signer
      .issue(key.csr, NAMES, life)
      .then((certificate) => ({ certificate, key: key.pem, ca: bundle }));
    made.set(name, fresh);
    return fresh;
  };

  async function host(): Promise<void> {
    let set = await issue({ from: options.life.from!, until: options.life.until! });
    let granted = fingerprintsOf(set.ca);
    let checkpoint: StoredCheckpoint = NOTHING_SEEN;
    const authorities = createHeardAuthorities();
    const every = { clock, log: silentLog, random: chance };
    const deps: Parameters<typeof keepBeating>[0] = {
      ...every,
      waker: createWaker(),
      client: {
        async heartbeat() {
          heard.heartbeats.push(clock.now());
          const checkpoint = { seq: 1, hash: 'x' };
          const value = { now: clock.now(), state: 'active' as const, approverKeys: null, checkpoint };
          return { kind: 'ok', value: { ...value, authorities: server.authorities } };
        },
        logHashes: () => assert.fail(),
        report: () => assert.fail(),
      },
      keys: { current: () => ({ version: 1 }), offer: async () => 'not_newer' } as never,
      checkpoints: {
        current: () => checkpoint,
        keep: async (next: StoredCheckpoint) => {
          checkpoint = next;
        },
      } as never,
      trust: {} as never,
      grants: NO_GRANTS,
      authorities,
      journals: NO_JOURNALS,
      doctor: createDoctor({ look: async () => [], clock, log: silentLog }),
      ownAuthorities: async () => null,
      report: () => assert.fail(),
      osInfo: 'test',
      save: async () => {},
    };
    await clock.sleep(MINUTE * chance(), stop.signal);
    if (options.beats) void keepBeating(deps, stop.signal);
    void keepCertificate(
      {
        ...every,
        current: async () => set,
        identity: HOST,
        heard: authorities,
        granted: async () => granted,
        save: async () => {},
        async renew() {
          heard.renewals.push(clock.now());
          const long = options.life.until! - options.life.from!;
          const from = clock.now() - (clock.now() % MINUTE);
          set = await issue({ from, until: from + long });
          granted = fingerprintsOf(server.bundle);
          return { ok: true, serial: '1', until: from + long, isWhole: true };
        },
      },
      stop.signal,
    );
  }
  for (let one = 0; one < HOSTS; one += 1) void host();
  return { clock, heard, server, stop };
}

/** The most of these that fall into one stretch of time. */
function mostWithin(times: readonly number[], ms: number): number {
  const counts = new Map<number, number>();
  for (const at of times) counts.set(Math.floor(at / ms), (counts.get(Math.floor(at / ms)) ?? 0) + 1);
  return Math.max(0, ...counts.values());
}

describe(`${HOSTS} hosts`, () => {
  it('that were enrolled in one night, with certificates of a day, renew all over an hour, and none twice', async () => {
    const first = await createTestAuthority();
    const life = { from: START - 14 * HOUR, until: START + 10 * HOUR };
    const { clock, heard, stop } = startFleet({ life, first, beats: false });
    await clock.runUntil(START + 30 * MINUTE);
    assert.equal(heard.renewals.length, 0, 'none is early');
    await clock.runUntil(START + 3 * HOUR + 10 * MINUTE);
    stop.abort();
    assert.equal(heard.renewals.length, HOSTS);
    const [from, to] = [Math.min(...heard.renewals), Math.max(...heard.renewals)];
    assert.ok(to - from > HOUR, `they came within ${(to - from) / MINUTE} minutes`);
    assert.ok(mostWithin(heard.renewals, MINUTE) <= HOSTS / 20, `${mostWithin(heard.renewals, MINUTE)} in a minute`);
    assert.ok(mostWithin(heard.renewals, SECOND) <= HOSTS / 20, `${mostWithin(heard.renewals, SECOND)} in a second`);
  });

  it('follow another authority within one round of heartbeats, each once, and not at once', async () => {
    const [first, next] = [await createTestAuthority(), await createTestAuthority()];
    const life = { from: START, until: START + 365 * DAY };
    const { clock, heard, server, stop } = startFleet({ life, first, beats: true });
    await clock.runUntil(START + 10 * MINUTE);
    const [old] = server.authorities;
    const [fresh] = fingerprintsOf(next.pem);
    const both = `${next.pem}${first.pem}`;
    const steps = [
      { authorities: [old!, fresh!], signer: first, bundle: both },
      { authorities: [fresh!, old!], signer: next, bundle: both },
      { authorities: [fresh!], signer: next, bundle: next.pem },
    ];
    for (const step of steps) {
      Object.assign(server, step);
      heard.renewals.length = heard.heartbeats.length = 0;
      const begun = clock.now();
      await clock.runUntil(begun + 8 * MINUTE);
      assert.equal(heard.renewals.length, HOSTS);
      assert.ok(Math.max(...heard.renewals) <= begun + 7 * MINUTE);
      assert.ok(mostWithin(heard.renewals, SECOND) <= HOSTS / 20, `${mostWithin(heard.renewals, SECOND)} in a second`);
      assert.ok(mostWithin(heard.heartbeats, SECOND) <= HOSTS / 20, `${mostWithin(heard.heartbeats, SECOND)}`);
    }
    stop.abort();
  });
});
