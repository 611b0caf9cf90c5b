import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wordsFor } from '../words/words.ts';
import { createNotifications } from './notifications.ts';
import type { PendingRequest } from './pending.ts';
import { newProfile } from './profile.ts';
import { fakePorts } from './testing/fake-ports.ts';

const ORIGIN = 'https://a.example.com';
const NOW = 1_000_000;

function request(number: number, change: Partial<PendingRequest> = {}): PendingRequest {
  return {
    id: String(number).padStart(32, '0'),
    code: `ABCDEF-${String(number).padStart(6, '0')}`,
    who: 'alice',
    command: 'systemctl restart nginx',
    host: 'web1',
    createdAt: NOW + number,
    expiresAt: NOW + 110_000,
    canDeny: true,
    isTold: true,
    ...change,
  };
}

function setUp(options: { language?: string; denies?: boolean | null | Promise<boolean> } = {}) {
  const { ports, notes } = fakePorts();
  const state = { paused: false, hides: false };
  const acts: string[] = [];
  const language = options.language ?? 'en';
  const notifications = createNotifications({
    port: ports.notifications,
    words: wordsFor(language),
    language,
    now: () => NOW,
    isPaused: () => state.paused,
    hidesCommand: () => state.hides,
    acts: {
      review: (origin, code) => void acts.push(`review ${origin} ${code}`),
      raise: () => void acts.push('raise'),
      async deny(origin, id) {
        acts.push(`deny ${origin} ${id}`);
        return options.denies === undefined ? true : options.denies;
      },
    },
  });
  const profile = newProfile(ORIGIN, []);
  return {
    notes,
    state,
    acts,
    update: (...pending: PendingRequest[]) => notifications.update([{ profile, reach: 'live', pending }]),
    shown: () => [...notes.shown.values()],
  };
}

test('who, what, where and how long, with what can be done about it', async () => {
  const { update, shown } = setUp();
  await update(request(1));
  const [one] = shown();
  assert.equal(one?.title, 'alice asks for root on web1');
  assert.equal(one?.body, 'systemctl restart nginx\n110 s left');
  assert.deepEqual(one?.actions, [
    ['default', 'Review'],
    ['review', 'Review'],
    ['deny', 'Deny'],
  ]);
  assert.equal(one?.timeoutMs, 110_000);
});

test('in German', async () => {
  const { update, shown } = setUp({ language: 'de-DE' });
  await update(request(1));
  assert.equal(shown()[0]?.title, 'alice bittet um root auf web1');
  assert.match(shown()[0]?.body ?? '', /noch 110 s$/);
});

