import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { TEST_FOLDER } from '../server/src/db/test-postgres.ts';
import type { Told } from '../server/src/testing/journal.ts';
import { startLoad, until } from '../server/src/testing/load.ts';
import { type Fault, keepTimes, within } from './fault.ts';
import {
  decisionsIn,
  directorySettings,
  seeDirectory,
  seeHealth,
  seePage,
  toldBetween,
  toldIn,
  untilWell,
  waitsIn,
  waitsOn,
} from './observe.ts';

/** A server whose clock jumps, and is set right again. */
export const wrongClock = (title: string, aheadMinutes: number): Fault => ({
  title,
  inEveryTest: false,
  missing: () => null,
  async run(scope) {
    const folder = mkdtempSync(join(TEST_FOLDER, 'identree-clock-'));
    scope.after(() => rmSync(folder, { recursive: true, force: true }));
    const load = await startLoad(scope, { driver: 'sqlite', dsn: join(folder, 'identree.db') });
    const env = await directorySettings(load.folder);
    const server = await load.start('first', { env, clockAheadMs: aheadMinutes * 60_000 });
    const servers = [server];
    await untilWell(server);
    await until(() => server.told().some(({ kind }) => kind === 'waited'));
    const jumpAt = Date.now();
    server.process.kill('SIGUSR2');
    // Load asks again at once, as no host does, and is soon told to slow down besides.
    const toldSince = (from: number) =>
      toldBetween(servers, from, Date.now()).filter((one) => one.kind !== 'refused' || one.code !== 'rate_limited');
    const skewed = () => toldSince(jumpAt).find((one) => one.kind === 'refused' && one.code === 'clock_skew');
    await until(() => skewed() !== undefined);
    const knownAt = skewed()!.at + 1;
    /** What the one who waits hears first that is another thing than that nobody has answered. */
    const heard = () =>
      server
        .told()
        .find(
          (one) =>
            one.at + one.ms >= jumpAt &&
            ((one.kind === 'refused' && one.what === 'wait' && one.code === 'clock_skew') ||
              (one.kind === 'waited' && one.status !== 'pending')),
        );
    const isDecision = (one: Told) => one.kind === 'created' || (one.kind === 'refused' && one.what !== 'wait');
    await until(() => heard() !== undefined && toldSince(knownAt).some(isDecision));
    const ldap = await seeDirectory(server);
    const console = await seePage(server);
    const health = await seeHealth(server);
    const told = toldSince(knownAt);
    const first = heard()!;
    const waits = first.kind === 'waited' ? `told that their request is ${first.status}` : waitsIn([first]);
    const before = server.created();
    server.process.kill('SIGUSR2');
    const backAt = Date.now();
    const times = keepTimes();
    times.note('all went on', 5, await until(() => server.created() > before + 4));
    await until(() => server.told().some(({ kind, at }) => kind === 'waited' && at > backAt));
    const on = waitsOn(servers, jumpAt) ? 'they wait on with the same request' : 'that request is over';
    assert.equal(server.process.exitCode, null, 'it does not end');
    const findings = await load.contradictions();
    return {
      facts: {
        decisions: decisionsIn(told),
        ldap,
        console,
        hosts: `${waits}; when the clock is set right ${on}`,
        health,
        recovery: within(5),
      },
      findings,
      told: toldIn(servers),
      times: times.all(),
    };
  },
});
