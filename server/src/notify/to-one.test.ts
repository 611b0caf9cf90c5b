import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { kysely } from '../db/query.ts';
import type { TestPerson } from '../testing/test-person.ts';
import { type NotifySite, openNotifySite } from './testing/notify-site.ts';
import type { Week } from './to-one.ts';

describe('what reaches one person', () => {
  let s: NotifySite;
  let alice: TestPerson;
  let bob: TestPerson;
  const closing: (() => Promise<void>)[] = [];

  before(async () => {
    s = await openNotifySite({ after: (run) => void closing.push(run as () => Promise<void>) }, 'sqlite');
    alice = await s.signIn('alice');
    bob = await s.signIn('bob');
    await s.channel('alice-phone', { of: alice });
  });
  beforeEach(() => s.quieten());
  after(async () => {
    for (const close of closing) await close();
  });

  /** Their last week; what is shown of it begins behind an event. */
  const week = async (person: TestPerson, behind = 0): Promise<Week> => {
    // A new minute for the limit.
    s.clock.advance(61_000);
    const { data } = await person.query<Week>('notify.week');
    return { ...data, told: data.told.filter(({ seq }) => seq > behind) };
  };
  const head = async (): Promise<number> => (await s.app.events.head()).seq;
  const choose = async (person: TestPerson, chosen: object) => {
    const { data } = await person.mutate<{ ok: boolean }>('notify.preferences.set', chosen);
    assert.equal(data.ok, true);
  };
  const onScreen = async (person: Pick<TestPerson, 'query'>, ids: string[]) =>
    (await person.query<{ ids: string[] }>('notify.onScreen', { ids })).data.ids;

  test('[N-14] the last week is routed as it would be today: what reached the phone is what is shown', async () => {
    const begun = await head();
    const answer = await s.host.create();
    await s.settled();
    await s.decide(s.olga, 'deny', answer);
    await s.settled();
    const { data } = await alice.query<{ deliveries: { seq: number; channel: string }[] }>(
      'notify.deliveries.list',
      {},
    );
    const delivered = data.deliveries
      .filter(({ seq }) => seq > begun)
      .sort((a, b) => b.seq - a.seq)
      .map(({ seq, channel }) => [seq, [channel]]);
    const of = await week(alice, begun);
    assert.equal(of.complete, true);
    assert.equal(of.told.length, 2);
    assert.deepEqual(
      of.told.map(({ seq, on }) => [seq, on]),
      delivered,
    );
    assert.deepEqual(
      of.told.map(({ title }) => title),
      ['Request denied', 'Approval needed'],
    );
    assert.match(of.told[1]!.text, new RegExp(`alice .* ${answer.userCode}`));
    s.clock.advance(61_000);
    const german = (await alice.query<Week>('notify.week', { lang: 'de' })).data;
    assert.deepEqual(
      german.told.slice(0, 2).map(({ title }) => title),
      ['Anfrage abgelehnt', 'Freigabe nötig'],
    );
    // Nothing of them says whom it was about, nor how many there were.
    const ofBob = await week(bob);
    assert.deepEqual([ofBob.told, ofBob.count], [[], 0]);
    assert.deepEqual([ofBob.notTold.may_not_see, ofBob.notTold.may_not_decide], [undefined, undefined]);
  });

  test('[N-14] what was chosen since counts, and what is in the way of the rest is counted', async () => {
    const begun = await head();
    const answer = await s.host.create();
    await s.settled();
    await s.decide(s.olga, 'deny', answer);
    await choose(alice, { events: ['challenge_rejected'], quiet: { from: '00:00', to: '23:59', timeZone: 'UTC' } });
    const of = await week(alice, begun);
    assert.deepEqual(
      of.told.map(({ event, on }) => [event, on]),
      [['challenge_rejected', ['alice-phone']]],
    );
    assert.equal(of.told[0]!.heldUntil, new Date(s.clock.now()).setUTCHours(23, 59, 0, 0));
    assert.ok(of.notTold.event! >= 1);
    await choose(alice, { enabled: false });
    const off = await week(alice);
    assert.deepEqual([off.count, off.told], [0, []]);
    assert.ok(off.notTold.switched_off! >= 2);
    await choose(alice, {});
  });

  test('[N-14] who has no channel is shown what would have come, and that it is for none', async () => {
    const begun = await head();
    await s.host.create(s.host.record({ user: 'bob' }));
    await s.settled();
    assert.deepEqual(
      (await week(bob, begun)).told.map(({ event, on }) => [event, on]),
      [['challenge_created', []]],
    );
  });

  test('[N-14] an administrator who looks through it has read the log, and that is in the log', async () => {
    s.clock.advance(120_000);
    await week(s.olga);
    const { seq } = await s.app.events.head();
    const events = await s.app.events.read(seq - 5, 5);
    const [read] = events.filter(({ event }) => event === 'audit_read').slice(-1);
    assert.deepEqual([read?.actor, read?.data.what], ['olga', 'events']);
  });

  test('[N-13] screens are told by the same rules: who may not decide, chose otherwise or sleeps is not', async () => {
    const { challengeId: id } = await s.host.create();
    await s.settled();
    assert.deepEqual(await onScreen(alice, [id, id, 'f'.repeat(32)]), [id]);
    assert.deepEqual(await onScreen(s.olga, [id]), [id]);
    assert.deepEqual(await onScreen(bob, [id]), []);
    for (const chosen of [
      { enabled: false },
      { screens: false },
      { events: ['challenge_rejected'] },
      { hosts: ['db*'] },
      { quiet: { from: '00:00', to: '23:59', timeZone: 'UTC' } },
    ]) {
      await choose(alice, chosen);
      assert.deepEqual(await onScreen(alice, [id]), [], JSON.stringify(chosen));
    }
    await choose(alice, { hosts: ['web*'] });
    assert.deepEqual(await onScreen(await alice.browser.desktopApp(), [id]), [id]);
    await choose(alice, {});
  });

  test('[N-13] a session asks so often a minute which requests it is told of, and no other one is in its way', async () => {
    s.clock.advance(61_000);
    let refusal: string | null = null;
    let asked = 0;
    for (; asked < 1000 && refusal === null; asked += 1)
      ({ refusal } = await alice.query('notify.onScreen', { ids: [] }));
    assert.equal(refusal, 'rate_limited');
    assert.ok(asked > 60, 'a page that asks every second is answered');
    assert.equal((await (await alice.browser.desktopApp()).query('notify.onScreen', { ids: [] })).refusal, null);
    s.clock.advance(61_000);
    assert.equal((await alice.query('notify.onScreen', { ids: [] })).refusal, null);
  });

  test('[N-06] the key that browsers subscribe with is the one that this server signs with', async () => {
    const { data } = await bob.query<{ key: string }>('notify.pushKey');
    const key = Buffer.from(data.key, 'base64url');
    assert.deepEqual([key.length, key[0]], [65, 4]);
    assert.equal((await s.olga.query<{ key: string }>('notify.pushKey')).data.key, data.key);
  });

  test('nothing of it is for strangers', async () => {
    for (const name of ['notify.week', 'notify.pushKey', 'notify.onScreen'])
      assert.equal((await s.app.http.inject({ url: `/trpc/${name}` })).statusCode, 401, name);
  });

  test('[N-14] it is bounded, says how far it went, and is asked for so often at most', async () => {
    const { challengeId } = await s.host.create();
    await s.app.db.transaction(async (work) => {
      const { seq } = await s.app.events.head();
      const row = await kysely(work.query)
        .selectFrom('events')
        .selectAll()
        .where('challenge_id', '=', challengeId)
        .executeTakeFirstOrThrow();
      // As many requests as a flood leaves behind; what of the chain is not looked at here.
      for (let index = 1; index <= 300; index += 1)
        await kysely(work.query)
          .insertInto('events')
          .values({ ...row, seq: seq + index })
          .execute();
      await kysely(work.query)
        .updateTable('event_head')
        .set({ seq: seq + 300 })
        .execute();
    });
    const of = await week(alice);
    assert.equal(of.complete, false);
    assert.equal(of.told.length, 100);
    assert.ok(of.count > 100 && of.count <= 200, String(of.count));
    let refusal: string | null = null;
    for (let asked = 0; asked < 25 && refusal === null; asked += 1) ({ refusal } = await alice.query('notify.week'));
    assert.equal(refusal, 'rate_limited');
  });
});
