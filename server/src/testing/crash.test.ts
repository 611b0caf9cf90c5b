import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDatabase } from '../db/database.ts';
import { kysely } from '../db/query.ts';
import { checkChain } from '../events/store.ts';
import { testConfig } from './test-config.ts';

const ROUNDS = process.env.IDENTREE_LONG === '1' ? 1000 : 10;

/** Every decision that is in the table is in the log, every one in the log is in the table, and the chain has no gap. */
async function check(dsn: string): Promise<{ approved: number; cancelled: number }> {
  const db = await openDatabase({ driver: 'sqlite', dsn });
  try {
    assert.equal(await checkChain(db.query), null);
    const rows = await kysely(db.query).selectFrom('challenges').select(['id', 'status', 'verdict']).execute();
    const events = await kysely(db.query).selectFrom('events').select(['event', 'challenge_id']).execute();
    const ids = (name: string) =>
      events
        .filter(({ event }) => event === name)
        .map((event) => event.challenge_id)
        .sort();
    const having = (status: string) =>
      rows
        .filter((row) => row.status === status)
        .map((row) => row.id)
        .sort();
    assert.deepEqual(ids('auto_approved'), having('approved'));
    assert.deepEqual(ids('challenge_cancelled'), having('cancelled'));
    assert.equal(ids('challenge_created').length + ids('auto_approved').length, rows.length);
    assert.ok(rows.every((row) => (row.status === 'pending') === (row.verdict === null)));
    return { approved: having('approved').length, cancelled: having('cancelled').length };
  } finally {
    await db.close();
  }
}

test(`killed ${ROUNDS} times at random moments: no decision without its event, no gap in the chain`, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'identree-crash-'));
  const dsn = join(folder, 'identree.db');
  await writeFile(
    join(folder, 'policy.json'),
    JSON.stringify({ policies: [{ name: 'auto', match_users: ['auto'], approval: 'none' }] }),
    { mode: 0o600 },
  );
  await writeFile(
    join(folder, 'config.json'),
    JSON.stringify(testConfig(folder, { IDENTREE_APPROVAL_POLICIES_FILE: join(folder, 'policy.json') })),
  );
  const ready = join(folder, 'ready');
  const seed = Date.now() % 100_000;
  console.log(`seed ${seed}`);
  let state = seed;
  const random = () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
  let decided = 0;
  try {
    for (let round = 0; round < ROUNDS; round++) {
      await rm(ready, { force: true });
      const child = spawn(
        process.execPath,
        [join(import.meta.dirname, 'crash-child.ts'), join(folder, 'config.json')],
        {
          stdio: ['ignore', 'ignore', 'pipe'],
          env: { ...process.env, NODE_OPTIONS: '--disable-warning=ExperimentalWarning' },
        },
      );
      let trouble = '';
      child.stderr.on('data', (chunk) => {
        trouble += chunk;
      });
      const ended = once(child, 'exit');
      while (!existsSync(ready) && child.exitCode === null) await sleep(20);
      assert.ok(existsSync(ready), `the server did not start: ${trouble}`);
      await sleep(random() * 250);
      child.kill('SIGKILL');
      await ended;
      const counted = await check(dsn);
      decided = counted.approved + counted.cancelled;
    }
    assert.ok(decided > ROUNDS, 'there was something to lose');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
