import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { describe, it, type TestContext, test } from 'node:test';
import type { EventName } from '#shared/events.ts';
import type { Identity } from '../auth/identity-provider.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { enrolTestHost } from '../testing/test-host.ts';
import { createTestSite } from '../testing/test-site.ts';
import type { Kept } from './keeping.ts';
import type { RevealRequest } from './reveal-request-store.ts';
import { isOnePerson, REVEAL_REQUEST_MS, type WaitingReveal, whyNotConfirmed, whyNotShown } from './second-person.ts';

const ENV = {
  IDENTREE_ESCROW_BACKEND: 'local',
  IDENTREE_ESCROW_ENCRYPTION_KEY: randomBytes(32).toString('hex'),
  IDENTREE_ESCROW_HKDF_SALT: randomBytes(32).toString('hex'),
  IDENTREE_BREAKGLASS_SECOND_PERSON: 'true',
};
const PASSWORD = 'otter-maple-violin-cactus';
const REASON = 'the network of the branch is down';

/** Two administrators with passkeys, and a host whose password is kept. */
async function world(t: TestContext, driver: 'sqlite' | 'postgres') {
  const site = await createTestSite(t, { driver, env: ENV });
  const host = await enrolTestHost(site.app, site.clock, 'web1.example.com');
  const admin = async (name: string, more: Partial<Identity> = {}) => {
    const browser = site.browser();
    await browser.signInFresh(name, { groups: ['admins'], ...more });
    return { browser, passkey: await browser.firstPasskey(site.authenticator()) };
  };
  type Admin = Awaited<ReturnType<typeof admin>>;
  const [dana, erin] = [await admin('dana'), await admin('erin')];
  await host.send('POST', '/break-glass/escrow', {
    id: randomUUID(),
    type: 'random',
    createdAt: site.clock.now(),
    password: PASSWORD,
  });
  const about = { hostId: host.id, reason: REASON };
  const ask = async (who: Admin, change: object = {}) =>
    (await who.browser.mutate<{ id: string }>('breakGlass.askReveal', { ...about, ...change })).data?.id ?? '';
  async function confirm(who: Admin, id: string, by = who.passkey) {
    const asked = await who.browser.mutate('breakGlass.confirmRevealOptions', { id });
    if (asked.refusal !== null) return asked.refusal;
    const assertion = by.assert(asked.data as never);
    return (await who.browser.mutate('breakGlass.confirmReveal', { id, assertion })).refusal;
  }
  async function reveal(who: Admin, change: object = {}) {
    const asked = await who.browser.mutate('breakGlass.revealOptions', { ...about, ...change });
    if (asked.refusal !== null) return asked.refusal;
    const assertion = who.passkey.assert(asked.data as never);
    const shown = await who.browser.mutate<Kept[]>('breakGlass.reveal', { ...about, ...change, assertion });
    return shown.refusal ?? shown.data?.[0]?.password;
  }
  const waiting = async (who: Admin) =>
    (await who.browser.query<{ waiting: WaitingReveal[] }>('breakGlass.list')).data?.waiting;
  const happened = async (event: EventName) => (await site.events.read(0, 1000)).filter((one) => one.event === event);
  return { site, host, admin, dana, erin, about, ask, confirm, reveal, waiting, happened };
}

forEachDriver('a second person for a break-glass password', (driver) => {
  test('it is shown once another administrator has said yes, and each step is an event', async (t) => {
    const w = await world(t, driver);
    assert.equal(await w.reveal(w.dana), 'second_person_required');
    const id = await w.ask(w.dana);
    assert.equal(await w.reveal(w.dana), 'second_person_required', 'asking alone shows nothing');
    const [waits] = (await w.waiting(w.erin)) ?? [];
    assert.deepEqual(
      [waits?.id, waits?.askedBy, waits?.reason, waits?.own, waits?.confirmedBy],
      [id, 'dana', REASON, false, null],
    );
    assert.equal(await w.confirm(w.erin, id), null);
    assert.deepEqual(
      (await w.waiting(w.dana))?.map(({ own, confirmedBy }) => [own, confirmedBy]),
      [[true, 'erin']],
    );
    assert.equal(await w.reveal(w.dana), PASSWORD);
    assert.deepEqual(await w.waiting(w.erin), []);
    const steps = ['breakglass_reveal_requested', 'breakglass_reveal_confirmed', 'revealed_breakglass'] as const;
    const told = [];
    for (const step of steps) told.push(...(await w.happened(step)));
    assert.deepEqual(
      told.map(({ actor, reason, hostname, data }) => [actor, reason, hostname, data.request]),
      ['dana', 'erin', 'dana'].map((actor) => [actor, REASON, 'web1.example.com', id]),
    );
    assert.equal(told[2]?.data.confirmedBy, 'erin');
    assert.ok(!JSON.stringify([told, w.site.logged]).includes(PASSWORD));
  });

  test('two answers at once show it once', async (t) => {
    const w = await world(t, driver);
    await w.confirm(w.erin, await w.ask(w.dana));
    const asked = await Promise.all(
      [1, 2, 3].map(() => w.dana.browser.mutate('breakGlass.revealOptions', { ...w.about })),
    );
    const answers = await Promise.all(
      asked.map(({ data }) => {
        const assertion = w.dana.passkey.assert(data as never);
        return w.dana.browser.mutate('breakGlass.reveal', { ...w.about, assertion });
      }),
    );
    assert.equal(answers.filter(({ refusal }) => refusal === null).length, 1);
    assert.equal((await w.happened('revealed_breakglass')).length, 1);
  });
});

