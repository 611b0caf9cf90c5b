import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { kysely } from '../db/query.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { type DirectorySite, openDirectorySite } from '../testing/test-directory.ts';
import { enrolTestHost } from '../testing/test-host.ts';
import type { TestPerson } from '../testing/test-person.ts';

/** Whose account it is where a directory serves people: the directory says it, however somebody signs in. */

const plain = { passkey: false };
const accountsOf = async (person: TestPerson): Promise<string[]> =>
  (await person.query<{ accounts: string[] }>('me.get')).data.accounts;
const eventsNamed = async (site: DirectorySite, name: string) =>
  (await site.app.events.read(0, 1000)).filter(({ event }) => event === name);

interface Listed {
  id: string;
  subject: string;
  accounts: string[];
  claims: { account: string; owner: { id: string | null; subject: string } }[];
}
async function adminOf(site: DirectorySite) {
  const admin = await site.signIn('an-admin', { ...plain, groups: ['admins'] });
  const list = async () => (await admin.query<Listed[]>('people.list')).data;
  const decide = (what: 'confirmBinding' | 'rejectBinding', account: string, personId: string) =>
    admin.mutate(`people.${what}`, { account, personId });
  return { list, decide };
}

forEachDriver('where a directory serves people, an account', (driver) => {
  test('is of whom the directory means, under whatever name they sign in', async (t) => {
    const site = await openDirectorySite(t, [{ id: 'sub-mira', username: 'Mira' }], { driver });
    for (const name of ['Mira', 'mira', 'mira@example.com', 'ＭＩＲＡ', 'another-name']) {
      const mira = await site.signIn(name, { ...plain, subject: 'sub-mira' });
      assert.deepEqual(await accountsOf(mira), ['mira'], name);
    }
    assert.deepEqual(await eventsNamed(site, 'account_bound'), [], 'and no name is bound to her besides');
    assert.deepEqual(await eventsNamed(site, 'account_binding_held'), []);
  });

  test('is of nobody who signs in under its name, in whatever letters', async (t) => {
    const site = await openDirectorySite(t, [{ id: 'sub-mira', username: 'Mira' }], { driver });
    const { list } = await adminOf(site);
    for (const [n, name] of ['mira', 'Mira', 'MIRA', 'ｍｉｒａ'].entries()) {
      const stranger = await site.signIn(name, { ...plain, subject: `stranger ${n}` });
      assert.deepEqual(await accountsOf(stranger), [], name);
      const held = (await eventsNamed(site, 'account_binding_held')).at(-1);
      assert.deepEqual([held?.username, held?.data.subject], ['mira', `stranger ${n}`]);
      const { claims } = (await list()).find(({ subject }) => subject === `stranger ${n}`)!;
      assert.deepEqual(
        claims.map(({ account, owner }) => [account, owner.id, owner.subject]),
        [['mira', null, 'sub-mira']],
      );
    }
    await site.signIn('ｍｉｒａ', { ...plain, subject: 'stranger 3' });
    assert.equal((await eventsNamed(site, 'account_binding_held')).length, 4, 'one claim, one event');
    const mira = await site.signIn('Mira', { ...plain, subject: 'sub-mira' });
    assert.deepEqual(await accountsOf(mira), ['mira']);
  });

  test('is of no twin in other letters either where names are taken as they are: that is a claim, seen and decided', async (t) => {
    const env = { IDENTREE_LDAP_USERNAME_POLICY: 'strict' };
    const site = await openDirectorySite(t, [{ id: 'sub-mira', username: 'mira' }], { driver, env });
    const { list, decide } = await adminOf(site);
    for (const [n, name] of ['Mira', 'ｍｉｒａ'].entries()) {
      const twin = await site.signIn(name, { ...plain, subject: `twin ${n}` });
      await site.signIn(name, { ...plain, subject: `twin ${n}` });
      assert.deepEqual(await accountsOf(twin), [], name);
      const held = await eventsNamed(site, 'account_binding_held');
      assert.deepEqual([held.length, held[n]?.username, held[n]?.data.subject], [n + 1, 'mira', `twin ${n}`]);
    }
    const { id, claims } = (await list()).find(({ subject }) => subject === 'twin 1')!;
    assert.deepEqual(
      claims.map(({ account, owner }) => [account, owner.subject]),
      [['mira', 'sub-mira']],
    );
    assert.equal((await decide('rejectBinding', 'mira', id)).refusal, null);
    for (const name of ['Zoe', 'Root', 'no name']) await site.signIn(name, { ...plain, subject: name });
    assert.equal((await eventsNamed(site, 'account_binding_held')).length, 2, 'nobody has those');
    const bound = (await eventsNamed(site, 'account_bound')).map(({ username }) => username);
    assert.deepEqual(bound, ['an-admin']);
    const mira = await site.signIn('MIRA', { ...plain, subject: 'sub-mira' });
    assert.deepEqual(await accountsOf(mira), ['mira']);
  });

  test('changes hands in one step with a rename, and stays where it is from then on', async (t) => {
    const site = await openDirectorySite(t, [{ id: 'first', username: 'zoe' }], { driver });
    const after = [
      { id: 'first', username: 'mira' },
      { id: 'second', username: 'zoe' },
    ];
    await site.serve(after);
    await site.confirmHolds();
    await site.serve(after);
    const [first, second] = [
      await site.signIn('zoe', { ...plain, subject: 'first' }),
      await site.signIn('mira', { ...plain, subject: 'second' }),
    ];
    assert.deepEqual([await accountsOf(first), await accountsOf(second)], [['mira'], ['zoe']]);
    assert.equal(site.app.directory!.directory.status().problem, null);
  });

  test('goes to a claimant when an administrator says so, and back when they say that', async (t) => {
    const site = await openDirectorySite(t, [{ id: 'sub-mira', username: 'mira' }], { driver });
    const { list, decide } = await adminOf(site);
    const mira = await site.signIn('mira', { ...plain, subject: 'sub-mira' });
    const other = await site.signIn('mira', { ...plain, subject: 'her new account' });
    const idOf = async (subject: string) => (await list()).find((person) => person.subject === subject)!.id;
    assert.equal((await decide('confirmBinding', 'mira', await idOf('her new account'))).refusal, null);
    assert.deepEqual([await accountsOf(mira), await accountsOf(other)], [[], ['mira']]);

    const again = await site.signIn('mira', { ...plain, subject: 'sub-mira' });
    assert.deepEqual(await accountsOf(again), []);
    assert.equal((await decide('confirmBinding', 'mira', await idOf('sub-mira'))).refusal, null);
    assert.deepEqual([await accountsOf(again), await accountsOf(other)], [['mira'], []]);
  });

  test('that was bound before the directory was asked stays until its person signs in', async (t) => {
    const site = await openDirectorySite(t, [{ id: 'object-7', username: 'mira' }], { driver });
    const before = await site.signIn('mira', { ...plain, subject: 'who had it' });
    assert.deepEqual(await accountsOf(before), []);
    const { id } = await kysely(site.app.db.query)
      .selectFrom('people')
      .select('id')
      .where('subject', '=', 'who had it')
      .executeTakeFirstOrThrow();
    // As an installation has it that never asked its directory.
    await site.app.db.transaction((work) =>
      kysely(work.query)
        .insertInto('account_bindings')
        .values({ account: 'mira', person_id: id, created_at: 1 } as never)
        .execute(),
    );
    assert.deepEqual(await accountsOf(before), ['mira']);
    const stranger = await site.signIn('mira', { ...plain, subject: 'a stranger' });
    assert.deepEqual([await accountsOf(before), await accountsOf(stranger)], [['mira'], []]);
    const { list } = await adminOf(site);
    const { claims } = (await list()).find(({ subject }) => subject === 'a stranger')!;
    assert.deepEqual(
      claims.map(({ owner }) => owner.id),
      [id],
    );
    const mira = await site.signIn('mira', { ...plain, subject: 'object-7' });
    assert.deepEqual([await accountsOf(before), await accountsOf(mira)], [[], ['mira']]);
  });
});

