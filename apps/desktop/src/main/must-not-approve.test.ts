import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { CHANNELS } from '../channels.ts';
import type { DeepLink } from './deep-link.ts';
import { deepLinkInArguments } from './deep-link.ts';
import type { MenuAction, Toggle } from './menu-model.ts';
import { setUpShell } from './testing/set-up-shell.ts';
import { until } from './testing/until.ts';

/**
 * Every way into the shell from outside of the person's browser, and that none of them approves. The lists are keyed by
 * what the code knows: a new action or message without a line here does not compile.
 */

const ORIGIN = 'http://localhost:1';

/** A shell that is signed in, with one request that waits, and what has been decided or opened since. */
async function waiting(t: TestContext) {
  const { server, second, opened, start } = await setUpShell(t);
  const desk = await start();
  await desk.signIn();
  const request = server.inbox.ask();
  await until('the request', () => desk.tray.model?.count === 1);
  await until('its notification', () => desk.notes.shown.size === 1);
  const signIns = opened.length;
  return {
    desk,
    server,
    request,
    decided: () =>
      [server, second].flatMap(({ seen }) =>
        seen.filter(({ method, url }) => method !== 'GET' && !/\/api\/desktop\/token|sessions\.signOut/.test(url)),
      ),
    opened: () => opened.slice(signIns),
  };
}

const TOGGLES: Record<Toggle, null> = { background: null, autostart: null, hideCommand: null };

const ACTIONS: { [A in MenuAction['do']]: (origin: string, code: string) => Extract<MenuAction, { do: A }>[] } = {
  'show-server': (origin) =>
    [origin, ORIGIN, '', 'https://evil.example'].map((one) => ({ do: 'show-server', origin: one })),
  review: (origin, code) =>
    [code, 'ABCDEF-999999', '', '../approve'].map((one) => ({ do: 'review', origin, code: one })),
  raise: () => [{ do: 'raise' }],
  pause: () => [{ do: 'pause' }],
  resume: () => [{ do: 'resume' }],
  toggle: () => (Object.keys(TOGGLES) as Toggle[]).map((toggle) => ({ do: 'toggle', toggle })),
  'add-server': () => [{ do: 'add-server' }],
  'edit-server': () => [{ do: 'edit-server' }],
  'sign-out': () => [{ do: 'sign-out' }],
  quit: () => [{ do: 'quit' }],
};

for (const [name, actionsOf] of Object.entries(ACTIONS)) {
  test(`a tray or menu line that does "${name}" approves nothing and opens no browser`, async (t) => {
    const { desk, server, request, decided, opened } = await waiting(t);
    for (const action of actionsOf(server.origin, request.code)) await desk.shell.act(action);
    assert.deepEqual(decided(), []);
    assert.deepEqual(opened(), []);
  });
}

test('a notification: no name of an action but "deny" reaches the server, whoever makes it up', async (t) => {
  const { desk, decided, opened } = await waiting(t);
  const [number] = [...desk.notes.shown.keys()];
  const names = fc.oneof(
    fc.constantFrom('approve', 'Approve', 'allow', 'accept', 'yes', 'ok', 'default', 'review', 'inline-reply', ''),
    fc.constantFrom('Deny', 'DENY', 'deny ', ' deny', 'deny\0', 'deny:approve', 'constructor', '__proto__', 'toString'),
    fc.string({ unit: 'binary' }).filter((key) => key !== 'deny'),
  );
  const numbers = fc.oneof(fc.constant(number!), fc.integer(), fc.constantFrom(0, -1, 2 ** 32, Number.NaN));
  fc.assert(fc.property(numbers, names, (one, key) => desk.notes.press(one, key)));
  // Deny on a notification that is not there is a Deny of nothing.
  for (const other of [0, -1, number! + 1, Number.NaN]) desk.notes.press(other, 'deny');
  await desk.shell.act({ do: 'raise' });
  assert.deepEqual(decided(), []);
  assert.deepEqual(opened(), []);
});