describe('a second person for a break-glass password', () => {
  test('nobody is their own second person', async (t) => {
    const w = await world(t, 'sqlite');
    const id = await w.ask(w.dana);
    assert.equal(await w.confirm(w.dana, id), 'second_person_is_first');
    // Nor with a session and a passkey more.
    const again = await w.admin('dana').catch(() => w.dana);
    assert.equal(await w.confirm(again, id), 'second_person_is_first');
    assert.equal(await w.reveal(w.dana), 'second_person_required');
    assert.deepEqual(await w.happened('breakglass_reveal_confirmed'), []);
  });

  test('nor is who signed in through a provider that is written otherwise, or has the same name at another', async (t) => {
    const w = await world(t, 'sqlite');
    const id = await w.ask(w.dana);
    const before = await w.site.personId('dana');
    for (const more of [
      { issuer: 'https://idp.test/', username: 'dana.two' },
      { issuer: 'https://other.test', subject: 'x', username: 'Dana' },
    ]) {
      const double = await w.admin('dana', more);
      assert.notEqual(await w.site.personId(more.username), before);
      assert.equal(await w.confirm(double, id), 'second_person_is_first');
    }
    assert.deepEqual(await w.happened('breakglass_reveal_confirmed'), []);
    assert.equal(await w.confirm(w.erin, id), null);
  });

  test('a yes is worth nothing once whoever said it is no administrator any more', async (t) => {
    const w = await world(t, 'sqlite');
    await w.confirm(w.erin, await w.ask(w.dana));
    await w.site.browser().signInFresh('erin');
    assert.equal(await w.reveal(w.dana), 'second_person_required');
    assert.deepEqual(await w.happened('revealed_breakglass'), []);
  });

  test('nobody but an administrator with a fresh sign-in and a passkey of their own confirms', async (t) => {
    const w = await world(t, 'sqlite');
    const id = await w.ask(w.dana);
    const user = w.site.browser();
    await user.signInFresh('alice');
    assert.equal((await user.mutate('breakGlass.confirmRevealOptions', { id })).refusal, 'forbidden');
    assert.equal((await user.mutate('breakGlass.askReveal', w.about)).refusal, 'forbidden');
    const desktop = await w.erin.browser.desktopApp();
    assert.equal((await desktop.mutate('breakGlass.confirmRevealOptions', { id })).refusal, 'session_kind');
    w.site.clock.advance(5 * 60_000 + 1);
    assert.equal(await w.confirm(w.erin, id), 'fresh_sign_in_required');
    assert.deepEqual(await w.happened('breakglass_reveal_confirmed'), []);
  });

  test('the passkey is for this request: one that was asked for another confirms nothing', async (t) => {
    const w = await world(t, 'sqlite');
    const finn = await w.admin('finn');
    const [mine, other] = [await w.ask(w.dana), await w.ask(finn)];
    for (const asked of [
      await w.erin.browser.mutate('breakGlass.confirmRevealOptions', { id: other }),
      await w.erin.browser.mutate('passkeys.additionOptions'),
    ]) {
      const assertion = w.erin.passkey.assert(asked.data as never);
      const { refusal } = await w.erin.browser.mutate('breakGlass.confirmReveal', { id: mine, assertion });
      assert.equal(refusal, 'passkey_rejected');
    }
    assert.equal(await w.reveal(w.dana), 'second_person_required');
  });

  test('a yes is for one person, one host, one reason, and one time', async (t) => {
    const w = await world(t, 'sqlite');
    const other = await enrolTestHost(w.site.app, w.site.clock, 'web2.example.com');
    const kept = { id: randomUUID(), type: 'random', createdAt: w.site.clock.now(), password: 'of-another-host-1' };
    await other.send('POST', '/break-glass/escrow', kept);
    assert.equal(await w.confirm(w.erin, await w.ask(w.dana)), null);
    assert.equal(await w.reveal(w.erin), 'second_person_required');
    assert.equal(await w.reveal(w.dana, { hostId: other.id }), 'second_person_required');
    assert.equal(await w.reveal(w.dana, { reason: 'something else' }), 'second_person_required');
    assert.equal(await w.reveal(w.dana), PASSWORD);
    assert.equal(await w.reveal(w.dana), 'reveal_request_over');
    assert.equal((await w.happened('revealed_breakglass')).length, 1);
  });

  test('it runs out, whether somebody had said yes or not, and then nothing is left of it', async (t) => {
    const w = await world(t, 'sqlite');
    const id = await w.ask(w.dana);
    await w.confirm(w.erin, id);
    w.site.clock.advance(REVEAL_REQUEST_MS);
    assert.equal(await w.reveal(w.dana), 'reveal_request_over');
    await w.site.app.breakGlass.forgetOver();
    assert.equal(await w.reveal(w.dana), 'second_person_required');
    assert.equal(await w.confirm(w.erin, id), 'reveal_request_over');
    assert.deepEqual(await w.waiting(w.erin), []);
  });

  test('who asks anew has to be confirmed anew', async (t) => {
    const w = await world(t, 'sqlite');
    const before = await w.ask(w.dana);
    await w.confirm(w.erin, before);
    await w.ask(w.dana);
    assert.equal(await w.reveal(w.dana), 'second_person_required');
    assert.equal(await w.confirm(w.erin, before), 'reveal_request_over');
    assert.equal((await w.waiting(w.erin))?.length, 1);
  });
});

