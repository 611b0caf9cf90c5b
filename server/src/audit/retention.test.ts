import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sql } from 'kysely';
import { type ApprovalBundle, approvalBundle, verifyApprovalBundle } from '#shared/approval-bundle.ts';
import { sha256 } from '#shared/digest.ts';
import { type EventRecord, eventHash, eventKind, isErased } from '#shared/events.ts';
import { kysely } from '../db/query.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { TEST_FOLDER } from '../db/test-postgres.ts';
import type { Erasure } from '../events/erasures.ts';
import { appendEvents } from '../events/store.ts';
import { createLogger } from '../platform/logger.ts';
import { logBeat, logHeadOf } from '../testing/log-beat.ts';
import { runOn } from '../testing/run-command.ts';
import { createTestApp } from '../testing/test-app.ts';
import { enrolTestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson } from '../testing/test-person.ts';
import { putDeadLetters } from './dead-letter-store.ts';
import { createRetention, dueBefore, SETTLED_MS } from './retention.ts';
import { until } from './testing/audit-kit.ts';

const DAY_MS = 86_400_000;
const SINK = 'audit jsonlog';
const REASON = 'a reason that nobody is to read in a year';

test('whole days are erased', () => {
  assert.equal(dueBefore(10 * DAY_MS + 5, 3), 7 * DAY_MS);
  assert.equal(dueBefore(11 * DAY_MS - 1, 3), 7 * DAY_MS);
});

/** A server that has been used, whose requests and sign-ins are to be erased after 90 days. */
async function usedServer(t: TestContext, driver: 'sqlite' | 'postgres') {
  const folder = await mkdtemp(join(TEST_FOLDER, 'identree-retention-'));
  const archive = join(folder, 'archive');
  const provider = createTestProvider();
  const site = await createTestApp({
    driver,
    app: { provider, log: createLogger('error', { write: () => {} }) },
    // Commands run on the clock of the machine.
    now: Date.now() - 200 * DAY_MS,
    env: {
      IDENTREE_AUDIT_LOG: `file:${folder}/audit.jsonl`,
      IDENTREE_AUDIT_RETENTION: 'requests=90,sessions=90',
      IDENTREE_AUDIT_ARCHIVE_DIR: archive,
    },
  });
  t.after(async () => {
    await site.close();
    await rm(folder, { recursive: true, force: true });
  });
  const { app, clock } = site;
  await app.start();
  const alice = await signInTestPerson(app, provider, clock, 'alice');
  const host = await enrolTestHost(app, clock, 'web1.example.com');
  const { challengeId } = await host.create();
  assert.equal((await alice.mutate('challenges.deny', { challengeId, reason: REASON })).refusal, null);
  const all = () => app.events.read(0, 1000);
  return {
    ...site,
    provider,
    folder,
    archive,
    alice,
    host,
    challengeId,
    all,
    due: async () => (await all()).filter((one) => ['requests', 'sessions'].includes(eventKind(one.event)!.topic)),
    /** Every sink has everything. */
    delivered: async () => {
      const { seq } = await app.events.head();
      await until(async () => (await app.readers.status()).every((reader) => reader.seq >= seq));
    },
    /** Lets so much time pass, as long as it takes after that for what was delivered not to come again. */
    async later(ms: number): Promise<void> {
      clock.advance(ms);
      await app.retention!.run();
      clock.advance(SETTLED_MS);
      await app.retention!.run();
    },
    files: async () => (await readdir(archive).catch(() => [])).sort(),
    /** As the holder of the database would. */
    change: (text: string) => app.db.transaction(({ query }) => sql.raw(text).execute(kysely(query))),
  };
}

