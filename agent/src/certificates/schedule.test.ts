import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createTestAuthority, type IssueOptions } from '../testing/certificate.ts';
import { createHeardAuthorities, fingerprintsOf, type HeardAuthorities } from './authorities.ts';
import { generateTlsKey } from './key.ts';
import type { Renewal } from './renew.ts';
import { type Attempt, dueAt, isLate, keepCertificate, readAttempt } from './schedule.ts';
import type { CertificateSet } from './store.ts';

const DAY = 86_400_000;
const HOUR = 3_600_000;
const MINUTE = 60_000;
const START = Date.UTC(2027, 0, 1);
const HOST = { hostname: 'web1.example.com', hostId: '0b9d7c9e-4a52-4a0b-9a3e-6d1f0c2b7a11' };
const NAMES = [`dns:${HOST.hostname}`, `url:urn:uuid:${HOST.hostId}`];

const authority = await createTestAuthority();
const key = await generateTlsKey(HOST.hostname);
const setOf = async (options: IssueOptions, names = NAMES): Promise<CertificateSet> => ({
  certificate: await authority.issue(key.csr, names, options),
  key: key.pem,
  ca: authority.pem,
});

/** Runs the schedule on a clock that leaps, until it has slept `sleeps` times. */
async function run(options: {
  set: CertificateSet | null | Error;
  sleeps: number;
  random?: number;
  renew?: (now: number) => Promise<Renewal & { set?: CertificateSet }>;
  heard?: HeardAuthorities;
  granted?: () => Promise<string[] | null>;
}) {
  let now = START;
  let { set } = options;
  const stop = new AbortController();
  const renewals: number[] = [];
  const pauses: number[] = [];
  const saved: Attempt[] = [];
  const lines: string[] = [];
  const note = (line: string) => void lines.push(line);
  await keepCertificate(
    {
      current: async () => {
        if (set instanceof Error) throw set;
        return set;
      },
      identity: HOST,
      renew: async () => {
        renewals.push(now);
        const renewal = await (options.renew?.(now) ?? Promise.resolve({ ok: false as const, message: 'not today' }));
        if ('set' in renewal && renewal.set) set = renewal.set;
        return renewal;
      },
      save: async (attempt) => void saved.push(attempt),
      clock: {
        now: () => now,
        monotonic: () => now,
        sleep: async (ms) => {
          pauses.push(ms);
          now += ms;
          if (pauses.length >= options.sleeps) stop.abort();
        },
      },
      log: { info: note, warn: note, error: note },
      random: () => options.random ?? 0,
      heard: options.heard ?? createHeardAuthorities(),
      granted: options.granted ?? (async () => null),
    },
    stop.signal,
  );
  return { renewals, pauses, saved, lines };
}

const renewed = async (now: number) => {
  const life = { from: now - 5 * MINUTE, until: now + 90 * DAY };
  return { ok: true as const, serial: '1', until: life.until, isWhole: true, set: await setOf(life) };
};