describe('where a directory serves people, an account', () => {
  test('is given to no claimant when it has become somebody else’s since an administrator looked', async (t) => {
    const site = await openDirectorySite(t, [{ id: 'first', username: 'mira' }]);
    const { list, decide } = await adminOf(site);
    const claimant = await site.signIn('mira', { ...plain, subject: 'claimant' });
    const { id } = (await list()).find(({ subject }) => subject === 'claimant')!;
    await site.serve([{ id: 'second', username: 'mira' }]);
    await site.confirmHolds();
    const second = await site.signIn('whatever', { ...plain, subject: 'second' });
    assert.deepEqual(await accountsOf(second), ['mira']);
    assert.equal((await decide('confirmBinding', 'mira', id)).refusal, 'not_found');
    assert.deepEqual([await accountsOf(claimant), await accountsOf(second)], [[], ['mira']]);
    assert.equal((await decide('rejectBinding', 'mira', id)).refusal, null);
    assert.deepEqual(
      (await list()).flatMap(({ claims }) => claims),
      [],
    );
  });

  test('of somebody who has left it is nobody’s, and theirs again when they are back', async (t) => {
    const people = [
      { id: 'sub-mira', username: 'mira' },
      { id: 'sub-bob', username: 'bob' },
    ];
    const site = await openDirectorySite(t, people);
    await site.serve([people[1]!]);
    const mira = await site.signIn('mira', { ...plain, subject: 'sub-mira' });
    const stranger = await site.signIn('mira', { ...plain, subject: 'a stranger' });
    assert.deepEqual([await accountsOf(mira), await accountsOf(stranger)], [[], []]);
    await site.serve(people);
    assert.deepEqual([await accountsOf(mira), await accountsOf(stranger)], [['mira'], []]);
  });

  test('that an administrator gave to somebody while nobody had it is its owner’s again when they are back', async (t) => {
    const people = [
      { id: 'sub-mira', username: 'mira' },
      { id: 'sub-bob', username: 'bob' },
    ];
    const site = await openDirectorySite(t, people, { env: { IDENTREE_DIRECTORY_GUARD_BINDINGS: 'publish' } });
    const { list, decide } = await adminOf(site);
    await site.serve([people[1]!]);
    const other = await site.signIn('mira', { ...plain, subject: 'other' });
    const { id } = (await list()).find(({ subject }) => subject === 'other')!;
    assert.equal((await decide('confirmBinding', 'mira', id)).refusal, null);
    assert.deepEqual(await accountsOf(other), ['mira']);
    await site.serve(people);
    const mira = await site.signIn('mira', { ...plain, subject: 'sub-mira' });
    assert.deepEqual([await accountsOf(mira), await accountsOf(other)], [['mira'], []]);
  });

  test('follows a rename when it is let through, and not before', async (t) => {
    const site = await openDirectorySite(t, [{ id: 'sub-mira', username: 'mira' }]);
    const mira = await site.signIn('mia', { ...plain, subject: 'sub-mira' });
    await site.serve([{ id: 'sub-mira', username: 'mia' }]);
    assert.deepEqual(await accountsOf(mira), ['mira']);
    await site.confirmHolds();
    assert.deepEqual(await accountsOf(mira), ['mia']);
  });

  test('keeps its capital letters where they are served', async (t) => {
    const env = { IDENTREE_LDAP_USERNAME_POLICY: 'preserve' };
    const site = await openDirectorySite(t, [{ id: 'sub-mira', username: 'Mira' }], { env });
    const mira = await site.signIn('mira', { ...plain, subject: 'sub-mira' });
    const stranger = await site.signIn('mira', { ...plain, subject: 'a stranger' });
    assert.deepEqual([await accountsOf(mira), await accountsOf(stranger)], [['Mira'], []]);
  });

  test('is of who the issuer says, with or without a slash at its end', async (t) => {
    const env = { IDENTREE_OIDC_ISSUER_URL: 'https://idp.example.com/' };
    const site = await openDirectorySite(t, [{ id: 'sub-mira', username: 'mira' }], { env });
    const mira = await site.signIn('mira', { ...plain, subject: 'sub-mira' });
    assert.deepEqual(await accountsOf(mira), ['mira']);
    await site.serve([{ id: 'sub-mira', username: 'mira', disabled: true }]);
    assert.equal((await mira.query('sessions.list')).refusal, 'not_signed_in', 'a leaver is signed out');
    await assert.rejects(site.signIn('mira', { ...plain, subject: 'sub-mira' }), /403/);
  });

  test('is found by another claim than the subject where the source has no subjects', async (t) => {
    const env = { IDENTREE_OIDC_USER_ID_CLAIM: 'oid' };
    const site = await openDirectorySite(t, [{ id: 'object-1', username: 'mira' }], { env });
    const by = (claim: string) => ({ ...plain, sourceId: { claim, value: 'object-1' } });
    const mira = await site.signIn('mira@example.com', { ...by('oid'), subject: 'pairwise 1' });
    assert.deepEqual(await accountsOf(mira), ['mira']);
    const other = await site.signIn('mira', { ...by('nickname'), subject: 'pairwise 2' });
    assert.deepEqual(await accountsOf(other), [], 'what another claim said is not that');
    const third = await site.signIn('mira', { ...plain, subject: 'object-1' });
    assert.deepEqual(await accountsOf(third), [], 'and neither is the subject');
    await site.serve([{ id: 'object-1', username: 'mira', disabled: true }]);
    assert.equal((await mira.query('sessions.list')).refusal, 'not_signed_in');
    assert.equal((await other.query('sessions.list')).refusal, null);
  });
});

