import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import type { TestDesktopApp } from '../testing/test-browser.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson, testStranger } from '../testing/test-person.ts';

/** Who may call what: nobody without a session, users nothing of administrators, desktop sessions nothing that changes. */
describe('the procedures of the console', () => {
  const provider = createTestProvider();
  let t: TestApp;
  let host: TestHost;
  let alice: TestPerson;
  let olga: TestPerson;
  let nobody: TestPerson;
  /** A desktop session of the administrator. */
  let desktop: TestDesktopApp;
  before(async () => {
    t = await createTestApp({ app: { provider } });
    host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
    alice = await signInTestPerson(t.app, provider, t.clock, 'alice', { passkey: false });
    olga = await signInTestPerson(t.app, provider, t.clock, 'olga', { passkey: false, groups: ['admins'] });
    nobody = await testStranger(t.app, provider, t.clock);
    desktop = await olga.browser.desktopApp();
  });
  after(() => t.close());

  const id = '00000000-0000-4000-8000-000000000000';
  const LOOKS = ['hosts.list', 'people.list'];
  const CHANGES: [name: string, input: object][] = [
    ['hosts.createToken', { hostname: 'x.example.com' }],
    ['hosts.confirm', { hostId: id, fingerprint: 'A'.repeat(43) }],
    ['hosts.release', { hostId: id }],
    ['hosts.setGroup', { hostId: id, group: 'lab' }],
    ['hosts.revoke', { hostId: id }],
    ['people.createRecoveryCode', { personId: id }],
    ['people.confirmBinding', { account: 'alice', personId: id }],
    ['people.rejectBinding', { account: 'alice', personId: id }],
  ];

  for (const name of LOOKS) {
    test(`${name} is for administrators, to look at from anywhere`, async () => {
      assert.equal((await nobody.query(name)).refusal, 'not_signed_in');
      assert.equal((await alice.query(name)).refusal, 'forbidden');
      assert.equal((await desktop.query(name)).refusal, null);
      assert.equal((await olga.query(name)).refusal, null);
    });
  }

  for (const [name, input] of CHANGES) {
    test(`${name} is for administrators in a browser`, async () => {
      t.clock.advance(61_000);
      const { seq } = await t.app.events.head();
      assert.equal((await nobody.mutate(name, input)).refusal, 'not_signed_in');
      assert.equal((await alice.mutate(name, input)).refusal, 'forbidden');
      assert.equal((await desktop.mutate(name, input)).refusal, 'session_kind');
      assert.equal((await t.app.events.head()).seq, seq, 'nothing has happened');
      const { refusal } = await olga.mutate(name, input);
      assert.ok(!['not_signed_in', 'forbidden', 'session_kind', 'bad_request'].includes(String(refusal)), `${refusal}`);
    });
  }

  test('a desktop session sees and denies, and approves nothing', async () => {
    const challenge = await host.create();
    const inbox = await desktop.query<{ id: string }[]>('challenges.inbox');
    assert.deepEqual(
      inbox.data.map((view) => view.id),
      [challenge.challengeId],
    );
    const input = { challengeId: challenge.challengeId };
    assert.equal((await desktop.mutate('challenges.approve', input)).refusal, 'session_kind');
    assert.equal((await desktop.mutate('challenges.deny', { ...input, reason: 'no' })).refusal, null);
    const answer = await host.send('GET', `/challenges/${challenge.challengeId}?wait=0`);
    assert.equal(answer.body.status, 'denied');
  });

  test('without a session there is nothing to see at all', async () => {
    const queries = ['challenges.inbox', 'challenges.history', 'sessions.list', 'passkeys.list'];
    for (const name of queries) assert.equal((await nobody.query(name, {})).refusal, 'not_signed_in', name);
    assert.equal((await nobody.query('me.get')).data, null);
  });
});
