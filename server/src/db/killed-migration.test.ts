import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import BetterSqlite from 'better-sqlite3';
import { Migrator } from 'kysely/migration';
import { migrations, openDatabase } from './database.ts';
import { kysely } from './query.ts';
import { openSqlite } from './sqlite.ts';
import { TEST_FOLDER } from './test-postgres.ts';

const schemaOf = (dsn: string): unknown[] => {
  const file = new BetterSqlite(dsn, { readonly: true });
  const schema = file.prepare('select type, name, sql from sqlite_master order by name').all();
  file.close();
  return schema;
};

for (const before of [null, '0009-probes']) {
  const what = before === null ? 'an empty database' : `a database with the schema ${before}`;
  test(`killed in the middle of bringing ${what} up to date: it is as it was, and the next start does it`, async (t) => {
    const folder = await mkdtemp(join(TEST_FOLDER, 'identree-killed-migration-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const dsn = join(folder, 'test.db');
    const engine = openSqlite(dsn, () => {});
    if (before !== null) {
      const provider = { getMigrations: async () => migrations };
      const { error } = await new Migrator({ db: engine.writer, provider }).migrateTo(before);
      assert.equal(error, undefined);
    }
    await engine.close();
    const schema = schemaOf(dsn);

    const child = join(import.meta.dirname, 'testing/migration-child.ts');
    const killed = spawnSync(process.execPath, ['--disable-warning=ExperimentalWarning', child, dsn]);
    assert.equal(killed.signal, 'SIGKILL', String(killed.stderr));
    assert.deepEqual(schemaOf(dsn), schema);

    const db = await openDatabase({ driver: 'sqlite', dsn });
    t.after(() => db.close());
    assert.ok(await kysely(db.query).selectFrom('event_head').selectAll().executeTakeFirst());
  });
}
