import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import { whyNoPostgres } from '../server/src/db/test-postgres.ts';
import { startLoadOnPostgres, until } from '../server/src/testing/load.ts';
import { type Fault, within } from './fault.ts';
import {
  decisionsIn,
  directorySettings,
  seeDirectory,
  seeHealth,
  seePage,
  slowestRefusal,
  toldBetween,
  toldIn,
  untilWell,
  waitsIn,
  waitsOn,
} from './observe.ts';

/** A Postgres that stops and starts again under two servers. */
export const outage = (title: string, signal: 'INT' | 'QUIT'): Fault => ({
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
    let recoveryMs = 0;
    for (let round = 0; round < (scope.short ? 1 : 5); round += 1) {
      await until(() => servers.every((server) => server.told().some(({ kind }) => kind === 'waited')));
      const takenAt = Date.now();
      load.postgres.signal(signal);
      for (const server of servers) await until(async () => (await server.health())?.body.checks.database === 'away');
      assert.ok(Date.now() - takenAt < 5000, 'health says so within 5 s');
      const knownAt = Date.now();
      const meanwhile = {
        ldap: await seeDirectory(first!),
        console: await seePage(first!),
        health: await seeHealth(first!),
      };
      await sleep(scope.short ? 1500 : 20_000);
      const backAt = Date.now();
      const told = toldBetween(servers, knownAt, backAt);
      assert.ok(slowestRefusal(told) < 1000, 'refused within 1 s');
      const before = servers.map((server) => server.created());
      await load.postgres.startAgain();
      for (const [i, server] of servers.entries())
        recoveryMs = Math.max(recoveryMs, await until(() => server.created() > before[i]!));
      recoveryMs = Math.max(recoveryMs, await until(async () => (await first!.health())?.status === 200));
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
      facts: { ...JSON.parse([...seen][0]!), recovery: within(recoveryMs, 2) },
      findings,
      told: toldIn(servers),
      recoveryMs,
    };
  },
});