test('a link, in whatever shape and from wherever it comes, approves nothing and opens no browser', async (t) => {
  const { desk, request, decided, opened } = await waiting(t);
  const shapes = [
    `identree://approve/${request.code}`,
    `identree://approve/${request.code}/`,
    `identree://approve/${request.code}?decision=approved`,
    `identree://approve/${request.code}#approve`,
    `identree://approve/${request.code}/yes`,
    `identree://deny/${request.code}`,
    `identree:approve/${request.code}`,
    `IDENTREE://APPROVE/${request.code}`,
    `--approve=${request.code}`,
    `--deep-link=identree://approve/${request.code}`,
    request.code,
  ];
  const argvs = [...shapes.map((shape) => [shape]), shapes, [...shapes].reverse(), ['--background', ...shapes]];
  const links = argvs.map(deepLinkInArguments).filter((link): link is DeepLink => link !== null);
  assert.ok(links.length > 0);
  for (const link of links) {
    assert.deepEqual(link, { kind: 'approve', code: request.code });
    desk.shell.follow(link);
  }
  await desk.send(CHANNELS.linksWanted);
  await until('the link', () => desk.current().sent.some(({ channel }) => channel === CHANNELS.deepLink));
  assert.deepEqual(decided(), []);
  assert.deepEqual(opened(), []);
});

/** What an injected script could send if it had the bridge to itself; null for what goes to the page. */
const MESSAGES: { [C in keyof typeof CHANNELS]: 'from the page' | 'to the page' } = {
  openApproval: 'from the page',
  signIn: 'from the page',
  signOut: 'from the page',
  otherServers: 'from the page',
  showServer: 'from the page',
  linksWanted: 'from the page',
  reachWanted: 'from the page',
  reach: 'to the page',
  deepLink: 'to the page',
  setupState: 'from the page',
  saveServer: 'from the page',
  changeServer: 'from the page',
  startSignIn: 'from the page',
  cancelSignIn: 'from the page',
  trustCertificate: 'from the page',
  chooseAuthority: 'from the page',
  goBack: 'from the page',
  saveProfile: 'from the page',
  removeProfile: 'from the page',
  setupChanged: 'to the page',
};

for (const [name, direction] of Object.entries(MESSAGES)) {
  const channel = CHANNELS[name as keyof typeof CHANNELS];
  test(`the message ${channel}, however forged, approves nothing`, async (t) => {
    const { desk, request, decided, opened, server } = await waiting(t);
    assert.equal(desk.hears(channel), direction === 'from the page');
    if (direction === 'to the page') return;
    const { code, id } = request;
    for (const forged of [
      [],
      [id],
      [{ code, decision: 'approved' }],
      [{ challengeId: id, assertion: {} }],
      [[code]],
      [`${code}/../approve`],
      [`${code}?decision=approved`],
      ['challenges.approve', { challengeId: id }],
      [code, 'approved'],
      [null],
      [Number.NaN],
      [{ __proto__: { toString: () => code } }],
    ]) {
      await desk.send(channel, ...forged).catch(() => {});
    }
    assert.deepEqual(decided(), []);
    assert.deepEqual(opened(), []);
    // The one message with which a page asks for a browser: it gets the approval page of this server, where a passkey decides.
    if (name !== 'openApproval') return;
    await desk.send(channel, code);
    assert.deepEqual(opened(), [{ origin: server.origin, link: { kind: 'approve', code } }]);
    assert.deepEqual(decided(), []);
  });
}

test('a message that is on no list is heard by nobody', async (t) => {
  const { desk } = await waiting(t);
  for (const name of [
    'console:approve',
    'console:decide',
    'console:forward',
    'setup:approve',
    'ELECTRON_BROWSER_REQUIRE',
  ]) {
    assert.equal(desk.hears(name), false, name);
  }
  const listed: string[] = Object.values(CHANNELS);
  assert.deepEqual(
    desk.heard().filter((channel) => !listed.includes(channel)),
    [],
  );
});
