import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync, truncateSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createCore } from '../server/src/app/core.ts';
import { diskCheck } from '../server/src/db/module.ts';
import { runOn } from '../server/src/testing/run-command.ts';
import { createTestApp } from '../server/src/testing/test-app.ts';
import { fill, makeDisk, whyNoDisk } from './disk.ts';

const skip = whyNoDisk() ?? false;
const FULL = 'no space left on the disk';
const PAGE = 4096;

test('commands on a disk that is full name the file, and leave nothing half written', { skip }, async (t) => {
  const { config, close } = await createTestApp();
  t.after(close);
  const disk = makeDisk(t, 1);
  const full = join(disk, 'full');
  const health = diskCheck(disk);
  assert.equal(await health.run(), null);
  await fill(full);
  assert.equal(await health.run(), 'full');

  const trust = join(disk, 'trust.json');
  const shown = await runOn(['trust', 'show', trust], config);
  assert.equal(shown.code, 1);
  assert.ok(shown.err.includes(`cannot write ${trust}: ${FULL}`), shown.err);
  assert.deepEqual(readdirSync(disk), ['full']);

  // Wherever in a backup the room ends: in its data, in its keys, in its manifest.
  const folder = join(disk, 'backup');
  const failed: string[] = [];
  while (failed.length < 100) {
    const { code, err } = await runOn(['backup', folder], config);
    if (code === 0) break;
    assert.match(err, new RegExp(`cannot (?:write|copy) .*${folder}/.*: ${FULL}`));
    assert.equal(existsSync(folder), false);
    failed.push(err);
    truncateSync(full, statSync(full).size - PAGE);
  }
  assert.ok(failed.some((err) => err.includes('data.jsonl')) && failed.some((err) => err.includes('/keys/')));
  assert.ok(existsSync(join(folder, 'manifest.json')), 'and once there is room, it is made');
});

test('a server whose database is on a disk that is full says which one that is', { skip }, async (t) => {
  const { app, config, close } = await createTestApp();
  t.after(close);
  const disk = makeDisk(t, 4);
  const dsn = join(disk, 'identree.db');
  // What is in its log is in the file once it is closed.
  await app.close();
  await copyFile(config.database.dsn, dsn);
  const there = { ...config, database: { ...config.database, dsn } } as typeof config;
  await (await createCore(there)).close();
  await fill(join(disk, 'full'));
  const { code, err } = await runOn(['serve'], there, { IDENTREE_LISTEN_ADDR: '127.0.0.1:0' });
  assert.equal(code, 1);
  assert.ok(err.includes(dsn), err);
  assert.match(err, /Make room on its disk/);
});