test('whom a SCIM client pushed without saying what they sign in as is nobody, until an administrator says who', async (t) => {
  const site = await openDirectorySite(t, [], { env: { IDENTREE_DIRECTORY_SOURCE: 'scim' } });
  const { scim, directory } = site.app.directory!;
  const client = { name: 'idp', issuer: 'https://idp.example.com', sudo: false, days: 30 };
  const { token } = await scim.createClient(client, { username: 'x', remoteAddr: null });
  const send = async (method: 'POST' | 'PUT', path: string, body: object) => {
    const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/scim+json' };
    const schemas = ['urn:ietf:params:scim:schemas:core:2.0:User'];
    const payload = JSON.stringify({ schemas, userName: 'mira', ...body });
    // The directory follows the log as well, and began to before.
    const followed = new Promise<void>((resolve) => {
      site.app.events.follow(({ event }) => event === 'scim_resource_changed' && resolve());
    });
    const answer = await site.app.http.inject({ method, url: `/scim/v2/Users${path}`, headers, payload });
    assert.ok(answer.statusCode < 300, answer.body);
    await followed;
    await directory.settled();
    return answer.json() as { id: string };
  };
  const { id } = await send('POST', '', {});
  const { list, decide } = await adminOf(site);
  const mira = await site.signIn('mira', { ...plain, subject: 'sub-mira' });
  assert.deepEqual(await accountsOf(mira), []);
  const [waiting] = (await list()).filter(({ claims }) => claims.length > 0);
  assert.equal((await decide('confirmBinding', 'mira', waiting!.id)).refusal, null);
  assert.deepEqual(await accountsOf(mira), ['mira']);

  // Once the client says it, that counts and nothing else.
  await send('PUT', `/${id}`, { externalId: 'sub-of-another' });
  await site.confirmHolds();
  const other = await site.signIn('whatever', { ...plain, subject: 'sub-of-another' });
  assert.deepEqual([await accountsOf(mira), await accountsOf(other)], [[], ['mira']]);
});

