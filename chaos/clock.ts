import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { TEST_FOLDER } from '../server/src/db/test-postgres.ts';
import type { Told } from '../server/src/testing/journal.ts';
import { startLoad, until } from '../server/src/testing/load.ts';
import type { WrongClock } from '../server/src/testing/load-child.ts';
import { type Fault, keepTimes, within } from './fault.ts';
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
  waitsIn,
  waitsOn,
} from './observe.ts';
import { statusIn } from './request-status.ts';

/** A clock that jumps, and is set right again. */
export const wrongClock = (
  title: string,
  { of, aheadMinutes }: { of: WrongClock['of']; aheadMinutes: number },
): Fault => ({
  title,
  missing: () => null,
  async run(scope) {
    const folder = mkdtempSync(join(TEST_FOLDER, 'identree-clock-'));
    scope.after(() => rmSync(folder, { recursive: true, force: true }));
    const load = await startLoad(scope, { driver: 'sqlite', dsn: join(folder, 'identree.db') });
    // Far from what it takes to look, and from how far the clock goes.
    const env = { ...(await directorySettings(load.folder)), IDENTREE_CHALLENGE_TTL: '5m' };
    const server = await load.start('first', {
      env,
      pauseMs: PAUSE_MS,
      wrongClock: { of, aheadMs: aheadMinutes * 60_000 },
    });
    const servers = [server];
    await untilWell(server);
    const isWaited = (one: Told) => one.kind === 'waited';
    await until(() => server.told().some(isWaited));
    const waitedFor = server.told().flatMap((one) => (one.kind === 'waited' ? [one.id] : []))[0]!;
    const jumpAt = Date.now();
    server.process.kill('SIGUSR2');
    // Load asks again at once, as no host does, and is soon told to slow down besides.
    const toldSince = (from: number) =>
      toldBetween(servers, from, Date.now()).filter((one) => one.kind !== 'refused' || one.code !== 'rate_limited');
    const skewed = () => toldSince(jumpAt).find((one) => one.kind === 'refused' && one.code === 'clock_skew');
    await until(() => skewed() !== undefined);
    const knownAt = skewed()!.at + 1;
    // By a clock that is ahead the time for an answer is over.
    const runsOut = of === 'server' && aheadMinutes > 0;
    if (runsOut) await until(() => statusIn(load.dsn, waitedFor) === 'expired');
    const refusedWaits = () =>
      toldSince(jumpAt).filter((one) => one.kind === 'refused' && one.what === 'wait' && one.code === 'clock_skew');
    if (!runsOut) await until(() => refusedWaits().length > 0);
    await until(() => {
      const told = toldSince(knownAt);
      const refused = told.some((one) => one.kind === 'refused' && one.what !== 'wait');
      return refused && (of === 'server' || told.some(({ kind }) => kind === 'created'));
    });
    const ldap = await seeDirectory(server);
    const console = await seePage(server);
    // What happened before the jump is long ago by that clock, until it was counted.
    await until(async () => (await server.health())?.body.checks.event_readers === 'ok');
    const health = await seeHealth(server);
    const told = toldSince(knownAt);
    const before = server.created();
    server.process.kill('SIGUSR2');
    const backAt = Date.now();
    const times = keepTimes();
    times.note('all went on', 5, await until(() => server.created() > before + 4));
    await until(() => server.told().some((one) => isWaited(one) && one.at > backAt));
    const ended = server
      .told()
      .flatMap((one) => (one.kind === 'waited' && one.id === waitedFor && one.status !== 'pending' ? [one] : []));
    const on = waitsOn(servers, jumpAt) ? 'they wait on with the same request' : 'that request is over';
    assert.equal(server.process.exitCode, null, 'it does not end');
    const findings = await load.contradictions();
    return {
      facts: {
        decisions: decisionsIn(told),
        ldap,
        console,
        hosts: runsOut
          ? `are told that their request is ${ended.map(({ status }) => status).join(', ')}; when the clock is set right they may ask again`
          : `${waitsIn(refusedWaits())}; when the clock is set right ${on}`,
        health,
        recovery: within(5),
      },
      findings,
      told: toldIn(servers),
      times: times.all(),
    };
  },
});
