import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { sql } from 'kysely';
import { kysely } from '../db/query.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';

for (const driver of ['sqlite', 'postgres'] as const) {
  const missing = driver === 'postgres' ? whyNoPostgres() : null;
  if (missing) test(`a command that nobody waits for, on ${driver}`, { skip: missing }, () => {});
  else describe(`a command that nobody waits for, on ${driver}`, () => nobodyWaits(driver));
}

function nobodyWaits(driver: 'sqlite' | 'postgres') {
  const policyPath = join(tmpdir(), `identree-may-wait-${driver}-${process.pid}.json`);
  let t: TestApp;
  let host: TestHost;
  let free: TestHost;

  before(async () => {
    const policies = [{ name: 'lab', match_hosts: ['lab*'], approval: 'none' }];
    await writeFile(policyPath, JSON.stringify({ policies }), { mode: 0o600 });
    t = await createTestApp({ driver, config: { policiesFile: policyPath } });
    host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
    free = await enrolTestHost(t.app, t.clock, 'lab1.example.com');
  });
  after(async () => {
    await t?.close();
    await rm(policyPath, { force: true });
  });

  const ask = (from: TestHost, fields: { mayWait?: boolean }, record = from.record()) =>
    from.send('POST', '/challenges', { ...from.createBody(record), ...fields });
  const stored = async () => ({
    head: await t.app.events.head(),
    challenges: (await sql`/* test */ select id from challenges`.execute(kysely(t.app.db.query))).rows.length,
  });

  test('is refused where somebody would have to approve it, and leaves neither a request nor an event', async () => {
    const before = await stored();
    for (let i = 0; i < 30; i += 1) {
      const refused = await ask(host, { mayWait: false });
      assert.equal(refused.status, 403);
      assert.equal(refused.body.error?.code, 'approval_required');
    }
    assert.deepEqual(await stored(), before);
  });

  test('can be asked for again with the same record by who waits', async () => {
    const record = host.record();
    assert.equal((await ask(host, { mayWait: false }, record)).body.error?.code, 'approval_required');
    const asked = await ask(host, { mayWait: true }, record);
    assert.equal(asked.status, 201);
    assert.equal(asked.body.status, 'pending');
    await host.send('DELETE', `/challenges/${asked.body.challengeId}`);
  });

  test('runs where the policy asks for nobody', async () => {
    const answer = await ask(free, { mayWait: false });
    assert.equal(answer.status, 201);
    assert.equal(answer.body.status, 'approved');
    assert.ok(answer.body.verdict);
  });

  test('does not hide a copy of the host', async () => {
    const copied = await enrolTestHost(t.app, t.clock, 'copied.example.com');
    const asked = await copied.create();
    await copied.send('DELETE', `/challenges/${asked.challengeId}`);
    const body = { ...copied.createBody(), mayWait: false, counter: copied.counter - 1 };
    t.clock.advance(1000);
    const refused = await copied.send('POST', '/challenges', body);
    assert.equal(refused.body.error?.code, 'host_quarantined');
    const events = await t.app.events.read((await t.app.events.head()).seq - 2, 10);
    assert.deepEqual(
      events.map(({ event }) => event),
      ['host_quarantined', 'host_request_refused'],
    );
  });
}
