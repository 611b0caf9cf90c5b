import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TEST_FOLDER } from '../../../server/src/db/test-postgres.ts';
import type { Told } from '../../../server/src/testing/journal.ts';
import { startLoad, until } from '../../../server/src/testing/load.ts';
import { type Fault, keepTimes, within } from '../../fault.ts';
import { decisionsIn, seeDirectory, seeHealth, seePage, toldBetween, toldIn, untilWell } from '../../observe.ts';
import { enrolOutside, openLastingAddress, openOutside, waitOutside } from '../../outside-host.ts';

export const fault: Fault = {
  title: 'the server is killed while hosts wait, and started again',
  missing: () => null,
  async run(scope) {
    const folder = mkdtempSync(join(TEST_FOLDER, 'identree-killed-'));
    scope.after(() => rmSync(folder, { recursive: true, force: true }));
    const load = await startLoad(scope, { driver: 'sqlite', dsn: join(folder, 'identree.db') });
    const { url, env, leadTo } = await openLastingAddress(scope, load);
    let server = await load.start('first', { env });
    leadTo(server);
    const host = await openOutside(scope, await enrolOutside(scope, url, server.ports));
    const outside: Told[] = [];
    const times = keepTimes();
    const seen = new Set<string>();
    for (let round = 0; round < (scope.short ? 2 : 15); round += 1) {
      await untilWell(server);
      const waiting = await waitOutside(host);
      await until(() => server.created() > 2);
      await sleep(Math.random() * 200);
      const killed = once(server.process, 'exit');
      server.process.kill('SIGKILL');
      await killed;
      await until(() => waiting.told.some(({ kind }) => kind === 'refused'));
      const gone = {
        ldap: (await seeDirectory(server)) === 'answers' ? 'answers' : 'does not answer',
        console: await seePage(server),
        health: await seeHealth(server),
      };
      const startedAt = performance.now();
      server = await load.start(`again-${round}`, { env });
      leadTo(server);
      await until(() => server.created() > 0);
      times.note('all went on after the start', 10, performance.now() - startedAt);
      await untilWell(server);
      const back = {
        ldap: await seeDirectory(server),
        console: await seePage(server),
        health: await seeHealth(server),
      };
      // A server that has only just started is asked, and does not answer until there is something to say.
      const asked = waiting.told.length;
      await until(() => server.told().some(({ kind }) => kind === 'waited'));
      assert.ok(
        waiting.told.slice(asked).every(({ kind }) => kind === 'refused'),
        'nothing has ended the request',
      );
      const end = await waiting.cancel();
      outside.push(...waiting.told);
      const on = end === 'cancelled' ? 'they wait on with the same request' : `that request is over: ${end}`;
      seen.add(
        JSON.stringify({
          decisions: `none until it is back, then ${decisionsIn(toldBetween([server], 0, Date.now()))}`,
          ldap: `${gone.ldap} until it is back, then ${back.ldap}`,
          console: `${gone.console} until it is back, then ${back.console}`,
          hosts: `cannot reach it; then ${on}`,
          health: `${gone.health} until it is back, then ${back.health}`,
        }),
      );
    }
    assert.equal(seen.size, 1, [...seen].join('\n'));
    const findings = await load.contradictions(outside);
    return {
      facts: { ...JSON.parse([...seen][0]!), recovery: within(10) },
      findings,
      told: toldIn(load.servers) + outside.length,
      times: times.all(),
    };
  },
};
