import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { TestPerson } from '../testing/test-person.ts';
import type { Changed } from './configured.ts';
import type { DeliveryView } from './deliveries.ts';
import type { ChannelView } from './shown.ts';
import type { TakenOver } from './take-over.ts';
import { type NotifySite, openNotifySite } from './testing/notify-site.ts';
import type { Uses } from './uses.ts';

describe('what administrators do with notifications', () => {
  let s: NotifySite;
  const closing: (() => Promise<void>)[] = [];
  before(async () => {
    s = await openNotifySite({ after: (run) => void closing.push(run as () => Promise<void>) }, 'sqlite');
  });
  after(async () => {
    for (const close of closing) await close();
  });

  const view = async (name: string) =>
    (await s.olga.query<ChannelView[]>('notify.channels.list')).data.find((one) => one.name === name)!;
  const stored = async (name: string) => (await s.app.notify.configured.list()).find((one) => one.name === name)!;
  const change = async (name: string, set: object) =>
    (await s.olga.mutate<Changed>('notify.channels.change', { name, revision: (await view(name)).revision, ...set }))
      .data;

  test('settings that are no secret are shown, and masked ones stay as they are when others are changed', async () => {
    const settings = { host: 'mail.example.com', from: 'id@example.com', to: ['ops@example.com'] };
    await s.channel('mail', { kind: 'email', settings });
    assert.deepEqual((await view('mail')).settings, settings);
    const url = 'https://hooks.example.com/services/T0/secret';
    await s.channel('room', { kind: 'ntfy', settings: { url, topic: 'hidden-topic' } });
    assert.deepEqual((await view('room')).settings, { url: 'https://hooks.example.com/…', topic: '…' });
    const changed = await change('room', { settings: { locale: 'de' }, keepHidden: true });
    assert.deepEqual(changed, { ok: true, revision: 2 });
    assert.deepEqual((await stored('room')).settings, { url, topic: 'hidden-topic', locale: 'de' });
  });

  test('what is masked is kept or given as a whole: no topic goes to another server unseen', async () => {
    const before = (await stored('room')).settings;
    const answer = await change('room', { settings: { url: 'https://evil.example.com' }, keepHidden: true });
    assert.deepEqual(answer, {
      ok: false,
      problem: 'url is given and kept: give all settings that are masked, or none',
    });
    assert.deepEqual((await stored('room')).settings, before);
  });

  test('what depends on a channel is said before it is removed', async () => {
    const route = await s.route(['room', 'mail'], { events: ['challenge_created'] });
    await s.olga.mutate('notify.preferences.set', { channels: ['room'] });
    await change('room', { paused: true });
    await s.olga.mutate('notify.test', { channel: 'room' });
    const { data } = await s.olga.query<Uses>('notify.channels.uses', { name: 'room' });
    assert.deepEqual([data.routes.map(({ id }) => id), data.people, data.waiting, data.dead], [[route], 1, 1, 0]);
    assert.deepEqual((await view('room')).waiting, { count: 1, since: s.clock.now() });
    const alice = await s.signIn('alice');
    assert.equal((await alice.query('notify.channels.uses', { name: 'room' })).refusal, 'forbidden');
    await s.channel('alice-phone', { of: alice });
    // One person's is not to be seen.
    assert.equal((await s.olga.query('notify.channels.uses', { name: 'alice-phone' })).refusal, 'not_found');
    assert.equal((await alice.mutate('notify.channels.import', { content: '{"channels":[]}' })).refusal, 'forbidden');
  });

  test('a file of the Go identree is taken over by whoever is signed in, and the log says by whom', async () => {
    const content = JSON.stringify({
      channels: [{ name: 'old-room', backend: 'slack', url: 'https://hooks.example.com/old', timeout: 5 }],
      routes: [{ channels: ['old-room'], events: ['challenge_created'], hosts: [], users: [] }],
    });
    const { data } = await s.olga.mutate<TakenOver>('notify.channels.import', { content });
    assert.deepEqual(data, {
      ok: true,
      channels: 1,
      routes: 1,
      people: 0,
      left: ['the time limit of old-room is not taken over: all channels have that of IDENTREE_NOTIFY_TIMEOUT'],
    });
    const events = (await s.app.events.read(0, 1000)).filter(({ data: said }) => said.name === 'old-room');
    assert.deepEqual(
      events.map(({ event, actor }) => [event, actor]),
      [['notification_channel_added', 'olga']],
    );
    const bad = await s.olga.mutate<TakenOver>('notify.channels.import', { content: '{' });
    assert.deepEqual(bad.data, { ok: false, problem: 'not valid JSON' });
  });

  test('whoever gives a channel the name of one that is gone learns nothing of what became of that one', async () => {
    const [carol, dave] = [await s.signIn('carol'), await s.signIn('dave')];
    const shown = async (person: TestPerson) => {
      const [one] = (await person.query<ChannelView[]>('notify.channels.list')).data;
      return [one!.deliveredAt !== null, one!.failure?.reason ?? null, one!.dead, one!.waiting];
    };
    await s.channel('phone', { of: carol });
    await carol.mutate('notify.test', { channel: 'phone' });
    await s.settled();
    s.clock.advance(1);
    const { answer } = s.channels;
    s.channels.answer = () => ({ outcome: 'refused', reason: 'no such number' });
    await carol.mutate('notify.test', { channel: 'phone' });
    await s.settled();
    s.channels.answer = answer;
    assert.deepEqual(await shown(carol), [true, 'no such number', 1, null]);
    assert.equal((await carol.mutate('notify.channels.remove', { name: 'phone' })).refusal, null);
    await s.channel('phone', { of: dave });
    assert.deepEqual(await shown(dave), [false, null, 0, null]);
    await dave.mutate('notify.channels.remove', { name: 'phone' });
    await s.channel('phone');
    assert.equal((await view('phone')).dead, 0);
    assert.equal((await s.olga.query<Uses>('notify.channels.uses', { name: 'phone' })).data.dead, 0);
  });

  test('deliveries are listed by the event that led to them', async () => {
    await change('old-room', { paused: true });
    await s.host.create();
    await s.settled();
    const all = await s.deliveries();
    const { seq } = all.find(({ channel }) => channel === 'old-room')!;
    const some: DeliveryView[] = await s.deliveries({ seq });
    assert.deepEqual(
      some.map(({ id }) => id).sort(),
      all
        .filter((one) => one.seq === seq)
        .map(({ id }) => id)
        .sort(),
    );
    assert.deepEqual(await s.deliveries({ seq: seq! + 100_000 }), []);
  });
});