test('administrators are told when nobody who signs in is anybody whom the source knows', async (t) => {
  const site = await openDirectorySite(t, [{ id: 'object-1', username: 'mira' }]);
  const admin = await site.signIn('an-admin', { ...plain, groups: ['admins'] });
  const lints = async () =>
    (await admin.query<{ code: string; subject: string }[]>('directory.lints')).data.map(({ code }) => code);
  assert.deepEqual(await lints(), [], 'an administrator who is not in the directory says nothing about it');
  await site.signIn('mira@example.com', { ...plain, subject: 'pairwise' });
  assert.deepEqual(await lints(), ['nobody_linked']);
  const { data } = await admin.query<{ lintCount: number }>('directory.status');
  assert.equal(data.lintCount, 1);
  await site.signIn('mira', { ...plain, subject: 'object-1' });
  assert.deepEqual(await lints(), []);
});

test('an event about a person is for that person, and for nobody of the same name', async (t) => {
  const site = await openDirectorySite(t, [{ id: 'sub-mira', username: 'mira' }]);
  const mira = await site.signIn('mira', { ...plain, subject: 'sub-mira' });
  const { maySeeEvent } = await import('../events/feed.ts');
  const [event] = await eventsNamed(site, 'user_logged_in');
  const viewerOf = (person: TestPerson) =>
    site.app.callers.resolver.resolve({ cookie: person.cookie, authorization: undefined, remoteAddr: '192.0.2.1' });
  const stranger = await site.signIn('mira', { ...plain, subject: 'a stranger' });
  assert.equal(maySeeEvent((await viewerOf(mira))!, event!), true);
  assert.equal(maySeeEvent((await viewerOf(stranger))!, event!), false);
});

