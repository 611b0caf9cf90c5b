import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import BetterSqlite from 'better-sqlite3';
import { Registry } from 'prom-client';
import type { EventRecord } from '#shared/events.ts';
import type { ChallengeAnswer } from '#shared/host-api.ts';
import { type App, createApp } from '../app/app.ts';
import { putDeadLetters } from '../audit/dead-letter-store.ts';
import type { Approval } from '../challenges/showing.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { createLogger } from '../platform/logger.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson } from '../testing/test-person.ts';
import { createEventCounters } from './event-counters.ts';

/** What dashboards and alerts of the operations guide look for. */
const GUIDE = {
  challenges_created_total: 'counter',
  challenges_approved_total: 'counter',
  challenges_auto_approved_total: 'counter',
  challenges_denied_total: 'counter',
  challenges_expired_total: 'counter',
  challenge_duration_seconds: 'histogram',
  active_challenges: 'gauge',
  audit_events_total: 'counter',
  breakglass_escrow_total: 'counter',
  auth_failures_total: 'counter',
  rate_limit_rejections_total: 'counter',
  registered_hosts: 'gauge',
  oidc_exchange_duration_seconds: 'histogram',
  mtls_ca_expires_in_seconds: 'gauge',
  mtls_cert_expires_in_seconds: 'gauge',
} as const;

const ZEROES = [
  'challenges_created_total',
  'challenges_approved_total',
  'challenges_auto_approved_total',
  'challenges_expired_total',
  'challenges_cancelled_total',
  ...['oidc_error', 'nonce_mismatch', 'identity_mismatch', 'user_rejected'].map(
    (reason) => `challenges_denied_total{reason="${reason}"}`,
  ),
  'approvals_total{method="passkey"}',
  'approvals_total{method="session"}',
  'policy_evaluations_total{policy="robots",outcome="asked"}',
  'policy_evaluations_total{policy="robots",outcome="automatic"}',
  'policy_evaluations_total{policy="default",outcome="asked"}',
  'webauthn_failures_total',
  'audit_events_total{sink="_channel",status="dropped"}',
  'breakglass_escrow_total{status="success"}',
  'breakglass_escrow_total{status="failure"}',
  'auth_failures_total',
  'rate_limit_rejections_total',
  'challenge_duration_seconds_count',
  'oidc_exchange_duration_seconds_count',
];

const TOKEN = 'a token of the metrics tests';
const policyPath = join(tmpdir(), `identree-metrics-${process.pid}.json`);

