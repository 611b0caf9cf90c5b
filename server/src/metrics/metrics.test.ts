import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ChallengeAnswer } from '#shared/host-api.ts';
import type { App } from '../app/app.ts';
import type { Approval } from '../challenges/showing.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson } from '../testing/test-person.ts';

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

  test('have the names and types of the operations guide', async () => {
    const { body } = await read(`Bearer ${TOKEN}`);
    const found = [...body.matchAll(/^# TYPE identree_(\S+) (\S+)$/gm)].map(([, name = '', type]) => [name, type]);
    // Those of the directory have tests of their own.
    const types = Object.fromEntries(found.filter(([name]) => !name?.startsWith('ldap_')));
    assert.deepEqual(types, {
      challenges_created_total: 'counter',
      challenges_approved_total: 'counter',
      challenges_auto_approved_total: 'counter',
      challenges_expired_total: 'counter',
      challenges_cancelled_total: 'counter',
      challenges_denied_total: 'counter',
      challenge_duration_seconds: 'histogram',
      oidc_exchange_duration_seconds: 'histogram',
      auth_failures_total: 'counter',
      rate_limit_rejections_total: 'counter',
      breakglass_escrow_total: 'counter',
      active_challenges: 'gauge',
      audit_dead_letters: 'gauge',
      audit_events_total: 'counter',
      audit_sink_lag_events: 'gauge',
      audit_sink_lag_seconds: 'gauge',
      audit_sink_last_error_timestamp_seconds: 'gauge',
      audit_sink_last_success_timestamp_seconds: 'gauge',
      audit_sink_paused: 'gauge',
      event_reader_active: 'gauge',
      event_reader_failing: 'gauge',
      event_reader_lag_events: 'gauge',
      event_reader_lag_seconds: 'gauge',
      registered_hosts: 'gauge',
      host_certificates_ending: 'gauge',
      ca_certificate_expiry_timestamp_seconds: 'gauge',
      ca_rotation_certificate_expiry_timestamp_seconds: 'gauge',
      ca_rotation_hosts_behind: 'gauge',
      unreadable_rows_total: 'counter',
    });
    assert.match(body, /^process_resident_memory_bytes /m);
  });

  test('count what happened', async () => {
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
    await becomes('identree_host_certificates_ending', 0);
    t.clock.advance(340 * 86_400_000);
    await becomes('identree_host_certificates_ending', 1);
    await t.app.hosts.revoke(host.id, { username: 'op', remoteAddr: null });
    await becomes('identree_registered_hosts', 0);
    await becomes('identree_host_certificates_ending', 0);
  });
});

test('servers on one database count each event once among them, whichever of them stop', {
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
