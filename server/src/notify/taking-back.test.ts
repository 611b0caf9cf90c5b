import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { TestPerson } from '../testing/test-person.ts';
import { type NotifySite, openNotifySite } from './testing/notify-site.ts';

describe('[N-06] what browsers show of a request is taken back', () => {
  let s: NotifySite;
  let alice: TestPerson;
  let erin: TestPerson;
  const closing: (() => Promise<void>)[] = [];

  before(async () => {
    s = await openNotifySite({ after: (run) => void closing.push(run as () => Promise<void>) }, 'sqlite');
    alice = await s.signIn('alice');
    erin = await s.signIn('erin', ['admins']);
    await s.channel('alice-browser', { of: alice, kind: 'web_push' });
    await s.channel('erin-browser', { of: erin, kind: 'web_push' });
    await s.channel('erin-phone', { of: erin });
  });
  beforeEach(() => s.quieten());
  after(async () => {
    for (const close of closing) await close();
  });

  const toldSince = (from: number) =>
    s.channels.told
      .slice(from)
      .map(({ channel, notice }) => `${channel}: ${notice.takesBack ? 'taken back' : notice.event}`)
      .sort();

  test('where it was shown and nobody is told how it ended, once, and saying nothing of that', async () => {
    const answer = await s.host.create();
    await s.settled();
    const from = s.channels.told.length;
    await s.decide(s.olga, 'deny', answer);
    await s.settled();
    assert.deepEqual(toldSince(from), ['alice-browser: challenge_rejected', 'erin-browser: taken back']);
    const { notice } = s.channels.told.find(({ channel }, index) => index >= from && channel === 'erin-browser')!;
    const { username, hostname, actor, reason, request } = notice;
    assert.deepEqual([username, hostname, actor, reason, request?.command], ['', '', null, null, null]);
    assert.equal(request?.userCode, answer.userCode);
  });

  test('at once also in the night, when what became of it waits; and not again for what happens afterwards', async () => {
    await erin.mutate('notify.preferences.set', { others: true });
    const answer = await s.host.create();
    await s.settled();
    const quiet = { from: '00:00', to: '23:59', timeZone: 'UTC' };
    await erin.mutate('notify.preferences.set', { others: true, quiet });
    const from = s.channels.told.length;
    await s.decide(alice, 'approve', answer);
    await s.settled();
    assert.deepEqual(toldSince(from), ['alice-browser: taken back', 'erin-browser: taken back']);
    await s.host.send('POST', `/challenges/${answer.challengeId}/outcome`, { outcome: 'granted', detail: null });
    await s.settled();
    assert.equal(s.channels.told.length, from + 2);
    await erin.mutate('notify.preferences.set', {});
  });

  test('and what it stood for is told itself, but not in the night', async () => {
    const quiet = { from: '00:00', to: '23:59', timeZone: 'UTC' };
    const { data } = await erin.query<{ name: string; revision: number }[]>('notify.channels.list');
    let { revision } = data.find(({ name }) => name === 'erin-browser')!;
    const browser = async (set: object) => {
      await erin.mutate('notify.channels.change', { name: 'erin-browser', revision, ...set });
      revision += 1;
    };
    await browser({ foldFrom: 2 });
    for (const chosen of [{}, { quiet }]) {
      await browser({ paused: true });
      const asked = [await s.host.create(), await s.host.create()];
      await s.settled();
      await browser({ paused: false });
      await s.settled();
      const from = s.channels.told.length;
      await erin.mutate('notify.preferences.set', chosen);
      await s.decide(s.olga, 'deny', asked[0]!);
      await s.settled();
      const again = toldSince(from).filter((one) => one === 'erin-browser: challenge_created');
      assert.equal(again.length, 'quiet' in chosen ? 0 : 1);
      await erin.mutate('notify.preferences.set', {});
      await s.quieten();
    }
  });

  test('not where it was never shown', async () => {
    await erin.mutate('notify.preferences.set', { enabled: false });
    const answer = await s.host.create();
    await s.settled();
    const from = s.channels.told.length;
    await s.decide(s.olga, 'deny', answer);
    await s.settled();
    assert.deepEqual(toldSince(from), ['alice-browser: challenge_rejected']);
    await erin.mutate('notify.preferences.set', {});
  });
});
