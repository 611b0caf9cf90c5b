import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { extendHistory, type LogHead, type LogShown, readLogEpoch } from '#shared/log-head.ts';
import { signingKeyFromPem, signToken, tokenType } from '#shared/token.ts';
import { type App, createApp } from '../app/app.ts';
import { createCore } from '../app/core.ts';
import { kysely } from '../db/query.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { ed25519Pem } from '../platform/key-files.ts';
import { logBeat as beat, logHeadOf as headOf } from '../testing/log-beat.ts';
import { rewriteLog } from '../testing/rewrite-log.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';
import type { LogHeads } from './heads.ts';
import { startEpoch } from './start-epoch.ts';
import { checkChain } from './store.ts';

async function addEvents(app: App, count: number): Promise<void> {
  await app.db.transaction(async (work) => {
    for (let i = 0; i < count; i++) {
      await app.events.append(work, { event: 'server_started', username: '', reason: `filler ${i}` });
    }
  });
}

for (const driver of ['sqlite', 'postgres'] as const) {
  const missing = driver === 'postgres' ? whyNoPostgres() : null;
  if (missing) test(`signed heads of the event log on ${driver}`, { skip: missing }, () => {});
  else describe(`signed heads of the event log on ${driver}`, () => signedHeads(driver));
}

