import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { TEST_FOLDER } from '../db/test-postgres.ts';
import { runOn } from '../testing/run-command.ts';
import { createTestApp } from '../testing/test-app.ts';
import { createTestProvider, signInTestPerson } from '../testing/test-person.ts';
import { KINDS } from './create-channel.ts';
import { readEarlierFile } from './earlier-file.ts';
import type { StoredRoute } from './route-store.ts';

const TOKEN = 'tk_AgQdq7mVBoFD37zQVN29RhuMzNIz2';
const CHANNELS = {
  channels: [
    { name: 'ops', backend: 'slack', url: 'https://hooks.slack.com/services/T0/B0/x' },
    { name: 'on-call', backend: 'ntfy', url: 'https://ntfy.example.com/sudo', token: TOKEN, timeout: 5 },
    { name: 'script', backend: 'custom', command: 'logger identree' },
  ],
  routes: [
    { channels: ['ops'], events: ['challenge_created'], hosts: ['web*'], users: null },
    { channels: ['ops', 'on-call', 'gone'], events: [] },
    { channels: [], events: ['*'] },
  ],
};
const PREFERENCES = [
  { username: 'olga', channels: ['ops'], events: ['*'], hosts: [], enabled: true },
  { username: 'nobody', channels: [], events: [], hosts: [], enabled: false },
];

test('[N-13] channels, routes and preferences of the Go identree are taken over, once', async (t) => {
  const provider = createTestProvider();
  const s = await createTestApp({ app: { provider } });
  const folder = await mkdtemp(join(TEST_FOLDER, 'identree-import-'));
  t.after(async () => {
    await s.close();
    await rm(folder, { recursive: true, force: true });
  });
  const olga = await signInTestPerson(s.app, provider, s.clock, 'olga', { groups: ['admins'], passkey: false });
  const take = async (content: unknown) => {
    const file = join(folder, 'file.json');
    await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
    return runOn(['notify', 'import', file], s.config);
  };

  const first = await take(CHANNELS);
  assert.equal(first.code, 0, first.err);
  assert.match(first.out, /^Taken over: 3 channels and 2 routes\.$/m);
  assert.match(first.out, /token of on-call is not taken over.*Set IDENTREE_NOTIFY_CHANNEL_ON_CALL_TOKEN/);
  assert.match(first.out, /command of script is not taken over.*Set IDENTREE_NOTIFY_CHANNEL_SCRIPT_COMMAND/);
  assert.match(first.out, /time limit of on-call is not taken over/);
  assert.match(first.out, /a route names the channel gone, which is not there/);
  assert.match(first.out, /a route that names no channel told nobody/);
  const stored = JSON.stringify([await s.app.notify.configured.list(), await s.app.events.read(0, 1000)]);
  assert.ok(!stored.includes(TOKEN) && !first.out.includes(TOKEN));
  const channels = (await s.app.notify.configured.list()).map(({ name, kind, settings }) => [name, kind, settings]);
  assert.deepEqual(channels, [
    ['on-call', 'ntfy', { url: 'https://ntfy.example.com/', topic: 'sudo' }],
    ['ops', 'slack', { url: 'https://hooks.slack.com/services/T0/B0/x' }],
    ['script', 'custom', {}],
  ]);
  // Each is one that its kind takes, once its secret is there.
  for (const { kind, settings } of await s.app.notify.configured.list())
    assert.equal(KINDS[kind].settings.safeParse(settings).success, true, kind);
  const routes = (await s.app.notify.routes.list()) as StoredRoute[];
  const rules = routes.map(({ rule }) => [rule.channels, rule.events, rule.hosts, rule.users].map(String).join(' | '));
  // Empty means all, as it did there.
  assert.deepEqual(rules.sort(), ['ops | challenge_created | web* | ', 'ops,on-call |  |  | ']);

  const again = await take(CHANNELS);
  assert.match(again.out, /^Taken over: 0 channels and 0 routes\.$/m);
  assert.match(again.out, /the channel ops: there is a channel "ops" already/);

  const people = await take(PREFERENCES);
  assert.match(people.out, /^Taken over: what 1 person had chosen\.$/m);
  assert.match(people.out, /nobody has not signed in yet/);
  const chosen = (await olga.query<Record<string, unknown>>('notify.preferences.get')).data;
  assert.deepEqual([chosen.chosen, chosen.channels, chosen.events, chosen.others], [true, ['ops'], ['*'], true]);
  assert.match((await take(PREFERENCES)).out, /olga has chosen already/);

  for (const bad of [
    '{',
    '{"channels":[{"name":"A B","backend":"slack"}]}',
    '{"channels":[{"name":"a","backend":"fax"}]}',
  ]) {
    const { code, err } = await take(bad);
    assert.equal(code, 1, bad);
    assert.ok(err.length > 0);
  }
});

test('[N-13] a pattern of the Go identree that cannot be read is said, and nothing is taken over without it', () => {
  const read = readEarlierFile(JSON.stringify({ channels: [], routes: [{ channels: ['ops'], hosts: ['web['] }] }));
  assert.ok(!read.ok && /not a readable pattern/.test(read.problem));
});
