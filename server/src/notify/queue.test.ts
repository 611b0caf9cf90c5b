import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KyselyPlugin } from 'kysely';
import { closed, kysely } from '../db/query.ts';
import { forEachDatabase } from '../db/test-databases.ts';
import type { Delivery } from './channel.ts';
import { WAITS_FOR_MS } from './paused-queue.ts';
import { notifyCluster } from './testing/notify-cluster.ts';

const DELIVERED: Delivery = { outcome: 'delivered' };

/** Something that is waited for, and what lets it go on. */
function gate() {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open: () => open(), opened };
}

forEachDatabase('the queue of notifications', (open, driver) => {
  // The plan of a table that is still empty is looked at as well: first of all, before others ask the same.
  test('[N-18] loses a channel before anything was told', async (t) => {
    const c = await notifyCluster(t, open);
    await c.channel('ops');
    await c.configured.remove('ops', c.operator);
    assert.deepEqual(await c.configured.list(), []);
    assert.deepEqual(await c.statuses(), []);
  });

  test('[N-18] tries again what was not taken, later each time, under the same id', async (t) => {
    const c = await notifyCluster(t, open);
    await c.channel('ops');
    await c.start('a');
    let failures = 3;
    c.channels.answer = () =>
      failures-- > 0 ? { outcome: 'later', reason: 'connect ECONNREFUSED', retryMs: null } : DELIVERED;
    await c.ask(1);
    // The least that chance allows.
    for (const [attempts, ms] of [
      [1, 1000],
      [2, 2000],
      [3, 4000],
    ] as const) {
      await c.until(() => c.count('ops', 'failed') === attempts);
      const [waits] = (
        await c.deliveries.list({ channel: 'ops', status: 'queued', person: null }, { before: null, limit: 9 })
      ).deliveries;
      assert.deepEqual([waits!.attempts, waits!.dueAt - c.clock.now()], [attempts, ms]);
      assert.equal(waits!.reason, 'connect ECONNREFUSED');
      c.clock.advance(ms);
    }
    await c.until(() => c.count('ops', 'sent') === 1);
    assert.equal(c.channels.told.length, 4);
    assert.equal(new Set(c.channels.told.map(({ notice }) => notice.id)).size, 1);
    const { tries } = (await c.deliveries.get(c.channels.told[0]!.notice.id, null))!;
    assert.deepEqual(
      tries.map(({ number, outcome }) => `${number} ${outcome}`),
      ['1 later', '2 later', '3 later', '4 delivered'],
    );
  });

  test('[N-18] leaves a receiver alone for as long as it asks for, and no other channel waits for it', async (t) => {
    const c = await notifyCluster(t, open);
    await c.channel('busy', { atOnce: 1 });
    await c.channel('well');
    await c.start('a');
    c.channels.answer = ({ channel }) =>
      channel === 'busy' && c.channels.on('busy').length === 1
        ? { outcome: 'later', reason: '429', retryMs: 30_000 }
        : DELIVERED;
    await c.ask(3);
    await c.until(() => c.count('well', 'sent') === 3 && c.count('busy', 'failed') === 1);
    c.clock.advance(29_999);
    await c.ask(1);
    await c.until(() => c.count('well', 'sent') === 4);
    assert.equal(c.channels.on('busy').length, 1);
    c.clock.advance(1);
    await c.until(() => c.count('busy', 'sent') === 4);
  });

  test('[N-18] puts aside what is refused for good or failed too often; it can be sent again or discarded', async (t) => {
    const c = await notifyCluster(t, open);
    await c.channel('ops');
    await c.start('a');
    c.channels.answer = () => ({ outcome: 'refused', reason: 'no such room \u202e' });
    const [first] = await c.ask(1);
    await c.until(() => c.count('ops', 'dead_lettered') === 1);
    c.channels.answer = () => ({ outcome: 'later', reason: 'away', retryMs: null });
    await c.ask(1);
    await c.until(() => {
      c.clock.advance(900_000);
      return c.count('ops', 'dead_lettered') === 2;
    });
    const dead = (await c.deliveries.list({ channel: null, status: 'dead', person: null }, { before: null, limit: 9 }))
      .deliveries;
    assert.deepEqual(dead.map(({ attempts, reason }) => [attempts, reason]).sort(), [
      [1, 'no such room \\u{202e}'],
      [12, 'away'],
    ]);
    // Nothing of it is tried again by itself.
    const tried = c.channels.told.length;
    c.clock.advance(86_400_000);
    await c.ask(1);
    await c.until(() => c.count('ops', 'failed') === tried + 1);
    assert.equal(c.channels.told.length, tried + 1);
    c.channels.answer = () => DELIVERED;
    c.clock.advance(900_000);
    await c.until(() => c.count('ops', 'sent') === 1);

    const refused = dead.find(({ attempts }) => attempts === 1)!;
    assert.equal(await c.deliveries.retry({ id: refused.id }, c.operator), 1);
    await c.until(() => c.count('ops', 'sent') === 2);
    const again = c.channels.told.at(-1)!.notice;
    assert.deepEqual([again.id, again.request?.userCode], [refused.id, first]);
    assert.equal((await c.deliveries.get(refused.id, null))!.tries.length, 2);

    assert.equal(await c.deliveries.discard({ channel: 'ops' }, c.operator), 1);
    assert.equal(await c.deliveries.discard({ channel: 'ops' }, c.operator), 0);
    assert.deepEqual(await c.statuses(), [
      'challenge_created: delivered',
      'challenge_created: discarded',
      'challenge_created: delivered',
    ]);
  });

  test('[N-18] announces nothing that is decided or over, and says so; what became of it is told', async (t) => {
    const c = await notifyCluster(t, open);
    await c.channel('ops', { paused: true });
    await c.start('a');
    const [one, two] = await c.ask(2);
    await c.decide(one!);
    await c.until(async () => (await c.statuses()).length === 3);
    await c.change('ops', { paused: false });
    await c.until(() => c.count('ops', 'sent') === 2);
    assert.deepEqual(await c.statuses(), [
      'challenge_created: skipped',
      'challenge_created: delivered',
      'challenge_approved: delivered',
    ]);
    assert.deepEqual(c.channels.on('ops').sort(), [`challenge_approved ${one}`, `challenge_created ${two}`]);
    assert.equal(c.count('ops', 'skipped'), 1);
  });

  test('[N-18] lets go of what waits for a paused channel once it is of no use, and keeps the rest for its end', async (t) => {
    const c = await notifyCluster(t, open);
    await c.channel('ops', { paused: true });
    await c.start('a');
    const [old] = await c.ask(1);
    await c.until(async () => (await c.statuses()).length === 1);
    await c.decide(old!);
    await c.until(async () => (await c.statuses()).length === 2);
    // Nobody resumes it: a request that is decided is not kept for that.
    c.clock.advance(60_000);
    await c.until(() => c.count('ops', 'skipped') === 1);
    assert.deepEqual(await c.statuses(), ['challenge_created: skipped', 'challenge_approved: queued']);
    c.clock.advance(WAITS_FOR_MS - 120_000);
    await c.ask(1);
    await c.until(async () => (await c.statuses()).length === 3);
    c.clock.advance(120_001);
    await c.until(() => c.count('ops', 'skipped') === 2);
    assert.deepEqual(await c.statuses(), [
      'challenge_created: skipped',
      'challenge_approved: skipped',
      'challenge_created: queued',
    ]);
    const page = await c.deliveries.list(
      { channel: 'ops', status: 'skipped', person: null },
      { before: null, limit: 9 },
    );
    assert.deepEqual(page.deliveries.map(({ reason }) => reason).sort(), [
      'it waited for seven days while the channel was paused',
      'the request is over',
    ]);
    assert.equal(c.channels.told.length, 0);
    await c.change('ops', { paused: false });
    await c.until(() => c.count('ops', 'sent') === 1);
  });

  test('[N-18] tells a flood by one that stands for the others, and the others when that one is of no use', async (t) => {
    const c = await notifyCluster(t, open);
    await c.channel('ops', { paused: true, foldFrom: 5 });
    await c.start('a');
    const asked = await c.ask(13);
    await c.ask(4, { hostId: 'h2', hostname: 'db1' });
    await c.until(async () => (await c.statuses()).length === 17);
    let away = true;
    c.channels.answer = () => (away ? { outcome: 'later', reason: 'away', retryMs: null } : DELIVERED);
    await c.change('ops', { paused: false, atOnce: 50, perMinute: 6000 });
    await c.until(() => c.count('ops', 'failed') === 5);
    const folded = c.channels.told.map(({ notice }) => `${notice.hostname} ${notice.folded}`).sort();
    assert.deepEqual(folded, ['db1 0', 'db1 0', 'db1 0', 'db1 0', 'web1 12']);
    const [head] = c.channels.told.filter(({ notice }) => notice.folded === 12);
    assert.equal(head!.notice.request!.userCode, asked[0]);

    // It is decided before anybody was told: the others are told by the next one.
    c.waiting.delete(asked[0]!);
    away = false;
    c.clock.advance(2000);
    await c.until(() => c.count('ops', 'sent') === 5);
    const next = c.channels.told.filter(({ notice }) => notice.hostname === 'web1').at(-1)!;
    assert.deepEqual([next.notice.request!.userCode, next.notice.folded], [asked[1], 11]);
    const ends = (await c.statuses()).map((line) => line.split(' ').at(-1));
    const number = (status: string) => ends.filter((end) => end === status).length;
    assert.deepEqual([number('skipped'), number('folded'), number('delivered')], [1, 11, 5]);
  });

  test('[N-18] what one announcement stood for is announced itself, once what became of that one is shown in its place', async (t) => {
    const c = await notifyCluster(t, open);
    await c.channel('browser', { kind: 'web_push', paused: true, foldFrom: 5 });
    await c.channel('ops', { paused: true, foldFrom: 5 });
    await c.start('a');
    const asked = await c.ask(6);
    await c.until(async () => (await c.statuses()).length === 12);
    for (const name of ['browser', 'ops']) await c.change(name, { paused: false, perMinute: 6000 });
    await c.until(() => c.count('browser', 'sent') === 1 && c.count('ops', 'sent') === 1);
    await c.decide(asked[1]!);
    await c.decide(asked[0]!);
    const told = (channel: string) =>
      c.channels.told
        .filter((one) => one.channel === channel && one.notice.event === 'challenge_created')
        .map(({ notice: { request, folded } }) => `${request!.userCode} +${folded}`);
    // Four that still wait: fewer than are told as one.
    await c.until(() => told('browser').length >= 5 && c.count('browser', 'sent') === 7);
    assert.deepEqual(told('browser').toSorted(), [`${asked[0]} +5`, ...asked.slice(2).map((code) => `${code} +0`)]);
    assert.deepEqual(told('ops'), [`${asked[0]} +5`], 'elsewhere what was said stays said');
  });

  test('[N-18] has so many of a channel under way at a time, and a channel that hangs holds no other up', async (t) => {
    const c = await notifyCluster(t, open);
    await c.channel('slow', { atOnce: 3 });
    await c.channel('well');
    await c.start('a');
    const { open: go, opened } = gate();
    let underWay = 0;
    let most = 0;
    c.channels.answer = async ({ channel }) => {
      if (channel !== 'slow') return DELIVERED;
      underWay += 1;
      most = Math.max(most, underWay);
      await opened;
      underWay -= 1;
      return DELIVERED;
    };
    await c.ask(8);
    await c.until(() => c.count('well', 'sent') === 8 && underWay === 3);
    assert.equal(c.channels.on('slow').length, 3);
    go();
    await c.until(() => c.count('slow', 'sent') === 8);
    assert.equal(most, 3);
  });

  // On SQLite one thing is read at a time.
  const reads = driver === 'postgres' ? test : () => {};
  reads('[N-18] delivers once what is delivered while the queue is being read', async (t) => {
    const c = await notifyCluster(t, open);
    await c.channel('ops');
    const { open: go, opened } = gate();
    c.channels.answer = async ({ notice }) => {
      if (notice.request?.userCode === 'r1') await opened;
      return DELIVERED;
    };
    /** What is due, read while the first is under way, is known only once that has been delivered. */
    const late = new WeakSet<object>();
    const plugin: KyselyPlugin = {
      transformQuery({ node, queryId }) {
        const text = JSON.stringify(node);
        if (c.channels.told.length > 0 && text.includes('"due_at"') && text.includes('LimitNode')) late.add(queryId);
        return node;
      },
      async transformResult({ result, queryId }) {
        if (late.has(queryId)) {
          go();
          await c.until(() => c.count('ops', 'sent') > 0);
        }
        return result;
      },
    };
    await c.start('a', { db: { ...c.db, query: closed(kysely(c.db.query).withPlugin(plugin)) } });
    await c.ask(1);
    await c.until(() => c.channels.told.length === 1);
    await c.ask(1);
    await c.until(() => c.count('ops', 'sent') === 2);
    assert.deepEqual(c.channels.on('ops'), ['challenge_created r1', 'challenge_created r2']);
  });

  test('[N-18] ends an attempt that takes too long, and one that ends in a way of its own is tried again', async (t) => {
    const c = await notifyCluster(t, open);
    await c.channel('ops');
    await c.start('a', { timeoutMs: 20 });
    c.channels.answer = (_, signal) =>
      new Promise((resolve) =>
        signal.addEventListener('abort', () => resolve({ outcome: 'later', reason: 'too long', retryMs: null })),
      );
    await c.ask(1);
    await c.until(() => c.count('ops', 'failed') === 1);
    c.channels.answer = () => {
      throw new Error('a token, perhaps');
    };
    c.clock.advance(1000);
    await c.until(() => c.count('ops', 'failed') === 2);
    const { tries } = (await c.deliveries.get(c.channels.told[0]!.notice.id, null))!;
    assert.deepEqual(
      tries.map(({ reason }) => reason),
      ['too long', 'it failed; the log of the server says why'],
    );
    c.channels.answer = () => DELIVERED;
    c.clock.advance(2000);
    await c.until(() => c.count('ops', 'sent') === 1);
  });

  test('[N-18] forgets an address whose receiver says that it is none any more', async (t) => {
    const c = await notifyCluster(t, open);
    await c.channel('ops');
    await c.start('a');
    const { open: go, opened } = gate();
    c.channels.answer = async () => {
      await opened;
      return { outcome: 'refused', reason: '410', gone: true };
    };
    await c.change('ops', { atOnce: 1 });
    await c.ask(3);
    await c.until(async () => (await c.statuses()).length === 3 && c.channels.told.length === 1);
    go();
    await c.until(() => c.count('ops', 'dead_lettered') === 1);
    assert.deepEqual(await c.statuses(), [
      'challenge_created: dead',
      'challenge_created: skipped',
      'challenge_created: skipped',
    ]);
    assert.deepEqual(
      (await c.configured.list()).map(({ name, enabled, updatedBy }) => [name, enabled, updatedBy]),
      [['ops', false, 'receiver']],
    );
    // Nothing is written for it while nobody has looked.
    await c.ask(1);
    await c.channel('other');
    await c.ask(1);
    await c.until(() => c.channels.on('other').length > 0);
    assert.equal((await c.statuses('ops')).length, 3);
  });

  test('[N-18] keeps an address that was changed while the receiver of the one before said that it is none', async (t) => {
    const c = await notifyCluster(t, open);
    await c.channel('ops');
    await c.start('a');
    const { open: go, opened } = gate();
    c.channels.answer = async () => {
      await opened;
      return { outcome: 'refused', reason: '410', gone: true };
    };
    await c.ask(1);
    await c.until(() => c.channels.told.length === 1);
    await c.change('ops', { settings: { url: 'https://new.example.com' } });
    c.channels.answer = () => DELIVERED;
    go();
    await c.until(() => c.count('ops', 'dead_lettered') === 1);
    await c.ask(1);
    await c.until(() => c.count('ops', 'sent') === 1);
  });

  test('[N-18] waits for no receiver longer than an hour, and under a name that is used again for none', async (t) => {
    const c = await notifyCluster(t, open);
    await c.channel('busy');
    await c.start('a');
    let wantsMs: number | null = 30 * 365 * 86_400_000;
    c.channels.answer = () => (wantsMs === null ? DELIVERED : { outcome: 'later', reason: '429', retryMs: wantsMs });
    await c.ask(1);
    await c.until(() => c.count('busy', 'failed') === 1);
    wantsMs = null;
    c.clock.advance(3_600_000);
    await c.ask(1);
    await c.until(() => c.count('busy', 'sent') === 2);

    wantsMs = 3_600_000;
    await c.ask(1);
    await c.until(() => c.count('busy', 'failed') === 2);
    wantsMs = null;
    await c.configured.remove('busy', c.operator);
    c.clock.advance(1);
    await c.channel('busy');
    await c.ask(1);
    await c.until(() => c.count('busy', 'sent') === 3);
  });

  test('[N-17] tells a later step when its time has come, once, after a restart too, unless somebody has answered', async (t) => {
    const c = await notifyCluster(t, open);
    await c.channel('pager');
    c.ofPolicy(() => ({
      channels: [],
      steps: [60_000, 120_000].map((ms) => ({ dueAt: c.clock.now() + ms, channels: ['pager'] })),
    }));
    const a = await c.start('a');
    const [one] = await c.ask(1);
    await c.until(() => c.count('pager', 'sent') === 1);
    await a.stop();
    await c.start('b');
    // One that shares the work from here on; on SQLite it would take it over.
    if (driver === 'postgres') await c.start('c');
    c.clock.advance(59_999);
    const [two] = await c.ask(1);
    await c.until(() => c.count('pager', 'sent') === 2);
    assert.deepEqual(c.channels.on('pager'), [`challenge_created ${one}`, `challenge_created ${two}`]);
    c.clock.advance(1);
    await c.until(() => c.count('pager', 'sent') === 3);
    assert.equal(c.channels.told.at(-1)!.notice.request!.userCode, one);
    await c.decide(one!);
    await c.until(async () => (await c.statuses()).includes('challenge_created 2: skipped'));
    assert.ok(c.channels.on('pager').length <= 4);
    c.clock.advance(60_000);
    // The one that nobody has answered goes on, also to its last step.
    await c.until(() => c.channels.on('pager').filter((line) => line === `challenge_created ${two}`).length === 2);
    c.clock.advance(60_000);
    await c.until(() => c.channels.on('pager').filter((line) => line === `challenge_created ${two}`).length === 3);
    await c.until(async () => !(await c.statuses()).some((line) => line.endsWith('queued')));
    assert.equal(c.channels.on('pager').filter((line) => line === `challenge_created ${one}`).length, 2);
    const ids = c.channels.told.map(({ notice }) => notice.id);
    assert.equal(new Set(ids).size, ids.length);
  });

  test('[N-18] writes one delivery of an event for a channel, however often it is routed', async (t) => {
    const c = await notifyCluster(t, open);
    await c.channel('ops');
    const a = await c.start('a');
    await c.ask(3);
    await c.until(() => c.count('ops', 'sent') === 3);
    await a.stop();
    await c.rewind();
    await c.start('b');
    await c.ask(1);
    await c.until(() => c.count('ops', 'sent') === 4);
    assert.equal((await c.statuses()).length, 4);
    assert.equal(c.channels.told.length, 4);
  });
});
