import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { agentAnswers } from '../../../agent/src/service/socket-server.ts';
import { connectPlugin, SUDO_ID } from '../../../agent/src/testing/fake-plugin.ts';
import { createParent } from '../../../agent/src/testing/parent.ts';
import { TEST_FOLDER } from '../../../server/src/db/test-postgres.ts';
import type { Told } from '../../../server/src/testing/journal.ts';
import { startLoad, until } from '../../../server/src/testing/load.ts';
import type { AgentChild } from '../../agent-child.ts';
import { type Fault, keepTimes, within } from '../../fault.ts';
import {
  decisionsIn,
  PAUSE_MS,
  seeDirectory,
  seeHealth,
  seePage,
  toldBetween,
  toldIn,
  untilWell,
} from '../../observe.ts';
import { enrolOutside, openLastingAddress } from '../../outside-host.ts';
import { statusIn } from '../../request-status.ts';

const BUILD = 'b'.repeat(32);

export const fault: Fault = {
  title: 'the agent of a host is killed while sudo waits there, and started again',
  missing: () => null,
  async run(scope) {
    const folder = mkdtempSync(join(TEST_FOLDER, 'identree-agents-'));
    scope.after(() => rmSync(folder, { recursive: true, force: true }));
    const load = await startLoad(scope, { driver: 'sqlite', dsn: join(folder, 'identree.db') });
    const { url, env, leadTo } = await openLastingAddress(scope, load);
    const server = await load.start('first', { env, pauseMs: PAUSE_MS });
    leadTo(server);
    await untilWell(server);
    const { paths, dir } = await enrolOutside(scope, url, server.ports);
    const sudo = await createParent(dir, { argv: ['sudo', 'id'], cwd: '/', environ: { LANG: 'C.UTF-8' } });
    const child: AgentChild = { paths, proc: sudo.proc, build: BUILD };
    const file = join(dir, 'agent.json');
    writeFileSync(file, JSON.stringify(child));

    async function startAgent(): Promise<ChildProcess> {
      const agent = spawn(process.execPath, [join(import.meta.dirname, '../..', 'agent-child.ts'), file], {
        stdio: ['ignore', 'ignore', 'inherit'],
        env: { PATH: process.env.PATH ?? '', NODE_OPTIONS: '--disable-warning=ExperimentalWarning' },
      });
      scope.after(() => agent.kill('SIGKILL'));
      await until(() => agentAnswers(paths.socket));
      return agent;
    }
    const hello = { v: 1, mode: 'sudo-check', build: BUILD, api: '1.21', fg: 1, intercepted: 0 };
    const ofSudo = { ...hello, pid: sudo.pid, pstart: sudo.startTime };

    let agent = await startAgent();
    const beganAt = Date.now();
    const outside: Told[] = [];
    const times = keepTimes();
    for (let round = 0; round < (scope.short ? 2 : 10); round += 1) {
      const waiting = connectPlugin(paths.socket, ofSudo, SUDO_ID);
      const token = await waiting.token;
      const { answer } = JSON.parse(token.toString('utf8')) as { answer: { challengeId: string } };
      const id = answer.challengeId;
      outside.push({ kind: 'created', id, status: 'pending', at: Date.now(), ms: 0 });
      await sleep(Math.random() * 100);
      const killed = once(agent, 'exit');
      agent.kill('SIGKILL');
      await killed;
      assert.equal((await waiting.result).granted, null, 'an agent that is gone grants nothing');
      const startedAt = performance.now();
      agent = await startAgent();
      const again = connectPlugin(paths.socket, ofSudo, { ...SUDO_ID, token });
      await again.says('is back');
      times.note('it went on after the start', 10, performance.now() - startedAt);
      const kept = await again.token;
      assert.equal(JSON.parse(kept.toString('utf8')).answer.challengeId, id, 'the same request goes on');
      again.send('C', 'interrupted');
      assert.notEqual((await again.result).granted, true);
      outside.push({ kind: 'cancelled', id, at: Date.now(), ms: 0 });
      // The agent withdraws it once sudo has its answer.
      await until(() => statusIn(load.dsn, id) === 'cancelled');
    }
    await until(() => toldBetween([server], beganAt, Date.now()).some(({ kind }) => kind === 'created'));
    const facts = {
      decisions: decisionsIn(toldBetween([server], beganAt, Date.now())),
      ldap: await seeDirectory(server),
      console: await seePage(server),
      hosts: 'nothing is granted meanwhile; then they wait on with the same request',
      health: await seeHealth(server),
      recovery: within(10),
    };
    const made = outside.filter(({ kind }) => kind === 'created').length;
    const findings = await load.contradictions(outside);
    return { facts, findings, told: toldIn(load.servers) + made, times: times.all() };
  },
};
