import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CHANNELS } from '../channels.ts';
import { COLOUR_VALUES } from '../colours.ts';
import { partitionOf } from './profile.ts';
import { fakeSecrets } from './testing/fake-ports.ts';
import { setUpShell } from './testing/set-up-shell.ts';
import { until } from './testing/until.ts';

const LINK = { kind: 'approve', code: 'ABCDEF-123456' } as const;
/** What is asked of somebody who has no server yet. */
const FIRST_STEP = { step: 'server', origin: null, problem: null, canGoBack: false, unreadable: null };

test('first run: address, browser, console; the profile is kept', async (t) => {
  const { server, folder, opened, start } = await setUpShell(t);
  const desk = await start();
  assert.deepEqual(await desk.state(), FIRST_STEP);
  await desk.send(CHANNELS.saveServer, 'http://identree.example.com');
  const refused = {
    step: 'server',
    origin: 'http://identree.example.com',
    problem: 'not_https',
    canGoBack: false,
    unreadable: null,
  };
  assert.deepEqual(await desk.state(), refused);
  await desk.signIn();
  assert.equal(opened[0]?.origin, server.origin);
  assert.deepEqual(
    desk.windows.map(({ spec }) => spec.kind),
    ['setup', 'console'],
  );
  assert.equal(desk.current().spec.partition, partitionOf({ origin: server.origin }));
  const { host } = new URL(server.origin);
  assert.deepEqual(JSON.parse(readFileSync(join(folder, 'profile.json'), 'utf8')), {
    v: 2,
    active: server.origin,
    list: [{ origin: server.origin, name: host, colour: 'blue' }],
  });
});

