import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { type TestContext, test } from 'node:test';
import BetterSqlite from 'better-sqlite3';
import pg from 'pg';
import { sha256 } from '#shared/digest.ts';
import { forEachDriver } from '../../db/test-databases.ts';
import { createTestApp, type TestApp } from '../../testing/test-app.ts';
import { enrolTestHost } from '../../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson } from '../../testing/test-person.ts';
import { until } from '../testing/audit-kit.ts';

const LONG = process.env.IDENTREE_LONG === '1';
const MANY = LONG ? 1_000_000 : 20_000;
const MOST_GROWTH = 64 * 1024 * 1024;

/** Rows of RFC 4180. */
function readCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  const pattern = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/gy;
  let end = 0;
  for (const [all, quoted, plain, separator] of text.matchAll(pattern)) {
    rows.at(-1)!.push(quoted?.replaceAll('""', '"') ?? plain ?? '');
    if (separator === '\r\n') rows.push([]);
    end += all.length;
  }
  assert.equal(end, text.length, 'all of it is CSV');
  rows.pop();
  return rows;
}

async function setUp(t: TestContext, driver: 'sqlite' | 'postgres') {
  const provider = createTestProvider();
  const site = await createTestApp({ driver, app: { provider } });
  t.after(() => site.close());
  const olga = await signInTestPerson(site.app, provider, site.clock, 'olga', { groups: ['admins'], passkey: false });
  const alice = await signInTestPerson(site.app, provider, site.clock, 'alice', { passkey: false });
  return { site, olga, alice };
}

const exported = async (who: TestPerson, query: string) => {
  const answer = await who.browser.get(`/api/v1/audit/export?${query}`, { 'sec-fetch-site': 'same-origin' });
  assert.equal(answer.statusCode, 200, answer.body);
  return answer;
};

async function write(site: TestApp, count: number): Promise<void> {
  const { db, events } = site.app;
  for (let left = count; left > 0; left -= 1000) {
    site.clock.advance(1000);
    const some = Array.from({ length: Math.min(left, 1000) }, (_, n) => ({
      event: 'user_logged_in' as const,
      username: `user${n % 100}`,
      reason: 'a reason that somebody gave',
      data: { issuer: 'https://idp.example.com', subject: `subject of user${n % 100}`, kind: 'browser' },
    }));
    await db.transaction((work) => events.appendAll(work, some));
  }
}

