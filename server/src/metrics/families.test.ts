import assert from 'node:assert/strict';
import { createHmac, randomUUID, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { sql } from 'kysely';
import { Client } from 'ldapts';
import type { HostRecord } from '#shared/decision.ts';
import type { ChallengeAnswer } from '#shared/host-api.ts';
import type { App } from '../app/app.ts';
import type { Approval } from '../challenges/showing.ts';
import { kysely } from '../db/query.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { REFRESH_TRIGGERS } from '../directory/publish/directory.ts';
import { findCursor } from '../events/cursor-store.ts';
import { createStats } from '../ldap/session/stats.ts';
import { CHANNEL_KINDS } from '../notify/channel.ts';
import type { Changed } from '../notify/configured.ts';
import { STATUSES } from '../notify/measured.ts';
import { READ_TABLES } from '../platform/unreadable.ts';
import { logBeat } from '../testing/log-beat.ts';
import { runOn } from '../testing/run-command.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';
import { VERSION } from '../version.ts';
import {
  type MeasuredSite,
  openMeasuredSite,
  type Page,
  pageOf,
  READER,
  UNSPEAKABLE,
  WEBHOOK_SECRET,
} from './testing/measured-site.ts';

/*
 * Each documented family: something causes it, and what is shown changes by exactly that, on one server and on three. What
 * can be told by numbers is caused first, each as often as nothing else, and then the pages are compared as a whole: a
 * series that nobody expected to change is as wrong as one that did not. What follows from the time has tests behind that.
 */

const DAY_MS = 86_400_000;
const BASE = 'dc=example,dc=com';

/** Every documented family, without `identree_`, and its type. The page is written from what the modules measure. */
const FAMILIES: ReadonlyMap<string, string> = new Map(
  [
    ...readFileSync(join(import.meta.dirname, '../../../docs/metrics.md'), 'utf8').matchAll(
      /^\| `identree_(\w+)` \| (\w+) \|/gm,
    ),
  ].map(([, name = '', type = '']) => [name, type]),
);

const familyOf = (series: string): string => {
  const name = series.replace(/\{.*/s, '');
  return FAMILIES.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '');
};

/** Gauges that each server shows of itself. Every other one is read from what all have in common, and is the same at all. */
const OF_EACH_SERVER: ReadonlySet<string> = new Set([
  'build_info',
  'leader',
  'event_reader_active',
  'sse_clients',
  'db_pool_connections',
  'log_head_age_seconds',
  'ldap_connections',
  'ldap_directory_age_seconds',
  'ldap_last_sync_timestamp_seconds',
]);

/** What has no number that follows from what was done: a test of its own looks at each. */
const OTHERWISE = {
  build_info: 'is 1 always',
  leader: 'is 1 at whichever server does the jobs',
  event_reader_active: 'is 1 at whichever server has the reader',
  db_query_duration_seconds: 'counts what goes on by itself too',
  db_pool_connections: 'is what is open at the moment',
  event_reader_lag_events: 'is not 0 while an event is on its way',
  event_reader_lag_seconds: 'is a time',
  event_reader_failing: 'follows from what failed last',
  audit_sink_lag_events: 'is not 0 while an event is on its way',
  audit_sink_lag_seconds: 'is a time',
  audit_sink_last_success_timestamp_seconds: 'is a time',
  audit_sink_last_error_timestamp_seconds: 'is a time',
  audit_sink_paused: 'follows from what the receiver said last',
  log_head_age_seconds: 'is a time',
  ldap_directory_age_seconds: 'is a time',
  ldap_last_sync_timestamp_seconds: 'is a time',
  ldap_usn: 'is a number that only grows',
  mtls_ca_expires_in_seconds: 'is a time',
  mtls_cert_expires_in_seconds: 'is a time',
  mtls_cert_expires_in_seconds_min: 'is a time',
  mtls_certs_expiring: 'follows from the time',
  host_certificates_ending: 'follows from the time',
  ca_certificate_expiry_timestamp_seconds: 'is a time',
  ca_rotation_certificate_expiry_timestamp_seconds: 'is a time',
  ca_rotation_hosts_behind: 'is there while one CA takes the place of another',
} as const satisfies Record<string, string>;

/** Every event there is, but for those that were refused: it begins with the first one. */
const EMITTED = 'audit_events_total{sink="loki",status="emitted"}';

/** What is compared by number: everything but the above, of histograms how often. */
function isCompared(series: string): boolean {
  const family = familyOf(series);
  if (family in OTHERWISE || series === EMITTED || !FAMILIES.has(family)) return false;
  // Everything that is asked here is a request too: one route is looked at.
  if (family === 'http_request_duration_seconds') return series.includes('_count{route="/livez"');
  return FAMILIES.get(family) !== 'histogram' || /_count(\{|$)/.test(series);
}

/** Series of all servers as one: sums of what each counts, and what is the same at all; NaN while it is not. */
function joined(pages: readonly Page[]): Map<string, number> {
  const all = new Map<string, number>();
  for (const series of new Set(pages.flatMap((page) => [...page.keys()]))) {
    const values = pages.map((page) => page.get(series));
    const family = familyOf(series);
    if (FAMILIES.get(family) !== 'gauge' || OF_EACH_SERVER.has(family))
      all.set(
        series,
        values.reduce<number>((sum, value) => sum + (value ?? 0), 0),
      );
    else all.set(series, values.every((value) => value === values[0]) ? values[0]! : Number.NaN);
  }
  return all;
}

type Changes = Record<string, number>;

/** What differs between two looks at what is compared. */
function changes(from: Page, to: Page): Changes {
  const names = [...new Set([...from.keys(), ...to.keys()])].filter(isCompared).sort();
  return Object.fromEntries(
    names.flatMap((name) => {
      const by = (to.get(name) ?? 0) - (from.get(name) ?? 0);
      return by === 0 ? [] : [[name, Math.round(by * 1e6) / 1e6]];
    }),
  );
}

function sum(all: readonly Changes[]): Changes {
  const total = new Map<string, number>();
  for (const one of all) for (const [name, by] of Object.entries(one)) total.set(name, (total.get(name) ?? 0) + by);
  return Object.fromEntries([...total].sort(([a], [b]) => (a < b ? -1 : 1)));
}

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  const deadline = performance.now() + 120_000;
  while (!(await holds())) {
    if (performance.now() > deadline) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

type Person = Awaited<ReturnType<MeasuredSite['signIn']>>;

/** What a scenario has to work with. */
interface World extends MeasuredSite {
  /** In turn: whoever is asked, it is counted once. */
  server(): App;
  alice: Person;
  olga: Person;
  web: TestHost;
  noisy: TestHost;
  easy: TestHost;
  /** A host asks, at one server after the other. */
  ask(host: TestHost, fields?: Partial<HostRecord>): Promise<ChallengeAnswer>;
  cancel(host: TestHost, asked: ChallengeAnswer): Promise<void>;
  /** To be done before the servers end. */
  ends: (() => unknown)[];
}

interface Scenario {
  what: string;
  cause(w: World): Promise<unknown>;
  /** What changes by it, over all servers. @param servers how many there are */
  changes(servers: number): Changes;
}

const times = async (count: number, run: (index: number) => Promise<unknown>): Promise<void> => {
  for (let index = 0; index < count; index += 1) await run(index);
};

/** Requests that wait for a person, by the rule that says so. */
const created = (count: number, rule = 'default'): Changes => ({
  challenges_created_total: count,
  [`policy_evaluations_total{policy="${rule}",outcome="asked"}`]: count,
});

async function approve(w: World, { userCode, challengeId }: ChallengeAnswer) {
  const { data } = await w.alice.browser.query<Approval>('challenges.get', { code: userCode });
  const options = data.passkey?.options;
  const assertion = options === undefined ? undefined : w.alice.passkey.assert(options as never);
  return w.alice.browser.mutate('challenges.approve', { challengeId, ...(assertion ? { assertion } : {}) });
}

const SCENARIOS: readonly Scenario[] = [
  {
    what: 'somebody approves with a passkey',
    cause: (w) => times(2, async () => assert.equal((await approve(w, await w.ask(w.web))).refusal, null)),
    changes: () => ({
      ...created(2),
      challenges_approved_total: 2,
      'approvals_total{method="passkey"}': 2,
      challenge_duration_seconds_count: 2,
    }),
  },
  {
    what: 'somebody approves by being signed in, where the policy asks for no more',
    cause: (w) => times(3, async () => assert.equal((await approve(w, await w.ask(w.easy))).refusal, null)),
    changes: () => ({
      ...created(3, 'easy'),
      challenges_approved_total: 3,
      'approvals_total{method="session"}': 3,
      challenge_duration_seconds_count: 3,
    }),
  },
  {
    what: 'the policy approves',
    cause: (w) => times(4, () => w.ask(w.web, { user: 'robot' })),
    changes: () => ({
      challenges_auto_approved_total: 4,
      'policy_evaluations_total{policy="robots",outcome="automatic"}': 4,
      challenge_duration_seconds_count: 4,
    }),
  },
  {
    what: 'somebody denies; two of these the receiver of events refuses for good',
    cause: (w) =>
      times(5, async (index) => {
        const { challengeId } = await w.ask(w.web);
        const reason = index < 2 ? UNSPEAKABLE : null;
        assert.equal((await w.alice.browser.mutate('challenges.deny', { challengeId, reason })).refusal, null);
      }),
    changes: () => ({
      ...created(5),
      'challenges_denied_total{reason="user_rejected"}': 5,
      challenge_duration_seconds_count: 5,
      'audit_events_total{sink="loki",status="dead_lettered"}': 2,
      'audit_dead_letters{sink="loki"}': 2,
    }),
  },
  {
    what: 'a host withdraws; and one of these rows is damaged, and looked at twice',
    async cause(w) {
      let last = '';
      await times(6, async () => {
        const asked = await w.ask(w.web);
        last = asked.challengeId;
        await w.cancel(w.web, asked);
      });
      await w.app.db.transaction((work) =>
        sql`update challenges set record = '{"v":1}' where id = ${last}`.execute(kysely(work.query)),
      );
      await times(2, () => w.olga.browser.query('challenges.history', { limit: 50 }));
    },
    changes: () => ({
      ...created(6),
      challenges_cancelled_total: 6,
      'unreadable_rows_total{table="challenges"}': 1,
    }),
  },
  {
    what: 'a passkey whose owner was not asked',
    async cause(w) {
      const asked = await w.ask(w.web);
      const { data } = await w.alice.browser.query<Approval>('challenges.get', { code: asked.userCode });
      const assertion = w.alice.passkey.assert(data.passkey!.options as never, { userVerified: false });
      await times(7, async () => {
        const { refusal } = await w.alice.browser.mutate('challenges.approve', {
          challengeId: asked.challengeId,
          assertion,
        });
        assert.equal(refusal, 'passkey_rejected');
      });
      await w.cancel(w.web, asked);
    },
    changes: () => ({ ...created(1), challenges_cancelled_total: 1, webauthn_failures_total: 7 }),
  },
  {
    what: 'nobody answers in time',
    async cause(w) {
      await times(8, () => w.ask(w.web));
      w.clock.advance(121_000);
      await times(2, () => w.server().settling.reap());
    },
    changes: () => ({ ...created(8), challenges_expired_total: 8 }),
  },
  {
    what: 'requests that wait',
    cause: (w) => times(3, () => w.ask(w.web)),
    changes: () => ({ ...created(3), active_challenges: 3 }),
  },
  {
    what: 'a sign-in, and some that fail: no token, one of another sign-in, a name that nobody can have here',
    async cause(w) {
      assert.equal((await w.comeBack('olga', w.server())).answer.statusCode, 303);
      w.idp.instead = (request, response) => {
        if (!request.url?.startsWith('/token')) return false;
        response.writeHead(400, { 'content-type': 'application/json' }).end('{"error":"invalid_grant"}');
        return true;
      };
      await times(2, async () => assert.notEqual((await w.comeBack('olga', w.server())).answer.statusCode, 303));
      // A good token, of another sign-in.
      const at = Math.floor(Date.now() / 1000);
      const claims = { iss: w.idp.issuer, aud: w.idp.clientId, sub: 'b1', iat: at, exp: at + 600, auth_time: at };
      const stolen = await w.idp.sign({ ...claims, nonce: 'of another sign-in' });
      w.idp.instead = (request, response) => {
        if (!request.url?.startsWith('/token')) return false;
        const tokens = { access_token: 'x', token_type: 'Bearer', id_token: stolen };
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(tokens));
        return true;
      };
      assert.notEqual((await w.comeBack('olga', w.server())).answer.statusCode, 303);
      w.idp.instead = null;
      assert.equal((await w.comeBack('nobody', w.server())).answer.statusCode, 403);
    },
    changes: () => ({
      sessions: 1,
      oidc_exchange_duration_seconds_count: 5,
      'challenges_denied_total{reason="oidc_error"}': 2,
      'challenges_denied_total{reason="nonce_mismatch"}': 1,
      'challenges_denied_total{reason="identity_mismatch"}': 1,
    }),
  },
  {
    what: 'a host is enrolled',
    cause: (w) => enrolTestHost(w.server(), w.clock, 'fresh.example.com'),
    changes: () => ({
      registered_hosts: 1,
      'agent_status{status="online"}': 1,
      'agent_versions{version="0.3.0"}': 1,
    }),
  },
  {
    what: 'a host has seen another log',
    async cause(w) {
      const shown = await logBeat(w.noisy, null, {}, w.server());
      assert.ok(shown);
      await logBeat(w.noisy, null, { log: { head: shown.head, contradiction: 'forked' } }, w.server());
    },
    changes: () => ({ log_disputes: 1, 'health{component="event_log",severity="degraded"}': -1 }),
  },
  {
    what: 'break-glass passwords are handed over, until the vault takes none',
    async cause(w) {
      const hand = async (host: TestHost) => {
        const createdAt = w.clock.now() - (host === w.easy ? 3 * DAY_MS : 0);
        const id = randomUUID();
        const kept = { id, type: 'random', createdAt, password: 'otter-maple-violin-cactus' };
        const { status } = await host.send('POST', '/break-glass/escrow', kept, {}, w.server());
        const current = { createdAt, type: 'random', escrowId: id };
        const state = { enabled: true, current, problem: null };
        if (status === 200) await host.send('POST', '/break-glass/state', state, {}, w.server());
        return status;
      };
      assert.deepEqual([await hand(w.web), await hand(w.easy)], [200, 200]);
      w.vault.away = true;
      await times(3, async () => assert.notEqual(await hand(w.web), 200));
      w.vault.away = false;
    },
    changes: () => ({
      'breakglass_escrow_total{status="success"}': 2,
      'breakglass_escrow_total{status="failure"}': 3,
      'breakglass_password_age_hosts{within="1d"}': 1,
      'breakglass_password_age_hosts{within="7d"}': 2,
      'breakglass_password_age_hosts{within="30d"}': 2,
      'breakglass_password_age_hosts{within="90d"}': 2,
      'breakglass_password_age_hosts{within="any"}': 2,
    }),
  },
  {
    what: 'notifications that arrive, are refused, folded and of no use any more',
    async cause(w) {
      const { olga } = w;
      const ops = { name: 'ops', kind: 'ntfy', settings: { url: 'https://hooks.example.com/ops' }, personal: false };
      assert.equal((await olga.browser.mutate<Changed>('notify.channels.add', ops)).data.ok, true);
      const rule = { channels: ['ops'], events: ['challenge_created'], hosts: ['noisy.example.com'] };
      assert.equal((await olga.browser.mutate('notify.routes.add', { rule })).refusal, null);
      let revision = 1;
      const change = async (set: object): Promise<void> => {
        const { data } = await olga.browser.mutate<{ revision: number }>('notify.channels.change', {
          name: 'ops',
          revision,
          ...set,
        });
        revision = data.revision;
      };
      const ended = async (status: string): Promise<number> => {
        const { data } = await olga.browser.query<{ deliveries: { status: string }[] }>('notify.deliveries.list', {
          limit: 200,
        });
        return data.deliveries.filter((one) => one.status === status).length;
      };
      const told = async (count: number, asked: ChallengeAnswer[] = []): Promise<ChallengeAnswer[]> => {
        await times(count, async () => void asked.push(await w.ask(w.noisy)));
        return asked;
      };
      const over = async (asked: ChallengeAnswer[]) => {
        for (const one of asked) await w.cancel(w.noisy, one);
      };
      const arrived = await told(1);
      await until('one arrived', async () => (await ended('delivered')) === 1);
      w.channels.answer = () => ({ outcome: 'refused', reason: '404' });
      const refused = await told(1);
      await until('one was given up', async () => (await ended('dead')) === 1);
      w.channels.answer = () => ({ outcome: 'delivered' });
      await over([...arrived, ...refused]);
      await change({ paused: true, foldFrom: 3 });
      const flood = await told(5);
      await until('a flood waits', async () => (await ended('queued')) === 5);
      await change({ paused: false });
      await until('one stands for four', async () => (await ended('folded')) === 4);
      await until('it arrived', async () => (await ended('delivered')) === 2);
      await over(flood);
      await change({ paused: true });
      const useless = await told(3);
      await until('three wait', async () => (await ended('queued')) === 3);
      await over(useless);
      await change({ paused: false });
      await until('they were of no use', async () => (await ended('skipped')) === 3);
    },
    changes: () => ({
      ...created(10),
      challenges_cancelled_total: 10,
      'notifications_total{status="sent",channel="ops"}': 2,
      'notifications_total{status="failed",channel="ops"}': 1,
      'notifications_total{status="dead_lettered",channel="ops"}': 1,
      'notifications_total{status="folded",channel="ops"}': 4,
      'notifications_total{status="skipped",channel="ops"}': 3,
      'notification_delivery_duration_seconds_count{channel="ops"}': 2,
    }),
  },
  {
    what: 'the directory changes, and cannot be read',
    async cause(w) {
      const { users } = w.pocketId.content;
      w.pocketId.content = {
        users: [...users, { id: 'c1', username: 'bob' }, { id: 'd1', username: 'not a name' }],
        groups: [],
      };
      for (const { directory } of w.servers) {
        directory!.directory.refresh('console');
        await directory!.directory.settled();
      }
      const server = w.server();
      w.pocketId.intercept = (_path, response) => {
        response.writeHead(500).end();
        return true;
      };
      const payload = '{}';
      const signature = createHmac('sha256', WEBHOOK_SECRET).update(payload).digest('hex');
      const asked = await server.http.inject({
        method: 'POST',
        url: '/api/webhook/pocketid',
        headers: { 'content-type': 'application/json', 'x-webhook-signature': signature },
        payload,
      });
      assert.equal(asked.statusCode, 204);
      await server.directory!.directory.settled();
      w.pocketId.intercept = null;
      server.directory!.directory.refresh('signal');
      await server.directory!.directory.settled();
    },
    changes: (servers) => ({
      'ldap_refresh_total{trigger="console"}': servers,
      'ldap_refresh_total{trigger="webhook"}': 1,
      'ldap_refresh_total{trigger="signal"}': 1,
      ldap_sync_failures_total: 1,
      ldap_sync_duration_seconds_count: servers + 2,
      'ldap_directory_entries{kind="people"}': 1,
      // Everybody has one of their own.
      'ldap_directory_entries{kind="groups"}': 1,
      'ldap_lints{code="name_invalid"}': 1,
    }),
  },
  {
    what: 'programs read the directory, and strangers do not',
    async cause(w) {
      const [port] = w.server().directory!.ports();
      const client = () => new Client({ url: `ldap://127.0.0.1:${port}`, timeout: 60_000, connectTimeout: 60_000 });
      const stranger = client();
      await assert.rejects(stranger.search(`ou=groups,${BASE}`, { scope: 'sub', filter: '(cn=x)' }));
      await times(2, () => assert.rejects(stranger.bind(READER.dn, 'wrong-password')));
      await stranger.unbind();
      const reader = client();
      await reader.bind(READER.dn, READER.password);
      await times(4, () => reader.search(`ou=people,${BASE}`, { scope: 'sub', filter: '(uid=alice)' }));
      w.ends.push(() => reader.unbind());
    },
    changes: () => ({
      'ldap_queries_total{base="people"}': 4,
      'ldap_queries_total{base="groups"}': 1,
      ldap_bind_failures_total: 2,
      ldap_connections: 1,
      'ldap_rejected_total{reason="result_49"}': 2,
      'ldap_rejected_total{reason="result_50"}': 1,
      // What was refused was not searched for.
      ldap_search_duration_seconds_count: 4,
    }),
  },
  {
    what: 'somebody follows events, and a balancer asks',
    async cause(w) {
      const server = w.servers.at(-1)!;
      const url = await w.listen(server);
      const gone = new AbortController();
      w.ends.push(() => gone.abort());
      const stream = await fetch(`${url}/api/events`, {
        headers: { cookie: w.olga.browser.cookie },
        signal: gone.signal,
      });
      assert.equal(stream.status, 200);
      // Who does not read is gone once nobody holds the answer.
      void stream.text().catch(() => {});
      await times(9, () => w.server().http.inject('/livez'));
    },
    changes: () => ({
      sse_clients: 1,
      'http_request_duration_seconds_count{route="/livez",code="200"}': 9,
    }),
  },
  {
    what: 'what cannot be authenticated, until a limit refuses it',
    async cause(w) {
      const [server] = w.servers;
      const answers: number[] = [];
      await times(34, async () => {
        const stranger = { parameters: { keyid: randomUUID() } };
        const { status } = await w.web.send('POST', '/challenges', w.web.createBody(), stranger, server);
        answers.push(status);
      });
      assert.deepEqual(answers, [...Array(30).fill(401), ...Array(4).fill(429)]);
    },
    changes: () => ({ auth_failures_total: 30, rate_limit_rejections_total: 4 }),
  },
];

test('[M-01] every documented family has a scenario, or a test of its own and the reason why', () => {
  assert.ok(FAMILIES.size > 60);
  const caused = new Set(SCENARIOS.flatMap(({ changes: of }) => Object.keys(of(1))).map(familyOf));
  assert.deepEqual([...FAMILIES.keys()].sort(), [...caused, ...Object.keys(OTHERWISE)].sort());
});

// Both wait most of the time.
describe('what is measured', { concurrency: true }, () => {
  for (const count of [1, 3]) {
    describe(`on ${count === 1 ? 'one server' : 'three servers'}`, {
      skip: count > 1 && (whyNoPostgres() ?? false),
      concurrency: false,
    }, () => {
      let w: World;
      /** What was shown before anything was done, by each of them. */
      let atFirst: readonly Page[] = [];
      const closing: (() => unknown)[] = [];
      const pages = () => Promise.all(w.servers.map(pageOf));
      const look = async () => joined(await pages());
      /** Families that were looked at. */
      const looked = new Set<string>();
      /** What a server shows; NaN: nothing. */
      async function shown(server: App, series: string): Promise<number> {
        looked.add(familyOf(series));
        return (await pageOf(server)).get(series) ?? Number.NaN;
      }
      /** What each server shows in the end, in their order. */
      async function becomes(series: string, values: number | readonly number[], within = 0): Promise<void> {
        const wanted = typeof values === 'number' ? w.servers.map(() => values) : values;
        const isSo = (found: readonly number[]) =>
          found.every((value, index) => Object.is(value, wanted[index]) || Math.abs(value - wanted[index]!) <= within);
        const read = () => Promise.all(w.servers.map((server) => shown(server, series)));
        for (let tries = 0; tries < 1200 && !isSo(await read()); tries += 1)
          await new Promise((resolve) => setTimeout(resolve, 50));
        const found = await read();
        assert.ok(isSo(found), `${series}: ${found.join()} instead of ${wanted.join()}`);
      }
      before(async () => {
        const site = await openMeasuredSite({ after: (run) => void closing.push(run as () => unknown) }, count);
        await until('what the directory counts is told', async () => {
          atFirst = await Promise.all(site.servers.map(pageOf));
          return atFirst.every((page) => page.has('ldap_bind_failures_total'));
        });
        let asked = 0;
        const server = () => site.servers[asked++ % site.servers.length]!;
        const enrol = (name: string) => enrolTestHost(site.app, site.clock, `${name}.example.com`);
        w = {
          ...site,
          server,
          alice: await site.signIn('alice', site.servers.at(-1)!),
          olga: await site.signIn('olga', site.servers[0]!),
          web: await enrol('web1'),
          noisy: await enrol('noisy'),
          easy: await enrol('easy1'),
          async ask(host, fields) {
            const body = host.createBody(host.record(fields));
            const answer = await host.send('POST', '/challenges', body, {}, server());
            assert.equal(answer.status, 201, JSON.stringify(answer.body));
            return answer.body as unknown as ChallengeAnswer;
          },
          async cancel(host, { challengeId }) {
            const { status } = await host.send('DELETE', `/challenges/${challengeId}`, undefined, {}, server());
            assert.ok(status < 300, String(status));
          },
          ends: [],
        };
      });
      after(async () => {
        for (const end of w?.ends ?? []) await end();
        for (const close of closing.toReversed()) await close();
      });

      test('[M-01] is everything that is documented, and nothing else', async () => {
        for (const { registry } of w.servers) {
          const own = registry.getMetricsAsArray().flatMap(({ name }) => /^identree_(.*)/.exec(name)?.[1] ?? []);
          assert.deepEqual(own.sort(), [...FAMILIES.keys()].sort());
        }
      });

      test('[M-01] changes by what happens, once among all of them, and by nothing else', async () => {
        await until('one of them counts, and what was before is counted', async () => {
          const all = await look();
          return (
            all.get('event_reader_active{reader="metrics"}') === 1 &&
            all.get('event_reader_lag_events{reader="metrics"}') === 0
          );
        });
        const before = await look();
        for (const { what, cause } of SCENARIOS) {
          try {
            await cause(w);
          } catch (error) {
            throw new Error(`while it happens: ${what}`, { cause: error });
          }
        }
        const expected = sum(SCENARIOS.map(({ changes: of }) => of(count)));
        const dead = expected['audit_dead_letters{sink="loki"}']!;
        const wanted = async () => ({ changed: expected, emitted: (await w.app.events.head()).seq - dead });
        const found = async () => {
          const now = await look();
          return { changed: changes(before, now), emitted: now.get(EMITTED) };
        };
        for (let tries = 0; tries < 600 && !isDeepStrictEqual(await found(), await wanted()); tries += 1)
          await new Promise((resolve) => setTimeout(resolve, 100));
        assert.deepEqual(await found(), await wanted());
      });

      test('[M-03] was there before the first time, with every value that its labels can have', async () => {
        const known = [
          ...REFRESH_TRIGGERS.map((trigger) => `ldap_refresh_total{trigger="${trigger}"}`),
          ...Object.keys(createStats().queries).map((base) => `ldap_queries_total{base="${base}"}`),
          ...Object.keys(createStats().rejected).map((reason) => `ldap_rejected_total{reason="${reason}"}`),
          'ldap_bind_failures_total',
          'ldap_sync_failures_total',
          'ldap_sync_duration_seconds_count',
          'ldap_search_duration_seconds_count',
          ...CHANNEL_KINDS.flatMap((kind) => [
            ...STATUSES.map((status) => `notifications_total{status="${status}",channel="personal:${kind}"}`),
            `notification_delivery_duration_seconds_count{channel="personal:${kind}"}`,
          ]),
          ...READ_TABLES.map((table) => `unreadable_rows_total{table="${table}"}`),
          ...['robots', 'easy', 'default'].flatMap((policy) =>
            ['asked', 'automatic'].map(
              (outcome) => `policy_evaluations_total{policy="${policy}",outcome="${outcome}"}`,
            ),
          ),
        ];
        // What a server fetches and hands on by itself has risen already.
        const RISEN =
          /^(ldap_refresh_total\{trigger="start"|ldap_sync_duration|audit_events_total\{sink="loki",status="emitted")/;
        for (const page of atFirst) {
          for (const series of known)
            if (!RISEN.test(series)) assert.equal(page.get(series), 0, series);
            else assert.ok(page.has(series), series);
        }
        // Whatever has risen since, by name or not. Routes are no list, and a channel is known once it is there.
        const risen = [...(await look())].filter(
          ([series, value]) =>
            value > 0 && (isCompared(series) || series === EMITTED) && FAMILIES.get(familyOf(series)) !== 'gauge',
        );
        assert.ok(risen.length > 30);
        const later = risen.filter(([series]) => !atFirst.every((page) => page.has(series))).map(([series]) => series);
        assert.deepEqual(
          later.filter((series) => !/^http_request_duration_seconds|channel="ops"/.test(series)),
          [],
        );
      });

      const endOf = (pem: string): number => Date.parse(new X509Certificate(pem).validTo) / 1000;
      const seconds = (): number => w.clock.now() / 1000;

      test('[M-01] is told at whichever of them it is: jobs, readers, what runs there', async () => {
        const all = await pages();
        const total = joined(all);
        const readers = [...total.keys()].filter((series) => series.startsWith('event_reader_active{'));
        assert.ok(readers.includes('event_reader_active{reader="audit loki"}'));
        for (const series of ['leader', ...readers]) {
          looked.add(familyOf(series));
          assert.equal(total.get(series), 1, series);
        }
        for (const page of all) {
          const info = [...page].filter(([series]) => familyOf(series) === 'build_info');
          looked.add('build_info');
          const driver = count === 1 ? 'sqlite' : 'postgres';
          const is = `build_info{version="${VERSION}",node="${process.versions.node}",database="${driver}"}`;
          assert.deepEqual(info, [[is, 1]]);
        }
      });

      test('[M-01] is told of the database: statements, and connections where there are any', async () => {
        for (const server of w.servers) {
          const statements = () => shown(server, 'db_query_duration_seconds_count');
          const before = await statements();
          await times(20, () => server.events.read(0, 1));
          assert.ok((await statements()) >= before + 20);
          await server.db.transaction(async () => {
            const busy = await shown(server, 'db_pool_connections{state="busy"}');
            assert.ok(count === 1 ? Number.isNaN(busy) : busy >= 1, String(busy));
          });
        }
      });

      test('[M-01] says how a sink fares, whichever of them delivers', async () => {
        const failed = async () => (await look()).get('audit_events_total{sink="loki",status="failed"}');
        await becomes('audit_sink_last_success_timestamp_seconds{sink="loki"}', seconds());
        await becomes('audit_sink_lag_events{sink="loki"}', 0);
        await becomes('audit_sink_paused{sink="loki"}', 0);
        await becomes('audit_sink_last_error_timestamp_seconds{sink="loki"}', Number.NaN);
        assert.equal(await failed(), 0);

        w.receiver.status = 401;
        await w.cancel(w.web, await w.ask(w.web));
        await becomes('audit_sink_paused{sink="loki"}', 1);
        // What else was written meanwhile waits too.
        const waiting = (await w.app.events.head()).seq - (await findCursor(w.app.db.query, 'audit loki'))!.seq;
        assert.ok(waiting >= 2);
        await becomes('audit_sink_last_error_timestamp_seconds{sink="loki"}', seconds());
        w.clock.advance(9000);
        for (const name of ['audit_sink_lag', 'event_reader_lag']) {
          const labels = name === 'audit_sink_lag' ? '{sink="loki"}' : '{reader="audit loki"}';
          await becomes(`${name}_events${labels}`, waiting);
          await becomes(`${name}_seconds${labels}`, 9);
        }
        await becomes('event_reader_failing{reader="audit loki"}', 1);
        await becomes('event_reader_failing{reader="metrics"}', 0);
        await becomes('health{component="audit_sinks",severity="degraded"}', 0);
        assert.equal(await failed(), 1);
      });

      test('[M-01] follows from the time', async () => {
        const last = w.servers.at(-1)!;
        assert.ok(await logBeat(w.web, null, {}, last));
        const heard = await shown(last, 'ldap_last_sync_timestamp_seconds');
        const age = seconds() - heard;
        w.clock.advance(7000);
        assert.equal(await shown(last, 'log_head_age_seconds'), 7);
        const aged = (await shown(last, 'ldap_directory_age_seconds')) - age;
        assert.ok(Math.abs(aged - 7) < 0.01, String(aged));
        assert.equal(await shown(last, 'ldap_last_sync_timestamp_seconds'), heard);

        const { users, groups } = w.pocketId.content;
        w.pocketId.content = { users: [...users, { id: 'e1', username: 'carol' }], groups };
        for (const server of w.servers) {
          const usn = await shown(server, 'ldap_usn');
          server.directory!.directory.refresh('console');
          await server.directory!.directory.settled();
          assert.ok((await shown(server, 'ldap_usn')) > usn);
          assert.equal(await shown(server, 'ldap_directory_age_seconds'), 0);
          assert.equal(await shown(server, 'ldap_last_sync_timestamp_seconds'), seconds());
        }

        const authority = endOf(w.app.keys.ca.certificatePem);
        await becomes('mtls_ca_expires_in_seconds', authority - seconds(), 1);
        await becomes('ca_certificate_expiry_timestamp_seconds', authority, 1);
        const lives = [w.web, w.noisy, w.easy].map(({ grant, hostname }) => ({
          hostname,
          end: endOf(grant.certificate),
        }));
        for (const { hostname, end } of lives)
          await becomes(`mtls_cert_expires_in_seconds{hostname="${hostname}"}`, end - seconds(), 1);
        await becomes('mtls_cert_expires_in_seconds_min', Math.min(...lives.map(({ end }) => end)) - seconds(), 1);
      });

      test('[M-01] says how far one authority has taken the place of another', async () => {
        await becomes('ca_rotation_hosts_behind', 0);
        const { code, err } = await runOn(['ca', 'rotate'], w.config);
        assert.equal(code, 0, err);
        await becomes('ca_rotation_hosts_behind', 4);
        await until('it is known', () => w.app.ca.certificates().length === 2);
        const next = w.app.ca.certificates().find(({ role }) => role === 'next')!;
        await becomes('ca_rotation_certificate_expiry_timestamp_seconds{role="next"}', endOf(next.pem), 1);
      });

      test('[M-01] says whose certificate ends soon, who was not heard of and whose session has ended', async () => {
        await becomes('mtls_certs_expiring{within="30d"}', 0);
        await becomes('host_certificates_ending', 0);
        await becomes('agent_status{status="online"}', 4);
        w.clock.advance(340 * DAY_MS);
        await becomes('mtls_certs_expiring{within="30d"}', 4);
        await becomes('mtls_certs_expiring{within="7d"}', 0);
        await becomes('host_certificates_ending', 4);
        await becomes('agent_status{status="silent"}', 4);
        await becomes('sessions', 0);
      });

      test('[M-01] was looked at, whichever family follows from something else than a number', () => {
        assert.deepEqual(
          Object.keys(OTHERWISE).filter((family) => !looked.has(family)),
          [],
        );
      });
    });
  }
});
