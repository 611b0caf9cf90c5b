import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { whyNoPostgres } from '../../../server/src/db/test-postgres.ts';
import type { Told } from '../../../server/src/testing/journal.ts';
import { startLoadOnPostgres, until } from '../../../server/src/testing/load.ts';
import { type Fault, keepTimes, within } from '../../fault.ts';
import { seeUnharmed, toldBetween, toldIn, untilDecided, untilWell, waitsOn } from '../../observe.ts';
import { enrolOutside, openLastingAddress, openOutside, waitOutside } from '../../outside-host.ts';

/** Less than a server has already: it gets no more, whatever it does next. */
const LIMIT_BYTES = 1_000_000;

export const fault: Fault = {
  title: 'a server reaches the limit of its memory under load and ends; another one goes on, and it is started again',
  missing: whyNoPostgres,
  async run(scope) {
    const load = await startLoadOnPostgres(scope);
    // As of a balancer that has seen who is well.
    const { url, env, leadTo } = await openLastingAddress(scope, load);
    const other = await load.start('other', { env });
    let limited = await load.start('limited', { env });
    leadTo(limited);
    const host = await openOutside(scope, await enrolOutside(scope, url, limited.ports));
    const times = keepTimes();
    const seen = new Set<string>();
    const outside: Told[] = [];
    for (let round = 0; round < (scope.short ? 1 : 5); round += 1) {
      leadTo(limited);
      await untilWell(limited);
      await until(() => other.told().some(({ kind }) => kind === 'waited'));
      const waiting = await waitOutside(host);
      const takenAt = Date.now();
      const ended = once(limited.process, 'exit');
      execFileSync('prlimit', ['--pid', String(limited.process.pid), `--data=${LIMIT_BYTES}`]);
      await ended;
      await until(() => /out of memory/i.test(limited.logged()));
      const endedAt = Date.now();
      leadTo(other);
      const asked = performance.now();
      await until(() => toldBetween([other], endedAt, Date.now()).filter(({ kind }) => kind === 'created').length > 4);
      times.note('others were decided', 5, performance.now() - asked);
      const { ldap, console, health } = await seeUnharmed(other, times);
      await until(() => other.told().some(({ kind, at }) => kind === 'waited' && at > endedAt));
      const on = waitsOn([other], takenAt) ? 'wait on with the same request' : 'the request they waited for is lost';
      const end = await waiting.cancel();
      outside.push(...waiting.told);
      const moved = end === 'cancelled' ? 'go on with the same request at another one' : `hear that it is ${end}`;
      const startedAt = performance.now();
      limited = await load.start(`limited-${round}`, { env });
      await until(() => limited.created() > 0);
      times.note('it went on after the start', 10, performance.now() - startedAt);
      const decisions = `at other servers: ${await untilDecided(other, endedAt)}`;
      seen.add(
        JSON.stringify({
          decisions,
          ldap: `other servers: ${ldap}`,
          console: `other servers: ${console}`,
          hosts: `at other servers: ${on}; those at that server ${moved}`,
          health: `other servers: ${health}`,
        }),
      );
    }
    assert.equal(other.process.exitCode, null, 'no other server ends');
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
