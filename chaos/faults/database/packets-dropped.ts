import assert from 'node:assert/strict';
import { startOwnPostgres, whyNoPostgres } from '../../../server/src/db/test-postgres.ts';
import { startLoad, until } from '../../../server/src/testing/load.ts';
import { openTcpGate } from '../../../server/src/testing/tcp-gate.ts';
import { type Fault, keepTimes, within } from '../../fault.ts';
import {
  decisionsIn,
  directorySettings,
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
} from '../../observe.ts';

/** More than a server has connections: who finds none free must not wait for long either. */
const HOSTS = 20;

export const fault: Fault = {
  title: 'packets between a server and the database vanish',
  missing: whyNoPostgres,
  async run(scope) {
    const postgres = await startOwnPostgres();
    scope.after(() => postgres.end());
    const gate = await openTcpGate(postgres.socket);
    scope.after(() => gate.close());
    const dsn = `postgres://identree@127.0.0.1:${gate.port}/postgres`;
    const load = await startLoad(scope, { driver: 'postgres', dsn });
    const server = await load.start('first', { env: await directorySettings(load.folder), hosts: HOSTS });
    const servers = [server];
    await untilWell(server);
    const seen = new Set<string>();
    const times = keepTimes();
    for (let round = 0; round < (scope.short ? 1 : 5); round += 1) {
      await until(() => server.told().some(({ kind }) => kind === 'waited'));
      const lostAt = Date.now();
      gate.lose();
      await until(async () => (await server.health())?.body.checks.database !== 'ok');
      times.note('health says so', 5, Date.now() - lostAt);
      const ldap = await seeDirectory(server);
      // Everybody has been told something, also who asked before it was known.
      await until(() => server.told().filter(({ kind, at }) => kind === 'refused' && at > lostAt).length > HOSTS);
      const knownAt = await untilUndecided(servers);
      const meanwhile = { ldap, console: await seePage(server), health: await seeHealth(server) };
      await until(() => server.told().some((one) => one.kind === 'refused' && one.what === 'wait' && one.at > lostAt));
      await until(() => toldBetween(servers, knownAt, Date.now()).length > HOSTS);
      const backAt = Date.now();
      const told = toldBetween(servers, lostAt, backAt);
      times.note('the first refusal', 10, slowestRefusal(told));
      const later = toldBetween(servers, knownAt, backAt);
      times.note('a refusal once it is known', 1, slowestRefusal(later));
      const before = server.created();
      gate.forward();
      times.note('all went on', 3, await until(() => server.created() > before));
      times.note('all went on', 3, await until(async () => (await server.health())?.status === 200));
      await until(() => server.told().some(({ kind, at }) => kind === 'waited' && at > backAt));
      const on = waitsOn(servers, lostAt) ? 'wait on with the same request' : 'the request they waited for is lost';
      seen.add(
        JSON.stringify({
          decisions: `${decisionsIn(later)}, within 10 s at most`,
          ...meanwhile,
          hosts: `${waitsIn(told)}; then they ${on}`,
        }),
      );
    }
    assert.equal(server.process.exitCode, null, 'it does not end');
    assert.equal(seen.size, 1, [...seen].join('\n'));
    const findings = await load.contradictions();
    return {
      facts: { ...JSON.parse([...seen][0]!), recovery: within(3) },
      findings,
      told: toldIn(servers),
      times: times.all(),
    };
  },
};
