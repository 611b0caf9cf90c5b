import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { packageAgent } from '../../scripts/package-agent.ts';
import { fileSystem, makeBare } from '../harness/bare-host.ts';
import type { Host } from '../harness/lab.ts';
import { granted } from '../harness/person.ts';
import { type RunResult, until } from '../harness/run.ts';
import { agentReady, ask, enrol, gate, mark, openWorld, skip, type World } from '../harness/world.ts';

/** What waits for another minute of cron is done in the long form only. */
const LONG = process.env.IDENTREE_LONG === '1';

const ENTRY = '/etc/cron.d/identree-agent';
const SERVICE = '/usr/lib/identree/service';

/** cron looks once a minute. */
const CRON_MS = 90_000;

interface Report {
  healthy: boolean;
  lines: { what: string; value: string; problem: string | null }[];
}

describe('a host without systemd, on which cron starts the agent again', { concurrency: false, skip }, () => {
  let world: World;
  let host: Host;
  let untouched: string[];
  before(async () => {
    world = await openWorld({ hosts: [], people: ['alice'] });
    host = await world.lab.up('web1', { plain: true });
    await makeBare(host);
    // The image has its programs all the same.
    await host.sh('rm /usr/bin/systemctl /usr/bin/systemd-run /usr/bin/journalctl /usr/lib/systemd/systemd');
    untouched = await fileSystem(host);
    const { deb } = await packageAgent({
      out: join(world.lab.dir, 'packages'),
      formats: ['deb'],
      compression: 'quick',
    });
    await host.write('/root/identree-agent.deb', await readFile(deb));
  });
  after(() => world?.close());

  const install = () =>
    host.sh('DEBIAN_FRONTEND=noninteractive dpkg --install /root/identree-agent.deb', { timeoutMs: 180_000 });
  /** Every agent that runs here. */
  const agents = async (): Promise<string[]> => {
    const found = await host.exec(['pgrep', '--exact', '--full', '/usr/bin/identree agent']);
    return found.stdout.split('\n').filter((pid) => pid !== '');
  };
  const doctor = async (): Promise<Report & RunResult> => {
    const result = await host.exec(['identree', 'doctor', '--json']);
    return { ...result, ...(JSON.parse(result.stdout) as Report) };
  };
  const problems = async (): Promise<(string | null)[]> =>
    (await doctor()).lines.filter(({ problem }) => problem !== null).map(({ problem }) => problem);
  const approvedSudo = async (): Promise<void> => {
    const file = mark();
    const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
    assert.equal(host.exists(file), false);
    granted(await world.person('alice').approve(request.code));
    assert.equal(await request.terminal.exit, 0, request.terminal.text());
    assert.equal(host.exists(file), true);
  };
  const killed = async (): Promise<string> => {
    const [pid = ''] = await agents();
    await host.sh(`kill -KILL ${pid}; flock /run/identree/lock true`);
    return pid;
  };
  const backAfter = async (before: string): Promise<void> => {
    await until(
      'cron to start the agent again',
      async () => {
        const [pid = before] = await agents();
        return pid !== before;
      },
      CRON_MS,
    );
    await agentReady(host);
  };

  test('the package writes an entry of cron, and nothing runs before the enrolment', async () => {
    await install();
    assert.equal((await host.sh(`${SERVICE} init`)).trim(), 'cron');
    assert.equal(await host.sh(`stat -c '%a %U' ${ENTRY}`), '644 root\n');
    await host.sh(`${SERVICE} start; ${SERVICE} cron`);
    assert.deepEqual(await agents(), []);
  });

  test('enrolled it runs, once, as its unit says, and writes to the log of the system', async () => {
    await enrol(host, world.server);
    await host.sh(`for n in 1 2 3 4 5; do ${SERVICE} cron & ${SERVICE} start & done; wait`);
    const [pid, ...others] = await agents();
    assert.deepEqual(others, []);
    const seen = await host.sh(`tr '\\0' '\\n' < /proc/${pid}/environ; cat /proc/${pid}/status /proc/${pid}/limits
      cat /proc/${pid}/oom_score_adj; stat -c %a /run/identree`);
    assert.match(seen, /^UV_THREADPOOL_SIZE=16$/m);
    assert.match(seen, /^Umask:\s*0077$/m);
    assert.match(seen, /^Max core file size\s+0\s+0\s/m);
    assert.match(seen, /^700$/m);
    assert.doesNotMatch(seen, /^(HOME|LANG|USER)=/m, 'nothing of whoever started it');
    await until('its lines in the log', async () =>
      /identree-agent: ready on \/run\/identree\/agent\.sock/.test(await host.sh('cat /var/log/syslog')),
    );
  });

  test('where cron is not there either, setup changes nothing and says why', async () => {
    // What the agent itself keeps changes meanwhile.
    const files = async () => (await fileSystem(host)).filter((line) => !line.includes(' /var/lib/identree'));
    const before = await files();
    await host.sh('mv /usr/sbin/cron /root/');
    try {
      const refused = await host.exec(['identree', 'setup', '--pam', 'sudo,sudo-i', '--no-confirm']);
      assert.equal(refused.code, 1);
      assert.match(refused.stdout, /neither systemd nor cron[\s\S]*Nothing is changed/);
      assert.match((await problems()).join('\n'), /neither systemd nor cron/);
    } finally {
      await host.sh('mv /root/cron /usr/sbin/');
    }
    assert.deepEqual(await files(), before);
  });

  test('cron starts it with the machine, and its line starts one that was killed', async () => {
    await host.powerOff();
    await host.boot();
    await agentReady(host);
    assert.equal((await agents()).length, 1);
    const before = await killed();
    const [, line = ''] = /^\* \* \* \* \* root (.*)$/m.exec(await host.read(ENTRY)) ?? [];
    assert.notEqual(line, '');
    await host.sh(line);
    await backAfter(before);
  });

  test('a sudo is approved by a person, and doctor finds nothing', async () => {
    await gate(host, 'sudo,sudo-i', 'plugin');
    await approvedSudo();
    await until('doctor to find nothing', async () => (await doctor()).healthy);
    const { lines, code } = await doctor();
    assert.equal(code, 0);
    assert.deepEqual(
      lines.filter(({ what }) => what === 'Service'),
      [{ what: 'Service', value: 'started again by cron', problem: null }],
    );
  });

  test('while it is away a sudo is asked all the same', async () => {
    await host.sh(`${SERVICE} stop`);
    assert.deepEqual(await agents(), []);
    await approvedSudo();
    await host.sh(`${SERVICE} start`);
    await agentReady(host);
  });

  test('an upgrade starts it anew', async () => {
    const before = await agents();
    await install();
    const upgraded = await agents();
    assert.equal(upgraded.length, 1);
    assert.notDeepEqual(upgraded, before);
    await approvedSudo();
  });

  test('an entry that was altered, is open to others or is gone is named, and put back', async () => {
    const written = await host.read(ENTRY);
    for (const [change, named] of [
      [`echo '# mine' >> ${ENTRY}`, /identree-agent is not as it was written/],
      [`chmod 666 ${ENTRY}`, /identree-agent is not as it was written/],
      [`chown nobody ${ENTRY}`, /identree-agent is not as it was written/],
      [`mv ${ENTRY} /root/entry; ln -s /root/entry ${ENTRY}`, /identree-agent is not as it was written/],
      [`rm ${ENTRY}`, /identree-agent is not there, so nothing starts the agent again/],
    ] as const) {
      await host.sh(change);
      const [problem, ...others] = await problems();
      assert.match(problem ?? '', named);
      assert.deepEqual(others, []);
      await host.sh(/Run: (.*)$/.exec(problem ?? '')![1]!);
      assert.equal(await host.read(ENTRY), written);
      assert.deepEqual(await problems(), []);
    }
  });

  test('a cron that does not come any more is named', async () => {
    await host.sh("touch -d '5 minutes ago' /run/identree/cron");
    assert.match((await problems()).join('\n'), /cron has not looked after the agent/);
  });

  if (LONG)
    test('on a gated host too it is back within a minute, and stopped it stays so', async () => {
      await backAfter(await killed());
      await approvedSudo();
      await host.sh(`${SERVICE} stop; rm /run/identree/cron`);
      await until(
        'cron to look',
        async () => (await host.exec(['test', '-e', '/run/identree/cron'])).code === 0,
        CRON_MS,
      );
      assert.deepEqual(await agents(), []);
      await host.sh(`${SERVICE} start`);
      await agentReady(host);
    });

  if (LONG)
    test('what nobody confirms is put back by cron, though the process that waits for it was killed', async () => {
      const before = await host.read('/etc/pam.d/sshd');
      await host.sh('identree setup --pam sshd --confirm-within 1');
      assert.notEqual(await host.read('/etc/pam.d/sshd'), before);
      await host.sh("pkill --full --exact '/bin/sh -c sleep [0-9]+; while .*'");
      await until('it to be put back', async () => (await host.read('/etc/pam.d/sshd')) === before, CRON_MS + 60_000);
      await until('the line of cron to be gone', async () => !host.exists('/etc/cron.d/identree-revert'));
    });

  test('uninstalled nothing of it is left', async () => {
    const { code, stdout, stderr } = await host.exec(['identree', 'uninstall'], { timeoutMs: 180_000 });
    assert.equal(code, 0, stdout + stderr);
    assert.deepEqual(await agents(), []);
    assert.equal((await host.exec(['test', '-e', '/run/identree'])).code, 1);
    const left = await fileSystem(host);
    const [now, then] = [new Set(left), new Set(untouched)];
    assert.deepEqual(
      { gone: untouched.filter((line) => !now.has(line)), new: left.filter((line) => !then.has(line)) },
      { gone: [], new: [] },
    );
  });
});
