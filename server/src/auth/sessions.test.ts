import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kysely } from '../db/query.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { createTestSite, identity } from '../testing/test-site.ts';
import { ABSOLUTE_LIFE_MS, IDLE_LIFE_MS, isLive } from './sessions.ts';

const row = { revoked_at: null, expires_at: 1_000_000, last_seen_at: 500_000, person_epoch: 3 };

test('a session is live up to its last millisecond', () => {
  const idleFree = { ...row, last_seen_at: 999_000 };
  assert.equal(isLive(idleFree, 3, 999_999), true);
  assert.equal(isLive(idleFree, 3, 1_000_000), false);
  const lasting = { ...row, expires_at: Number.MAX_SAFE_INTEGER };
  assert.equal(isLive(lasting, 3, 500_000 + IDLE_LIFE_MS - 1), true);
  assert.equal(isLive(lasting, 3, 500_000 + IDLE_LIFE_MS), false);
});

test('a session of an earlier epoch, or a revoked one, is not live', () => {
  assert.equal(isLive(row, 4, 600_000), false);
  assert.equal(isLive(row, 2, 600_000), false);
  assert.equal(isLive({ ...row, revoked_at: 0 }, 3, 600_000), false);
});

forEachDriver('a session', (driver) => {
  test('ends 12 hours after the sign-in, however busy', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signIn(identity('alice'));
    const end = site.clock.now() + ABSOLUTE_LIFE_MS;
    while (site.clock.now() + 20 * 60_000 < end) {
      site.clock.advance(20 * 60_000);
      assert.notEqual(await browser.me(), null);
    }
    site.clock.set(end - 1);
    assert.notEqual(await browser.me(), null);
    site.clock.set(end);
    assert.equal(await browser.me(), null);
  });

  test('ends after 30 idle minutes and stays ended', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signIn(identity('alice'));
    site.clock.advance(IDLE_LIFE_MS - 1);
    assert.notEqual(await browser.me(), null);
    site.clock.advance(IDLE_LIFE_MS);
    assert.equal(await browser.me(), null);
  });

  test('notes its use at most once a minute, and a live stream does not count as use', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signIn(identity('alice'));
    const seen = async () =>
      (await kysely(site.db.query).selectFrom('sessions').select('last_seen_at').executeTakeFirstOrThrow())
        .last_seen_at;
    const start = await seen();
    site.clock.advance(59_999);
    await browser.me();
    assert.equal(await seen(), start);
    site.clock.advance(1);
    const cookie = `${browser.sessionCookie}=${browser.jar.get(browser.sessionCookie)}`;
    const stream = { cookie, authorization: undefined, remoteAddr: '192.0.2.7' };
    assert.notEqual(await site.app.callers.resolver.resolve(stream, { touch: false }), null);
    assert.equal(await seen(), start);
    await browser.me();
    assert.equal(await seen(), start + 60_000);
  });

  test('is listed for its owner alone and can be ended from another one', async (t) => {
    const site = await createTestSite(t, { driver });
    const [phone, laptop, bob] = [site.browser('192.0.2.1'), site.browser('192.0.2.2'), site.browser('192.0.2.3')];
    await phone.signIn(identity('alice'));
    await laptop.signIn(identity('alice'));
    await bob.signIn(identity('bob'));
    const list = (await laptop.query('sessions.list')).data as {
      handle: string;
      current: boolean;
      remoteAddr: string;
    }[];
    assert.equal(list.length, 2);
    const other = list.find(({ current }) => !current)!;
    assert.equal(other.remoteAddr, '192.0.2.1');
    assert.equal((await bob.mutate('sessions.revoke', { handle: other.handle })).refusal, 'not_found');
    assert.notEqual(await phone.me(), null);
    assert.equal((await laptop.mutate('sessions.revoke', { handle: other.handle })).refusal, null);
    assert.equal(await phone.me(), null);
    assert.notEqual(await laptop.me(), null);
    const [event] = await site.eventsNamed('session_revoked');
    assert.deepEqual(event?.data.sessions, [other.handle]);
    assert.equal((await laptop.mutate('sessions.revoke', { handle: other.handle })).refusal, 'not_found');
  });

  test('can end all the others of its person and nobody else’s', async (t) => {
    const site = await createTestSite(t, { driver });
    const [one, two, three, bob] = [site.browser(), site.browser(), site.browser(), site.browser()];
    for (const browser of [one, two, three]) await browser.signIn(identity('alice'));
    await bob.signIn(identity('bob'));
    assert.deepEqual((await one.mutate('sessions.revokeOthers')).data, { ended: 2 });
    assert.equal(await two.me(), null);
    assert.equal(await three.me(), null);
    assert.notEqual(await one.me(), null);
    assert.notEqual(await bob.me(), null);
  });

  test('stops counting when the person’s epoch grows', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signIn(identity('alice'));
    await site.db.transaction((work) => kysely(work.query).updateTable('people').set({ epoch: 1 }).execute());
    assert.equal(await browser.me(), null);
    await browser.signIn(identity('alice'));
    assert.notEqual(await browser.me(), null);
  });

  test('has the role that the groups give at this moment, not at the sign-in of this browser', async (t) => {
    const site = await createTestSite(t, { driver });
    const [old, fresh] = [site.browser(), site.browser()];
    await old.signIn(identity('alice', { groups: ['admins', 'staff'] }));
    assert.equal((await old.me())?.role, 'admin');
    assert.equal((await old.query('people.list')).refusal, null);
    await fresh.signIn(identity('alice', { groups: ['Admins', 'admins2'] }));
    assert.equal((await old.me())?.role, 'user');
    assert.equal((await old.query('people.list')).refusal, 'forbidden');
  });

  test('that was revoked while a decision was under way no longer decides', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signIn(identity('alice', { groups: ['admins'] }));
    const cookie = `${browser.sessionCookie}=${browser.jar.get(browser.sessionCookie)}`;
    const viewer = await site.app.callers.resolver.resolve({ cookie, authorization: undefined, remoteAddr: '' });
    assert.ok(viewer);
    const again = await site.db.transaction((work) => site.app.callers.resolver.recheck(work, viewer));
    assert.equal(again.role, 'admin');
    assert.deepEqual(again.accounts, ['alice']);
    await site.db.transaction((work) => kysely(work.query).updateTable('people').set({ groups: '[]' }).execute());
    assert.equal((await site.db.transaction((work) => site.app.callers.resolver.recheck(work, viewer))).role, 'user');
    await browser.submit('/signout', { csrf_token: await browser.csrf() });
    const late = site.db.transaction((work) => site.app.callers.resolver.recheck(work, viewer));
    await assert.rejects(late, { code: 'session_expired' });
  });

  test('can be looked at for decisions while its person signs in anew, and neither waits for the other for ever', async (t) => {
    const site = await createTestSite(t, { driver });
    for (let round = 0; round < 5; round++) {
      const browser = site.browser(`192.0.2.${round}`);
      await browser.signIn(identity('alice'));
      const cookie = `${browser.sessionCookie}=${browser.jar.get(browser.sessionCookie)}`;
      const viewer = await site.app.callers.resolver.resolve({ cookie, authorization: undefined, remoteAddr: '' });
      const looks = Array.from({ length: 6 }, () =>
        site.db
          .transaction((work) => site.app.callers.resolver.recheck(work, viewer!))
          .then(
            () => 'live',
            (error: { code?: string }) => error.code,
          ),
      );
      const [answer, ...seen] = await Promise.all([browser.signIn(identity('alice'), '?step_up=1'), ...looks]);
      assert.equal(answer.statusCode, 303);
      assert.ok(
        seen.every((what) => what === 'live' || what === 'session_expired'),
        String(seen),
      );
    }
    assert.deepEqual(site.problems, []);
  });
});