describe('/metrics', () => {
  let t: TestApp;
  let host: TestHost;
  let alice: TestPerson;
  before(async () => {
    const policies = [{ name: 'robots', match_users: ['robot'], approval: 'none' }];
    await writeFile(policyPath, JSON.stringify({ policies }), { mode: 0o600 });
    const provider = createTestProvider();
    t = await createTestApp({ config: { metricsToken: TOKEN, policiesFile: policyPath }, app: { provider } });
    await t.app.start();
    host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
    alice = await signInTestPerson(t.app, provider, t.clock, 'alice');
  });
  after(async () => {
    await t.close();
    await rm(policyPath, { force: true });
  });

  const read = (authorization?: string) =>
    t.app.http.inject({ url: '/metrics', headers: authorization === undefined ? {} : { authorization } });

  /** Values of our own metrics; counters and gauges by name and labels. */
  async function values(): Promise<Map<string, number>> {
    const { body } = await read(`Bearer ${TOKEN}`);
    const lines = body.split('\n').filter((line) => line.startsWith('identree_'));
    return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
  }

  /** Events are counted when they have been read back, a moment after they were written. */
  async function becomes(name: string, value: number): Promise<void> {
    for (let i = 0; i < 500 && (await values()).get(name) !== value; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.equal((await values()).get(name), value, name);
  }

  async function approve({ userCode, challengeId }: ChallengeAnswer): Promise<void> {
    const { data } = await alice.query<Approval>('challenges.get', { code: userCode });
    const assertion = alice.passkey.assert(data.passkey!.options as never);
    assert.equal((await alice.mutate('challenges.approve', { challengeId, assertion })).refusal, null);
  }

  test('[M-05] are for who has the token', async () => {
    for (const authorization of [undefined, 'Bearer', `Bearer ${TOKEN}x`, `Basic ${TOKEN}`, TOKEN]) {
      const answer = await read(authorization);
      assert.equal(answer.statusCode, 401, authorization);
      assert.doesNotMatch(answer.body, /identree_/);
    }
    assert.equal((await t.app.http.inject(`/metrics?token=${encodeURIComponent(TOKEN)}`)).statusCode, 401);
    const answer = await read(`Bearer ${TOKEN}`);
    assert.equal(answer.statusCode, 200);
    assert.match(String(answer.headers['content-type']), /^text\/plain; version=0\.0\.4/);
  });

  test('[M-05] without a token in the configuration they are open, as Prometheus expects', async () => {
    const open = await createTestApp();
    assert.equal((await open.app.http.inject('/metrics')).statusCode, 200);
    await open.close();
  });

  test('[M-01] have the names and types of the operations guide', async () => {
    const { body } = await read(`Bearer ${TOKEN}`);
    const found = [...body.matchAll(/^# TYPE identree_(\S+) (\S+)$/gm)].map(([, name = '', type]) => [name, type]);
    const types: Record<string, string> = Object.fromEntries(found);
    // Those of the directory are there with a directory, and have tests of their own.
    for (const [name, type] of Object.entries(GUIDE)) assert.equal(types[name], type, name);
    assert.match(body, /^process_resident_memory_bytes /m);
  });

  test('[M-03] what can be increased is there as 0 before it is', async () => {
    const fresh = await createTestApp({ config: { policiesFile: policyPath } });
    await fresh.app.start();
    const { body } = await fresh.app.http.inject('/metrics');
    const lines = new Set(body.split('\n'));
    for (const line of ZEROES) assert.ok(lines.has(`identree_${line} 0`), line);
    await fresh.close();
  });

  test('[M-01] count what happened', async () => {
    const approved = await host.create();
    t.clock.advance(12_000);
    await approve(approved);
    const denied = await host.create();
    await alice.mutate('challenges.deny', { challengeId: denied.challengeId, reason: null });
    const cancelled = await host.create();
    await host.send('DELETE', `/challenges/${cancelled.challengeId}`);
    await host.create(host.record({ user: 'robot' }));
    const waiting = await host.create();
    await becomes('identree_active_challenges', 1);
    await host.send('GET', `/challenges/${waiting.challengeId}?wait=25`, undefined, {
      parameters: { keyid: '00000000-0000-4000-8000-000000000000' },
    });
    t.clock.advance(121_000);
    await t.app.settling.reap();

    await becomes('identree_challenges_created_total', 4);
    await becomes('identree_challenges_approved_total', 1);
    await becomes('identree_challenges_denied_total{reason="user_rejected"}', 1);
    await becomes('identree_challenges_cancelled_total', 1);
    await becomes('identree_challenges_expired_total', 1);
    await becomes('identree_challenges_auto_approved_total', 1);
    await becomes('identree_auth_failures_total', 1);
    await becomes('identree_active_challenges', 0);
    await becomes('identree_registered_hosts', 1);
    // A person took 12 seconds and another none; the policy none.
    await becomes('identree_challenge_duration_seconds_bucket{le="10"}', 2);
    await becomes('identree_challenge_duration_seconds_bucket{le="15"}', 3);
    await becomes('identree_challenge_duration_seconds_count', 3);
    await becomes('identree_approvals_total{method="passkey"}', 1);
    await becomes('identree_approvals_total{method="session"}', 0);
    await becomes('identree_policy_evaluations_total{policy="robots",outcome="automatic"}', 1);
    await becomes('identree_policy_evaluations_total{policy="default",outcome="asked"}', 4);
    await becomes('identree_sessions', 1);
    await becomes('identree_sse_clients', 0);
    await becomes('identree_agent_status{status="online"}', 1);
    await becomes('identree_host_certificates_ending', 0);
    const life = (await values()).get('identree_mtls_cert_expires_in_seconds{hostname="web1.example.com"}')!;
    t.clock.advance(340 * 86_400_000);
    await becomes('identree_mtls_cert_expires_in_seconds{hostname="web1.example.com"}', life - 340 * 86_400);
    await becomes('identree_mtls_cert_expires_in_seconds_min', life - 340 * 86_400);
    await becomes('identree_mtls_certs_expiring{within="30d"}', 1);
    await becomes('identree_mtls_certs_expiring{within="1d"}', 0);
    await becomes('identree_agent_status{status="silent"}', 1);
    await becomes('identree_sessions', 0);
    await becomes('identree_host_certificates_ending', 1);
    await t.app.hosts.revoke(host.id, { username: 'op', remoteAddr: null });
    await becomes('identree_registered_hosts', 0);
    await becomes('identree_host_certificates_ending', 0);
    // [M-04] A host that is gone has no line any more, and nobody ever had one by name.
    await becomes('identree_mtls_certs_expiring{within="30d"}', 0);
    const { body } = await read(`Bearer ${TOKEN}`);
    assert.doesNotMatch(body, /web1|alice|robot"/);
    assert.doesNotMatch(body, /^identree_mtls_cert_expires_in_seconds(_min|\{)/m);
  });
});

test('[M-01] a sign-in that failed and a passkey that was refused count as what they were, and as nothing else', async () => {
  const { metrics, count } = createEventCounters();
  const registry = new Registry();
  for (const metric of metrics) registry.registerMetric(metric);
  const event = (name: EventRecord['event'], data: Record<string, unknown>, reason: string | null = null): void =>
    count({ event: name, at: 0, data, reason } as EventRecord);
  for (const reason of ['nonce_mismatch', 'account_disabled', 'invalid_answer', 'user_rejected', 'of another version'])
    event('login_failed', {}, reason);
  event('decision_refused', { refusal: 'passkey_rejected' });
  event('decision_refused', { refusal: 'forbidden' });
  const page = await registry.metrics();
  const counted = [...page.matchAll(/^identree_(\S*(?:_total|_count)(?:\{.*\})?) ([1-9].*)$/gm)].map(([, name, n]) => [
    name,
    n,
  ]);
  assert.deepEqual(counted, [
    // Nobody said no there: that is a decision, and no sign-in.
    ['challenges_denied_total{reason="oidc_error"}', '3'],
    ['challenges_denied_total{reason="nonce_mismatch"}', '1'],
    ['challenges_denied_total{reason="identity_mismatch"}', '1'],
    ['webauthn_failures_total', '1'],
  ]);
});

test('a metric that cannot be read takes no other one away', async () => {
  const t = await createTestApp();
  t.app.registry.registerMetric({
    name: 'identree_broken',
    get: async () => {
      throw new Error('broken');
    },
  } as never);
  const { statusCode, body } = await t.app.http.inject('/metrics');
  assert.equal(statusCode, 200);
  assert.match(body, /^identree_challenges_created_total 0$/m);
  assert.doesNotMatch(body, /identree_broken/);
  await t.close();
});

/** What gauges of a database are, by SQL, at a time. Those that are not negative by nature are told apart in the test. */
function countedIn(file: BetterSqlite.Database, now: number): Record<string, number> {
  const DAY = 86_400_000;
  const LIVE = "hosts where state <> 'revoked'";
  const count = (from: string, ...values: unknown[]): number =>
    (file.prepare(`select count(*) as n from ${from}`).get(...values) as { n: number }).n;
  const ends = 'certificate_until - certificate_from';
  const { first } = file.prepare(`select min(certificate_until) as first from ${LIVE}`).get() as {
    first: number | null;
  };
  const rows = (query: string) => file.prepare(query).raw().all() as [string, number][];
  return {
    active_challenges: count("challenges where status = 'pending'"),
    sessions: count('sessions where revoked_at is null and expires_at > ?', now),
    registered_hosts: count(LIVE),
    'agent_status{status="online"}': count(`${LIVE} and ? - last_seen_at < 300000`, now),
    'agent_status{status="silent"}': count(`${LIVE} and ? - last_seen_at >= 300000`, now),
    'agent_status{status="never_seen"}': count(`${LIVE} and last_seen_at is null`),
    host_certificates_ending: count(`${LIVE} and certificate_until - ? <= min(?, (${ends}) / 4)`, now, 30 * DAY),
    ...Object.fromEntries(
      Object.entries({ '1h': DAY / 24, '1d': DAY, '7d': 7 * DAY, '30d': 30 * DAY }).map(([within, ms]) => [
        `mtls_certs_expiring{within="${within}"}`,
        count(`${LIVE} and certificate_until - ? <= ?`, now, ms),
      ]),
    ),
    ...(first === null ? {} : { mtls_cert_expires_in_seconds_min: (first - now) / 1000 }),
    ...Object.fromEntries(
      rows(`select hostname, certificate_until from ${LIVE}`).map(([hostname, until]) => [
        `mtls_cert_expires_in_seconds{hostname="${hostname}"}`,
        (until - now) / 1000,
      ]),
    ),
    ...Object.fromEntries(
      rows(`select coalesce(agent_version, 'unknown') as version, count(*) from ${LIVE} group by version`).map(
        ([version, n]) => [`agent_versions{version="${version}"}`, n],
      ),
    ),
    ...Object.fromEntries(
      Object.entries({ '1d': 1, '7d': 7, '30d': 30, '90d': 90, any: 1e6 }).map(([within, days]) => [
        `breakglass_password_age_hosts{within="${within}"}`,
        count('break_glass_hosts where ? - created_at <= ?', now, days * DAY),
      ]),
    ),
    'audit_dead_letters{sink="jsonlog"}': count("audit_dead_letters where sink = 'jsonlog'"),
    log_disputes: count("log_disputes join hosts on hosts.id = host_id where hosts.state <> 'revoked'"),
    ...Object.fromEntries(
      rows('select reader, (select max(seq) from events) - seq from event_cursors').map(([reader, behind]) => [
        `event_reader_lag_events{reader="${reader}"}`,
        behind,
      ]),
    ),
  };
}

test('[M-02] whatever happens, also restarts, gauges are what the database counts, and never negative', async (context) => {
  const provider = createTestProvider();
  const folder = await mkdtemp(join(tmpdir(), 'identree-gauges-'));
  const t = await createTestApp({
    app: { provider, log: createLogger('error', { write: () => {} }) },
    env: { IDENTREE_AUDIT_LOG: `file:${folder}/log/audit.jsonl` },
  });
  let app = t.app;
  await app.start();
  const file = new BetterSqlite(t.config.database.dsn, { readonly: true });
  context.after(async () => {
    file.close();
    await app.close();
    await t.close();
    await rm(folder, { recursive: true, force: true });
  });
  // Repeatable, so that what fails once fails again.
  let state = 20261130;
  const random = (): number => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
  const below = (limit: number): number => Math.floor(random() * limit);
  const taken = <T>(list: T[]): T | undefined => list.splice(below(list.length), 1)[0];
  const person = async (name: string, groups: string[] = []) => {
    // As many as one address may.
    t.clock.advance(10_000);
    return signInTestPerson(app, provider, t.clock, name, { groups, passkey: false });
  };
  const hosts = [await enrolTestHost(app, t.clock, 'web0.example.com')];
  const waiting: { by: TestHost; challengeId: string }[] = [];
  const people: TestPerson[] = [];
  let alice = await person('alice');

  const ask = async () => {
    const by = hosts[below(hosts.length)];
    if (by === undefined) return;
    const { status, body } = await by.send('POST', '/challenges', by.createBody(), {}, app);
    // Nobody may have as many as they like.
    if (status === 201) waiting.push({ by, challengeId: String(body.challengeId) });
  };
  const beat = async (more: object = {}) => {
    const host = hosts[below(hosts.length)];
    if (host === undefined) return;
    const { counter, machineId } = { counter: ++host.counter, machineId: host.machineId };
    const said = { counter, machineId, approverKeysVersion: 0, now: t.clock.now(), checkpointSeq: 0, osInfo: 'test' };
    const agentVersion = `0.${below(4)}.0`;
    const { status } = await host.send('POST', '/heartbeat', { ...said, agentVersion, ...more }, {}, app);
    assert.equal(status, 200);
  };
  const later = async (ms: number) => {
    t.clock.advance(ms);
    await app.settling.reap();
  };
  const letter = (seq: number) => ({ sink: 'jsonlog' as const, seq, reason: 'too large', at: t.clock.now() });
  const steps: Record<string, () => Promise<unknown>> = {
    ask,
    'ask again': ask,
    async withdraw() {
      const one = taken(waiting);
      if (one) await one.by.send('DELETE', `/challenges/${one.challengeId}`, undefined, {}, app);
    },
    async deny() {
      const one = taken(waiting);
      if (one) await alice.mutate('challenges.deny', { challengeId: one.challengeId, reason: null });
    },
    'half a minute': () => later(30_000),
    enrol: async () => hosts.push(await enrolTestHost(app, t.clock, `web${state}.example.com`)),
    async 'a host is removed'() {
      const one = taken(hosts);
      if (one) await app.hosts.revoke(one.id, { username: 'op', remoteAddr: null });
    },
    'sign in': async () => people.push(await person(`person${state}`)),
    async 'sign out'() {
      const one = taken(people);
      if (one) assert.equal((await (await one.at(app)).mutate('sessions.signOut', undefined)).refusal, null);
    },
    beat: () => beat(),
    'a host has seen another log': () => beat({ log: { head: 'a.b.c', contradiction: 'forked' } }),
    'a host follows the log': () => beat({ log: { head: 'a.b.c', contradiction: null } }),
    async 'a password of its own'() {
      const host = hosts[below(hosts.length)];
      const createdAt = t.clock.now() - below(100) * 86_400_000;
      const current = { createdAt, type: 'random', escrowId: null };
      await host?.send('POST', '/break-glass/state', { enabled: true, current, problem: null }, {}, app);
    },
    'a sink refuses': () => app.db.transaction((work) => putDeadLetters(work, [letter(1 + below(20))])),
    async 'what it refused is tried again'() {
      const olga = await person('olga', ['admins']);
      assert.equal((await olga.mutate('audit.deadLetters.retry', {})).refusal, null);
    },
    async 'they are looked at'() {
      for (const [series, value] of await gauges())
        if (!series.startsWith('mtls_cert_expires')) assert.ok(value >= 0, `${series} ${value}`);
    },
  };
  const rare: Record<string, () => Promise<unknown>> = {
    async 'the server is started again'() {
      await app.close();
      app = await createApp(t.config, { clock: t.clock, provider, log: createLogger('error', { write: () => {} }) });
      await app.start();
      alice = await person('alice');
    },
    async 'some weeks'() {
      await later((10 + below(60)) * 86_400_000);
      people.length = 0;
      alice = await person('alice');
    },
  };
  const gauges = async (): Promise<Map<string, number>> => {
    const types = new Map<string, string>();
    const { body } = await app.http.inject('/metrics');
    for (const [, name = '', type = ''] of body.matchAll(/^# TYPE identree_(\S+) (\S+)$/gm)) types.set(name, type);
    return new Map(
      [...body.matchAll(/^identree_(\S+(?:\{.*\})?) (\S+)$/gm)].flatMap(([, series = '', value]) =>
        types.get(series.replace(/\{.*/, '')) === 'gauge' ? [[series, Number(value)] as const] : [],
      ),
    );
  };
  const rounded = (all: Record<string, number>) =>
    Object.fromEntries(Object.entries(all).map(([series, value]) => [series, Math.round(value * 1000)]));
  const OPERATIONS = process.env.IDENTREE_LONG ? 5000 : 240;
  const EVERY_RARE = 30;
  const LOOKS = process.env.IDENTREE_LONG ? 20 : 4;
  const done = new Map<string, number>();
  for (let n = 1; n <= OPERATIONS; n += 1) {
    const from = Object.entries(n % EVERY_RARE === 0 ? rare : steps);
    const [name, run] = n % EVERY_RARE === 0 ? from[(n / EVERY_RARE) % from.length]! : from[below(from.length)]!;
    await run();
    done.set(name, (done.get(name) ?? 0) + 1);
    if (n % Math.floor(OPERATIONS / LOOKS) !== 0) continue;
    // What was read a moment before may be told for a second, and readers go on meanwhile: both are looked at again.
    for (let tries = 1; ; tries += 1) {
      const expected = countedIn(file, t.clock.now());
      const families = new Set(Object.keys(expected).map((series) => series.replace(/\{.*/, '')));
      const shown = [...(await gauges())].filter(([series]) => families.has(series.replace(/\{.*/, '')));
      const [found, wanted] = [rounded(Object.fromEntries(shown)), rounded(expected)];
      if (isDeepStrictEqual(found, wanted)) break;
      if (tries === 600) assert.deepEqual(found, wanted, `after ${n}, the last of them: ${name}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  assert.deepEqual(
    [...Object.keys(steps), ...Object.keys(rare)].filter((name) => !done.has(name)),
    [],
  );
});

test('[M-01] servers on one database count each event once among them, whichever of them stop', {
  skip: whyNoPostgres() ?? false,
}, async () => {
  const provider = createTestProvider();
  const t = await createTestApp({ driver: 'postgres', app: { provider } });
  const read = async (server: App, name: string): Promise<number> => {
    const lines = (await server.http.inject('/metrics')).body.split('\n');
    return Number(
      lines
        .find((line) => line.startsWith(`identree_${name} `))
        ?.split(' ')
        .at(-1) ?? Number.NaN,
    );
  };
  const ACTIVE = 'event_reader_active{reader="metrics"}';
  let servers: App[] = [];
  const start = async (server: App): Promise<App> => {
    await server.start();
    servers.push(server);
    return server;
  };
  /** What servers that are gone had counted when they were asked last. */
  let gone = 0;
  const counted = async (name: string): Promise<number> =>
    gone + (await Promise.all(servers.map((server) => read(server, name)))).reduce((sum, value) => sum + value, 0);
  const becomes = async (value: number): Promise<void> => {
    while ((await counted('challenges_cancelled_total')) < value)
      await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(await counted('challenges_created_total'), value);
    assert.equal(await counted('challenges_cancelled_total'), value);
  };
  try {
    const first = await start(await t.replica());
    while ((await read(first, ACTIVE)) !== 1) await new Promise((resolve) => setTimeout(resolve, 50));
    await start(t.app);
    await start(await t.replica());
    const host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
    const ask = async (times: number): Promise<void> => {
      for (let asked = 0; asked < times; asked += 1) {
        const { challengeId } = await host.create();
        await host.send('DELETE', `/challenges/${challengeId}`);
      }
    };
    await ask(7);
    await becomes(7);
    assert.deepEqual(await Promise.all(servers.map((server) => read(server, ACTIVE))), [1, 0, 0]);

    // The one that counts goes; one that comes in its place begins with nothing.
    gone = await read(first, 'challenges_created_total');
    servers = servers.filter((server) => server !== first);
    await first.close();
    await start(await t.replica());
    await ask(3);
    await becomes(10);
  } finally {
    await t.close();
  }
});
