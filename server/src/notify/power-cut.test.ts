import assert from 'node:assert/strict';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type Database, openDatabase } from '../db/database.ts';
import { TEST_FOLDER } from '../db/test-postgres.ts';
import { notifyCluster } from './testing/notify-cluster.ts';

/*
 * Whom an event is told to is written without waiting for the disk. What a power cut takes of that may have been sent by
 * then: SQLite's files as they were before stand for those that are found afterwards.
 */
test('[N-19] what was sent and then lost in a power cut is sent once more, under the same id', async (t) => {
  const folder = await mkdtemp(join(TEST_FOLDER, 'identree-power-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [dsn, found] = [join(folder, 'before.db'), join(folder, 'after.db')];
  let copied = false;
  const before = await notifyCluster(t, async ({ after }) => {
    const db = await openDatabase({ driver: 'sqlite', dsn });
    after(() => db.close());
    return {
      ...db,
      transaction: async (run, durability) => {
        if (durability?.mayBeLost && !copied) {
          copied = true;
          await copyFile(dsn, found);
          await copyFile(`${dsn}-wal`, `${found}-wal`);
        }
        return db.transaction(run, durability);
      },
    } satisfies Database;
  });
  await before.channel('ops');
  await before.start('a');
  const [code] = await before.ask(1);
  await before.until(() => before.count('ops', 'sent') === 1);
  assert.ok(copied, 'it is not waited for');

  const after = await notifyCluster(t, async (context) => {
    const db = await openDatabase({ driver: 'sqlite', dsn: found });
    context.after(() => db.close());
    return db;
  });
  after.waiting.add(code!);
  assert.deepEqual(await after.statuses('ops'), []);
  await after.start('b');
  await after.until(() => after.count('ops', 'sent') === 1);
  const ids = [before, after].map(({ channels }) => channels.told.map(({ notice }) => notice.id));
  assert.equal(ids[0]!.length, 1);
  assert.deepEqual(ids[1], ids[0]);
});
