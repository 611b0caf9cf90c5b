import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { sql } from 'kysely';
import { kysely } from '../../db/query.ts';
import { forEachDriver } from '../../db/test-databases.ts';
import { TEST_FOLDER } from '../../db/test-postgres.ts';
import { checkChain } from '../../events/store.ts';
import { createLogger } from '../../platform/logger.ts';
import { createTestApp } from '../../testing/test-app.ts';
import { createTestProvider, signInTestPerson } from '../../testing/test-person.ts';
import { until } from '../testing/audit-kit.ts';

/** What the column of the time takes and no time is. */
const TIMES = {
  sqlite: ["'yesterday'", '9223372036854775807', '-1', '253402300800000', '1.5'],
  postgres: ['9223372036854775807', '-1', '253402300800000'],
};

forEachDriver('events of which the time is none', (driver) => {
  test('are shown as damaged in lists, exports and sinks like others, and hold nothing up', async (t) => {
    const folder = await mkdtemp(join(TEST_FOLDER, 'identree-without-time-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const path = join(folder, 'audit.jsonl');
    const provider = createTestProvider();
    const site = await createTestApp({
      driver,
      app: { provider, log: createLogger('error', { write: () => {} }) },
      env: { IDENTREE_AUDIT_LOG: path },
    });
    t.after(() => site.close());
    const { app, clock } = site;
    const olga = await signInTestPerson(app, provider, clock, 'olga', { groups: ['admins'], passkey: false });
    const damaged: number[] = [];
    for (const time of TIMES[driver]) {
      await app.db.transaction(async (work) => {
        const { seq } = await app.events.append(work, { event: 'login_failed', username: 'mallory' });
        await sql`update events set at = ${sql.raw(time)} where seq = ${seq}`.execute(kysely(work.query));
        damaged.push(seq);
      });
    }
    await app.start();
    const { seq: head } = await app.events.head();

    type Listed = { events: { seq: number; damaged: boolean }[]; older: string | null; newer: string | null };
    const seqs = (events: Listed['events']) => events.map(({ seq }) => seq).sort((one, other) => one - other);
    const { data } = await olga.query<Listed>('audit.events.list', { limit: 200 });
    assert.deepEqual(seqs(data.events.filter((event) => event.damaged)), damaged);
    const { data: found } = await olga.query<Listed>('audit.events.list', { user: 'mallory', event: 'login_failed' });
    assert.deepEqual(seqs(found.events), damaged);
    // Page by page each is there once, where the newest are, and the list comes to its end.
    await app.db.transaction((work) => app.events.append(work, { event: 'login_failed', username: 'trudy' }));
    for (const order of ['newest', 'oldest']) {
      const listed: Listed['events'] = [];
      for (let place: object = {}, page = 0; page < 100; page += 1) {
        const answer = await olga.query<Listed>('audit.events.list', {
          limit: 2,
          order,
          ...place,
          event: 'login_failed',
        });
        const { events, older, newer }: Listed = answer.data;
        listed.push(...events);
        if (older === null && newer === null) break;
        place = { before: older, after: newer };
      }
      assert.deepEqual(seqs(listed.filter((event) => event.damaged)), damaged, order);
      assert.equal(listed.length, damaged.length + 1);
      assert.equal(listed.at(order === 'newest' ? 0 : -1)!.damaged, true, order);
    }
    const { data: one } = await olga.query<{ event: object; record: object }>('audit.events.get', { seq: damaged[0] });
    assert.partialDeepStrictEqual(one, { event: { damaged: true }, record: { intact: false } });

    for (const format of ['csv', 'jsonl', 'json', 'ecs']) {
      const url = `/api/v1/audit/export?user=mallory&format=${format}`;
      const answer = await olga.browser.get(url, { 'sec-fetch-site': 'same-origin' });
      assert.equal(answer.statusCode, 200);
      assert.equal(answer.body.split('login_failed').length > damaged.length, true, format);
      if (format === 'json') assert.deepEqual(seqs(JSON.parse(answer.body) as Listed['events']), damaged);
    }
    const lines = async () => {
      const text = await readFile(path, 'utf8').catch(() => '');
      const whole = text
        .slice(0, text.lastIndexOf('\n') + 1)
        .split('\n')
        .filter((line) => line !== '');
      return whole.map((line) => JSON.parse(line) as { seq: number; unreadable?: true });
    };
    await until(async () => (await lines()).length >= head);
    const told = (await lines()).filter(({ unreadable }) => unreadable).map(({ seq }) => seq);
    assert.deepEqual(told, damaged);
    assert.deepEqual(await checkChain(app.db.query), { seq: damaged[0], problem: 'unreadable' });
  });
});
