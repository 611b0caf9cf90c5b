import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sha256 } from '#shared/digest.ts';
import { kysely } from '../db/query.ts';
import { createTestSite, identity } from '../testing/test-site.ts';

test('a session id that was there before the sign-in is not the one after it', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  const planted = 'A'.repeat(43);
  browser.jar.set(browser.sessionCookie, planted);
  await browser.signIn(identity('alice'));
  assert.notEqual(browser.jar.get(browser.sessionCookie), planted);
  const attacker = site.browser();
  attacker.jar.set(attacker.sessionCookie, planted);
  assert.equal(await attacker.me(), null);
});

test('signing in again makes a new id and ends the old session', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signIn(identity('alice'));
  const before = browser.jar.get(browser.sessionCookie)!;
  await browser.signIn(identity('alice'), '?step_up=1');
  const after = browser.jar.get(browser.sessionCookie)!;
  assert.notEqual(before, after);
  const attacker = site.browser();
  attacker.jar.set(attacker.sessionCookie, before);
  assert.equal(await attacker.me(), null);
  assert.equal((await browser.me())?.person.username, 'alice');
  const [, second] = await site.eventsNamed('user_logged_in');
  assert.equal((second!.data.replaced as string[]).length, 1);
});

test('somebody else who signs in on the same browser ends the session before', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signIn(identity('alice'));
  const before = browser.jar.get(browser.sessionCookie)!;
  await browser.signIn(identity('bob'), '?step_up=1');
  assert.equal((await browser.me())?.person.username, 'bob');
  const attacker = site.browser();
  attacker.jar.set(attacker.sessionCookie, before);
  assert.equal(await attacker.me(), null);
});

test('the database does not hold what the cookie holds', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signIn(identity('alice'));
  const value = browser.jar.get(browser.sessionCookie)!;
  const rows = await kysely(site.db.query).selectFrom('sessions').selectAll().execute();
  assert.equal(rows[0]?.id_hash, sha256(value));
  assert.equal(JSON.stringify(rows).includes(value), false);
  assert.equal(JSON.stringify(await site.events.read(0, 100)).includes(value), false);
});

test('the hash of a session, read from a stolen database, opens nothing', async (t) => {
  const site = await createTestSite(t);
  const browser = site.browser();
  await browser.signIn(identity('alice'));
  const attacker = site.browser();
  attacker.jar.set(attacker.sessionCookie, sha256(browser.jar.get(browser.sessionCookie)!));
  assert.equal(await attacker.me(), null);
});
