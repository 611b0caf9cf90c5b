import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import BetterSqlite from 'better-sqlite3';
import { Registry } from 'prom-client';
import type { EventRecord } from '#shared/events.ts';
import type { ChallengeAnswer } from '#shared/host-api.ts';
import type { App } from '../app/app.ts';
import type { Approval } from '../challenges/showing.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
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

  test('are for who has the token', async () => {
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

  test('without a token in the configuration they are open, as Prometheus expects', async () => {
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
  const event = (name: EventRecord['event'], data: Record<string, unknown>): void =>
    count({ event: name, at: 0, data } as EventRecord);
  for (const reason of ['nonce_mismatch', 'identity_mismatch', 'oidc_error', 'user_rejected', 'of another version'])
    event('login_failed', { reason });
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

test('[M-02] whatever happens, gauges are what the database counts', async () => {
  const provider = createTestProvider();
  const t = await createTestApp({ app: { provider } });
  await t.app.start();
  const file = new BetterSqlite(t.config.database.dsn, { readonly: true });
  const counted = (sql: string, ...values: unknown[]): number =>
    (file.prepare(`select count(*) as n from ${sql}`).get(...values) as { n: number }).n;
  const host = await enrolTestHost(t.app, t.clock, 'web0.example.com');
  const alice = await signInTestPerson(t.app, provider, t.clock, 'alice');
  const waiting: ChallengeAnswer[] = [];
  const hosts: string[] = [];
  const some = <T>(list: T[]): T | undefined => list.splice(Math.floor(random() * list.length), 1)[0];
  // Repeatable, so that what fails once fails again.
  let state = 20261130;
  const random = (): number => {
    state = (state * 1103515245 + 12345) % 2147483648;
    return state / 2147483648;
  };
  const steps: (() => Promise<unknown>)[] = [
    async () => waiting.push(await host.create()),
    async () => waiting.push(await host.create()),
    async () => {
      const one = some(waiting);
      if (one) await host.send('DELETE', `/challenges/${one.challengeId}`);
    },
    async () => {
      const one = some(waiting);
      if (one) await alice.mutate('challenges.deny', { challengeId: one.challengeId, reason: null });
    },
    async () => {
      t.clock.advance(30_000);
      await t.app.settling.reap();
    },
    async () => hosts.push((await enrolTestHost(t.app, t.clock, `web${state}.example.com`)).id),
    async () => {
      const one = some(hosts);
      if (one) await t.app.hosts.revoke(one, { username: 'op', remoteAddr: null });
    },
    async () => signInTestPerson(t.app, provider, t.clock, `person${state}`, { passkey: false }),
  ];
  const OPERATIONS = process.env.IDENTREE_LONG ? 5000 : 120;
  const LOOKS = 3;
  try {
    for (let look = 0; look < LOOKS; look += 1) {
      for (let n = 0; n < OPERATIONS / LOOKS; n += 1) await steps[Math.floor(random() * steps.length)]!();
      const expected = {
        active_challenges: counted("challenges where status = 'pending'"),
        registered_hosts: counted("hosts where state <> 'revoked'"),
        sessions: counted('sessions where revoked_at is null and expires_at > ?', t.clock.now()),
      };
      const read = async () => {
        const lines = (await t.app.http.inject('/metrics')).body.split('\n');
        const shownBy = (name: string) =>
          Number(lines.find((line) => line.startsWith(`identree_${name} `))?.split(' ')[1]);
        return Object.fromEntries(Object.keys(expected).map((name) => [name, shownBy(name)]));
      };
      // What was read a moment before may be told for a second.
      for (let n = 0; n < 300 && !isDeepStrictEqual(await read(), expected); n += 1)
        await new Promise((resolve) => setTimeout(resolve, 20));
      assert.deepEqual(await read(), expected);
    }
  } finally {
    file.close();
    await t.close();
  }
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
