import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kysely } from '../db/query.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { createTestSite, identity, type TestSite } from '../testing/test-site.ts';

interface ListedPerson {
  id: string;
  username: string;
  subject: string;
  accounts: string[];
  claims: { account: string; owner: { username: string } }[];
}

async function adminOf(site: TestSite) {
  const admin = site.browser('192.0.2.99');
  await admin.signIn(identity('root-admin', { groups: ['admins'] }));
  const list = async () => (await admin.query('people.list')).data as ListedPerson[];
  return { admin, list };
}

forEachDriver('a Linux account', (driver) => {
  test('that is somebody else’s is not given to a newcomer of that name', async (t) => {
    const site = await createTestSite(t, { driver });
    const [alice, impostor] = [site.browser(), site.browser()];
    await alice.signIn(identity('alice'));
    await impostor.signIn(identity('alice', { subject: 'recycled name' }));
    assert.deepEqual((await alice.me())?.accounts, ['alice']);
    assert.deepEqual((await impostor.me())?.accounts, []);
    const [held] = await site.eventsNamed('account_binding_held');
    assert.equal(held?.username, 'alice');
    assert.equal(held?.data.subject, 'recycled name');
    await impostor.signIn(identity('alice', { subject: 'recycled name' }), '?step_up=1');
    assert.equal((await site.eventsNamed('account_binding_held')).length, 1, 'one claim, one event');
  });

  test('moves when an administrator confirms it', async (t) => {
    const site = await createTestSite(t, { driver });
    const { admin, list } = await adminOf(site);
    const [before, after] = [site.browser(), site.browser()];
    await before.signIn(identity('alice'));
    await after.signIn(identity('alice', { subject: 'new employee' }));
    const claimant = (await list()).find(({ subject }) => subject === 'new employee')!;
    assert.equal(claimant.claims[0]?.account, 'alice');
    assert.equal(
      (await admin.mutate('people.confirmBinding', { account: 'alice', personId: claimant.id })).refusal,
      null,
    );
    assert.deepEqual((await before.me())?.accounts, []);
    assert.deepEqual((await after.me())?.accounts, ['alice']);
    const moved = (await site.eventsNamed('account_bound')).at(-1);
    assert.equal(moved?.actor, 'root-admin');
    assert.equal(moved?.data.subject, 'new employee');
    assert.equal(
      (await admin.mutate('people.confirmBinding', { account: 'alice', personId: claimant.id })).refusal,
      'not_found',
    );
  });

  test('stays when an administrator rejects the claim', async (t) => {
    const site = await createTestSite(t, { driver });
    const { admin, list } = await adminOf(site);
    const [alice, impostor] = [site.browser(), site.browser()];
    await alice.signIn(identity('alice'));
    await impostor.signIn(identity('alice', { subject: 'impostor' }));
    const claimant = (await list()).find(({ subject }) => subject === 'impostor')!;
    assert.equal(
      (await admin.mutate('people.rejectBinding', { account: 'alice', personId: claimant.id })).refusal,
      null,
    );
    assert.deepEqual((await alice.me())?.accounts, ['alice']);
    assert.deepEqual((await impostor.me())?.accounts, []);
    assert.deepEqual(
      (await list()).flatMap(({ claims }) => claims),
      [],
    );
    assert.equal((await site.eventsNamed('account_binding_rejected')).at(-1)?.actor, 'root-admin');
  });

  test('is not confirmed for a claimant other than the one that the administrator saw', async (t) => {
    const site = await createTestSite(t, { driver });
    const { admin, list } = await adminOf(site);
    await site.browser().signIn(identity('alice'));
    await site.browser().signIn(identity('alice', { subject: 'first claimant' }));
    const seen = (await list()).find(({ subject }) => subject === 'first claimant')!;
    await site.browser().signIn(identity('alice', { subject: 'second claimant' }));
    assert.equal(
      (await admin.mutate('people.confirmBinding', { account: 'alice', personId: seen.id })).refusal,
      'not_found',
    );
  });

  test('cannot be confirmed by somebody who is no administrator', async (t) => {
    const site = await createTestSite(t, { driver });
    const mallory = site.browser();
    await site.browser().signIn(identity('alice'));
    await mallory.signIn(identity('alice', { subject: 'mallory' }));
    const row = await kysely(site.db.query).selectFrom('account_claims').select('person_id').executeTakeFirstOrThrow();
    const input = { account: 'alice', personId: row.person_id };
    assert.equal((await mallory.mutate('people.confirmBinding', input)).refusal, 'forbidden');
    assert.equal((await mallory.mutate('people.rejectBinding', input)).refusal, 'forbidden');
    assert.deepEqual((await mallory.me())?.accounts, []);
  });

  test('is kept by a person who is renamed; the new name comes along when it is free', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signIn(identity('alice'));
    await site.browser().signIn(identity('bob'));
    await browser.signIn(identity('alice2', { subject: 'subject of alice' }), '?step_up=1');
    assert.deepEqual((await browser.me())?.accounts, ['alice', 'alice2']);
    await browser.signIn(identity('bob', { subject: 'subject of alice' }), '?step_up=1');
    assert.deepEqual((await browser.me())?.accounts, ['alice', 'alice2']);
    assert.equal((await site.eventsNamed('account_binding_held')).length, 1);
  });

  test('differs from another one by more than case and width, or it has one owner', async (t) => {
    const site = await createTestSite(t, { driver });
    const alice = site.browser();
    await alice.signIn(identity('alice'));
    for (const [n, name] of ['Alice', 'ALICE', 'ａｌｉｃｅ'].entries()) {
      const twin = site.browser();
      await twin.signIn(identity(name, { subject: `twin ${n}` }));
      assert.deepEqual((await twin.me())?.accounts, [], name);
      assert.equal((await site.eventsNamed('account_binding_held')).length, n + 1);
    }
    await alice.signIn(identity('Alice', { subject: 'subject of alice' }), '?step_up=1');
    assert.deepEqual((await alice.me())?.accounts, ['Alice', 'alice'], 'both are hers');
  });

  test('is bound once when twins sign in at the same time', async (t) => {
    const site = await createTestSite(t, { driver });
    const names = ['alice', 'Alice', 'aLICE', 'alicE'];
    const browsers = names.map((_, i) => site.browser(`192.0.2.${i}`));
    const states = await Promise.all(browsers.map((browser) => browser.beginSignIn()));
    let next = 0;
    site.provider.exchange = async () => {
      const name = names[next++]!;
      return { ok: true, identity: identity(name, { subject: `subject of ${name}` }) };
    };
    await Promise.all(
      browsers.map((browser, i) => browser.get(`/callback?code=c&state=${encodeURIComponent(states[i]!)}`)),
    );
    const owners = await Promise.all(browsers.map(async (browser) => (await browser.me())?.accounts.length));
    assert.deepEqual(owners.sort(), [0, 0, 0, 1]);
    assert.deepEqual(site.problems, []);
  });

  test('named root is bound to nobody', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signIn(identity('root'));
    assert.deepEqual((await browser.me())?.accounts, []);
    assert.deepEqual(await site.eventNames(), ['user_logged_in']);
  });

  test('is bound once when two people of that name sign in at the same time', async (t) => {
    const site = await createTestSite(t, { driver });
    const browsers = [1, 2, 3, 4].map((i) => site.browser(`192.0.2.${i}`));
    const states = await Promise.all(browsers.map((browser) => browser.beginSignIn()));
    let next = 0;
    site.provider.exchange = async () => ({ ok: true, identity: identity('alice', { subject: `claimant ${next++}` }) });
    await Promise.all(
      browsers.map((browser, i) => browser.get(`/callback?code=c&state=${encodeURIComponent(states[i]!)}`)),
    );
    assert.equal((await site.eventsNamed('account_bound')).length, 1);
    const owners = await Promise.all(browsers.map(async (browser) => (await browser.me())?.accounts.length));
    assert.deepEqual(owners.sort(), [0, 0, 0, 1]);
    assert.deepEqual(site.problems, []);
  });
});

test('with localpart the account of an address is what stands before the @, also where hosts have people from elsewhere', async (t) => {
  const site = await createTestSite(t, {
    env: {
      IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com',
      IDENTREE_DIRECTORY_SOURCE: 'none',
      IDENTREE_LDAP_USERNAME_POLICY: 'localpart',
    },
  });
  const [alice, stranger] = [site.browser(), site.browser()];
  await alice.signIn(identity('Alice@example.com'));
  assert.deepEqual((await alice.me())?.accounts, ['alice']);
  await stranger.signIn(identity('alice@another.example'));
  assert.deepEqual((await stranger.me())?.accounts, []);
  assert.equal((await site.eventsNamed('account_binding_held')).length, 1);
});
