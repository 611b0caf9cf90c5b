import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { whyNoPostgres } from '../../../server/src/db/test-postgres.ts';
import { startLoadOnPostgres, until } from '../../../server/src/testing/load.ts';
import { type Fault, keepTimes, within } from '../../fault.ts';
import { directorySettings, seeUnharmed, toldIn, type Unharmed, untilWell, waitsOn } from '../../observe.ts';

/** Whether the frozen server holds the head of the log, which every change needs. */
const HOLDS = `select 1 from pg_stat_activity a join pg_locks l on l.pid = a.pid
  where a.application_name = 'frozen' and a.state = 'idle in transaction'
    and l.relation = 'event_head'::regclass and l.mode = 'RowShareLock'`;

export const fault: Fault = {
  title: 'a server is frozen in the middle of a change, as when its machine is moved, and resumed',
  missing: whyNoPostgres,
  async run(scope) {
    const load = await startLoadOnPostgres(scope);
    const frozen = await load.start('frozen');
    const other = await load.start('other', { env: await directorySettings(load.folder) });
    const servers = [frozen, other];
    const operator = new pg.Client({ connectionString: load.dsn });
    operator.on('error', () => {});
    scope.after(() => operator.end().catch(() => {}));
    await operator.connect();
    await untilWell(other);
    await until(() => servers.every((server) => server.told().some(({ kind }) => kind === 'waited')));
    const beganAt = Date.now();
    const times = keepTimes();
    let seen: Unharmed | null = null;
    for (let freeze = 0; freeze < (scope.short ? 5 : 50); freeze += 1) {
      for (;;) {
        await sleep(Math.random() * 50);
        frozen.process.kill('SIGSTOP');
        if ((await operator.query(HOLDS)).rows.length > 0) break;
        frozen.process.kill('SIGCONT');
      }
      const before = other.created();
      times.note('others went on', 5, await until(() => other.created() > before + 1));
      seen ??= await seeUnharmed(other, times);
      const own = frozen.created();
      frozen.process.kill('SIGCONT');
      await until(() => frozen.created() > own + 4);
    }
    const overAt = Date.now();
    await until(() =>
      servers.every((server) => server.told().some(({ kind, at }) => kind === 'waited' && at > overAt)),
    );
    assert.deepEqual([frozen.process.exitCode, other.process.exitCode], [null, null], 'no server ends');
    const on = waitsOn(servers, beganAt) ? 'wait on with the same request' : 'the request they waited for is lost';
    const findings = await load.contradictions();
    return {
      facts: {
        decisions: `those of other servers wait ${within(5)} for what the frozen one holds, then are decided`,
        ldap: `other servers: ${seen?.ldap}`,
        console: `other servers: ${seen?.console}`,
        hosts: on,
        health: `other servers: ${seen?.health}`,
        recovery: within(5),
      },
      findings,
      told: toldIn(servers),
      times: times.all(),
    };
  },
};
