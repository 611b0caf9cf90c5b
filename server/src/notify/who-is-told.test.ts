import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { enrolTestHost } from '../testing/test-host.ts';
import type { TestPerson } from '../testing/test-person.ts';
import type { Explanation } from './explain.ts';
import { type NotifySite, openNotifySite } from './testing/notify-site.ts';

describe('who is told', () => {
  let s: NotifySite;
  let alice: TestPerson;
  let bob: TestPerson;
  let erin: TestPerson;
  const closing: (() => Promise<void>)[] = [];
  const links: string[] = [];

  before(async () => {
    s = await openNotifySite({ after: (run) => void closing.push(run as () => Promise<void>) }, 'sqlite', {
      async oneTapLink({ challengeId, personId }) {
        links.push(`${challengeId} ${personId}`);
        return `https://identree.example.com/tap/${challengeId}/${personId}`;
      },
    });
    alice = await s.signIn('alice');
    bob = await s.signIn('bob');
    erin = await s.signIn('erin', ['admins']);
    await s.channel('alice-phone', { of: alice });
    await s.channel('bob-phone', { of: bob });
    await s.channel('erin-phone', { of: erin });
    await s.channel('olga-phone', { of: s.olga });
    await s.channel('ops');
    await s.route(['ops'], { events: ['challenge_*'] });
  });
  beforeEach(() => s.quieten());
  after(async () => {
    for (const close of closing) await close();
  });

  /** Everybody who was told of it, and what. */
  async function toldOf(act: () => Promise<unknown>): Promise<string[]> {
    s.channels.told.length = 0;
    await act();
    await s.settled();
    return s.channels.told.map(({ channel, notice }) => `${channel}: ${notice.event}`).sort();
  }

  test('[N-15] of a request: those who may decide it, and the channels of a route', async () => {
    const told = await toldOf(() => s.host.create());
    assert.deepEqual(told, [
      'alice-phone: challenge_created',
      'erin-phone: challenge_created',
      'olga-phone: challenge_created',
      'ops: challenge_created',
    ]);
  });

  test('[N-15] who asks and may not decide is not told, whatever else they may see', async () => {
    await s.policy([{ name: 'production', match_hosts: ['web*'], approval: 'passkey', require_admin: true }]);
    const told = await toldOf(() => s.host.create());
    await s.policy([]);
    assert.deepEqual(told, [
      'erin-phone: challenge_created',
      'olga-phone: challenge_created',
      'ops: challenge_created',
    ]);
  });

  test('[N-15] a link with which one decides goes to the channel of that one alone', async () => {
    links.length = 0;
    let id = '';
    await toldOf(async () => {
      id = (await s.host.create()).challengeId;
    });
    const linkOf = new Map(s.channels.told.map(({ channel, notice }) => [channel, notice.request!.onetapUrl]));
    assert.equal(linkOf.get('ops'), null);
    const personal = ['alice-phone', 'erin-phone', 'olga-phone'].map((channel) => linkOf.get(channel)!);
    assert.equal(new Set(personal).size, 3);
    for (const link of personal) assert.ok(link.startsWith(`https://identree.example.com/tap/${id}/`));
    // Nobody even made one for all.
    assert.deepEqual(links.length, 3);
    const [ops] = s.channels.told.filter(({ channel }) => channel === 'ops');
    assert.match(ops!.notice.request!.approvalUrl, /^https:\/\/identree\.example\.com\/approve\/[A-Z]{6}-[0-9]{6}$/);
    assert.equal(ops!.notice.username, 'alice');
    assert.equal(ops!.notice.hostname, 'web1.example.com');
    assert.notEqual(ops!.notice.request!.command, null);
  });

  test('[N-16] who asked is told the outcome on their own channel; who decided knows it', async () => {
    const answer = await s.host.create();
    await s.settled();
    assert.deepEqual(await toldOf(() => s.decide(s.olga, 'deny', answer)), [
      'alice-phone: challenge_rejected',
      'ops: challenge_rejected',
    ]);
    const [told] = s.channels.told.filter(({ channel }) => channel === 'alice-phone');
    assert.deepEqual([told!.notice.actor, told!.notice.reason], ['olga', 'not now']);
    assert.equal(told!.notice.request!.userCode, answer.userCode);
    assert.equal(told!.notice.request!.onetapUrl, null);

    const own = await s.host.create();
    await s.settled();
    assert.deepEqual(await toldOf(() => s.decide(alice, 'approve', own)), ['ops: challenge_approved']);
  });

  test('[N-14] and why is explained: by which rule, and for all others what was in the way', async () => {
    const answer = await s.host.create();
    await s.settled();
    const seq = (await s.deliveries({ channel: 'ops' })).find(({ event }) => event === 'challenge_created')!.seq!;
    const { data } = await s.olga.query<Explanation>('notify.explain', { seq });
    assert.equal(data.event.event, 'challenge_created');
    const channels = data.channels.map(({ channel, told, by, why }) => [channel, told, by.map((b) => b.rule), why]);
    assert.deepEqual(channels, [
      ['alice-phone', true, ['preference'], null],
      ['bob-phone', false, [], 'owner'],
      ['erin-phone', true, ['preference'], null],
      ['olga-phone', true, ['preference'], null],
      ['ops', true, ['route'], null],
    ]);
    const whyOf = new Map(data.people.map(({ username, why, refusal }) => [username, [why, refusal]]));
    assert.deepEqual(whyOf.get('bob'), ['may_not_decide', 'not_found']);
    assert.deepEqual(whyOf.get('alice'), [null, null]);
    // It is what happened, and says so.
    assert.deepEqual(
      data.deliveries.map(({ channel, status }) => `${channel} ${status}`),
      ['alice-phone delivered', 'erin-phone delivered', 'olga-phone delivered', 'ops delivered'],
    );
    // Asked again once it is decided: the answer is about the event, not about now.
    await s.decide(s.olga, 'deny', answer);
    const again = (await s.olga.query<Explanation>('notify.explain', { seq })).data;
    assert.deepEqual(again.channels, data.channels);

    // Who looks has read an event of others, and that is in the log.
    const read = (await s.app.events.read(0, 10_000)).filter(({ event }) => event === 'audit_read').at(-1);
    assert.deepEqual([read?.actor, read?.data.what, read?.data.filter], ['olga', 'event', { seq }]);

    assert.equal((await alice.query('notify.explain', { seq })).refusal, 'forbidden');
    assert.equal((await s.olga.query('notify.explain', { seq: 999_999 })).refusal, 'not_found');
  });

  test('[N-13] what somebody chose counts from the next event, and at night it waits until the morning', async () => {
    const choose = (chosen: object) => bob.mutate<{ ok: boolean }>('notify.preferences.set', chosen);
    assert.equal((await choose({ events: [], channels: ['alice-phone'] })).data.ok, false, 'somebody else’s');
    assert.equal((await choose({ events: [], channels: ['ops'] })).data.ok, false, 'a shared one');
    const quiet = { from: '00:00', to: '23:59', timeZone: 'UTC' };
    assert.equal((await choose({ events: ['challenge_*'], quiet })).data.ok, true);
    const answer = await s.host.create(s.host.record({ user: 'bob' }));
    await s.settled();
    const [waiting] = await s.app.notify.deliveries
      .list({ channel: 'bob-phone', status: 'queued', person: null }, { before: null, limit: 10 })
      .then(({ deliveries }) => deliveries);
    assert.equal(waiting?.event, 'challenge_created');
    const today = new Date(s.clock.now()).setUTCHours(23, 59, 0, 0);
    assert.equal(waiting.dueAt, today);
    // It is over by then: nobody is woken for it, and nobody is told of it in the morning.
    await s.host.send('DELETE', `/challenges/${answer.challengeId}`);
    await s.settled();
    const ended = await s.app.notify.deliveries.get(waiting.id, null);
    assert.deepEqual([ended?.status, ended?.reason, ended?.attempts], ['skipped', 'the request is over', 0]);
  });

  test('[N-15] what waited is told to nobody who may not see it any more, or not decide it', async () => {
    const dora = await s.signIn('dora', ['admins']);
    await s.channel('dora-phone', { of: dora });
    await dora.mutate('notify.preferences.set', { events: ['challenge_created', 'host_enrolled'], others: true });
    const pause = async (by: TestPerson, isPaused: boolean) => {
      const { data } = await by.query<{ name: string; revision: number }[]>('notify.channels.list');
      const { revision } = data.find(({ name }) => name === 'dora-phone')!;
      await by.mutate('notify.channels.change', { name: 'dora-phone', revision, paused: isPaused });
    };
    await pause(dora, true);
    await enrolTestHost(s.app, s.clock, 'db1.example.com');
    await s.host.create();
    await s.settled();
    const waiting = await s.deliveries({ channel: 'dora-phone' });
    assert.deepEqual(waiting.map(({ event, status }) => `${event} ${status}`).sort(), [
      'challenge_created queued',
      'host_enrolled queued',
    ]);
    // She belongs to another team from here on.
    await pause(await s.signIn('dora', [], { passkey: false }), false);
    await s.settled();
    assert.deepEqual(s.channels.on('dora-phone'), []);
    const ended = await s.deliveries({ channel: 'dora-phone' });
    assert.deepEqual(
      ended.map(({ status, reason }) => `${status}: ${reason}`),
      Array(2).fill('skipped: it is not for this person any more'),
    );
  });
});