test('what waits under a name is denied when its person is renamed: whoever has the name next would decide it', async (t) => {
  const env = { IDENTREE_DIRECTORY_GUARD_BINDINGS: 'publish', IDENTREE_LDAP_NAME_QUARANTINE: '0s' };
  const site = await openDirectorySite(t, [{ id: 'sub-mira', username: 'mira' }], { env });
  const host = await enrolTestHost(site.app, site.clock, 'web1.example.com');
  const ask = async (user: string) => (await host.create(host.record({ user }))).challengeId;
  const mira = await site.signIn('mira', { ...plain, subject: 'sub-mira' });
  const [hers, elses] = [await ask('mira'), await ask('elsewhere')];
  const statusOf = async (id: string) =>
    (await kysely(site.app.db.query).selectFrom('challenges').select('status').where('id', '=', id).executeTakeFirst())
      ?.status;
  await site.serve([
    { id: 'sub-mira', username: 'mia' },
    { id: 'sub-other', username: 'mira' },
  ]);
  const other = await site.signIn('other', { ...plain, subject: 'sub-other' });
  assert.deepEqual([await accountsOf(mira), await accountsOf(other)], [['mia'], ['mira']]);
  assert.deepEqual([await statusOf(hers), await statusOf(elses)], ['denied', 'pending']);
  // Hers are still hers, and they are not ended again.
  const again = await ask('mia');
  await site.serve([
    { id: 'sub-mira', username: 'mia' },
    { id: 'sub-other', username: 'mira' },
    { id: 'sub-third', username: 'third' },
  ]);
  assert.equal(await statusOf(again), 'pending');
});

test('a request is seen and decided by whom the directory means, and counts as theirs in policies', async (t) => {
  const site = await openDirectorySite(t, [{ id: 'sub-mira', username: 'Mira' }]);
  const host = await enrolTestHost(site.app, site.clock, 'web1.example.com');
  const mira = await site.signIn('mira@example.com', { ...plain, subject: 'sub-mira', groups: ['staff'] });
  const stranger = await site.signIn('mira', { ...plain, subject: 'a stranger' });
  const asked = await host.create(host.record({ user: 'mira' }));
  const seen = async (person: TestPerson) =>
    (await person.query<{ userDisplayName: string }>('challenges.get', { code: asked.userCode })).refusal;
  assert.deepEqual([await seen(mira), await seen(stranger)], [null, 'not_found']);
  const owner = await site.app.callers.accounts.ownerOf(site.app.db.query, 'mira');
  assert.deepEqual(owner?.groups, ['staff']);
  assert.equal((await mira.mutate('challenges.deny', { challengeId: asked.challengeId, reason: null })).refusal, null);
});
