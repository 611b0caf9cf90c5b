import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import BetterSqlite from 'better-sqlite3';
import { claimFile } from './sole-server.ts';

test('a file that refuses to be written is not taken for another server, whoever was there last', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'identree-sole-'));
  t.after(() => rm(folder, { recursive: true }));
  const database = join(folder, 'identree.db');
  assert.throws(
    () => claimFile(join(folder, 'none', 'identree.db'), 0),
    /^Error: the database .*\/none\/identree\.db cannot be opened: there is no folder .*\/none\. Make it/,
  );
  claimFile(database, 0)();
  const letGo = claimFile(database, 0);
  assert.throws(() => claimFile(database, 0), /another server is running on the database .*: process \d+ on /);
  letGo();

  const file = new BetterSqlite(`${database}-server`);
  file.exec(`create trigger full before delete on server begin select raise(abort, 'the disk is full'); end`);
  file.close();
  assert.throws(() => claimFile(database, 0), /identree\.db-server cannot be opened: the disk is full/);
});