describe('when a certificate is renewed', () => {
  it('at two thirds of its life, each host a little earlier by its own share', () => {
    const life = { from: START, until: START + 300 * DAY };
    assert.equal(dueAt(life, 0), START + 200 * DAY);
    assert.equal(dueAt(life, 1), START + 185 * DAY);
    assert.equal(isLate(life, START + 200 * DAY), false);
    assert.equal(isLate(life, START + 200 * DAY + 2 * HOUR), false, 'it is made within an hour');
    assert.equal(isLate(life, START + 200 * DAY + 2 * HOUR + 1), true);
  });

  it('one that lives for minutes is renewed before anybody is warned, with time for further tries', async () => {
    for (const random of [0, 1]) {
      const made = (now: number) => ({ from: now - 75_000, until: now + 5 * MINUTE });
      let life = made(START);
      const lives = [life];
      const { renewals, lines } = await run({
        set: await setOf(life),
        sleeps: 12,
        random,
        renew: async (now) => {
          assert.ok(!isLate(life, now), `${now - START}`);
          assert.ok(life.until - now > 90_000, 'two more tries');
          life = made(now);
          lives.push(life);
          return { ok: true, serial: '1', until: life.until, isWhole: true, set: await setOf(life) };
        },
      });
      assert.ok(renewals.length >= 4, `${renewals.length}`);
      assert.ok(lines.every((line) => line.startsWith('the certificate of this host was renewed')));
    }
  });

  it('[W-10] not before, within an hour after, and then not again', async () => {
    const life = { from: START - 5 * MINUTE, until: START + 90 * DAY };
    const { renewals, pauses, saved } = await run({ set: await setOf(life), sleeps: 61 * 24, renew: renewed });
    assert.equal(renewals.length, 1);
    const due = dueAt(life, 0);
    assert.ok(renewals[0]! >= due && renewals[0]! <= due + HOUR, `${renewals[0]! - due}`);
    assert.ok(pauses.every((ms) => ms <= HOUR && ms > 0));
    assert.deepEqual(saved, [{ at: renewals[0], problem: null }]);
  });

  it('one that is missing, broken, not for this host or over is due at once', async () => {
    const good = { from: START - DAY, until: START + 90 * DAY };
    const ended = await setOf({ from: START - 10 * DAY, until: START - DAY });
    const other = await setOf(good, [NAMES[0]!, 'url:urn:uuid:5f1a2b3c-0000-4000-8000-000000000000']);
    const mixed = { ...(await setOf(good)), key: (await generateTlsKey(HOST.hostname)).pem };
    const broken = { certificate: 'x', key: 'y', ca: 'z' };
    for (const set of [null, new Error('can be changed by others'), ended, other, mixed, broken]) {
      const { renewals } = await run({ set, sleeps: 1, renew: renewed });
      assert.deepEqual(renewals, [START]);
    }
  });

  it('a failure is tried again, less and less often, and noted for status', async () => {
    const { renewals, pauses, saved, lines } = await run({ set: null, sleeps: 9 });
    assert.equal(renewals.length, 9);
    assert.deepEqual(
      pauses.map((ms) => ms / MINUTE),
      [1, 2, 4, 8, 16, 32, 60, 60, 60],
    );
    assert.deepEqual(saved[0], { at: START, problem: 'not today' });
    assert.match(lines.join('\n'), /was not renewed: not today/);
  });

  it('a server whose certificates are always due does not make it turn without a pause', async () => {
    const { renewals, pauses } = await run({
      set: null,
      sleeps: 5,
      renew: async (now) => ({
        ok: true,
        serial: '1',
        until: now,
        isWhole: true,
        set: await setOf({ from: now - DAY, until: now }),
      }),
    });
    assert.equal(renewals.length, 5);
    assert.deepEqual(pauses, [MINUTE, MINUTE, MINUTE, MINUTE, MINUTE]);
  });

  describe('when the server goes by other authorities', () => {
    const life = { from: START - 5 * MINUTE, until: START + 300 * DAY };
    const ours = fingerprintsOf(authority.pem);
    const heardOf = (names: readonly string[]) => {
      const heard = createHeardAuthorities();
      heard.hear(names);
      return heard;
    };

    it('it is due at once, whether one is new, another one signs or one counts no more; and told once', async () => {
      const stranger = fingerprintsOf((await createTestAuthority()).pem)[0]!;
      const cases: [heard: string[], granted: string[] | null, due: boolean][] = [
        [ours, ours, false],
        [ours, null, false],
        [[...ours, stranger], ours, true],
        [[stranger, ...ours], ours, true],
        [[stranger], ours, true],
        [ours, [...ours, stranger], true],
        [[], ours, false],
      ];
      for (const [names, granted, due] of cases) {
        const heard = heardOf(names);
        const toTell = heard.followed();
        const set = await setOf(life);
        const { renewals } = await run({ set, sleeps: 3, renew: renewed, heard, granted: async () => granted });
        // Once, though nothing has changed by it: what a server says again and again must not cost again and again.
        assert.equal(renewals.length, due ? 1 : 0, JSON.stringify(names));
        assert.equal(toTell.aborted, due);
      }
    });

    it('a server that names others each time gets one renewal a minute', async () => {
      const heard = createHeardAuthorities();
      let said = 0;
      const { renewals, pauses } = await run({
        set: await setOf(life),
        sleeps: 6,
        heard: { ...heard, current: () => [String(said++)] },
        renew: renewed,
      });
      assert.equal(renewals.length, 6);
      assert.ok(pauses.every((ms) => ms >= MINUTE));
    });

    it('one that could not ask its directory tries that again', async () => {
      const renew = async (now: number) => ({ ...(await renewed(now)), isWhole: false });
      const { renewals, pauses } = await run({ set: await setOf(life), sleeps: 3, heard: heardOf(['x']), renew });
      assert.equal(renewals.length, 3);
      assert.deepEqual(
        pauses.map((ms) => ms / MINUTE),
        [1, 2, 4],
      );
    });

    it('who waits is woken by what is said, and not by the same said again', () => {
      const heard = heardOf(ours);
      const first = heard.changed();
      heard.hear(ours);
      heard.hear(null);
      assert.equal(first.aborted, false);
      heard.hear([...ours, 'x']);
      assert.equal(first.aborted, true);
      assert.equal(heard.changed().aborted, false);
    });
  });

  it('one that lives for minutes is good at every moment, and renewed at once when its server is back', async () => {
    const life = (now: number) => ({ from: now - 5 * MINUTE, until: now + 10 * MINUTE });
    let until = life(START).until;
    const ended: number[] = [];
    const awayFrom = START + HOUR;
    const back = awayFrom + 40 * MINUTE;
    const { renewals } = await run({
      set: await setOf(life(START)),
      sleeps: 200,
      async renew(now) {
        if (now > until && now < awayFrom) ended.push(now);
        if (now >= awayFrom && now < back) return { ok: false, message: 'nobody is there' };
        until = life(now).until;
        return { ok: true, serial: '1', until, isWhole: true, set: await setOf(life(now)) };
      },
    });
    assert.deepEqual(ended, []);
    assert.ok(renewals.filter((at) => at < awayFrom).every((at, index) => at <= START + 6 * MINUTE * (index + 1)));
    const first = renewals.find((at) => at >= back)!;
    assert.ok(first - back <= MINUTE, `${(first - back) / MINUTE} minutes after it was back`);
  });

  it('what throws does not end it', async () => {
    const { renewals } = await run({ set: null, sleeps: 2, renew: () => Promise.reject(new Error('EROFS')) });
    assert.equal(renewals.length, 2);
  });

  it('the last attempt is read for people, and damage there is nobody else’s business', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'identree-renewal-'));
    try {
      const file = join(dir, 'renewal.json');
      assert.equal(await readAttempt(file), null);
      await writeFile(file, JSON.stringify({ at: START, problem: 'away' }), { mode: 0o600 });
      assert.deepEqual(await readAttempt(file), { at: START, problem: 'away' });
      await writeFile(file, '{"at":');
      assert.equal(await readAttempt(file), null);
    } finally {
      await rm(dir, { recursive: true });
    }
  });
});
