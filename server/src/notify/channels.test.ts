import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { sql } from 'kysely';
import { kysely } from '../db/query.ts';
import type { TestPerson } from '../testing/test-person.ts';
import type { Changed } from './configured.ts';
import type { AttemptView, DeliveryView } from './deliveries.ts';
import type { ChannelView } from './shown.ts';
import { type NotifySite, openNotifySite, until } from './testing/notify-site.ts';

const SECRET = 'T0KEN-of-the-room';
const settings = { url: `https://hooks.example.com/services/${SECRET}`, token: SECRET, retries: 3, deep: [SECRET] };

describe('notification channels', () => {
  let s: NotifySite;
  let alice: TestPerson;
  let bob: TestPerson;
  const closing: (() => Promise<void>)[] = [];

  before(async () => {
    s = await openNotifySite({ after: (run) => void closing.push(run as () => Promise<void>) }, 'sqlite');
    alice = await s.signIn('alice');
    bob = await s.signIn('bob');
  });
  beforeEach(() => s.quieten());
  after(async () => {
    for (const close of closing) await close();
  });

  const add = (by: TestPerson, name: string, more: object = {}) =>
    by.mutate<Changed>('notify.channels.add', { name, kind: 'ntfy', settings, personal: true, ...more });
  const list = async (by: TestPerson) => (await by.query<ChannelView[]>('notify.channels.list')).data;
  const change = (by: TestPerson, name: string, revision: number, set: object) =>
    by.mutate<Changed>('notify.channels.change', { name, revision, ...set });

  test('are set up by everybody for themselves, and by administrators for all', async () => {
    assert.equal((await add(alice, 'for-all', { personal: false })).refusal, 'forbidden');
    assert.equal((await add(s.olga, 'for-all', { personal: false })).data.ok, true);
    assert.equal((await add(alice, 'alice-phone')).data.ok, true);
    // What runs on the server, or reaches many, is nobody's own.
    for (const kind of ['custom', 'apprise']) {
      assert.equal((await add(alice, 'alice-other', { kind })).refusal, 'forbidden', kind);
      assert.equal((await add(s.olga, 'olga-other', { kind })).refusal, 'forbidden', kind);
    }
    const twice = await add(bob, 'alice-phone');
    assert.deepEqual(twice.data, { ok: false, problem: 'there is a channel "alice-phone" already' });
    const bad = await add(bob, 'bob-phone', { settings: { bad: true } });
    assert.deepEqual(bad.data, { ok: false, problem: 'the address is not one' });
    assert.equal((await add(bob, 'Bob Phone')).refusal, 'bad_request');
  });

  test('[N-23] of everybody have each a secret of their own: a name with the variables of another is none', async () => {
    const shared = (name: string) => add(s.olga, name, { personal: false });
    assert.equal((await shared('room-1')).data.ok, true);
    for (const name of ['room.1', 'room_1'])
      assert.deepEqual((await shared(name)).data, {
        ok: false,
        problem: 'its variables would be those of the channel "room-1", and so its secret: name it otherwise',
      });
    // One person's has no variables, and hinders nobody.
    assert.equal((await add(s.olga, 'room.1')).data.ok, true);
    assert.equal((await shared('room1')).data.ok, true);
    assert.deepEqual((await shared('room-1')).data, { ok: false, problem: 'there is a channel "room-1" already' });
    for (const name of ['room-1', 'room.1', 'room1'])
      assert.equal((await s.olga.mutate('notify.channels.remove', { name })).refusal, null);
    assert.equal((await shared('room.1')).data.ok, true, 'when the other is gone');
    assert.equal((await s.olga.mutate('notify.channels.remove', { name: 'room.1' })).refusal, null);
  });

  test('of somebody else are not there: not to be seen, changed, removed, tried or listed', async () => {
    assert.deepEqual(
      (await list(alice)).map(({ name, shared }) => [name, shared]),
      [['alice-phone', false]],
    );
    assert.deepEqual(await list(bob), []);
    assert.equal((await change(bob, 'alice-phone', 1, { enabled: false })).refusal, 'not_found');
    assert.equal(
      (await change(s.olga, 'alice-phone', 1, { settings: { url: 'https://evil.example.com' } })).refusal,
      'not_found',
    );
    assert.equal((await change(bob, 'for-all', 1, { enabled: false })).refusal, 'forbidden');
    assert.equal((await bob.mutate('notify.channels.remove', { name: 'alice-phone' })).refusal, 'not_found');
    assert.equal((await bob.mutate('notify.channels.remove', { name: 'for-all' })).refusal, 'forbidden');
    for (const channel of ['alice-phone', 'for-all', 'gone'])
      assert.equal((await bob.mutate('notify.test', { channel })).refusal, 'not_found', channel);
    const { data } = await alice.mutate<{ id: string }>('notify.test', { channel: 'alice-phone' });
    assert.equal((await bob.query('notify.deliveries.get', { id: data.id })).refusal, 'not_found');
    const seen = await bob.query<{ deliveries: unknown[] }>('notify.deliveries.list', {});
    assert.deepEqual(seen.data.deliveries, []);
    for (const what of ['retry', 'discard'])
      assert.equal((await alice.mutate(`notify.deliveries.${what}`, { channel: 'alice-phone' })).refusal, 'forbidden');
    for (const [name, input] of [
      ['notify.routes.add', { rule: { channels: ['for-all'] } }],
      ['notify.routes.remove', { id: '00000000-0000-4000-8000-000000000000', revision: 1 }],
    ] as const)
      assert.equal((await alice.mutate(name, input)).refusal, 'forbidden', name);
    assert.equal((await alice.query('notify.routes.list')).refusal, 'forbidden');
  });

  test('show no secret of theirs, not to their owner and not in the log', async () => {
    const [own] = await list(alice);
    assert.deepEqual(own!.settings, { url: 'https://hooks.example.com/…', token: '…', retries: 3, deep: ['…'] });
    const everything = JSON.stringify([
      await list(s.olga),
      await list(alice),
      await s.app.events.read(0, 1000),
      (await s.app.http.inject('/metrics')).body,
    ]);
    assert.ok(!everything.includes(SECRET));
  });

  test('are changed by one person at a time, and keep what is left out', async () => {
    assert.deepEqual((await change(alice, 'alice-phone', 1, { perMinute: 30 })).data, { ok: true, revision: 2 });
    const stale = await change(alice, 'alice-phone', 1, { perMinute: 60 });
    assert.deepEqual(stale.data, { ok: false, problem: 'it was changed by somebody else' });
    const [own] = await list(alice);
    assert.deepEqual([own!.perMinute, own!.revision, own!.enabled], [30, 2, true]);
    await s.olga.mutate('notify.test', { channel: 'for-all' });
    await alice.mutate('notify.test', { channel: 'alice-phone' });
    await s.settled();
    assert.equal(s.channels.told.length, 2, 'with the settings that it had');
  });

  test('of one person are not for the routes of all', async () => {
    const add = (channels: string[]) => s.olga.mutate<Changed>('notify.routes.add', { rule: { channels } });
    assert.deepEqual((await add(['alice-phone'])).data, {
      ok: false,
      problem: 'the channel "alice-phone" is one person\'s',
    });
    assert.deepEqual((await add(['gone'])).data, { ok: false, problem: 'there is no channel "gone"' });
  });

  test('[N-20] are tried on the way that everything goes, and what came of it is shown', async () => {
    let answer: 'delivered' | 'refused' = 'delivered';
    s.channels.answer = () =>
      answer === 'delivered' ? { outcome: 'delivered' } : { outcome: 'refused', reason: '403' };
    const tried = async () => {
      const { data } = await alice.mutate<{ id: string }>('notify.test', { channel: 'alice-phone' });
      await s.settled();
      return (await alice.query<DeliveryView & { tries: AttemptView[] }>('notify.deliveries.get', { id: data.id }))
        .data;
    };
    const well = await tried();
    assert.deepEqual([well.status, well.event, well.seq, well.tries.length], ['delivered', 'test', null, 1]);
    const { notice } = s.channels.told.at(-1)!;
    assert.deepEqual([notice.id, notice.event, notice.username, notice.request], [well.id, 'test', 'alice', null]);
    answer = 'refused';
    const refused = await tried();
    assert.deepEqual([refused.status, refused.tries[0]!.reason], ['dead', '403']);
    const [own] = await list(alice);
    assert.equal(own!.failure?.reason, '403');
    assert.equal(own!.dead, 1);
    s.channels.answer = () => ({ outcome: 'delivered' });
  });

  test('[N-20] show what was said and answered: a shared one to administrators, one of a person to that person alone', async () => {
    const exchange = { request: 'POST https://hooks.example.com/…', status: '200', answer: 'ok' };
    s.channels.exchange = exchange;
    const seenBy = async (person: TestPerson, id: string) =>
      (await person.query<{ tries: AttemptView[] }>('notify.deliveries.get', { id })).data?.tries[0]?.exchange;
    const tried = async (person: TestPerson, channel: string) => {
      const { data } = await person.mutate<{ id: string }>('notify.test', { channel });
      await s.settled();
      return data.id;
    };
    assert.deepEqual(await seenBy(s.olga, await tried(s.olga, 'for-all')), exchange);
    const own = await tried(alice, 'alice-phone');
    assert.deepEqual(await seenBy(alice, own), exchange);
    assert.equal(await seenBy(s.olga, own), null);
    s.channels.exchange = null;
    assert.equal(await seenBy(alice, await tried(alice, 'alice-phone')), null);
  });

  test('[N-20] are tried so many times a minute by one person', async () => {
    const test = () => bob.mutate('notify.test', { channel: 'bob-phone' });
    assert.equal((await add(bob, 'bob-phone')).data.ok, true);
    for (let i = 0; i < 10; i += 1) assert.equal((await test()).refusal, null);
    assert.equal((await test()).refusal, 'rate_limited');
    // Nobody else's count.
    assert.equal((await alice.mutate('notify.test', { channel: 'alice-phone' })).refusal, null);
    s.clock.advance(61_000);
    assert.equal((await test()).refusal, null);
  });

  test('[N-20] of an event it is listed what became of it on each channel', async () => {
    await s.route(['for-all'], { events: ['challenge_created'] });
    await s.host.create();
    await s.settled();
    const of = await s.deliveries({ channel: 'for-all', status: 'delivered' });
    const told = of.find(({ event }) => event === 'challenge_created')!;
    assert.equal(told.because[0]!.rule, 'route');
    const rows: DeliveryView[] = [];
    let before: string | null = null;
    do {
      const page: { data: { deliveries: DeliveryView[]; older: string | null } } = await s.olga.query(
        'notify.deliveries.list',
        { limit: 2, before },
      );
      rows.push(...page.data.deliveries);
      before = page.data.older;
    } while (before !== null);
    assert.equal(new Set(rows.map(({ id }) => id)).size, rows.length);
    assert.deepEqual(new Set(rows.map(({ id }) => id)), new Set((await s.deliveries()).map(({ id }) => id)));
  });

  test('[M-01] identree_notifications_total and identree_notification_delivery_duration_seconds say what happened', async () => {
    const metrics = async () => {
      const { body } = await s.app.http.inject('/metrics');
      return new Map(
        body.split('\n').flatMap((line) => {
          const [, name, value] = /^(identree_notification\S+) (\S+)$/.exec(line) ?? [];
          return name === undefined ? [] : [[name, Number(value)] as const];
        }),
      );
    };
    await s.channel('fresh', { kind: 'slack' });
    const total = (status: string, channel: string) =>
      `identree_notifications_total{status="${status}",channel="${channel}"}`;
    // What came of the tests before is counted once it is durable, a moment after it can be read. Channels are read once for
    // all who ask within a second.
    await until(async () => {
      const now = await metrics();
      if (!now.has(total('sent', 'fresh'))) return false;
      const counted = [...now].filter(([name]) => /_total\{status="(sent|failed)"/.test(name));
      const noted = await sql`/* of a test */ select number from notify_attempts`.execute(kysely(s.app.db.query));
      return counted.reduce((sum, [, count]) => sum + count, 0) === noted.rows.length;
    });
    const before = await metrics();
    // Before anything was told: an increase is one.
    for (const status of ['sent', 'failed', 'skipped', 'folded', 'dead_lettered']) {
      assert.equal(before.get(total(status, 'fresh')), 0, status);
      assert.ok(before.has(total(status, 'personal:web_push')), status);
    }
    for (const channel of ['fresh', 'personal:web_push'])
      assert.equal(
        before.get(`identree_notification_delivery_duration_seconds_count{channel="${channel}"}`),
        0,
        channel,
      );
    const answers = [{ outcome: 'delivered' }, { outcome: 'refused', reason: '404' }] as const;
    for (const answer of answers) {
      s.channels.answer = () => answer;
      await s.olga.mutate('notify.test', { channel: 'fresh' });
      await alice.mutate('notify.test', { channel: 'alice-phone' });
      await s.settled();
    }
    s.channels.answer = () => ({ outcome: 'delivered' });
    const risen = async () => {
      const now = await metrics();
      const changed = [...now].filter(
        ([name, value]) => !name.includes('_bucket') && !name.includes('_sum') && value !== (before.get(name) ?? 0),
      );
      return Object.fromEntries(changed.map(([name, value]) => [name, value - (before.get(name) ?? 0)]));
    };
    const expected = Object.fromEntries([
      ...['fresh', 'personal:ntfy'].flatMap((channel) => [
        ...['sent', 'failed', 'dead_lettered'].map((status) => [total(status, channel), 1]),
        [`identree_notification_delivery_duration_seconds_count{channel="${channel}"}`, 1],
      ]),
    ]);
    // What is counted is counted once it is durable.
    await until(async () => Object.keys(await risen()).length >= Object.keys(expected).length);
    assert.deepEqual(await risen(), expected);
    // Nobody is a label.
    assert.ok(![...(await metrics()).keys()].some((name) => name.includes('alice')));
  });

  test('that are removed, switched off or paused tell nobody what waits for them', async () => {
    s.channels.answer = () => ({ outcome: 'later', reason: 'away', retryMs: null });
    const of = async (name: string) =>
      (
        await s.olga.query<{ deliveries: DeliveryView[] }>('notify.deliveries.list', { channel: name })
      ).data.deliveries.map(({ status, reason }) => `${status}: ${reason}`);
    for (const name of ['one', 'two']) await s.channel(name, { foldFrom: 0 });
    await s.route(['one', 'two'], { events: ['challenge_created'] });
    await s.host.create();
    await until(async () => (await of('one'))[0] === 'queued: away' && (await of('two'))[0] === 'queued: away');
    s.channels.answer = () => ({ outcome: 'delivered' });
    assert.equal((await s.olga.mutate('notify.channels.remove', { name: 'one' })).refusal, null);
    assert.equal((await change(s.olga, 'two', 1, { enabled: false })).data.ok, true);
    await until(async () => {
      s.app.notify.wake();
      return (await of('two'))[0] === 'skipped: the channel is switched off';
    });
    assert.deepEqual(await of('one'), ['skipped: the channel is gone']);
    // Another one of the name is another one.
    await s.channel('one');
    await s.olga.mutate('notify.test', { channel: 'one' });
    await s.settled();
    assert.equal(s.channels.on('one').at(-1), 'test');
  });

  test('under the name of one that is gone are not told what was for that one', async () => {
    s.channels.answer = () => ({ outcome: 'refused', reason: 'no such room' });
    await s.channel('handed-on', { of: alice });
    await alice.mutate('notify.test', { channel: 'handed-on' });
    await s.settled();
    s.channels.answer = () => ({ outcome: 'delivered' });
    assert.equal((await alice.mutate('notify.channels.remove', { name: 'handed-on' })).refusal, null);
    assert.equal((await add(bob, 'handed-on')).data.ok, true);
    s.channels.told.length = 0;
    // What was given up stays to be looked at, and can be sent again.
    assert.deepEqual((await s.olga.mutate('notify.deliveries.retry', { channel: 'handed-on' })).data, { count: 1 });
    await s.settled();
    assert.deepEqual(s.channels.told, []);
    const [ended] = await s.deliveries({ channel: 'handed-on' });
    assert.deepEqual([ended!.status, ended!.reason], ['skipped', 'the channel is gone']);
  });

  test('of one person are so many and no more, whoever else has how many', async () => {
    const carol = await s.signIn('carol');
    for (let i = 0; i < 20; i += 1) assert.equal((await add(carol, `carol-${i}`)).data.ok, true);
    const more = await add(carol, 'carol-20');
    assert.deepEqual(more.data, { ok: false, problem: 'you have 20 channels already' });
    assert.equal((await carol.mutate('notify.channels.remove', { name: 'carol-3' })).refusal, null);
    assert.equal((await add(carol, 'carol-20')).data.ok, true);
    for (const { name } of await list(carol)) await carol.mutate('notify.channels.remove', { name });
  });
});
