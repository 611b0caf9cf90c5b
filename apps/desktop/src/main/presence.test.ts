import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { wordsFor } from '../words/words.ts';
import { createPresence } from './presence.ts';
import type { Settings } from './settings.ts';
import { fakePorts } from './testing/fake-ports.ts';

const HOUR = 3_600_000;

async function setUp(t: TestContext, options: { full?: boolean; damaged?: boolean } = {}) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { ports, clock } = fakePorts();
  const notSaved: string[] = [];
  const unreadable: string[] = [];
  const refuse = () => Promise.reject(new Error('ENOSPC'));
  if (options.full) ports.autostart = { isOn: async () => false, set: refuse };
  const presence = createPresence({
    ports,
    file: {
      read: async (): Promise<Settings | null> => null,
      unreadable: () => (options.damaged ? '/home/alice/settings.json' : null),
      write: options.full ? refuse : async () => {},
      remove: async () => {},
    },
    words: wordsFor('en'),
    language: 'en',
    onAction: () => {},
    onChange: () => {},
    onNotSaved: () => void notSaved.push('told'),
    onUnreadable: (path) => void unreadable.push(path),
  });
  await presence.load();
  return { presence, clock, notSaved, unreadable };
}

test('an hour is an hour, also when the clock is set back meanwhile', async (t) => {
  const { presence, clock } = await setUp(t);
  presence.pause();
  clock.at -= 24 * HOUR;
  t.mock.timers.tick(HOUR - 1);
  assert.equal(presence.isPaused(), true);
  t.mock.timers.tick(1);
  assert.equal(presence.isPaused(), false);
});

test('an hour is over too when the computer slept through it: no timer ran', async (t) => {
  const { presence, clock } = await setUp(t);
  presence.pause();
  clock.at += HOUR;
  assert.equal(presence.isPaused(), false);
});

test('a setting that could not be written holds until the end, and the person is told', async (t) => {
  const { presence, notSaved } = await setUp(t, { full: true });
  await presence.toggle('hideCommand');
  assert.equal(presence.hidesCommand(), true);
  assert.equal(notSaved.length, 1);
  await presence.toggle('background');
  assert.equal(notSaved.length, 2);
  await presence.toggle('autostart');
  assert.equal(notSaved.length, 3);
  assert.deepEqual(presence.toggles().find(({ toggle }) => toggle === 'autostart')?.on, false);
});

test('settings that cannot be read: the person is told, and no command is shown that they may have hidden', async (t) => {
  const damaged = await setUp(t, { damaged: true });
  assert.deepEqual(damaged.unreadable, ['/home/alice/settings.json']);
  assert.equal(damaged.presence.hidesCommand(), true);
  t.mock.timers.reset();
  const fresh = await setUp(t);
  assert.deepEqual(fresh.unreadable, []);
  assert.equal(fresh.presence.hidesCommand(), false);
});