test('the page is told where it works, and nothing that could sign anybody in', async (t) => {
  const { server, start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  const credential = JSON.parse(JSON.stringify(desk.current().spec.facts));
  assert.deepEqual(credential, { origin: server.origin, version: '0.0.0', platform: 'test', colour: null });
});

test('while the browser is open the window shows the compare code; the page can stop the wait', async (t) => {
  const { server, start } = await setUpShell(t, { visit: false });
  const desk = await start();
  await desk.send(CHANNELS.saveServer, server.origin);
  await desk.send(CHANNELS.startSignIn);
  await desk.send(CHANNELS.startSignIn);
  await until('the code', async () => (await desk.state()).step === 'waiting');
  const state = await desk.state();
  assert.match(state.step === 'waiting' ? state.compareCode : '', /^[A-Z2-7]{4}-[A-Z2-7]{4}$/);
  await desk.send(CHANNELS.cancelSignIn);
  await until('the end', async () => (await desk.state()).step === 'sign-in');
  assert.equal(desk.windows.length, 1);
});

test('two clicks open one browser', async (t) => {
  const { server, opened, start } = await setUpShell(t, { visit: false });
  const desk = await start();
  await desk.send(CHANNELS.saveServer, server.origin);
  await Promise.all([desk.send(CHANNELS.startSignIn), desk.send(CHANNELS.startSignIn)]);
  await until('the code', async () => (await desk.state()).step === 'waiting');
  assert.equal(opened.length, 1);
  desk.current().userCloses();
});

test('choosing another server ends the sign-in that waits', async (t) => {
  const { server, start } = await setUpShell(t, { visit: false });
  const desk = await start();
  await desk.send(CHANNELS.saveServer, server.origin);
  await desk.send(CHANNELS.startSignIn);
  await until('the code', async () => (await desk.state()).step === 'waiting');
  await desk.send(CHANNELS.changeServer);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(await desk.state(), {
    step: 'server',
    origin: server.origin,
    problem: null,
    canGoBack: false,
    unreadable: null,
  });
});

test('with a keychain the next start goes straight to the console; without one it asks again and says so before', async (t) => {
  const kept = await setUpShell(t);
  await (await kept.start()).signIn();
  assert.equal((await kept.start()).current().spec.kind, 'console');

  const lost = await setUpShell(t, { keychain: false });
  const first = await lost.start();
  await first.signIn();
  const second = await lost.start();
  const state = await second.state();
  assert.deepEqual(state, {
    step: 'sign-in',
    origin: lost.server.origin,
    name: new URL(lost.server.origin).host,
    notice: null,
    keychain: 'missing',
    certificate: null,
    isPinned: false,
  });
});

test('a link waits for the person to sign in, then reaches the console once, and opens nothing by itself', async (t) => {
  const { opened, start } = await setUpShell(t);
  const desk = await start();
  desk.shell.follow({ kind: 'approve', code: 'GHJKLM-000000' });
  desk.shell.follow(LINK);
  await desk.signIn();
  const window = desk.current();
  assert.deepEqual(window.sent, []);
  await desk.send(CHANNELS.linksWanted);
  assert.deepEqual(window.sent, [{ channel: CHANNELS.deepLink, payload: LINK }]);
  await desk.send(CHANNELS.linksWanted);
  assert.equal(window.sent.length, 1);
  desk.shell.follow(LINK);
  assert.equal(window.sent.length, 2);
  assert.ok(window.focused > 0);
  assert.deepEqual(
    opened.map(({ link }) => link.kind),
    ['sign-in'],
  );
});

test('a click opens the approval page on the server of the profile, and a storm of calls opens one', async (t) => {
  const { server, opened, start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  for (let i = 0; i < 5; i++) await desk.send(CHANNELS.openApproval, LINK.code);
  assert.deepEqual(opened.slice(1), [{ origin: server.origin, link: LINK }]);
  desk.clock.at -= 3_600_000;
  desk.clock.ran += 1000;
  await desk.send(CHANNELS.openApproval, LINK.code);
  assert.equal(opened.length, 3);
  await assert.rejects(desk.send(CHANNELS.openApproval, '../admin'));
});

test('signing out: the server forgets the session, this computer too, and the page is gone', async (t) => {
  const { server, start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  await desk.send(CHANNELS.signOut);
  const call = server.seen.find(({ url }) => url === '/trpc/sessions.signOut');
  assert.equal(call?.method, 'POST');
  assert.match(call?.headers.authorization ?? '', /^Bearer fake-credential-/);
  assert.equal(desk.current().spec.kind, 'setup');
  const state = await desk.state();
  assert.equal(state.step === 'sign-in' && state.notice, 'signed_out');
  assert.equal((await start()).current().spec.kind, 'setup');
});

test('signing out works without the server', async (t) => {
  const { server, start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  await server.close();
  await desk.send(CHANNELS.signOut);
  assert.equal((await start()).current().spec.kind, 'setup');
});

test('signing out where the session cannot be erased: the server forgets it, and where it does not the person is told', async (t) => {
  const { server, folder, start } = await setUpShell(t);
  const desk = await start();
  const file = join(folder, 'credential.json');
  await desk.signIn();
  rmSync(file);
  mkdirSync(join(file, 'in-the-way'), { recursive: true });
  await desk.send(CHANNELS.signOut);
  assert.ok(server.seen.some(({ url }) => url === '/trpc/sessions.signOut'));
  assert.equal(desk.current().spec.kind, 'setup');
  assert.deepEqual(desk.errors, []);
  // Where nothing can be kept either, signing in is none the worse.
  await desk.send(CHANNELS.startSignIn);
  await until('the console', () => desk.current().spec.kind === 'console');
  await server.close();
  await desk.send(CHANNELS.signOut);
  assert.equal(desk.current().spec.kind, 'setup');
  assert.deepEqual(desk.errors, ['Session not ended']);
});

test('a session that has ended leads to the sign-in page, once', async (t) => {
  const { server, start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  assert.equal((await desk.fetch('/trpc/challenges.inbox')).status, 200);
  server.inbox.fail(401);
  await Promise.all([desk.fetch('/trpc/challenges.inbox'), desk.fetch('/trpc/challenges.history')]);
  await until('the sign-in page', () => desk.windows.at(-1)?.spec.kind === 'setup');
  const state = await desk.state();
  assert.equal(state.step === 'sign-in' && state.notice, 'session_ended');
  assert.equal(desk.windows.length, 3);
  assert.equal((await start()).current().spec.kind, 'setup');
});

test('an outage leads nowhere', async (t) => {
  const { server, start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  await server.close();
  assert.equal((await desk.fetch('/trpc/challenges.inbox')).type, 'error');
  assert.equal(desk.current().spec.kind, 'console');
});

test('messages of one page are not taken from the other', async (t) => {
  const { start } = await setUpShell(t);
  const desk = await start();
  for (const channel of [CHANNELS.openApproval, CHANNELS.signOut, CHANNELS.linksWanted]) {
    await assert.rejects(desk.send(channel, ...(channel === CHANNELS.openApproval ? [LINK.code] : [])), /refused/);
  }
  await desk.signIn();
  for (const [channel, ...args] of [
    [CHANNELS.saveServer, 'https://evil.example'],
    [CHANNELS.changeServer],
    [CHANNELS.startSignIn],
    [CHANNELS.setupState],
    [CHANNELS.goBack],
    [CHANNELS.saveProfile, { name: 'Work', colour: 'red' }],
    [CHANNELS.removeProfile],
  ] as [string, ...unknown[]][]) {
    await assert.rejects(desk.send(channel, ...args), /refused/);
  }
});

test('the window comes back where it was', async (t) => {
  const { start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  assert.equal(desk.current().spec.bounds, null);
  desk.current().move({ x: 30, y: 40, width: 900, height: 700 });
  await until('the note of where it was', async () => (await start()).current().spec.bounds !== null);
  assert.deepEqual((await start()).current().spec.bounds, { x: 30, y: 40, width: 900, height: 700 });
});

test('a new window is there before the old one goes, or the shell would end between two pages', async (t) => {
  const { start } = await setUpShell(t);
  const desk = await start();
  let least = Number.POSITIVE_INFINITY;
  for (const window of desk.windows)
    window.onClosed(() => {
      least = Math.min(least, desk.windows.filter((other) => other.isOpen).length);
    });
  await desk.signIn();
  assert.equal(least, 1);
});

test('two servers: each signed in on its own, what waits is told of both, and the menu changes between them', async (t) => {
  const { server, second, start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  await desk.shell.act({ do: 'add-server' });
  assert.deepEqual(await desk.state(), {
    step: 'server',
    origin: null,
    problem: null,
    canGoBack: true,
    unreadable: null,
  });
  await desk.signIn(second.origin);
  assert.deepEqual([server.inbox.followers(), second.inbox.followers()].map(Boolean), [true, true]);
  const [a, b] = [server, second].map(({ origin }) => new URL(origin).host);
  server.inbox.ask();
  server.inbox.ask();
  second.inbox.ask();
  await until('the counts', () => desk.lines().join() === `${a} (2),*${b} (1)`);
  const shortcuts = desk.menu.model!.servers.entries.flatMap((entry) =>
    entry === 'line' ? [] : (entry.shortcut ?? []),
  );
  assert.deepEqual(shortcuts, ['CmdOrCtrl+1', 'CmdOrCtrl+2']);
  desk.menu.choose({ do: 'show-server', origin: server.origin });
  await until('the other server', () => desk.current().spec.partition === partitionOf(server));
  assert.deepEqual(desk.lines(), [`*${a} (2)`, `${b} (1)`]);
  // Which one it is can be seen: by name in the title, by colour in the window.
  assert.equal(desk.current().spec.name, a);
  assert.equal(desk.current().spec.facts.colour, COLOUR_VALUES.blue);
  // And everything is there again at the next start.
  const again = await start();
  await until('the counts', () => again.lines().join() === `*${a} (2),${b} (1)`);
});

test('in German menus are German, and what stands inside the English page is English', async (t) => {
  const { server, second, start } = await setUpShell(t, { language: 'de' });
  const desk = await start();
  await desk.signIn();
  await desk.shell.act({ do: 'add-server' });
  await desk.signIn(second.origin);
  server.inbox.fail(503);
  server.inbox.hangUp();
  const { host } = new URL(server.origin);
  await until('the outage', () => desk.lines()[0] === `${host} (außer Betrieb)`);
  const label = `${host} (out of service)`;
  assert.deepEqual(await desk.send(CHANNELS.otherServers), [{ origin: server.origin, label }]);
});

test('the page is told of the other servers by name and address alone, and shows none but those', async (t) => {
  const { server, second, start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  assert.deepEqual(await desk.send(CHANNELS.otherServers), []);
  await desk.shell.act({ do: 'add-server' });
  await desk.signIn(second.origin);
  server.inbox.ask();
  const label = `${new URL(server.origin).host} (1)`;
  await until('the count', () => desk.lines()[0] === label);
  assert.deepEqual(await desk.send(CHANNELS.otherServers), [{ origin: server.origin, label }]);
  const before = desk.windows.length;
  for (const origin of ['https://evil.example', '', `${server.origin}/`, server.origin.toUpperCase()])
    await desk.send(CHANNELS.showServer, origin);
  assert.equal(desk.windows.length, before);
  assert.equal(desk.current().spec.partition, partitionOf(second));
  await desk.send(CHANNELS.showServer, server.origin);
  await until('the other server', () => desk.current().spec.partition === partitionOf(server));
  const seen = [...server.seen, ...second.seen].filter(({ url }) => /challenges\.(approve|deny)/.test(url));
  assert.deepEqual(seen, []);
});

test('a request is notified of by what the server says alone: nothing on the way waits for a clock or asks again and again', async (t) => {
  const { server, start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  await until('the stream', () => server.inbox.followers() > 0 && desk.lines().length === 1);
  // From here on no time passes for the shell.
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] });
  server.inbox.ask('systemctl restart nginx');
  for (const end = Date.now() + 90_000; desk.notes.shown.size === 0; ) {
    assert.ok(Date.now() < end, 'the notification never came');
    await new Promise((resolve) => setImmediate(resolve));
  }
  const [shown] = desk.notes.shown.values();
  assert.match(JSON.stringify(shown), /systemctl restart nginx/);
});

test('a request is counted and not notified of where the person chose so; a server that knows nothing of that tells of all', async (t) => {
  const { server, start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  await until('the stream', () => server.inbox.followers() > 0 && desk.lines().length === 1);
  server.inbox.choose('nothing');
  const { id } = server.inbox.ask('systemctl restart nginx');
  await until('the count', () => desk.tray.model?.count === 1);
  server.inbox.choose('all');
  server.inbox.ask('systemctl reload nginx');
  await until('the notification of the other', () => desk.notes.shown.size > 0);
  assert.doesNotMatch(JSON.stringify([...desk.notes.shown.values()]), /restart/);
  server.inbox.settle(id);
  // A server that is older than this choice.
  server.inbox.choose(null);
  server.inbox.ask('systemctl stop nginx');
  await until('its notification', () => /stop nginx/.test(JSON.stringify([...desk.notes.shown.values()])));
});

test('signing out of one server leaves the other signed in, and its page where it is', async (t) => {
  const { server, second, start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  await desk.shell.act({ do: 'add-server' });
  await desk.signIn(second.origin);
  await desk.shell.act({ do: 'show-server', origin: server.origin });
  await desk.send(CHANNELS.signOut);
  const [a, b] = [server, second].map(({ origin }) => new URL(origin).host);
  assert.deepEqual(desk.lines(), [`*${a} (signed out)`, b]);
  await desk.shell.act({ do: 'show-server', origin: second.origin });
  assert.equal(desk.current().spec.kind, 'console');
  assert.equal((await desk.fetch('/trpc/challenges.inbox')).status, 200);
  assert.ok(!second.seen.some(({ url }) => url.includes('signOut')));
});

test('a session that ends on a server that is not looked at moves nothing in the window', async (t) => {
  const { server, second, start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  await desk.shell.act({ do: 'add-server' });
  await desk.signIn(second.origin);
  const { id } = desk.current();
  server.inbox.fail(401);
  server.inbox.hangUp();
  await until('the word of it', () => desk.lines()[0] === `${new URL(server.origin).host} (signed out)`);
  assert.equal(desk.current().id, id);
  // The keychain has forgotten it too.
  const last = `${new URL(server.origin).host} (signed out)`;
  await until('the keychain', async () => (await start()).lines()[0] === last);
});

test('an address that is known leads to its server, however it is written: there are no two profiles of one', async (t) => {
  const { server, folder, start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  await desk.shell.act({ do: 'add-server' });
  await desk.send(CHANNELS.saveServer, `${server.origin.toUpperCase().replace('HTTP', 'http')}/inbox?x`);
  assert.equal(desk.current().spec.kind, 'console');
  const kept = JSON.parse(readFileSync(join(folder, 'profile.json'), 'utf8')) as { list: unknown[] };
  assert.equal(kept.list.length, 1);
});

test('a list of servers that is damaged: the shell starts, says so, and nothing else is lost', async (t) => {
  const { server, folder, start } = await setUpShell(t);
  const first = await start();
  await first.signIn();
  first.shell.stop();
  const path = join(folder, 'profile.json');
  const [damaged, sealed] = ['{"v":2,"active":', readFileSync(join(folder, 'credential.json'), 'utf8')];
  writeFileSync(path, damaged);
  const desk = await start();
  const asks = { step: 'server', origin: null, problem: null, canGoBack: false, unreadable: path };
  assert.deepEqual(await desk.state(), asks);
  assert.equal(readFileSync(path, 'utf8'), damaged);
  assert.equal(readFileSync(join(folder, 'credential.json'), 'utf8'), sealed);
  await desk.signIn();
  assert.equal(readFileSync(`${path}.unreadable`, 'utf8'), damaged);
  assert.deepEqual((JSON.parse(readFileSync(path, 'utf8')) as { active: string }).active, server.origin);
  await desk.shell.act({ do: 'add-server' });
  assert.deepEqual(await desk.state(), { ...asks, canGoBack: true, unreadable: null });
});

test('what an earlier version kept is taken over: server, place of the window, and nobody signs in again', async (t) => {
  const { server, folder, start } = await setUpShell(t);
  const secret = `fake-credential-${'x'.repeat(32)}`;
  const credential = JSON.stringify({ origin: server.origin, secret, expiresAt: Date.now() + 60_000 });
  const sealed = (await fakeSecrets().encrypt(credential)).toString('base64');
  writeFileSync(join(folder, 'profile.json'), JSON.stringify({ v: 1, origin: server.origin }));
  writeFileSync(join(folder, 'credential.json'), JSON.stringify({ v: 1, sealed }));
  writeFileSync(join(folder, 'window.json'), JSON.stringify({ v: 1, x: 1, y: 2, width: 800, height: 600 }));
  const desk = await start();
  assert.equal(desk.current().spec.kind, 'console');
  assert.equal(desk.current().spec.partition, partitionOf(server));
  assert.deepEqual(desk.current().spec.bounds, { x: 1, y: 2, width: 800, height: 600 });
  assert.equal((await desk.fetch('/trpc/challenges.inbox')).status, 200);
});

test('a person gives a server a name and a colour, and removes it with all that was kept', async (t) => {
  const { server, second, folder, start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  await desk.shell.act({ do: 'add-server' });
  await desk.signIn(second.origin);
  await desk.shell.act({ do: 'edit-server' });
  const { host } = new URL(second.origin);
  const asked = { step: 'profile', origin: second.origin, name: host, colour: 'teal', pin: null };
  assert.deepEqual(await desk.state(), asked);
  for (const name of ['', ' ', 'x'.repeat(41), 'a\u202eb', 'a\nb']) {
    await assert.rejects(desk.send(CHANNELS.saveProfile, { name, colour: 'red' }), /refused/);
  }
  await assert.rejects(desk.send(CHANNELS.saveProfile, { name: 'Work', colour: 'url(x)' }), /refused/);
  await desk.send(CHANNELS.saveProfile, { name: 'Work', colour: 'red' });
  assert.equal(desk.current().spec.name, 'Work');
  assert.equal(desk.lines()[1], '*Work');
  desk.current().move({ x: 1, y: 2, width: 900, height: 700 });
  const everything = () => readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));
  await until('the note of where it was', () => everything().filter((text) => text.includes(second.origin)).length > 1);
  await desk.shell.act({ do: 'edit-server' });
  await desk.send(CHANNELS.removeProfile);
  assert.equal(desk.current().spec.partition, partitionOf(server));
  assert.ok(second.seen.some(({ url }) => url === '/trpc/sessions.signOut'));
  assert.doesNotMatch(readFileSync(join(folder, 'profile.json'), 'utf8'), /Work/);
  assert.deepEqual(desk.forgotten, [partitionOf(second)], 'nor what its pages kept');
  await until('the end of all that names it', () => !everything().some((text) => text.includes(second.origin)));
  assert.equal((await start()).lines().length, 1);
});

test('a server is removed once the person has said so: asked once, with its name and address, and Return keeps it', async (t) => {
  for (const [language, question, yes] of [
    ['en', 'Remove Work?', 'Remove'],
    ['de', 'Work entfernen?', 'Entfernen'],
  ] as const) {
    const answers: ((isWanted: boolean) => void)[] = [];
    const answer = () => new Promise<boolean>((resolve) => void answers.push(resolve));
    const { server, start } = await setUpShell(t, { language, answer });
    const desk = await start();
    await desk.signIn();
    await desk.shell.act({ do: 'edit-server' });
    await desk.send(CHANNELS.saveProfile, { name: 'Work', colour: 'red' });
    await desk.shell.act({ do: 'edit-server' });
    const first = desk.send(CHANNELS.removeProfile);
    await desk.send(CHANNELS.removeProfile);
    const [asked, ...more] = desk.questions;
    assert.deepEqual(more, []);
    assert.deepEqual([asked?.question, asked?.yes, asked?.usual], [question, yes, 'no']);
    assert.equal(asked?.detail.split('\n')[0], server.origin);
    answers[0]!(false);
    await first;
    assert.equal((await desk.state()).step, 'profile');
    assert.deepEqual(desk.lines(), ['*Work']);
    assert.deepEqual(desk.forgotten, []);
    assert.ok(!server.seen.some(({ url }) => url === '/trpc/sessions.signOut'));
    const second = desk.send(CHANNELS.removeProfile);
    answers[1]!(true);
    await second;
    assert.deepEqual([desk.lines(), desk.forgotten], [[], [partitionOf(server)]]);
  }
});

test('what the window shows by the time that the person says so stays: another server, or the page to add one', async (t) => {
  const answers: ((isWanted: boolean) => void)[] = [];
  const answer = () => new Promise<boolean>((resolve) => void answers.push(resolve));
  const { server, second, start } = await setUpShell(t, { answer });
  const desk = await start();
  await desk.signIn();
  await desk.shell.act({ do: 'add-server' });
  await desk.signIn(second.origin);
  await desk.shell.act({ do: 'edit-server' });
  const removed = desk.send(CHANNELS.removeProfile);
  await desk.shell.act({ do: 'show-server', origin: server.origin });
  const shown = desk.current();
  answers[0]!(true);
  await removed;
  assert.equal(desk.current(), shown);
  assert.deepEqual(desk.lines(), [`*${new URL(server.origin).host}`]);
  await desk.shell.act({ do: 'edit-server' });
  const last = desk.send(CHANNELS.removeProfile);
  await desk.shell.act({ do: 'add-server' });
  await desk.send(CHANNELS.saveServer, 'not an address');
  answers[1]!(true);
  await last;
  const state = await desk.state();
  assert.ok(state.step === 'server' && state.origin === 'not an address' && state.problem === 'not_an_address');
  assert.deepEqual(desk.lines(), []);
  await desk.send(CHANNELS.goBack);
  assert.deepEqual(await desk.state(), FIRST_STEP, 'there is nothing to go back to');
});

test('servers are added in the menu of servers', async (t) => {
  const { start } = await setUpShell(t);
  const desk = await start();
  const where = () => {
    const { app, servers } = desk.menu.model!;
    return [app, servers.entries].map((menu) =>
      menu.findIndex((entry) => entry !== 'line' && entry.action?.do === 'add-server'),
    );
  };
  assert.deepEqual(where(), [-1, 0]);
  await desk.signIn();
  assert.deepEqual(where(), [-1, 2], 'after the servers and a line');
});

test('the last server that is removed is not offered again', async (t) => {
  const { start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  await desk.shell.act({ do: 'edit-server' });
  await desk.send(CHANNELS.removeProfile);
  assert.deepEqual(await desk.state(), FIRST_STEP);
});

test('a keychain that is slow holds up no window: the person is asked to sign in, and no more once it has answered', async (t) => {
  const { server, secrets, start } = await setUpShell(t, { patienceMs: 5 });
  await (await start()).signIn();
  const answer = secrets.hold();
  const desk = await start();
  const asked = await desk.state();
  assert.deepEqual([desk.current().spec.kind, asked.step], ['setup', 'sign-in']);
  assert.equal(asked.step === 'sign-in' && asked.keychain, 'refuses');
  answer();
  await until('the console', () => desk.current().spec.partition === partitionOf(server));
});

test('a keychain that never answers holds up neither signing in nor signing out', async (t) => {
  const { secrets, start } = await setUpShell(t, { patienceMs: 5 });
  secrets.hold();
  const desk = await start();
  await desk.signIn();
  await desk.shell.act({ do: 'sign-out' });
  const state = await desk.state();
  assert.equal(state.step === 'sign-in' && state.notice, 'signed_out');
});

test('a link shows the request on the server where it waits', async (t) => {
  const { server, second, opened, start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  await desk.shell.act({ do: 'add-server' });
  await desk.signIn(second.origin);
  server.inbox.ask('id');
  const { code } = server.inbox.ask('whoami');
  await until('the requests', () => desk.lines()[0]?.endsWith('(2)'));
  const before = opened.length;
  desk.shell.follow({ kind: 'approve', code });
  await until('its server', () => desk.current().spec.partition === partitionOf(server));
  await desk.send(CHANNELS.linksWanted);
  assert.deepEqual(desk.current().sent, [{ channel: CHANNELS.deepLink, payload: { kind: 'approve', code } }]);
  assert.equal(opened.length, before);
  assert.deepEqual(server.inbox.denied, []);
});

test('changing to another server ends the sign-in that waits, and what its browser brings back is given up', async (t) => {
  const { server, second, opened, start } = await setUpShell(t, { visit: false });
  const desk = await start();
  await desk.send(CHANNELS.saveServer, server.origin);
  await desk.send(CHANNELS.startSignIn);
  await until('the browser', () => opened.length === 1);
  await desk.send(CHANNELS.changeServer);
  await desk.send(CHANNELS.saveServer, second.origin);
  const { link } = opened[0]!;
  assert.ok(link.kind === 'sign-in');
  await assert.rejects(
    fetch(`${link.redirectUri}?${new URLSearchParams({ code: 'x'.repeat(20), state: link.state })}`),
  );
  const state = await desk.state();
  assert.ok(state.step === 'sign-in' && state.origin === second.origin);
  assert.deepEqual(desk.lines(), []);
});

test('the first close asks whether to stay; the answer is kept, and the window comes back when it is asked for', async (t) => {
  const { server, start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  desk.current().userCloses();
  await until('the question', () => desk.questions.length === 1);
  assert.deepEqual(desk.ended, []);
  // Without a window it still hears what waits, on a desktop without a tray too.
  server.inbox.ask();
  await until('the count', () => desk.tray.model?.count === 1);
  desk.shell.raise();
  await until('the window', () => desk.windows.at(-1)?.isOpen);
  assert.equal(desk.current().spec.kind, 'console');
  desk.current().userCloses();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(desk.questions.length, 1, 'asked once');
  assert.deepEqual(desk.ended, []);
  const again = await start();
  again.current().userCloses();
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual([again.questions, again.ended], [[], []]);
});

test('who says no ends it with the window, now and later', async (t) => {
  const { start } = await setUpShell(t, { answer: () => false });
  const desk = await start();
  await desk.signIn();
  desk.current().userCloses();
  await until('the end', () => desk.ended.length === 1);
  const again = await start();
  again.current().userCloses();
  await until('the end', () => again.ended.length === 1);
  assert.deepEqual(again.questions, []);
});

test('where nobody is signed in there is nothing to stay for', async (t) => {
  const { start } = await setUpShell(t);
  const desk = await start();
  desk.current().userCloses();
  await until('the end', () => desk.ended.length === 1);
  assert.deepEqual(desk.questions, []);
});

test('started at login there is no window until somebody asks for it, unless nobody is signed in', async (t) => {
  const { start } = await setUpShell(t);
  const first = await start(true);
  assert.equal(first.current().spec.kind, 'setup');
  await first.signIn();
  const desk = await start(true);
  assert.deepEqual(desk.windows, []);
  assert.ok(desk.tray.model);
  desk.tray.choose({ do: 'raise' });
  await until('the window', () => desk.windows.length === 1);
  assert.equal(desk.current().spec.kind, 'console');
});

test('what the menu switches stays switched', async (t) => {
  const { start } = await setUpShell(t);
  const ticks = (desk: Awaited<ReturnType<typeof start>>) =>
    desk.menu.model!.app.flatMap((entry) => (entry === 'line' || entry.chosen === undefined ? [] : [entry.chosen]));
  const desk = await start();
  await desk.signIn();
  assert.deepEqual(ticks(desk), [false, false, false]);
  await desk.shell.act({ do: 'toggle', toggle: 'autostart' });
  assert.deepEqual(ticks(desk), [true, true, false], 'what starts without a window stays without one');
  await desk.shell.act({ do: 'toggle', toggle: 'hideCommand' });
  assert.deepEqual(ticks(desk), [true, true, true]);
  await until('the note', async () => ticks(await start())[2]);
  await desk.shell.act({ do: 'toggle', toggle: 'background' });
  assert.deepEqual(ticks(desk), [false, true, true]);
});

test('every line of the tray and of the menu: none of them approves, denies or opens a browser', async (t) => {
  const { server, second, opened, start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  await desk.shell.act({ do: 'add-server' });
  await desk.signIn(second.origin);
  for (let i = 0; i < 7; i++) server.inbox.ask();
  await until('the counts', () => desk.tray.model?.count === 7);
  const before = opened.length;
  const entries = [...desk.tray.model!.entries, ...desk.menu.model!.app, ...desk.menu.model!.servers.entries];
  const actions = entries.flatMap((entry) => (entry === 'line' || !entry.action ? [] : [entry.action]));
  assert.ok(actions.filter((action) => action.do === 'review').length === 5);
  for (const action of actions) {
    await desk.shell.act(action);
    if (desk.current().spec.kind === 'console') await desk.send(CHANNELS.linksWanted);
  }
  assert.equal(opened.length, before);
  const decided = [server, second].flatMap(({ seen }) => seen.filter(({ url }) => /approve|deny/.test(url)));
  assert.deepEqual(decided, []);
});

test('why a server is not reached is told to its page in words of its language, and taken back when it is', async (t) => {
  const { server, start } = await setUpShell(t, { language: 'de-DE' });
  const desk = await start();
  await desk.signIn();
  assert.equal(await desk.send(CHANNELS.reachWanted), null);
  const told = () =>
    desk.current().sent.flatMap(({ channel, payload }) => (channel === CHANNELS.reach ? [payload] : []));
  server.inbox.fail(503);
  server.inbox.hangUp();
  await until('the word of it', () => told().length === 1);
  assert.match(String(told()[0]), /^The server is out of service/);
  assert.equal(await desk.send(CHANNELS.reachWanted), told()[0]);
  server.inbox.fail(null);
  desk.resume();
  await until('the end of it', () => told().length === 2);
  assert.equal(told()[1], null);
});
