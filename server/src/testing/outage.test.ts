import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'ldapts';
import pg from 'pg';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { startLoad, until } from './load.ts';

const LONG = process.env.IDENTREE_LONG === '1';
const OUTAGES = LONG ? 10 : 2;
const OUTAGE_MS = LONG ? 20_000 : 1500;
const FREEZES = LONG ? 50 : 5;
const BASE = 'dc=example,dc=com';
const SERVICE = { dn: `cn=readonly,${BASE}`, password: 'b7e0f19c5a2d48' };

const PEOPLE = {
  users: [{ id: 'sub-alice', issuer: 'https://idp.example.com', username: 'alice' }],
  groups: [],
};

describe('a database that goes away', { skip: whyNoPostgres() ?? false, concurrency: true }, () => {
  test(`${OUTAGES} times under load ends no server; it says so, and all goes on`, async (t) => {
    const load = await startLoad(t);
    const people = join(load.folder, 'people.json');
    await writeFile(people, JSON.stringify(PEOPLE), { mode: 0o600 });
    const directory = {
      IDENTREE_DIRECTORY_SOURCE: 'file',
      IDENTREE_DIRECTORY_FILE: people,
      IDENTREE_LDAP_BASE_DN: BASE,
      IDENTREE_LDAP_LISTEN_ADDR: '127.0.0.1:0',
      IDENTREE_LDAP_TLS_LISTEN_ADDR: 'off',
      IDENTREE_LDAP_REQUIRE_TLS: 'false',
      IDENTREE_LDAP_BIND_DN: SERVICE.dn,
      IDENTREE_LDAP_BIND_PASSWORD: SERVICE.password,
    };
    const servers = [await load.start('first', directory), await load.start('second')];
    const [first] = servers;

    async function findAlice(): Promise<number> {
      const client = new Client({ url: `ldap://127.0.0.1:${first!.ports.ldap}`, timeout: 5000, connectTimeout: 5000 });
      await client.bind(SERVICE.dn, SERVICE.password);
      const { searchEntries } = await client.search(BASE, { scope: 'sub', filter: '(uid=alice)' });
      await client.unbind();
      return searchEntries.length;
    }

    await until(async () => (await first!.health())?.status === 200);
    for (let outage = 0; outage < OUTAGES; outage += 1) {
      load.postgres.signal(outage % 2 === 0 ? 'INT' : 'QUIT');
      const goneAt = performance.now();
      for (const server of servers) {
        await until(async () => (await server.health())?.body.checks.database === 'away');
      }
      assert.ok(performance.now() - goneAt < 5000, 'health says so within 5 s');
      const knownAt = Date.now();
      assert.equal((await first!.health())?.status, 503);
      assert.equal(await findAlice(), 1, 'the directory answers');
      const page = await fetch(`http://127.0.0.1:${first!.ports.http}/approve/ABCDEF-123456`, {
        headers: { accept: 'text/html', cookie: `__Host-identree_session=${'x'.repeat(43)}` },
        redirect: 'manual',
      });
      assert.equal(page.status, 503);
      assert.match(await page.text(), /<h1>.*The server cannot decide right now\. Try again in a moment\./s);
      await sleep(OUTAGE_MS);
      const backAt = Date.now();
      const meanwhile = servers
        .flatMap((server) => server.told())
        .flatMap((one) => (one.kind === 'refused' && one.at > knownAt && one.at < backAt ? [one] : []));
      assert.deepEqual(new Set(meanwhile.map(({ code }) => code)), new Set(['unavailable']));
      assert.ok(Math.max(...meanwhile.map(({ ms }) => ms)) < 1000, 'refused within 1 s');
      const before = servers.map((server) => server.created());
      await load.postgres.startAgain();
      for (const [i, server] of servers.entries()) {
        const took = await until(() => server.created() > before[i]!);
        assert.ok(took < 2000, `goes on ${Math.round(took)} ms after its return`);
      }
      const took = await until(async () => (await first!.health())?.status === 200);
      assert.ok(took < 2000, `is well ${Math.round(took)} ms after that`);
    }

    const operator = new pg.Client({ connectionString: load.dsn });
    await operator.connect();
    const others = 'from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()';
    await operator.query(`select pg_terminate_backend(pid) ${others}`);
    await operator.end();
    const cut = servers.map((server) => server.created());
    for (const [i, server] of servers.entries()) await until(() => server.created() > cut[i]! + 10);

    assert.deepEqual(
      servers.map((server) => server.process.exitCode),
      [null, null],
    );
    const refused = servers.flatMap((server) => server.told()).flatMap((one) => (one.kind === 'refused' ? [one] : []));
    const unavailable = refused.filter(({ code }) => code === 'unavailable');
    assert.ok(unavailable.length > 0);
    assert.equal(unavailable[0]!.message, 'The server cannot decide right now. Try again in a moment.');
    assert.deepEqual(
      refused.filter(({ code }) => !['unavailable', 'too_many_pending_user'].includes(code)),
      [],
    );
    assert.deepEqual(await load.contradictions(), []);
  });

  test(`${FREEZES} times a server is frozen in the middle of a change: the others go on, and it writes nothing stale`, async (t) => {
    const load = await startLoad(t);
    const frozen = await load.start('frozen');
    const other = await load.start('other');
    const operator = new pg.Client({ connectionString: load.dsn });
    // It is cut off with the database when the test ends.
    operator.on('error', () => {});
    await operator.connect();
    /** Whether the frozen server holds the head of the log. */
    async function holds(): Promise<boolean> {
      const { rows } = await operator.query(
        `select 1 from pg_stat_activity a join pg_locks l on l.pid = a.pid
          where a.application_name = 'frozen' and a.state = 'idle in transaction'
            and l.relation = 'event_head'::regclass and l.mode = 'RowShareLock'`,
      );
      return rows.length > 0;
    }
    for (let freeze = 0; freeze < FREEZES; freeze += 1) {
      for (;;) {
        await sleep(Math.random() * 50);
        frozen.process.kill('SIGSTOP');
        if (await holds()) break;
        frozen.process.kill('SIGCONT');
      }
      const before = other.created();
      const took = await until(() => other.created() > before + 1);
      assert.ok(took < 5000, `the other one goes on after ${Math.round(took)} ms`);
      const own = frozen.created();
      frozen.process.kill('SIGCONT');
      await until(() => frozen.created() > own + 4);
    }
    assert.deepEqual([frozen.process.exitCode, other.process.exitCode], [null, null]);
    assert.deepEqual(await load.contradictions(), []);
  });
});
