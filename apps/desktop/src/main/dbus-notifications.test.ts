import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createBroker, createClient } from 'dbus-native';
import { dbusNotifications, escapeMarkup } from './dbus-notifications.ts';
import { startNotificationServer } from './testing/fake-notification-server.ts';
import { until } from './testing/until.ts';

const NAME = 'org.freedesktop.Notifications';
const PATH = '/org/freedesktop/Notifications';
const TEXT = {
  replaces: 0,
  title: 'alice asks',
  body: 'echo "<b>&amp;</b>" & id',
  actions: [
    ['default', 'Review'],
    ['deny', 'Deny'],
  ] as const,
  timeoutMs: 5000,
};

async function setUp(t: TestContext, capabilities: readonly string[] | null) {
  const folder = mkdtempSync(join(tmpdir(), 'identree-bus-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const broker = createBroker();
  const address = await new Promise<string>((resolve, reject) => {
    broker.listen({ socket: join(folder, 'bus') }, (error, where) => (error ? reject(error) : resolve(where)));
  });
  t.after(() => void broker.close());
  const server = capabilities && (await startNotificationServer(address, capabilities));
  if (server) t.after(server.close);
  const clock = { at: 1_000_000 };
  const notifications = dbusNotifications({ address, id: 'org.identree.Console', elapsed: () => clock.at });
  t.after(notifications.end);
  const heard: unknown[] = [];
  notifications.onAction((number, key) => void heard.push([number, key]));
  notifications.onClosed((number) => void heard.push(number));
  return { address, server: server!, notifications, heard, clock };
}

test('shown, replaced, closed: what the desktop is handed', async (t) => {
  const { server, notifications } = await setUp(t, ['body', 'actions']);
  const number = await notifications.show(TEXT);
  const [one] = server.shown.values();
  assert.deepEqual(one?.actions, ['default', 'Review', 'deny', 'Deny']);
  assert.equal(one?.title, 'alice asks');
  assert.equal(one?.timeoutMs, 5000);
  assert.deepEqual({ ...one?.hints }, { urgency: 1, 'desktop-entry': 'org.identree.Console' });
  assert.equal(await notifications.show({ ...TEXT, replaces: number, title: 'again' }), number);
  assert.equal(server.shown.size, 1);
  await notifications.close(number);
  assert.equal(server.shown.size, 0);
  await notifications.close(number);
});

test('what reads markup is given none; what does not is given the text itself', async (t) => {
  const markup = await setUp(t, ['body', 'body-markup']);
  await markup.notifications.show(TEXT);
  assert.equal([...markup.server.shown.values()][0]?.body, 'echo "&lt;b&gt;&amp;amp;&lt;/b&gt;" &amp; id');
  const plain = await setUp(t, ['body']);
  await plain.notifications.show(TEXT);
  assert.equal([...plain.server.shown.values()][0]?.body, TEXT.body);
});

test('where there are no buttons none are sent', async (t) => {
  const { server, notifications } = await setUp(t, ['body']);
  await notifications.show(TEXT);
  assert.deepEqual([...server.shown.values()][0]?.actions, []);
});

test('presses and closings of the desktop are heard', async (t) => {
  const { server, notifications, heard } = await setUp(t, ['actions']);
  const number = await notifications.show(TEXT);
  server.press(number, 'deny');
  server.putAway(number);
  await until('both', () => heard.length === 2);
  assert.deepEqual(heard, [[number, 'deny'], number]);
});

test('a button that is pressed at once is of a notification whose number is known by then', async (t) => {
  const { server, notifications } = await setUp(t, ['actions']);
  const known = new Set<number>();
  const pressed: boolean[] = [];
  notifications.onAction((number) => void pressed.push(known.has(number)));
  server.pressAtOnce('deny');
  for (let n = 1; n <= 20; n += 1) {
    known.add(await notifications.show(TEXT));
    await until('the press', () => pressed.length === n);
  }
  assert.deepEqual(new Set(pressed), new Set([true]));
});

test('a press that another program sends is not believed, nor one that is not of the right form', async (t) => {
  const { address, server, notifications, heard } = await setUp(t, ['actions']);
  const number = await notifications.show(TEXT);
  const rogue = createClient({ busAddress: address });
  t.after(() => void rogue.connection.end());
  await rogue.getId();
  rogue.sendSignal(PATH, NAME, 'ActionInvoked', 'us', [number, 'deny']);
  // To everybody who is on the bus, by name: no rule about signals keeps such a one away.
  for (const destination of [':1.0', ':1.1', ':1.2', ':1.3']) {
    rogue.connection.message({
      type: 4,
      serial: 1000,
      destination,
      path: PATH,
      interface: NAME,
      member: 'ActionInvoked',
      signature: 'us',
      body: [number, 'deny'],
    });
  }
  await rogue.getId();
  server.signal('ActionInvoked', 'ss', ['1', 'deny']);
  server.signal('ActionInvoked', 'u', [number]);
  server.signal('NotificationClosed', 's', ['x']);
  server.press(number, 'default');
  await until('the true one', () => heard.length > 0);
  assert.deepEqual(heard, [[number, 'default']]);
});

test('a press counts only for a button of that notification, and only while it is shown', async (t) => {
  const { server, notifications, heard } = await setUp(t, ['actions']);
  const other = await notifications.show({ ...TEXT, actions: [['default', 'Review']] });
  const number = await notifications.show(TEXT);
  for (const key of ['approve', 'review', '', 'Deny', 'deny ']) server.press(number, key);
  server.press(other, 'deny');
  for (const one of [0, number + 1, 2 ** 32 - 1]) server.press(one, 'deny');
  server.putAway(number);
  server.press(number, 'deny');
  const last = await notifications.show(TEXT);
  await notifications.close(last);
  server.press(last, 'deny');
  server.press(other, 'default');
  await until('the true one', () => heard.some((one) => Array.isArray(one)));
  assert.deepEqual(
    heard.filter((one) => Array.isArray(one)),
    [[other, 'default']],
  );
});

test('a number that is given to a second notification is of the first no more', async (t) => {
  const { server, notifications, heard } = await setUp(t, ['actions']);
  const number = await notifications.show(TEXT);
  server.countFrom(number - 1);
  assert.equal(await notifications.show({ ...TEXT, title: 'another' }), number);
  assert.deepEqual(heard, [number]);
});

test('another program shows notifications from now on: its numbers are its own, and it is believed about them', async (t) => {
  const { address, server, notifications, heard } = await setUp(t, ['actions']);
  const number = await notifications.show(TEXT);
  server.close();
  await until('the end of what was shown', () => heard.length === 1);
  assert.deepEqual(heard.splice(0), [number]);
  const next = await startNotificationServer(address, ['actions']);
  t.after(next.close);
  // What it counts may well be what was counted before.
  next.press(number, 'deny');
  assert.equal(await notifications.show({ ...TEXT, actions: [['default', 'Review']] }), number);
  next.press(number, 'deny');
  next.press(number, 'default');
  await until('the true one', () => heard.length === 1);
  assert.deepEqual(heard, [[number, 'default']]);
});

test('a desktop without notifications, or without a bus: it is refused at once and not asked all the time', async (t) => {
  const { address, notifications, clock } = await setUp(t, null);
  await assert.rejects(notifications.show(TEXT));
  const server = await startNotificationServer(address, ['body']);
  t.after(server.close);
  await assert.rejects(notifications.show(TEXT), /no desktop/);
  clock.at += 30_000;
  await notifications.show(TEXT);
  assert.equal(server.shown.size, 1);
  for (const where of [undefined, 'unix:path=/nonexistent/bus']) {
    const none = dbusNotifications({ address: where, id: 'x', elapsed: () => 0 });
    await assert.rejects(none.show(TEXT));
  }
});

test('escaped twice is not the same: nothing is guessed to be markup already', () => {
  assert.equal(escapeMarkup('<a href="x">&lt;'), '&lt;a href="x"&gt;&amp;lt;');
});