test('two are one person when anything says so', () => {
  const dana = {
    person: {
      id: 'a',
      issuer: 'https://idp.test',
      subject: 's',
      username: 'dana',
      displayName: 'Dana',
      groups: [],
      epoch: 0,
      sourceId: { claim: 'uid', value: '17' },
    },
    role: 'admin' as const,
    accounts: ['dana', 'dba'],
  };
  const erin = {
    ...dana,
    person: { ...dana.person, id: 'b', subject: 't', username: 'erin', sourceId: null },
    accounts: ['erin'],
  };
  assert.equal(isOnePerson(dana, erin), false);
  const changes: Partial<(typeof dana)['person']>[] = [
    { id: 'a' },
    { subject: 's' },
    { subject: 's', issuer: 'https://idp.test/' },
    { username: 'DANA' },
    { sourceId: { claim: 'uid', value: '17' } },
  ];
  for (const change of changes)
    assert.equal(isOnePerson(dana, { ...erin, person: { ...erin.person, ...change } }), true, JSON.stringify(change));
  assert.equal(isOnePerson(dana, { ...erin, accounts: ['erin', 'dba'] }), true);
  assert.equal(isOnePerson({ ...dana, accounts: [] }, { ...erin, accounts: [] }), false);
});

describe('what a request allows', () => {
  const asked: RevealRequest = {
    id: 'r',
    host_id: 'h',
    reason: 'why',
    asker_id: 'a',
    asker: 'dana',
    asked_at: 0,
    expires_at: 100,
    confirmer_id: null,
    confirmer: null,
    confirmed_at: null,
    shown_at: null,
  };
  const yes = { ...asked, confirmer_id: 'b', confirmer: 'erin', confirmed_at: 10 };
  const by = { hostId: 'h', reason: 'why', personId: 'a', now: 99 };
  for (const [what, request, who, expected] of [
    ['a confirmed one', yes, by, null],
    ['none', null, by, 'second_person_required'],
    ['one that nobody confirmed', asked, by, 'second_person_required'],
    ['one that its own asker confirmed', { ...yes, confirmer_id: 'a' }, by, 'second_person_required'],
    ['one of somebody else', yes, { ...by, personId: 'c' }, 'second_person_required'],
    ['one that is over', yes, { ...by, now: 100 }, 'reveal_request_over'],
    ['one that was used', { ...yes, shown_at: 20 }, by, 'reveal_request_over'],
  ] as const) {
    it(`showing by ${what}: ${expected ?? 'yes'}`, () => assert.equal(whyNotShown(request, who), expected));
  }
  for (const [what, request, personId, expected] of [
    ['somebody else', asked, 'b', null],
    ['who asked', asked, 'a', 'second_person_is_first'],
    ['a third person', yes, 'c', 'reveal_request_over'],
  ] as const) {
    it(`confirming by ${what}: ${expected ?? 'yes'}`, () =>
      assert.equal(whyNotConfirmed(request, { personId, now: 99 }), expected));
  }
});