forEachDriver('[A-44] events whose time is over', (driver) => {
  test('are archived and erased; the chain, heads, backups and evidence stay whole and say so', async (t) => {
    const s = await usedServer(t, driver);
    const { app, host, challengeId } = s;
    const head = await logHeadOf(host, await logBeat(host, null));
    const headFile = join(s.folder, 'head.json');
    await writeFile(headFile, JSON.stringify({ logHead: { head: head.token, key: head.keyToken } }));
    await s.delivered();
    await s.later(80 * DAY_MS);
    assert.deepEqual([await s.files(), (await s.all()).filter(isErased)], [[], []], 'their time is not over');

    const due = await s.due();
    assert.ok(JSON.stringify(due).includes(REASON));
    await s.delivered();
    await s.later(11 * DAY_MS);
    const after = await s.all();
    const erased = after.filter(isErased);
    assert.deepEqual(
      erased.map(({ seq }) => seq),
      due.map(({ seq }) => seq),
    );
    for (const event of erased) {
      assert.deepEqual([event.username, event.actor, event.reason, event.remoteAddr], ['', null, null, null]);
      assert.deepEqual(event.data, {});
    }
    const rows = await app.db.transaction(({ query }) =>
      kysely(query)
        .selectFrom('events')
        .selectAll()
        .where(
          'seq',
          'in',
          due.map(({ seq }) => seq),
        )
        .execute(),
    );
    for (const trace of [REASON, 'alice', 'web1', ...due.map(({ salt }) => salt!)])
      assert.ok(!JSON.stringify(rows).includes(trace), trace);

    // What is said of it names the files, which hold everything.
    const said = after.filter(({ event }) => event === 'audit_erased').map(({ data }) => data as Erasure);
    assert.deepEqual(
      said.map(({ topic, count }) => [topic, count]),
      ['requests', 'sessions'].map((topic) => [
        topic,
        due.filter((one) => eventKind(one.event)!.topic === topic).length,
      ]),
    );
    assert.deepEqual(await s.files(), said.map(({ archive }) => archive).sort());
    assert.equal((await stat(s.archive)).mode & 0o777, 0o750);
    for (const { archive, sha256: digest } of said) {
      const path = join(s.archive, archive);
      const text = await readFile(path, 'utf8');
      assert.deepEqual([(await stat(path)).mode & 0o777, sha256(text)], [0o640, digest]);
    }
    const kept = (await Promise.all((await s.files()).map((name) => readFile(join(s.archive, name), 'utf8')))).join('');
    const lines = kept.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as { hash: string }]));
    assert.deepEqual(lines.map(({ hash }) => hash).sort(), due.map(({ hash }) => hash).sort());
    assert.ok(kept.includes(REASON));

    // Nothing is done twice.
    await s.delivered();
    await s.later(0);
    assert.equal((await s.files()).length, 2);

    const verified = await runOn(['verify-log', '--head', headFile], s.config);
    assert.equal(verified.code, 0, verified.out);
    assert.match(verified.out, new RegExp(`Erased, as the log says: the payload of ${due.length} events`));
    assert.match(verified.out, new RegExp(`contains the head signed at event ${head.seq} `));

    const exported = await runOn(['export-approval', challengeId], s.config);
    const bundle: ApprovalBundle = approvalBundle.parse(JSON.parse(exported.out));
    const asked = due.filter((event) => event.challengeId === challengeId).length;
    assert.ok(asked >= 2);
    assert.partialDeepStrictEqual(await verifyApprovalBundle(bundle, app.trust), { ok: true, erased: asked });
    // What is left proves itself: an event that was erased cannot be passed off as another one.
    const [first, ...others] = bundle.events;
    for (const change of [
      { reason: 'x' },
      { event: 'challenge_approved' },
      { at: 1 },
      { payloadHash: null },
      { salt: 'x' },
    ]) {
      const events = [{ ...first!, ...change }, ...others];
      const result = await verifyApprovalBundle({ ...bundle, events }, app.trust);
      assert.deepEqual(result, { ok: false, problem: 'event_altered' }, JSON.stringify(change));
    }

    const backup = join(s.folder, 'backup');
    assert.equal((await runOn(['backup', backup], s.config)).code, 0);
    const restored = {
      ...s.config,
      keysDir: join(s.folder, 'keys'),
      database: {
        driver: 'sqlite' as const,
        dsn: join(s.folder, 'restored.db'),
        maxConnections: 1,
        pooler: 'none' as const,
      },
    };
    assert.equal((await runOn(['restore', backup], restored)).code, 0);
    assert.match((await runOn(['verify-log'], restored)).out, /chain is whole.*\nErased, as the log says/);
  });

  test('stay while a sink does not have them, or could not deliver them', async (t) => {
    const s = await usedServer(t, driver);
    await s.delivered();
    const [first] = await s.due();
    const letter = { sink: 'jsonlog', seq: first!.seq, reason: 'too large', at: s.clock.now() };
    await s.app.db.transaction((work) => putDeadLetters(work, [letter]));
    await s.later(91 * DAY_MS);
    assert.deepEqual((await s.all()).filter(isErased), []);
    await s.change('delete from audit_dead_letters');
    await s.app.retention!.run();
    // A sink that goes back in between: what it has to send again is not erased under it.
    await s.change(`update leases set holder = 'another', until = 9999999999999 where name = 'reader audit jsonlog'`);
    const isElsewhere = async () => (await s.app.readers.status()).some((one) => one.reader === SINK && !one.here);
    await until(isElsewhere);
    const cursorAt = (seq: number) => s.change(`update event_cursors set seq = ${seq} where reader = '${SINK}'`);
    await cursorAt(first!.seq - 1);
    s.clock.advance(SETTLED_MS / 2);
    await s.app.retention!.run();
    await cursorAt((await s.app.events.head()).seq);
    s.clock.advance(SETTLED_MS / 2);
    await s.app.retention!.run();
    assert.deepEqual((await s.all()).filter(isErased), [], 'it was behind a moment ago');
    await s.later(0);
    assert.notDeepEqual((await s.all()).filter(isErased), []);
  });

  test('stay while the archive cannot be written, which the health of the server says', async (t) => {
    const s = await usedServer(t, driver);
    await s.delivered();
    // A file where its folder is to be, and then a folder that is somebody else's link to nowhere.
    await writeFile(s.archive, 'in the way');
    await assert.rejects(s.later(91 * DAY_MS), /EEXIST|ENOTDIR/);
    const health = async () => {
      const { status, checks } = await s.app.health();
      return [status, checks.audit_retention];
    };
    assert.deepEqual(await health(), ['degraded', 'failing']);
    assert.deepEqual((await s.all()).filter(isErased), []);
    await rm(s.archive);
    await symlink(join(s.folder, 'nowhere'), s.archive);
    await assert.rejects(s.app.retention!.run());
    assert.deepEqual((await s.all()).filter(isErased), []);
    await rm(s.archive);
    await s.app.retention!.run();
    assert.notDeepEqual((await s.all()).filter(isErased), []);
    assert.deepEqual(await health(), ['ok', 'ok']);
    assert.equal((await runOn(['verify-log'], s.config)).code, 0);
  });

  test('are erased under a reader and an export that go on: each has every event, as it was or erased, never half', async (t) => {
    const s = await usedServer(t, driver);
    await s.app.db.transaction((work) =>
      s.app.events.appendAll(
        work,
        Array.from({ length: 2500 }, (_, n) => ({
          event: 'user_logged_in' as const,
          username: `user${n}`,
          reason: REASON,
        })),
      ),
    );
    await s.delivered();
    s.clock.advance(91 * DAY_MS);
    await s.app.retention!.run();
    s.clock.advance(SETTLED_MS);
    const { seq: newest } = await s.app.events.head();
    const olga = await signInTestPerson(s.app, s.provider, s.clock, 'olga', { groups: ['admins'], passkey: false });
    const seen = new Map<number, Record<string, unknown>>();
    const whole = (line: Record<string, unknown>) =>
      line.erased === true ? line.username === '' && line.reason === undefined : typeof line.username === 'string';
    const read = async () => {
      for (let after = 0; after < newest; ) {
        const page = await s.app.events.read(after, 100);
        for (const event of page) {
          assert.ok(
            isErased(event) ? event.reason === null && event.salt === null : event.salt !== null,
            `${event.seq}`,
          );
          after = event.seq;
        }
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    const exported = async () => {
      const answer = await olga.browser.get('/api/v1/audit/export?format=jsonl', { 'sec-fetch-site': 'same-origin' });
      assert.equal(answer.statusCode, 200);
      for (const line of answer.body.trimEnd().split('\n')) {
        const told = JSON.parse(line) as Record<string, unknown>;
        assert.ok(whole(told), line);
        seen.set(told.seq as number, told);
      }
    };
    await Promise.all([s.app.retention!.run(), read(), exported()]);
    for (let seq = 1; seq <= newest; seq += 1) assert.ok(seen.has(seq), `event ${seq}`);
    assert.ok((await s.all()).some(isErased));
    assert.equal((await runOn(['verify-log'], s.config)).code, 0);
  });

  test('are not erased when they are not what their hash says, and what others erase is found', async (t) => {
    const s = await usedServer(t, driver);
    await s.delivered();
    const due = await s.due();
    const { seq, reason } = due.at(-1)!;
    await s.change(`update events set reason = 'another' where seq = ${seq}`);
    await assert.rejects(s.later(91 * DAY_MS), new RegExp(`event ${seq} is not what its hash says`));
    assert.deepEqual([await s.files(), (await s.all()).filter(isErased)], [[], []]);
    await s.change(`update events set reason = ${reason === null ? 'null' : `'${reason}'`} where seq = ${seq}`);
    assert.equal((await runOn(['verify-log'], s.config)).code, 0);

    const enrolled = (await s.all()).find(({ event }) => event === 'host_enrolled')!;
    const nothing = `username = '', host_id = null, hostname = null, code = null, actor = null, reason = null, remote_addr = null, data = '{}', salt = null`;
    await s.change(`update events set ${nothing} where seq = ${enrolled.seq}`);
    const { code, out } = await runOn(['verify-log'], s.config);
    assert.deepEqual([code, out], [1, `The chain is broken at event ${enrolled.seq}: erased_unsaid.\n`]);
  });

  test('are looked for without keeping others waiting, however many of other topics there are', async (t) => {
    const { app, clock, delivered } = await usedServer(t, driver);
    const reports = Array.from({ length: 3000 }, () => ({ event: 'host_reported' as const, username: '' }));
    await app.db.transaction((work) => app.events.appendAll(work, reports));
    await delivered();
    let turn = 0;
    let counting = true;
    const count = () => {
      turn += 1;
      if (counting) setImmediate(count);
    };
    setImmediate(count);
    /** In which turn of the event loop each event was read. */
    const readIn: number[] = [];
    const read = async (after: number, limit: number) => {
      const events = await app.events.read(after, limit);
      readIn.push(...events.map(() => turn));
      return events;
    };
    const retention = createRetention({
      ...app,
      events: { ...app.events, read },
      clock,
      sinks: [],
      archive: () => assert.fail('nothing is due'),
      days: { scim: 1 },
    });
    await retention.run();
    clock.advance(10 * DAY_MS);
    await retention.run();
    counting = false;
    assert.ok(readIn.length >= 3000);
    const most = Math.max(...Object.values(Object.groupBy(readIn, String)).map((events) => events!.length));
    assert.ok(most <= 500, `${most} events in one turn of the event loop`);
  });

  test('of earlier versions stay as they are', async (t) => {
    const s = await usedServer(t, driver);
    await s.app.db.transaction(async (work) => {
      const { seq, hash } = await s.app.events.head();
      const [last] = await s.app.events.read(seq - 1, 1);
      const unsealed = {
        ...last!,
        seq: seq + 1,
        event: 'user_logged_in',
        username: 'bob',
        reason: null,
        data: {},
        salt: null,
        payloadHash: null,
        prevHash: hash,
      };
      const earlier: EventRecord = { ...unsealed, hash: eventHash(unsealed) };
      await appendEvents(work, [earlier]);
    });
    s.app.events.wake();
    await s.delivered();
    await s.later(91 * DAY_MS);
    const all = await s.all();
    assert.equal(all.find(({ username }) => username === 'bob')?.event, 'user_logged_in');
    assert.notDeepEqual(all.filter(isErased), []);
    assert.equal((await runOn(['verify-log'], s.config)).code, 0);
  });
});
