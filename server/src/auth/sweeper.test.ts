import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kysely } from '../db/query.ts';
import { forEachDriver } from '../db/test-databases.ts';
import { createTestSite, identity } from '../testing/test-site.ts';
import { sweepSessions } from './sweeper.ts';

forEachDriver('the sweeper', (driver) => {
  test('forgets what has run out and nothing else', async (t) => {
    const site = await createTestSite(t, { driver });
    const browser = site.browser();
    await browser.signInFresh('alice');
    await browser.mutate('passkeys.registrationOptions', {});
    await browser.beginSignIn('?step_up=1');
    const rows = async () =>
      Promise.all(
        (['login_attempts', 'ceremonies', 'sessions'] as const).map(
          async (table) => (await kysely(site.db.query).selectFrom(table).selectAll().execute()).length,
        ),
      );
    await sweepSessions(site);
    assert.deepEqual(await rows(), [1, 1, 1]);
    site.clock.advance(15 * 60_000);
    await sweepSessions(site);
    assert.deepEqual(await rows(), [0, 0, 1]);
    site.clock.advance(31 * 24 * 60 * 60_000);
    await site.browser().signIn(identity('alice'));
    await sweepSessions(site);
    assert.deepEqual(await rows(), [0, 0, 1]);
  });
});
