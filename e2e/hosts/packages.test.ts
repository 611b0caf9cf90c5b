import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { packageAgent } from '../../scripts/package-agent.ts';
import { fileSystem, makeBare } from '../harness/bare-host.ts';
import type { Host, Suite } from '../harness/lab.ts';
import { granted } from '../harness/person.ts';
import type { RunResult } from '../harness/run.ts';
import { ask, enrol, gate, mark, openWorld, skip, type World } from '../harness/world.ts';

const HOSTS = { bookworm: 'web1', trixie: 'web2' } as const satisfies Partial<Record<Suite, string>>;
const ORIGINALS = '/var/lib/identree/backup/originals.json';

/** Two hosts side by side, each with one package after the other. */
describe('the package of the agent', { concurrency: 2 }, () => {
  let world: World;
  let older: string;
  let newer: string;
  before(async () => {
    if (skip) return;
    world = await openWorld({
      hosts: [],
      people: ['alice'],
      policy: [
        { name: 'default', approval: 'passkey' },
        { name: 'bob', match_users: ['bob'], approval: 'none' },
      ],
    });
    const out = join(world.lab.dir, 'packages');
    const made = (version?: string) => packageAgent({ out, formats: ['deb'], compression: 'quick', version });
    // The same files under a lower number: what is tried is what the package does, not what has changed since.
    [older, newer] = (await Promise.all([made('0.0.1'), made()])).map(({ deb }) => deb) as [string, string];
  });
  after(() => world?.close());

  for (const [suite, name] of Object.entries(HOSTS) as [Suite, string][]) {
    describe(`on ${suite}`, { concurrency: false }, () => {
      let host: Host;
      let untouched: string[];
      before(async () => {
        if (skip) return;
        host = await world.lab.up(name, { suite });
        await makeBare(host);
        untouched = await fileSystem(host);
        for (const deb of [older, newer]) await host.write(`/root/${basename(deb)}`, await readFile(deb));
      });

      const dpkg = (...words: string[]): Promise<RunResult> =>
        host.exec(['env', 'DEBIAN_FRONTEND=noninteractive', 'dpkg', ...words], { timeoutMs: 180_000 });
      const install = async (deb: string): Promise<void> => {
        const { code, stdout, stderr } = await dpkg('--install', `/root/${basename(deb)}`);
        assert.equal(code, 0, stdout + stderr);
      };
      const agentPid = async (): Promise<string> =>
        (await host.sh('systemctl show --property MainPID --value identree-agent')).trim();
      const status = async (): Promise<string> =>
        (await host.sh('dpkg --list identree-agent | tail -1')).split(/\s+/, 3).join(' ');

      /** Somebody who may, and somebody who may not, all the while that something is done to the host. */
      async function sudoThroughout(work: () => Promise<void>): Promise<void> {
        const secret = mark();
        const script = `until [ -e /srv/over ]; do
          runuser -u bob -- sudo -n true || echo refused
          runuser -u alice -- sudo -n touch ${secret} 2>/dev/null && echo let through
          echo asked
        done`;
        const asking = host.exec(['bash', '-c', script], { timeoutMs: 240_000 });
        await work().finally(() => host.sh('touch /srv/over'));
        const { stdout, stderr } = await asking;
        await host.sh('rm /srv/over');
        assert.deepEqual([...new Set(stdout.trim().split('\n'))], ['asked'], stdout + stderr);
        assert.equal(host.exists(secret), false);
      }

      test('is installed and changes no login; the agent waits for an enrolment', { skip }, async () => {
        const login = () => host.sh('cat /etc/pam.d/* /etc/sudoers /etc/sudoers.d/*; ls /etc/sudo.conf 2>&1 || true');
        const before = await login();
        await install(older);
        assert.equal(await login(), before);
        assert.equal(await status(), 'ii identree-agent 0.0.1');
        assert.equal((await host.sh('systemctl is-enabled identree-agent')).trim(), 'enabled');
        assert.equal(await agentPid(), '0');
        assert.match(await host.sh('stat -c %a%U /var/lib/identree'), /^700root$/m);
      });

      test('upgraded while configured and gated: who waits goes on, and sudo is asked at every moment', {
        skip,
      }, async () => {
        await enrol(host, world.server);
        await gate(host, 'sudo,sudo-i', 'plugin');
        const file = mark();
        const waiting = await ask(world, host, 'alice', ['sudo', 'touch', file]);
        const before = await agentPid();
        await sudoThroughout(() => install(newer));
        assert.notEqual(await agentPid(), before, 'the agent is of the new package');
        assert.equal(host.exists(file), false);
        granted(await world.person('alice').approve(waiting.code));
        assert.equal(await waiting.terminal.exit, 0, waiting.terminal.text());
        assert.equal(host.exists(file), true);
      });

      test('downgraded in place, with the same promise', { skip }, async () => {
        await sudoThroughout(() => install(older));
        assert.equal(await status(), 'ii identree-agent 0.0.1');
        const request = await ask(world, host, 'alice', ['sudo', 'true']);
        granted(await world.person('alice').approve(request.code));
        assert.equal(await request.terminal.exit, 0, request.terminal.text());
      });

      test('does not go while sudo needs it and the way back is lost', { skip }, async () => {
        await host.sh(`mv ${ORIGINALS} /root/`);
        for (const how of ['--remove', '--purge']) {
          const { code, stderr } = await dpkg(how, 'identree-agent');
          assert.notEqual(code, 0);
          assert.match(stderr, /identree stays: it is still named in .*\/etc\/sudo\.conf/);
        }
        assert.equal((await host.as('bob', ['sudo', '-n', 'id', '-u'])).stdout, '0\n', 'sudo still works');
        await host.sh(`mv /root/originals.json ${ORIGINALS}`);
      });

      test('removed on a gated host: setup is undone first, and the identity is kept', { skip }, async () => {
        const { code, stdout, stderr } = await dpkg('--remove', 'identree-agent');
        assert.equal(code, 0, stdout + stderr);
        assert.match(stdout, /everything is as it was before identree/);
        assert.equal(host.exists('/etc/sudo.conf') && /identree/.test(await host.read('/etc/sudo.conf')), false);
        assert.equal(host.exists('/var/lib/identree/identity.json'), true);
        await install(newer);
        await gate(host, 'sudo,sudo-i', 'plugin');
      });

      test('purged on a gated host: the whole file system is as it was before the package', { skip }, async () => {
        const { code, stdout, stderr } = await dpkg('--purge', 'identree-agent');
        assert.equal(code, 0, stdout + stderr);
        const left = await fileSystem(host);
        const now = new Set(left);
        const then = new Set(untouched);
        assert.deepEqual(
          { gone: untouched.filter((line) => !now.has(line)), new: left.filter((line) => !then.has(line)) },
          { gone: [], new: [] },
        );
      });
    });
  }
});
