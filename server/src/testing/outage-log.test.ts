import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { LEASE_SECONDS } from '#shared/host-api.ts';
import { createApp } from '../app/app.ts';
import type { Approval } from '../challenges/showing.ts';
import { startOwnPostgres, whyNoPostgres } from '../db/test-postgres.ts';
import { manualClock } from '../platform/clock.ts';
import { createLogger } from '../platform/logger.ts';
import { until } from './load.ts';
import { testConfig } from './test-config.ts';
import { enrolTestHost } from './test-host.ts';
import { createTestProvider, signInTestPerson } from './test-person.ts';

test('an outage of the database is two lines in the log, and who waited through it can be approved at once', {
  skip: whyNoPostgres() ?? false,
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'identree-outage-log-'));
  const postgres = await startOwnPostgres();
  const clock = manualClock();
  const provider = createTestProvider();
  const lines: { level: number; msg: string; err?: unknown }[] = [];
  const log = createLogger('info', { write: (line) => void lines.push(JSON.parse(line)) });
  const config = testConfig(folder, {
    IDENTREE_DATABASE_DRIVER: 'postgres',
    IDENTREE_DATABASE_DSN: postgres.dsn('postgres'),
    IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com',
    IDENTREE_LDAP_LISTEN_ADDR: '127.0.0.1:0',
    IDENTREE_LDAP_TLS_LISTEN_ADDR: 'off',
  });
  const app = await createApp(config, { log, provider, clock });
  t.after(async () => {
    await app.close();
    postgres.end();
    await rm(folder, { recursive: true, force: true });
  });
  await app.listen();
  const host = await enrolTestHost(app, clock, 'web1.example.com');
  const waiting = await host.create();
  const alice = await signInTestPerson(app, provider, clock, 'alice');
  const told = () => lines.filter(({ level }) => level >= 40).map(({ msg }) => msg);
  assert.deepEqual(told(), []);

  postgres.signal('QUIT');
  let refused = 0;
  await until(async () => {
    const { status } = await host.send('POST', '/challenges', host.createBody());
    if (status === 503) refused += 1;
    // Those who look now and then come by too: jobs, the directory, and who asks how the server is.
    const { checks } = await app.health();
    return refused >= 20 && checks.database === 'away';
  });
  // What a directory does now and then, and what follows the log.
  app.directory?.directory.refresh('signal');
  // Longer than a host that is alive goes without asking, and this one asks in vain.
  clock.advance((LEASE_SECONDS + 20) * 1000);
  await postgres.startAgain();
  await until(async () => (await app.health()).checks.database === 'ok');
  // Before the host has asked again: whoever approves now must not hear that nobody waits.
  const { data } = await alice.query<Approval>('challenges.get', { code: waiting.userCode });
  assert.equal(data.view.approveRefusal, null);
  const assertion = alice.passkey.assert(data.passkey!.options as never);
  const { challengeId } = waiting;
  assert.equal((await alice.mutate('challenges.approve', { challengeId, assertion })).refusal, null);
  const answer = await host.send('GET', `/challenges/${challengeId}?wait=0`);
  assert.equal(answer.body.status, 'approved');

  let asked = 0;
  await until(async () => {
    const { status } = await host.send('POST', '/challenges', host.createBody());
    if (status < 300) asked += 1;
    return asked >= 3 && (await app.health()).checks.database === 'ok';
  });
  const [begins, ends, ...more] = told();
  assert.match(begins ?? '', /^the database does not answer: \S/);
  assert.match(ends ?? '', /^the database is back after [\d.]+ s: it answers$/);
  assert.deepEqual(more, []);
  assert.ok(lines.every(({ err }) => err === undefined));
  // One that is told to stop at this moment ends like any other: see above.
  postgres.signal('QUIT');
});
