import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import pg from 'pg';
import { makeTestPostgres } from '../db/test-databases.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { createLogger } from '../platform/logger.ts';
import { until } from './load.ts';
import { createTestApp } from './test-app.ts';
import { enrolTestHost } from './test-host.ts';

/** A disk of its own with room for so many megabytes. */
function makeDisk(t: TestContext, megabytes: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'identree-disk-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=0700`, 'tmpfs', folder]);
  assert.equal(mounted.status, 0, String(mounted.stderr));
  t.after(() => {
    spawnSync('umount', ['--lazy', folder]);
    rmSync(folder, { recursive: true, force: true });
  });
  return folder;
}

/** Writes until there is no room left. */
async function fill(path: string): Promise<void> {
  const file = await open(path, 'w');
  try {
    for (const size of [65_536, 4096, 512])
      for (;;) if (!(await file.write(Buffer.alloc(size)).catch(() => null))) break;
  } finally {
    await file.close();
  }
}

async function openSite(t: TestContext, env: Record<string, string>) {
  const logged: string[] = [];
  const log = createLogger('error', { write: (line) => void logged.push(line) });
  const site = await createTestApp({ env, app: { log }, now: Date.now() });
  const host = await enrolTestHost(site.app, site.clock, 'web1.example.com');
  const create = async () => {
    const { status, body } = await host.send('POST', '/challenges', host.createBody());
    return { status, error: body.error };
  };
  const health = async () => {
    const answer = await site.app.http.inject('/healthz');
    return [answer.statusCode, answer.json().checks.database];
  };
  t.after(() => site.close());
  return { logged, create, health, app: site.app };
}

test('a full disk: decisions are refused with the reason, health and log say it, and with room all goes on', {
  skip: process.getuid?.() === 0 ? false : 'only root may mount a small disk',
}, async (t) => {
  const disk = makeDisk(t, 8);
  const { logged, create, health } = await openSite(t, { IDENTREE_DATABASE_DSN: join(disk, 'identree.db') });
  assert.equal((await create()).status, 201);
  await fill(join(disk, 'filler'));
  // What the database has room for in its own files is still written.
  await until(async () => (await create()).status !== 201);
  for (const { status, error } of await Promise.all(Array.from({ length: 20 }, create))) {
    assert.deepEqual([status, error?.code], [503, 'storage_full']);
    assert.match(error!.message, /no room/);
  }
  await until(async () => (await health())[1] !== 'ok');
  assert.deepEqual(await health(), [503, 'full']);
  assert.match(logged.join(''), /database or disk is full/);
  assert.doesNotMatch(logged.join(''), /rollback|savepoint/);
  await rm(join(disk, 'filler'));
  await until(async () => (await create()).status === 201);
  await until(async () => (await health())[0] === 200);
});

test('a database that may only be read: decisions are refused with the reason, and all goes on when it may be written', {
  skip: whyNoPostgres() ?? false,
}, async (t) => {
  const postgres = await makeTestPostgres();
  const operator = new pg.Client({ connectionString: postgres.dsn });
  await operator.connect();
  t.after(async () => {
    await operator.end();
    await postgres.drop();
  });
  const { logged, create, health } = await openSite(t, {
    IDENTREE_DATABASE_DRIVER: 'postgres',
    IDENTREE_DATABASE_DSN: postgres.dsn,
  });
  const name = operator.escapeIdentifier(new URL(postgres.dsn).pathname.slice(1));
  assert.equal((await create()).status, 201);
  await operator.query(`alter database ${name} set default_transaction_read_only = on`);
  // As a database that has become the copy of another one lets nobody stay.
  await operator.query(
    'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()',
  );
  await until(async () => (await create()).error?.code === 'storage_read_only');
  await until(async () => (await health())[1] === 'read_only');
  assert.equal((await health())[0], 503);
  assert.match(logged.join(''), /read-only transaction/);
  await operator.query('set default_transaction_read_only = off');
  await operator.query(`alter database ${name} reset default_transaction_read_only`);
  await until(async () => (await create()).status === 201);
  await until(async () => (await health())[0] === 200);
});
