import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createApp } from '../app/app.ts';
import { startOwnPostgres, whyNoPostgres } from '../db/test-postgres.ts';
import { systemClock } from '../platform/clock.ts';
import { createLogger } from '../platform/logger.ts';
import { until } from './load.ts';
import { testConfig } from './test-config.ts';
import { enrolTestHost } from './test-host.ts';
import { createTestProvider } from './test-person.ts';

test('an outage of the database is two lines in the log, whoever fails of it', {
  skip: whyNoPostgres() ?? false,
}, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'identree-outage-log-'));
  const postgres = await startOwnPostgres();
  const lines: { level: number; msg: string; err?: unknown }[] = [];
  const log = createLogger('info', { write: (line) => void lines.push(JSON.parse(line)) });
  const config = testConfig(folder, {
    IDENTREE_DATABASE_DRIVER: 'postgres',
    IDENTREE_DATABASE_DSN: postgres.dsn('postgres'),
    IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com',
    IDENTREE_LDAP_LISTEN_ADDR: '127.0.0.1:0',
    IDENTREE_LDAP_TLS_LISTEN_ADDR: 'off',
  });
  const app = await createApp(config, { log, provider: createTestProvider() });
  t.after(async () => {
    await app.close();
    postgres.end();
    await rm(folder, { recursive: true, force: true });
  });
  await app.listen();
  const host = await enrolTestHost(app, systemClock, 'web1.example.com');
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
  await postgres.startAgain();
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
