import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import BetterSqlite from 'better-sqlite3';
import { Kysely, SqliteDialect } from 'kysely';
import { openDatabase } from '../database.ts';
import type { Schema } from '../schema.ts';
import { TEST_FOLDER } from '../test-postgres.ts';
import { up as speed } from './0010-speed.ts';

test('on SQLite every row of a table that is made anew is kept, and so are columns and indexes that others added', async (t) => {
  const folder = mkdtempSync(join(TEST_FOLDER, 'identree-migration-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'test.db');
  // As before: with constraints, an index and a column that the new tables are not declared with.
  await (await openDatabase({ driver: 'sqlite', dsn: path })).close();
  const file = new BetterSqlite(path);
  file.exec(`
    drop table events;
    create table "events" ("seq" bigint primary key, "prev_hash" text not null unique, "hash" text not null unique, "more" text);
    create index events_more on events (more);
    drop table host_nonces;
    create table "host_nonces" ("host_id" text not null, "nonce" text not null, constraint "pk" primary key ("host_id", "nonce"));
    drop index challenges_pending_since; drop index challenges_over; drop index challenges_over_of;
    create index challenges_created on challenges (created_at);
  `);
  const event = file.prepare('insert into events values (?, ?, ?, ?)');
  for (let seq = 1; seq <= 500; seq += 1) event.run(seq, `h${seq - 1}`, `h${seq}`, `m${seq}`);
  file.prepare(`insert into host_nonces values ('h', 'n')`).run();
  const all = () => file.prepare('select * from events order by seq').all();
  const before = all();
  const db = new Kysely<Schema>({ dialect: new SqliteDialect({ database: file }) });
  await speed(db as Kysely<unknown>);
  assert.deepEqual(all(), before);
  assert.equal(file.prepare('select count(*) as n from host_nonces').pluck().get(), 1);
  const indexes = file.prepare(`select name from sqlite_master where type = 'index' and tbl_name = 'events'`).pluck();
  assert.deepEqual(indexes.all(), ['events_more']);
  // A number is still given once, and a nonce spent once.
  assert.throws(() => event.run(500, 'x', 'y', 'z'), /UNIQUE/);
  assert.throws(() => file.prepare(`insert into host_nonces values ('h', 'n')`).run(), /UNIQUE/);
  assert.deepEqual(file.pragma('integrity_check'), [{ integrity_check: 'ok' }]);
  await db.destroy();
});
