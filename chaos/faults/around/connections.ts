import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
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

/** How many are opened before the next ones: more than fit into the queue of a listener would wait for a second try. */
const AT_ONCE = 100;
/** Another address of this machine than the one of hosts: what one address may have is counted. */
const STRANGER = '127.0.0.2';

/** A connection on which nothing is said. */
interface Idle {
  socket: Socket;
  ended: boolean;
}

async function openIdle(port: number, count: number): Promise<Idle[]> {
  const all: Idle[] = [];
  while (all.length < count) {
    const some = Array.from({ length: Math.min(AT_ONCE, count - all.length) }, () => {
      const socket = connect({ port, host: '127.0.0.1', localAddress: STRANGER });
      const idle: Idle = { socket, ended: false };
      socket.on('error', () => {});
      socket.resume();
      socket.once('close', () => {
        idle.ended = true;
      });
      return idle;
    });
    await Promise.all(some.map(({ socket }) => once(socket, 'connect')));
    all.push(...some);
  }
  return all;
}

/** How many connections one address may have at the directory, unless it is set otherwise. */
const SHARE = 64;

export const fault: Fault = {
  title: 'somebody opens thousands of connections and says nothing',
  missing: () => null,
  async run(scope) {
    const folder = mkdtempSync(join(TEST_FOLDER, 'identree-connections-'));
    scope.after(() => rmSync(folder, { recursive: true, force: true }));
    const load = await startLoad(scope, { driver: 'sqlite', dsn: join(folder, 'identree.db') });
    const server = await load.start('first', { env: await directorySettings(load.folder), pauseMs: PAUSE_MS });
    const servers = [server];
    await untilWell(server);
    await until(() => server.told().some(({ kind }) => kind === 'waited'));
    const beganAt = Date.now();
    const opened: Idle[] = [];
    scope.after(() => opened.map(({ socket }) => socket.destroy()));
    opened.push(...(await openIdle(server.ports.http, scope.short ? 1000 : 10_000)));
    const atDirectory = await openIdle(server.ports.ldap!, scope.short ? 200 : 2000);
    opened.push(...atDirectory);
    // Who says nothing makes way for the next one of the same address.
    await until(() => atDirectory.filter(({ ended }) => !ended).length <= SHARE);
    const openAt = Date.now();
    const times = keepTimes();
    const asked = performance.now();
    const ldap = await seeDirectory(server);
    times.note('the directory answered others', 2, performance.now() - asked);
    const looked = performance.now();
    const health = await seeHealth(server);
    times.note('health was said', 2, performance.now() - looked);
    const console = await seePage(server);
    const waited = performance.now();
    await until(() => toldBetween(servers, openAt, Date.now()).filter(({ kind }) => kind === 'created').length > 20);
    times.note('others were decided', 5, performance.now() - waited);
    await until(() => server.told().some(({ kind, at }) => kind === 'waited' && at > openAt));
    const told = toldBetween(servers, beganAt, Date.now());
    const on = waitsOn(servers, beganAt) ? 'wait on with the same request' : 'the request they waited for is lost';
    assert.equal(server.process.exitCode, null, 'it does not end');
    const findings = await load.contradictions();
    return {
      facts: {
        decisions: decisionsIn(told),
        ldap: `${ldap}; of one address no more than ${SHARE} that say nothing stay`,
        console,
        hosts: on,
        health,
        recovery: within(5),
      },
      findings,
      told: toldIn(servers),
      times: times.all(),
    };
  },
};
