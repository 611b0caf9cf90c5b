import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { TEST_FOLDER } from '../../../server/src/db/test-postgres.ts';
import { startLoad, until } from '../../../server/src/testing/load.ts';
import { type Fault, keepTimes, within } from '../../fault.ts';
import {
  decisionsIn,
  directorySettings,
  PAUSE_MS,
  seeDirectory,
  seeHealth,
  seePage,
  toldBetween,
  toldIn,
  untilWell,
  waitsOn,
} from '../../observe.ts';
import { gapsOf, type Watcher, watch } from '../../watcher.ts';

/** How many connect at a time. */
const AT_ONCE = 50;

export const fault: Fault = {
  title: 'thousands of people follow what happens; some go, and some stop reading',
  missing: () => null,
  async run(scope) {
    const folder = mkdtempSync(join(TEST_FOLDER, 'identree-watchers-'));
    scope.after(() => rmSync(folder, { recursive: true, force: true }));
    const load = await startLoad(scope, { driver: 'sqlite', dsn: join(folder, 'identree.db') });
    const sessions = scope.short ? 200 : 2000;
    const server = await load.start('first', {
      env: await directorySettings(load.folder),
      hosts: 1,
      pauseMs: PAUSE_MS,
      sessions,
    });
    const servers = [server];
    await untilWell(server);
    await until(() => server.told().some(({ kind }) => kind === 'waited'));
    const { cookies, http } = server.ports;
    const beganAt = Date.now();
    const watchers: Watcher[] = [];
    scope.after(() => watchers.map((watcher) => watcher.leave()));
    while (watchers.length < sessions) {
      const some = cookies.slice(watchers.length, watchers.length + AT_ONCE);
      watchers.push(...(await Promise.all(some.map((cookie) => watch(http, cookie)))));
    }
    assert.deepEqual(new Set(watchers.map((watcher) => watcher.ended())), new Set([null]), 'all follow');
    const tooMany = await watch(http, cookies[0]!);
    const newest = () => Math.max(...watchers.flatMap(({ seen }) => seen.at(-1) ?? 0));
    const times = keepTimes();

    /** What happens from now on is seen by all of these. */
    async function allSee(some: readonly Watcher[], more: number): Promise<void> {
      const from = newest() + more;
      await until(() => newest() >= from);
      const see = await until(() => some.every(({ seen }) => (seen.at(-1) ?? 0) >= from));
      times.note('an event was seen by all', 5, see);
    }
    await allSee(watchers, 10);
    const third = Math.floor(sessions / 3);
    for (const gone of watchers.slice(0, third)) gone.leave();
    for (const slow of watchers.slice(third, 2 * third)) slow.stopReading();
    const staying = watchers.slice(2 * third);
    await allSee(staying, 50);
    const looked = performance.now();
    const health = await seeHealth(server);
    times.note('health was said', 2, performance.now() - looked);
    const ldap = await seeDirectory(server);
    const console = await seePage(server);
    await allSee(staying, 10);
    const overAt = Date.now();
    await until(() => server.told().some(({ kind, at }) => kind === 'waited' && at > overAt));
    assert.deepEqual(new Set(staying.map((watcher) => watcher.ended())), new Set([null]), 'who reads goes on');
    const on = waitsOn(servers, beganAt) ? 'wait on with the same request' : 'the request they waited for is lost';
    assert.equal(server.process.exitCode, null, 'it does not end');
    const told = toldBetween(servers, beganAt, Date.now());
    const findings = [...(await load.contradictions()), ...staying.flatMap(gapsOf)];
    return {
      facts: {
        decisions: decisionsIn(told),
        ldap,
        console: `${console}; who reads is told of all that happens; one stream too many of a person: ${tooMany.ended() ?? 'taken'}`,
        hosts: on,
        health,
        recovery: within(5),
      },
      findings,
      told: toldIn(servers) + staying.reduce((sum, { seen }) => sum + seen.length, 0),
      times: times.all(),
    };
  },
};
