import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Host } from '../harness/lab.ts';
import { granted } from '../harness/person.ts';
import { until } from '../harness/run.ts';
import { ask, enrol, mark, openWorld, recordOf, skip, type World } from '../harness/world.ts';

/** Every file of /etc, with mode, owner, link and content. */
const everything = (host: Host): Promise<string> =>
  host.sh("find /etc -printf '%y %m %U:%G %p %l\\n' | sort; find /etc -type f -exec sha256sum {} + | sort -k2");

/** What setup says where the server, or the agent's first report, is late: on a busy machine it is tried again. */
const LATE = /has not spoken to the server lately|did not answer in time|could not be made in time/;

/** Three tries in vain, twice. */
const LONG = process.env.IDENTREE_LONG === '1';

describe('a host of which sudo is sudo-rs, Debian 13', { concurrency: false }, () => {
  let world: World;
  let host: Host;
  let original: string;
  before(async () => {
    if (skip) return;
    world = await openWorld({ hosts: [], people: ['alice'] });
    host = await world.lab.up('web1', { suite: 'trixie' });
    // Debian installs it beside sudo; where it is the only one, it has these names.
    await host.sh(`mv /usr/bin/sudo /usr/bin/sudo.todd; ln -s ../lib/cargo/bin/sudo /usr/bin/sudo
      mv /usr/sbin/visudo /usr/sbin/visudo.todd; ln -s ../lib/cargo/bin/visudo /usr/sbin/visudo`);
    await enrol(host, world.server);
    original = await everything(host);
  });
  after(() => world?.close());

  test('identree setup chooses the PAM stage, and says why', { skip }, async () => {
    const { code, stdout, stderr } = await until(
      'setup',
      async () => {
        const result = await host.exec(['identree', 'setup', '--pam', 'sudo,sudo-i', '--no-confirm']);
        return LATE.test(result.stdout + result.stderr) ? null : result;
      },
      150_000,
    );
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout.replace(/\s+/g, ' '), /PAM stage.*sudo-rs 0\.\d+\.\d+\S* has no plugins/);
    assert.doesNotMatch(await host.sh('cat /etc/sudo.conf 2>/dev/null || true'), /identree/);
    assert.match(await host.read('/etc/pam.d/sudo'), /pam_identree\.so/);
  });

  test('identree doctor has no complaint, and names the gate', { skip }, async () => {
    const { stdout } = await until(
      'a doctor without a complaint',
      async () => {
        const result = await host.exec(['identree', 'doctor']);
        return result.code === 0 && result;
      },
      150_000,
    );
    assert.match(stdout, /the PAM stage asks/);
  });

  test('sudo is asked, and runs what was approved', { skip }, async () => {
    const file = mark();
    const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
    const record = recordOf(request);
    assert.deepEqual([record.gate, record.target?.path], ['pam', '/usr/bin/touch']);
    assert.equal(host.exists(file), false);
    granted(await world.person('alice').approve(request.code));
    assert.equal(await request.terminal.exit, 0, request.terminal.text());
    assert.equal(host.exists(file), true);
  });

  test('sudo -n fails at once, makes no request, and says why', { skip }, async () => {
    const before = world.server.data.challenges().length;
    const result = await host.as('alice', ['sudo', '-n', 'true']);
    assert.equal(result.code, 1);
    assert.match(result.stderr.replace(/\s+/g, ' '), /sudo -n does not wait/);
    assert.equal(result.stdout, '');
    assert.equal(world.server.data.challenges().length, before);
  });

  if (LONG)
    test('[W-6] while its server is dead, the break-glass password lets in, and a wrong one does not', {
      skip,
    }, async () => {
      const made = await host.exec(['identree', 'rotate-breakglass', '--local', '--force']);
      assert.equal(made.code, 0, made.stderr);
      const password = made.stdout.trim();
      await world.server.stop();
      for (const [typed, code] of [
        ['no-such-password', 1],
        [password, 0],
      ] as const) {
        const file = mark();
        const terminal = host.terminal('alice', ['sudo', 'touch', file]);
        await terminal.see(/Break-glass password: $/);
        terminal.type(`${typed}\r`);
        assert.equal(await terminal.exit, code, terminal.text());
        assert.equal(host.exists(file), code === 0);
        assert.ok(!terminal.text().includes(password));
      }
      await world.server.start();
      await until(
        'the server to hear of both',
        () => world.server.data.events().filter(({ event }) => event.startsWith('break_glass_')).length === 2,
        120_000,
      );
      await host.sh('rm -f /etc/identree-breakglass*');
    });

  test('setup --undo puts back every byte', { skip }, async () => {
    const result = await host.exec(['identree', 'setup', '--undo']);
    assert.equal(result.code, 0, result.stdout + result.stderr);
    assert.equal(await everything(host), original);
    const terminal = host.terminal('alice', ['sudo', 'id']);
    await terminal.see(/password/i);
    terminal.hangUp();
  });
});