function signedHeads(driver: 'sqlite' | 'postgres') {
  let t: TestApp;
  let host: TestHost;
  before(async () => {
    t = await createTestApp({ driver });
    host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
  });
  after(() => t.close());

  /** Asks another process on the same database and keys, which remembers nothing. */
  async function elsewhere<T>(ask: (heads: LogHeads) => Promise<T>): Promise<T> {
    const core = await createCore(t.config, { clock: t.clock });
    try {
      return await ask(core.heads);
    } finally {
      await core.close();
    }
  }

  const named = async (name: string) => (await t.app.events.read(0, 5000)).filter(({ event }) => event === name);

  test('the hashes that a host is shown lead from what it has followed to the newest head', async () => {
    const first = await headOf(host, await beat(host, null));
    assert.equal(first.seq, (await t.app.events.head()).seq);
    assert.equal(first.hash, (await t.app.events.head()).hash);
    await addEvents(t.app, 1700);
    const shown = await beat(host, first);
    const second = await headOf(host, shown);
    assert.equal(second.seq, first.seq + 1700);
    assert.equal(shown?.hashes.length, 1000, 'one page');
    const rest = await host.send('GET', `/log?after=${first.seq + 1000}&until=${second.seq}`);
    const hashes = [...(shown?.hashes ?? []), ...(rest.body.hashes as string[])];
    assert.equal(hashes.length, 1700);
    assert.equal(hashes.reduce(extendHistory, first.history), second.history);
    const page = await host.send('GET', '/log?after=0&until=100000');
    assert.equal((page.body.hashes as string[]).length, 1000, 'never more than a page');
  });

  test('two servers on one log sign the same history, and the second folds on from a head that was kept', async () => {
    const here = await headOf(host, await beat(host, null));
    const there = await headOf(host, await elsewhere((heads) => heads.show(null)));
    assert.deepEqual([there.seq, there.history], [here.seq, here.history]);
  });

  test('a stored head that the log key did not sign is no place to fold on from', async () => {
    const truth = await headOf(host, await beat(host, null));
    const { seq, token } = await kysely(t.app.db.query)
      .selectFrom('log_heads')
      .selectAll()
      .where('seq', '<=', truth.seq)
      .orderBy('seq', 'desc')
      .limit(1)
      .executeTakeFirstOrThrow();
    const payload = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as LogHead;
    const stolen = await signingKeyFromPem(await readFile(join(t.config.keysDir, 'verdict.pem'), 'utf8'));
    const forged = await signToken(tokenType.logHead, { ...payload, history: 'A'.repeat(43) }, stolen);
    const plant = (text: string) =>
      t.app.db.transaction((work) =>
        kysely(work.query)
          .updateTable('log_heads')
          .set({ token: text } as never)
          .where('seq', '=', seq)
          .execute(),
      );
    await plant(forged);
    try {
      const shown = await elsewhere((heads) => heads.show(null));
      assert.equal((await headOf(host, shown)).history, truth.history);
    } finally {
      await plant(token);
    }
  });

  test('a host that contradicts the log leaves one event, and health says so until it follows again', async () => {
    const kept = await headOf(host, await beat(host, null));
    const said = { log: { head: kept.token, contradiction: 'forked' } };
    await beat(host, kept, said);
    await beat(host, kept, said);
    const events = await named('host_log_contradicted');
    assert.equal(events.length, 1);
    assert.equal(events[0]?.hostname, 'web1.example.com');
    assert.deepEqual(
      { ...events[0]?.data, seenAt: null },
      { contradiction: 'forked', seq: kept.seq, seenHash: kept.hash, seenAt: null, signed: true },
    );
    assert.match((await t.app.health()).checks.event_log ?? '', /a host has seen events that it does not continue/);
    await beat(host, kept);
    assert.equal((await named('host_log_followed')).length, 1);
    assert.equal((await t.app.health()).checks.event_log, 'ok');
  });

  test('a host that contradicted the log and was revoked is no trouble of the log any more', async () => {
    const other = await enrolTestHost(t.app, t.clock, 'web2.example.com');
    const kept = await headOf(other, await beat(other, null));
    await beat(other, kept, { log: { head: kept.token, contradiction: 'rolled_back' } });
    assert.match((await t.app.health()).checks.event_log ?? '', /a host has seen/);
    await t.app.hosts.revoke(other.id, { username: 'olga', remoteAddr: null });
    assert.equal((await t.app.health()).checks.event_log, 'ok');
  });

  test('an event that was rewritten with a new chain gives another history, under the server and after a restart', async () => {
    const kept = await headOf(host, await beat(host, null));
    await t.app.db.transaction((work) => rewriteLog(work, 5, { reason: 'nothing to see here' }));
    assert.equal(await checkChain(t.app.db.query), null, 'the chain alone does not tell');
    await addEvents(t.app, 1);
    const continues = async (shown: LogShown | null) => {
      const head = await headOf(host, shown);
      return (shown?.hashes ?? []).reduce(extendHistory, kept.history) === head.history;
    };
    assert.equal(await continues(await beat(host, kept)), false);
    assert.equal(await continues(await elsewhere((heads) => heads.show(kept.seq))), false);
  });

  test('an operator lets it go on from where it stands: later than all that was signed, twice within one millisecond too', async () => {
    const kept = await headOf(host, await beat(host, null));
    await beat(host, kept, { log: { head: kept.token, contradiction: 'forked' } });
    const by = { operator: 'olga', reason: 'the disk of db1 died' };
    const { epoch: first, hosts } = await startEpoch(t.app, by);
    const { epoch: second } = await startEpoch(t.app, { ...by, reason: 'once more' });
    assert.equal(hosts, 1);
    assert.ok(first.at > kept.at);
    assert.ok(second.at > first.at);
    const shown = await beat(host, kept);
    const head = await headOf(host, shown);
    assert.equal(head.epoch, second.at);
    assert.deepEqual(await readLogEpoch(shown?.epoch ?? '', host.grant), second);
    const after = await t.app.heads.hashes(second.seq, head.seq);
    assert.equal(after.reduce(extendHistory, second.history), head.history);
    assert.deepEqual(
      (await named('log_epoch_started')).map(({ actor, reason }) => [actor, reason]),
      [
        ['olga', 'the disk of db1 died'],
        ['olga', 'once more'],
      ],
    );
  });

  test('a log with an event missing is not signed, and health names it', async () => {
    await addEvents(t.app, 5);
    const { seq } = await t.app.events.head();
    await t.app.db.transaction((work) =>
      kysely(work.query)
        .deleteFrom('events')
        .where('seq', '=', seq - 3)
        .execute(),
    );
    assert.equal(await beat(host, null), null);
    assert.equal(
      (await t.app.health()).checks.event_log,
      `event ${seq - 3} of the log does not follow the one before it`,
    );
  });

  test('an installation of an earlier version gets a log key at its next start, with an event', async () => {
    await rm(join(t.config.keysDir, 'log.pem'));
    await t.app.db.transaction((work) => kysely(work.query).deleteFrom('meta').where('key', '=', 'log_key').execute());
    const core = await createCore(t.config, { clock: t.clock });
    await core.close();
    assert.deepEqual(
      (await named('log_key_created')).map(({ data }) => data.logKey),
      [t.app.keys.log.kid, core.keys.log.kid],
    );
  });

  test('a server with another log key than the others does not serve', async (c) => {
    const site = await createTestApp({ driver });
    c.after(() => site.close());
    // Only one server at a time may be on a file.
    await site.app.close();
    await writeFile(join(site.config.keysDir, 'log.pem'), ed25519Pem());
    const other = await createApp(site.config, { clock: site.clock });
    c.after(() => other.close());
    await assert.rejects(other.listen(), /another log key/);
  });
}