test('a command shows what it hides, in one line of at most 120 characters', async () => {
  const { update, shown } = setUp();
  await update(request(1, { command: `id\n\u202egpj.exe\u001b[2J ${'x'.repeat(300)}` }));
  const [command = ''] = shown()[0]!.body.split('\n');
  assert.match(command, /^id\\x0a\\u\{202e\}gpj\.exe\\x1b\[2J x+…$/);
  assert.equal([...command].length, 120);
  assert.equal(shown()[0]!.body.split('\n').length, 2);
});

test('where the command is to be hidden it is nowhere', async () => {
  const { state, update, shown } = setUp();
  state.hides = true;
  await update(request(1));
  assert.doesNotMatch(JSON.stringify(shown()), /nginx/);
});

test('what the person has chosen not to be told of is not, and is not counted among those that wait', async () => {
  const { update, shown } = setUp();
  const [one, two, ...more] = [1, 2, 3, 4, 5].map((number) => request(number, { isTold: number > 2 }));
  await update(one!, two!);
  assert.deepEqual(shown(), []);
  await update(one!, two!, ...more);
  assert.equal(shown().length, 3);
  await update(one!, two!, ...more, request(6));
  assert.deepEqual(
    shown().map(({ title }) => title),
    ['4 requests wait'],
  );
});

test('each request is told once, whatever else changes', async () => {
  const { notes, update, shown } = setUp();
  await update(request(1));
  await update(request(1));
  await update(request(1), request(2));
  assert.equal(shown().length, 2);
  assert.equal(notes.last, 2);
  notes.putAway(1);
  await update(request(1), request(2));
  assert.equal(notes.last, 2, 'what was put away stays away');
});

test('decided elsewhere or over: it is taken back', async () => {
  const { update, shown } = setUp();
  await update(request(1), request(2));
  await update(request(2));
  assert.equal(shown().length, 1);
  await update();
  assert.deepEqual(shown(), []);
});

test('more than three become one, which keeps the count and goes when nothing waits', async () => {
  const { notes, acts, update, shown } = setUp();
  await update(request(1), request(2), request(3));
  assert.equal(shown().length, 3);
  const many = [1, 2, 3, 4].map((number) => request(number));
  await update(...many);
  assert.deepEqual(
    shown().map(({ title }) => title),
    ['4 requests wait'],
  );
  await update(...many, request(5));
  assert.deepEqual(
    shown().map(({ title }) => title),
    ['5 requests wait'],
  );
  const [number] = [...notes.shown.keys()];
  for (const key of ['default', 'deny', 'approve']) notes.press(number!, key);
  assert.deepEqual(acts, ['raise', 'raise', 'raise'], 'many are never decided by one click');
  await update(request(5));
  assert.deepEqual(
    shown().map(({ title }) => title),
    ['1 request waits'],
  );
  await update();
  assert.deepEqual(shown(), []);
});

test('Deny denies that request, Review shows it, and no other press does anything', async () => {
  const { notes, acts, update } = setUp();
  await update(request(1), request(2));
  notes.press(2, 'deny');
  notes.press(1, 'review');
  notes.press(1, 'default');
  assert.deepEqual(acts.splice(0), [
    `deny ${ORIGIN} ${request(2).id}`,
    `review ${ORIGIN} ${request(1).code}`,
    `review ${ORIGIN} ${request(1).code}`,
  ]);
  for (const key of ['approve', 'Approve', 'DENY', 'deny ', '', 'constructor', '__proto__']) notes.press(1, key);
  for (const number of [0, 3, -1, 99]) notes.press(number, 'deny');
  assert.deepEqual(acts, []);
});

test('a press on one that is settled does nothing', async () => {
  const { notes, acts, update } = setUp();
  await update(request(1));
  await update();
  notes.press(1, 'deny');
  notes.press(1, 'review');
  assert.deepEqual(acts, []);
});

test('who may not deny is not offered it', async () => {
  const { update, shown } = setUp();
  await update(request(1, { canDeny: false }));
  assert.ok(!shown()[0]!.actions.some(([key]) => key === 'deny'));
});

test('a Deny that did not come through is said', async () => {
  const { notes, update, shown } = setUp({ denies: false });
  await update(request(1));
  notes.press(1, 'deny');
  await new Promise(setImmediate);
  assert.ok(shown().some(({ title }) => title === 'ABCDEF-000001 was not denied'));
});

test('a Deny that nobody answered may have come through: neither is said', async () => {
  const { notes, update, shown } = setUp({ denies: null });
  await update(request(1));
  notes.press(1, 'deny');
  await new Promise(setImmediate);
  assert.ok(shown().some(({ title }) => title === 'No answer: whether ABCDEF-000001 was denied is not known'));
});

test('Deny that is pressed again before the server has answered denies once, and is not said to have failed', async () => {
  const answer = Promise.withResolvers<boolean>();
  const { notes, acts, update, shown } = setUp({ denies: answer.promise });
  await update(request(1));
  for (let presses = 0; presses < 3; presses++) notes.press(1, 'deny');
  assert.deepEqual(acts, [`deny ${ORIGIN} ${request(1).id}`]);
  answer.resolve(false);
  await new Promise(setImmediate);
  assert.equal(shown().filter(({ title }) => title.endsWith('was not denied')).length, 1);
  notes.press(1, 'deny');
  assert.equal(acts.length, 2, 'what was not denied can be tried again');
});

test('while paused nothing is shown, and nothing of it comes up afterwards; what was shown is still taken back', async () => {
  const { state, update, shown } = setUp();
  await update(request(1));
  state.paused = true;
  await update(request(1), request(2));
  assert.equal(shown().length, 1);
  await update(request(2));
  assert.deepEqual(shown(), []);
  state.paused = false;
  await update(request(2));
  assert.deepEqual(shown(), []);
  await update(request(2), request(3));
  assert.equal(shown().length, 1);
});

/** A desktop that refuses to show anything as long as it is told to. */
function setUpRefusing() {
  const { ports, notes } = fakePorts();
  const state = { refuses: true, hides: false };
  const { show } = ports.notifications;
  const notifications = createNotifications({
    port: { ...ports.notifications, show: (text) => (state.refuses ? Promise.reject(new Error('no')) : show(text)) },
    words: wordsFor('en'),
    language: 'en',
    now: () => NOW,
    isPaused: () => false,
    hidesCommand: () => state.hides,
    acts: { review() {}, raise() {}, deny: async () => true },
  });
  return {
    notes,
    state,
    update: (...pending: PendingRequest[]) =>
      notifications.update([{ profile: newProfile(ORIGIN, []), reach: 'live', pending }]),
  };
}

const settle = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

test('a desktop that refuses stops nothing, and what it did not show is shown with what comes next', async () => {
  const { notes, state, update } = setUpRefusing();
  await update(request(1));
  state.refuses = false;
  await update(request(1), request(2));
  assert.equal(notes.shown.size, 2);
});

test('a desktop that shows nothing yet, as at login, is asked again by itself while the request waits', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { notes, state, update } = setUpRefusing();
  await update(request(1), request(2));
  t.mock.timers.tick(35_000);
  await settle();
  assert.equal(notes.shown.size, 0);
  state.refuses = false;
  t.mock.timers.tick(35_000);
  await settle();
  assert.equal(notes.shown.size, 2);
  t.mock.timers.tick(350_000);
  await settle();
  assert.equal(notes.last, 2, 'what was shown is not shown again');
});

test('what was settled while the desktop showed nothing is not shown afterwards', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { notes, state, update } = setUpRefusing();
  await update(request(1));
  await update();
  state.refuses = false;
  t.mock.timers.tick(350_000);
  await settle();
  assert.equal(notes.last, 0);
});

test('many that the desktop did not show as one are shown once it does', async () => {
  const { notes, state, update } = setUpRefusing();
  state.refuses = false;
  await update(request(1));
  state.refuses = true;
  const many = [1, 2, 3, 4].map((number) => request(number));
  await update(...many);
  state.refuses = false;
  await update(...many);
  assert.deepEqual(
    [...notes.shown.values()].map(({ title }) => title),
    ['4 requests wait'],
  );
});

test('commands that are hidden from now on are hidden in what is shown already, in its place', async () => {
  const { notes, state, update, shown } = setUp();
  await update(request(1), request(2));
  notes.putAway(1);
  state.hides = true;
  await update(request(1), request(2));
  assert.equal(shown().length, 1, 'what was put away stays away');
  assert.equal(shown()[0]?.replaces, 2);
  assert.doesNotMatch(JSON.stringify(shown()), /nginx/);
  await update(request(1), request(2));
  assert.equal(notes.last, 2);
});
