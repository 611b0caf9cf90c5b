import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson } from '../testing/test-person.ts';

interface Entry {
  id: string;
  createdAt: number;
}

for (const driver of ['sqlite', 'postgres'] as const) {
  const skip = driver === 'postgres' ? (whyNoPostgres() ?? false) : false;
  describe(`the history on ${driver}`, { skip }, () => {
    let t: TestApp;
    let host: TestHost;
    let alice: TestPerson;
    before(async () => {
      const provider = createTestProvider();
      t = await createTestApp({ driver, app: { provider } });
      host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
      alice = await signInTestPerson(t.app, provider, t.clock, 'alice', { passkey: false });
    });
    after(() => t.close());

    const history = async (filter: { limit: number; before?: Entry | null; search?: string }): Promise<Entry[]> => {
      const { limit, before = null, search = null } = filter;
      const place = before && { createdAt: before.createdAt, id: before.id };
      return (await alice.query<Entry[]>('challenges.history', { limit, before: place, search })).data;
    };

    test('is read page by page, and of requests of one moment none is left out or comes twice', async () => {
      const made: string[] = [];
      for (let moment = 0; moment < 2; moment += 1) {
        for (let index = 0; index < 3; index += 1)
          made.push((await host.create(host.record({ createdAt: t.clock.now() }))).challengeId);
        t.clock.advance(1000);
      }
      const seen: string[] = [];
      let last: Entry | null = null;
      for (;;) {
        const page: Entry[] = await history({ limit: 2, before: last });
        seen.push(...page.map(({ id }) => id));
        last = page.at(-1) ?? null;
        if (last === null) break;
      }
      assert.equal(seen.length, made.length);
      assert.deepEqual(new Set(seen), new Set(made));
      assert.deepEqual(new Set(seen.slice(0, 3)), new Set(made.slice(3)));
    });

    test('is searched for commands as they were typed, over the borders of arguments', async () => {
      const argv = ['sudo', 'sh', '-c', 'echo "50%" > C:\\it', 'Grün', '","'];
      const { challengeId } = await host.create(host.record({ argv }));
      const finds = async (search: string) => (await history({ limit: 50, search })).map(({ id }) => id);
      for (const search of ['sudo sh -c', 'SH -C echo', 'c echo "50%"', '> C:\\it', 'it Grün'])
        assert.deepEqual(await finds(search), [challengeId], search);
      for (const search of ['sudo  sh', 'sh sudo', '"sh"', 'echo "5_', '\\"50'])
        assert.deepEqual(await finds(search), [], search);
      await host.send('DELETE', `/challenges/${challengeId}`);
    });
  });
}
