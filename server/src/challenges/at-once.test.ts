import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sql } from 'kysely';
import { kysely } from '../db/query.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { checkChain } from '../events/store.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';

async function stateOf(t: TestApp, host: TestHost): Promise<{ state: string; counter: number }> {
  return kysely(t.app.db.query)
    .selectFrom('hosts')
    .select(['state', 'counter'])
    .where('id', '=', host.id)
    .executeTakeFirstOrThrow();
}

const outcome = ({ status, body }: Awaited<ReturnType<TestHost['send']>>): string =>
  status === 201 ? 'made' : String(body.error?.code);

forEachDriver('requests of many hosts at the same moment', (driver) => {
  test('each has its own outcome, and what is refused has changed nothing', async () => {
    const t = await createTestApp({ driver });
    try {
      const enrol = (name: string) => enrolTestHost(t.app, t.clock, `${name}.example.com`);
      const good: TestHost[] = [];
      for (let index = 0; index < 12; index += 1) good.push(await enrol(`good${index}`));
      const [stale, foreign, one, other, replayer, careless, clone, revoked] = [
        await enrol('stale'),
        await enrol('foreign'),
        await enrol('one'),
        await enrol('other'),
        await enrol('replayer'),
        await enrol('careless'),
        await enrol('clone'),
        await enrol('revoked'),
      ];
      // All of them are known by now; what has changed since must not be overlooked.
      for (const host of [replayer, clone, revoked]) await host.create();
      const parameters = { nonce: randomBytes(18).toString('base64url') };
      const recorded = replayer.createBody();
      assert.equal((await replayer.send('POST', '/challenges', recorded, { parameters })).status, 201);
      const usedTwice = { nonce: randomBytes(18).toString('base64url') };
      await careless.send('POST', '/challenges', careless.createBody(), { parameters: usedTwice });
      await t.app.hosts.revoke(revoked.id, { username: 'olga', remoteAddr: null });
      clone.counter -= 1;
      // A copy goes on after its original was heard.
      t.clock.advance(1000);
      const before = new Map<TestHost, { state: string; counter: number }>();
      for (const host of [stale, foreign, replayer, careless, clone, revoked]) before.set(host, await stateOf(t, host));

      const nonce = randomBytes(32).toString('base64url');
      const send = (host: TestHost, record = host.record()) =>
        host.send('POST', '/challenges', host.createBody(record));
      const asked = await Promise.all([
        send(good[0]!),
        send(stale, stale.record({ createdAt: t.clock.now() - 600_000 })),
        send(foreign, foreign.record({ hostId: one.id })),
        send(one, one.record({ nonce })),
        send(other, other.record({ nonce })),
        replayer.send('POST', '/challenges', recorded, { parameters }),
        careless.send('POST', '/challenges', careless.createBody(), { parameters: usedTwice }),
        send(clone),
        send(revoked),
        ...good.slice(1).map((host) => send(host)),
      ]);
      const outcomes = asked.map(outcome);
      const twins = outcomes.splice(3, 2).sort();
      assert.deepEqual(outcomes, [
        'made',
        'stale_record',
        'wrong_host_record',
        'nonce_replayed',
        'nonce_replayed',
        'host_quarantined',
        'host_revoked',
        ...good.slice(1).map(() => 'made'),
      ]);
      assert.deepEqual(twins, ['made', 'nonce_reused']);
      for (const host of [stale, foreign, replayer, revoked])
        assert.deepEqual(await stateOf(t, host), before.get(host));
      assert.equal((await stateOf(t, clone)).state, 'quarantined');

      assert.equal(await checkChain(t.app.db.query), null);
      const stored = await sql`/* test */ select id from challenges`.execute(kysely(t.app.db.query));
      const told = (await t.app.events.read(0, 1000)).filter(({ event }) => event === 'challenge_created');
      assert.equal(told.length, stored.rows.length);
      assert.equal(new Set(told.map(({ challengeId }) => challengeId)).size, good.length + 1 + 5);

      // One record is one request, also later: whose was refused may ask with another.
      const again = one.counter > other.counter ? one : other;
      assert.equal(outcome(await send(again, again.record({ nonce }))), 'nonce_reused');
      assert.equal(outcome(await send(again)), 'made');
    } finally {
      await t.close();
    }
  });

  test('a request that the policy answers is answered beside those that wait', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'identree-at-once-'));
    const policiesFile = join(folder, 'policies.json');
    const policies = [{ name: 'lab', match_hosts: ['lab*'], approval: 'none' }];
    await writeFile(policiesFile, JSON.stringify({ policies }), { mode: 0o600 });
    const t = await createTestApp({ driver, config: { policiesFile } });
    try {
      const hosts: TestHost[] = [];
      for (const name of ['web1', 'lab1', 'web2', 'lab2'])
        hosts.push(await enrolTestHost(t.app, t.clock, `${name}.example.com`));
      const answers = await Promise.all(hosts.map((host) => host.create()));
      assert.deepEqual(
        answers.map(({ status, verdict }) => [status, verdict !== null]),
        [
          ['pending', false],
          ['approved', true],
          ['pending', false],
          ['approved', true],
        ],
      );
      const events = (await t.app.events.read(0, 1000)).filter(({ challengeId }) => challengeId !== null);
      const eventOf = new Map(events.map(({ challengeId, event }) => [challengeId, event]));
      assert.equal(events.length, 4);
      assert.deepEqual(
        answers.map(({ challengeId }) => eventOf.get(challengeId)),
        ['challenge_created', 'auto_approved', 'challenge_created', 'auto_approved'],
      );
      // What was stored is what was answered.
      const again = await hosts[1]!.send('GET', `/challenges/${answers[1]!.challengeId}?wait=0`);
      assert.deepEqual([again.body.status, again.body.verdict], ['approved', answers[1]!.verdict]);
    } finally {
      await t.close();
      await rm(folder, { recursive: true, force: true });
    }
  });
});

test('a host that one server has revoked or stopped asks for nothing at another that knows it', {
  skip: whyNoPostgres() ?? false,
}, async () => {
  const t = await createTestApp({ driver: 'postgres' });
  try {
    const there = await t.replica();
    const hosts: TestHost[] = [];
    for (let index = 0; index < 4; index += 1)
      hosts.push(await enrolTestHost(t.app, t.clock, `web${index}.example.com`));
    const ask = (host: TestHost) => host.send('POST', '/challenges', host.createBody(), {}, there);
    assert.deepEqual((await Promise.all(hosts.map(ask))).map(outcome), ['made', 'made', 'made', 'made']);
    await t.app.hosts.revoke(hosts[1]!.id, { username: 'olga', remoteAddr: null });
    await t.app.db.transaction(async (work) => {
      await kysely(work.query)
        .updateTable('hosts')
        .set({ api_key: hosts[0]!.grant.hostId })
        .where('id', '=', hosts[2]!.id)
        .execute();
    });
    // No turn of anything lies in between: whatever the other server has heard of it by now, it must not matter.
    assert.deepEqual((await Promise.all(hosts.map(ask))).map(outcome), [
      'made',
      'host_revoked',
      'signature_invalid',
      'made',
    ]);
  } finally {
    await t.close();
  }
});
