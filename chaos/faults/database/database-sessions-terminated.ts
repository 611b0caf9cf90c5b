import assert from 'node:assert/strict';
import pg from 'pg';
import { whyNoPostgres } from '../../../server/src/db/test-postgres.ts';
import { startLoadOnPostgres, until } from '../../../server/src/testing/load.ts';
import { type Fault, keepTimes, within } from '../../fault.ts';
import {
  directorySettings,
  seeUnharmed,
  toldBetween,
  toldIn,
  untilDecided,
  untilWell,
  waitsOn,
} from '../../observe.ts';

/** As an operator does to whoever holds something up, or a pooler at its end. */
const TERMINATE =
  'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()';

export const fault: Fault = {
  title: 'all sessions at the database are terminated',
  missing: whyNoPostgres,
  async run(scope) {
    const load = await startLoadOnPostgres(scope);
    const servers = [
      await load.start('first', { env: await directorySettings(load.folder) }),
      await load.start('second'),
    ];
    const [first] = servers;
    const operator = new pg.Client({ connectionString: load.dsn });
    scope.after(() => operator.end().catch(() => {}));
    await operator.connect();
    await untilWell(first!);
    const times = keepTimes();
    let beganAt = 0;
    for (let round = 0; round < (scope.short ? 1 : 20); round += 1) {
      await until(() => servers.every((server) => server.told().some(({ kind }) => kind === 'waited')));
      beganAt ||= Date.now();
      const before = servers.map((server) => server.created());
      await operator.query(TERMINATE);
      for (const [i, server] of servers.entries())
        times.note('all went on', 5, await until(() => server.created() > before[i]! + 10));
    }
    const overAt = Date.now();
    await until(() =>
      servers.every((server) => server.told().some(({ kind, at }) => kind === 'waited' && at > overAt)),
    );
    assert.deepEqual(
      servers.map((server) => server.process.exitCode),
      [null, null],
      'no server ends',
    );
    const refused = toldBetween(servers, beganAt, overAt).filter(
      (one) => one.kind === 'refused' && one.code !== 'unavailable',
    );
    assert.deepEqual(refused, [], 'who is refused hears why');
    const unharmed = await seeUnharmed(first!, times);
    const [goesOn] = await Promise.all(servers.map((server) => untilDecided(server, overAt)));
    const on = waitsOn(servers, beganAt) ? 'wait on with the same request' : 'the request they waited for is lost';
    const findings = await load.contradictions();
    return {
      facts: {
        decisions: `those under way are refused or decided, those after it ${goesOn}`,
        ...unharmed,
        hosts: on,
        recovery: within(5),
      },
      findings,
      told: toldIn(servers),
      times: times.all(),
    };
  },
};
