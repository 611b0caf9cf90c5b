import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { whyNoPostgres } from '../server/src/db/test-postgres.ts';
import { startLoadOnPostgres, until } from '../server/src/testing/load.ts';
import { type Fault, keepTimes, within } from './fault.ts';
import {
  decisionsIn,
  directorySettings,
  isOfWait,
  seeDirectory,
  seeHealth,
  seePage,
  slowestRefusal,
  toldBetween,
  toldIn,
  untilUndecided,
  untilWell,
  waitsIn,
  waitsOn,
} from './observe.ts';

/** A Postgres that stops and starts again under two servers. */
export const outage = (title: string, { signal }: { signal: 'INT' | 'QUIT' }): Fault => ({
  title,
  missing: whyNoPostgres,
  async run(scope) {
    const load = await startLoadOnPostgres(scope);
    const servers = [
      await load.start('first', { env: await directorySettings(load.folder) }),
      await load.start('second'),
    ];
    const [first] = servers;
    await untilWell(first!);
    const seen = new Set<string>();
    const times = keepTimes();
    for (let round = 0; round < (scope.short ? 1 : 5); round += 1) {
      await until(() => servers.every((server) => server.told().some(({ kind }) => kind === 'waited')));
      const takenAt = Date.now();
      load.postgres.signal(signal);
      for (const server of servers) await until(async () => (await server.health())?.body.checks.database === 'away');
      times.note('health says so', 5, Date.now() - takenAt);
      const knownAt = await untilUndecided(servers);
      const meanwhile = {
        ldap: await seeDirectory(first!),
        console: await seePage(first!),
        health: await seeHealth(first!),
      };
      if (!scope.short) await sleep(20_000);
      for (const server of servers)
        await until(() => {
          const told = toldBetween([server], knownAt, Date.now());
          return told.some(isOfWait) && told.filter((one) => !isOfWait(one)).length > 10;
        });
      const backAt = Date.now();
      const told = toldBetween(servers, knownAt, backAt);
      times.note('a refusal', 1, slowestRefusal(told));
      const before = servers.map((server) => server.created());
      await load.postgres.startAgain();
      for (const [i, server] of servers.entries())
        times.note('all went on', 2, await until(() => server.created() > before[i]!));
      times.note('all went on', 2, await until(async () => (await first!.health())?.status === 200));
      await until(() =>
        servers.every((server) => server.told().some(({ kind, at }) => kind === 'waited' && at > backAt)),
      );
      const on = waitsOn(servers, takenAt) ? 'wait on with the same request' : 'the request they waited for is lost';
      seen.add(
        JSON.stringify({ decisions: decisionsIn(told), ...meanwhile, hosts: `${waitsIn(told)}; then they ${on}` }),
      );
    }
    assert.deepEqual(
      servers.map((server) => server.process.exitCode),
      [null, null],
      'no server ends',
    );
    assert.equal(seen.size, 1, [...seen].join('\n'));
    const findings = await load.contradictions();
    return {
      facts: { ...JSON.parse([...seen][0]!), recovery: within(2) },
      findings,
      told: toldIn(servers),
      times: times.all(),
    };
  },
});