forEachDriver('[A-43] the log as a file', (driver) => {
  test('has the columns that it always had, then what was added; no cell is a formula', async (t) => {
    const { site, olga } = await setUp(t, driver);
    const host = await enrolTestHost(site.app, site.clock, 'web1.example.com');
    const reasons = [
      '=1+1',
      '+1',
      '-1',
      '@sum',
      ' =1',
      '"a", b',
      "it's",
      "a;=cmd|'/C calc'!A0;b",
      '"a"; \t@sum',
      'a;b; c;"=1+1;y;" "" @sum',
    ];
    for (const reason of reasons) await host.create(host.record({ reason }));
    const written = await site.app.events.read(0, 1000);
    const answer = await exported(olga, 'format=csv');
    assert.match(String(answer.headers['content-type']), /^text\/csv/);
    assert.match(
      String(answer.headers['content-disposition']),
      /^attachment; filename="identree-history-[0-9-]+\.csv"$/,
    );
    const [head, ...rows] = readCsv(answer.body) as [string[], ...string[][]];
    assert.deepEqual(head.slice(0, 7), ['username', 'timestamp', 'action', 'hostname', 'code', 'actor', 'reason']);
    assert.deepEqual(
      new Set(rows.map((row) => Number(row[head.indexOf('seq')]))),
      new Set(written.map(({ seq }) => seq)),
    );
    const asked = rows.filter((row) => row[2] === 'challenge_created');
    const stored = written.flatMap(({ event, reason }) => (event === 'challenge_created' ? [reason!] : []));
    assert.deepEqual(
      asked.map((row) => row[6]),
      stored.map((reason) =>
        (/^\s*[=+@-]/.test(reason) ? `'${reason}` : reason).replace(/([;\t][\s"]*)(?=[=+@-])/g, "$1'"),
      ),
    );
    assert.equal(stored.filter((reason) => /^\s*[=+@-]/.test(reason)).length, 5);
    for (const row of rows) for (const cell of row) assert.doesNotMatch(cell, /^\s*[=+@-]/);
    // As many spreadsheets read it where a comma is in numbers: a line or a cell ends also between quotes.
    // Quotes at the beginning of a cell are none of its text there.
    for (const text of answer.body.split(/[;\t\r\n]/)) assert.doesNotMatch(text, /^[\s"]*[=+@-]/);
    assert.match(asked[0]![head.indexOf('sentence')]!, / asked for an approval on web1\.example\.com \(“=1\+1”\)/);
  });

  test('carries in lines what sinks carry: the bytes that were hashed; and the same rows in each format', async (t) => {
    const { site, olga } = await setUp(t, driver);
    // Each export is an event itself, which the next one has.
    const inOrder = async () => (await site.app.events.read(0, 1000)).map(({ seq }) => seq);
    let before = await inOrder();
    const lines = (await exported(olga, 'format=jsonl')).body.trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line) => JSON.parse(line).seq),
      before,
    );
    for (const line of lines) {
      const [record, payload] = line.slice(line.indexOf(',"record":') + 10, -1).split(',"payload":');
      assert.deepEqual([sha256(record!), sha256(payload!)], [JSON.parse(line).hash, JSON.parse(record!).payloadHash]);
    }
    before = await inOrder();
    const rows = (await exported(olga, 'format=json&lang=de')).json() as Record<string, unknown>[];
    assert.deepEqual(
      rows.map(({ seq }) => seq),
      before,
    );
    assert.ok(rows.some(({ sentence }) => sentence === 'olga hat sich im Browser angemeldet.'));
    before = await inOrder();
    const documents = (await exported(olga, 'format=ecs')).body
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      documents.map(({ event }) => event.sequence),
      before,
    );
    const signedIn = documents.find(({ event, user }) => event.action === 'user_logged_in' && user.name === 'alice');
    assert.partialDeepStrictEqual(signedIn, {
      ecs: { version: '8.11.0' },
      event: { kind: 'event', outcome: 'success', category: ['authentication', 'session'] },
      message: 'alice signed in with a browser.',
      related: { user: ['alice'] },
    });
  });

  test('holds what the filter shows, of everybody for administrators and else of the person', async (t) => {
    const { olga, alice } = await setUp(t, driver);
    const users = async (who: TestPerson, query: string) =>
      ((await exported(who, `format=json${query}`)).json() as { username: string }[]).map(({ username }) => username);
    assert.deepEqual(await users(olga, '&event=user_logged_in'), ['olga', 'alice']);
    assert.deepEqual(await users(olga, '&event=user_logged_in&user=alice'), ['alice']);
    assert.deepEqual(await users(alice, ''), ['alice']);
    assert.deepEqual(await users(alice, '&user=olga'), []);
    for (const format of ['jsonl', 'ecs', 'json', 'csv']) {
      const { body } = await exported(alice, `format=${format}`);
      assert.doesNotMatch(body, /192\.0\.2\.|subject of/, 'neither addresses nor what else is known');
    }
    for (const [query, status] of [
      ['format=xml', 400],
      ['', 400],
      ['format=csv&event=nothing', 400],
      // A filter whose name is mistyped would let everything through.
      ['format=csv&usr=alice', 400],
    ] as const)
      assert.equal((await olga.browser.get(`/api/v1/audit/export?${query}`)).statusCode, status);
    assert.equal(
      (await olga.browser.get('/api/v1/audit/export?format=csv', { 'sec-fetch-site': 'cross-site' })).statusCode,
      403,
    );
    assert.equal((await olga.browser.send('HEAD' as 'GET', '/api/v1/audit/export?format=csv')).statusCode, 404);
  });

  test(`has all of ${MANY} events, and holds nothing open meanwhile`, { timeout: 3_600_000 }, async (t) => {
    const { site, olga } = await setUp(t, driver);
    await write(site, MANY);
    await site.app.http.listen({ host: '127.0.0.1', port: 0 });
    const { port } = site.app.http.server.address() as AddressInfo;
    const ask = async (): Promise<IncomingMessage> => {
      const path = '/api/v1/audit/export?format=jsonl';
      const asked = get({ host: '127.0.0.1', port, path, headers: { cookie: olga.cookie }, agent: false });
      const [answer] = (await once(asked, 'response')) as [IncomingMessage];
      return answer;
    };

    // Two that take nothing and one that goes away: neither a lock nor a snapshot is left.
    const stalled = [await ask(), await ask()];
    assert.equal((await ask()).statusCode, 429);
    await until(async () => (await openOn(site)).length === 0);
    for (const one of stalled) one.on('error', () => {}).destroy();

    // Those that were asked for are in the log as well.
    const { seq: newest } = await site.app.events.head();
    let answer = await ask();
    while (answer.statusCode === 429) answer = await ask();
    const before = process.memoryUsage().rss;
    let most = before;
    let count = 0;
    for await (const line of createInterface({ input: answer })) {
      count += 1;
      if (count % 1000 === 0) most = Math.max(most, process.memoryUsage().rss);
      if (count === 1) assert.equal(JSON.parse(line).event, 'server_initialized');
    }
    assert.equal(count, newest);
    if (LONG) assert.ok(most - before < MOST_GROWTH, `${Math.round((most - before) / 1024 / 1024)} MB more`);
    await until(async () => (await openOn(site)).length === 0);
  });
});

/** What is under way or held open in the database. */
async function openOn(site: TestApp): Promise<unknown[]> {
  const { driver, dsn } = site.config.database;
  if (driver === 'sqlite') {
    const other = new BetterSqlite(dsn);
    // It waits for whoever reads an older state, and says so.
    const [state] = other.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
    other.close();
    return state!.busy === 0 ? [] : [state];
  }
  const client = new pg.Client({ connectionString: dsn });
  await client.connect();
  try {
    const { rows } = await client.query(
      `select state, query from pg_stat_activity
       where datname = current_database() and pid <> pg_backend_pid() and state like '%in transaction%'`,
    );
    return rows;
  } finally {
    await client.end();
  }
}
