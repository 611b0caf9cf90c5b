import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { forEachDatabase, type OpenTestDatabase } from '../db/test-databases.ts';
import { createEventLog } from '../events/log.ts';
import { manualClock } from '../platform/clock.ts';
import { announcePolicy } from './announce.ts';
import { BUILT_IN_POLICY } from './policy.ts';
import { builtInPolicySource, createPolicyFile } from './source.ts';

async function site(t: TestContext, open: OpenTestDatabase) {
  const folder = await mkdtemp(join(tmpdir(), 'identree-announce-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, 'policies.json');
  const db = await open(t);
  const clock = manualClock();
  const events = await createEventLog({ db, clock, onError: () => {} });
  t.after(() => events.close());
  const ground = { db, clock, events };
  return {
    /** Another server with the same file. */
    look: () => announcePolicy(ground, createPolicyFile(path)),
    lookWithoutFile: () => announcePolicy(ground, builtInPolicySource),
    write: (approval: string) =>
      writeFile(path, JSON.stringify({ policies: [{ name: 'default', approval }] }), { mode: 0o600 }),
    break: () => writeFile(path, '{', { mode: 0o600 }),
    async told() {
      const all = await events.read(0, 1000);
      return all
        .filter(({ event }) => event === 'policy_changed')
        .map(({ reason, data }) => ({ from: data.from, to: data.to, reason }));
    },
  };
}

forEachDatabase('the policy in force', (open) => {
  test('a file that is taken over, replaced, broken and mended leaves an event each, with what was and what is', async (t) => {
    const s = await site(t, open);
    await s.lookWithoutFile();
    assert.deepEqual(await s.told(), [], 'nothing but the policy without a file was ever in force');
    await s.write('session');
    await s.look();
    await s.write('none');
    await s.look();
    await s.break();
    await s.look();
    await s.write('none');
    await s.look();
    const [taken, replaced, broken, mended, ...more] = await s.told();
    assert.equal(more.length, 0);
    assert.equal(taken?.from, BUILT_IN_POLICY.version);
    assert.match(String(taken?.to), /^[A-Za-z0-9_-]{43}$/);
    assert.deepEqual([replaced?.from, replaced?.reason], [taken?.to, null]);
    assert.notEqual(replaced?.to, taken?.to);
    assert.deepEqual([broken?.from, broken?.to], [replaced?.to, null]);
    assert.match(String(broken?.reason), /not valid JSON/);
    assert.deepEqual(mended, { from: null, to: replaced?.to, reason: null });
  });

  test('is told once, however many servers look and however often they start', async (t) => {
    const s = await site(t, open);
    await s.write('session');
    await Promise.all(Array.from({ length: 8 }, s.look));
    await s.look();
    assert.equal((await s.told()).length, 1);
    await s.lookWithoutFile();
    assert.equal((await s.told()).length, 2);
  });
});
