import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { CLASSIC_SUDOS as SUDOS } from '../harness/classic-sudos.ts';
import type { Host, LabUser, Suite } from '../harness/lab.ts';
import { CODE, granted, pendingCode } from '../harness/person.ts';
import { until } from '../harness/run.ts';
import {
  type Asked,
  agentReady,
  ask,
  asked,
  mark,
  openWorld,
  recordOf,
  requestsFor,
  skip,
  type World,
} from '../harness/world.ts';

const RULES = [
  'carol ALL=(ALL) NOPASSWD: /usr/bin/touch /srv/mark-*, /usr/bin/id',
  'dave ALL=(ALL) SETENV: ALL',
  'Defaults:dave !env_reset',
  'Defaults:bob runcwd=*, runchroot=*',
  'Defaults>carol umask=0007, command_timeout=90, closefrom=80',
  '',
].join('\n');

describe('the plugin in sudo: what is signed is what runs', { concurrency: 4 }, () => {
  let world: World;
  before(async () => {
    if (skip) return;
    world = await openWorld({ sudo: 'plugin' });
    for (const [version, name, suite] of SUDOS) {
      const host: Host = name === 'web1' ? world.host() : await world.addHost(name, { suite });
      await host.write('/etc/sudoers.d/plugin-tests', RULES, 0o440);
      assert.match((await host.exec(['sudo', '-V'])).stdout, new RegExp(`version ${version}`));
    }
  });
  after(() => world?.close());

  const approve = async (request: Asked, by: LabUser | 'olga' = request.row().username as LabUser): Promise<void> => {
    granted(await world.person(by).approve(request.code));
  };

  /** A test on the classic sudo of each Debian. */
  const each = (what: string, run: (sudo: { host: () => Host; suite: Suite }) => Promise<void>) => {
    for (const [version, name, suite] of SUDOS)
      test(`sudo ${version}: ${what}`, { skip }, () => run({ host: () => world.host(name), suite }));
  };

  each('approved: it starts without a key press, and only then; its status is kept', async (sudo) => {
    const host = sudo.host();
    const file = mark();
    const request = await ask(world, host, 'alice', ['sudo', 'sh', '-c', `touch ${file}; exit 7`], {
      env: { SUDO_REASON: 'ticket 4711' },
      cwd: '/usr/share',
    });
    assert.equal(host.exists(file), false, 'nothing runs before the answer');
    const record = recordOf(request);
    assert.equal(record.gate, 'plugin');
    assert.deepEqual(record.argv, ['sh', '-c', `touch ${file}; exit 7`]);
    assert.equal(record.resolved?.command, '/usr/bin/sh');
    assert.equal(record.target?.assurance, 'resolved');
    assert.equal(record.runAs.user, 'root');
    assert.equal(record.user, 'alice');
    assert.equal(record.uid, 2001);
    assert.equal(record.cwd, '/usr/share');
    assert.equal(record.reason, 'ticket 4711');
    assert.match(record.tty ?? '', /^\/dev\/pts\/\d+$/);
    const bytes = await host.sh('sha256sum "$(readlink -f /usr/bin/sh)"');
    assert.equal(Buffer.from(record.target?.sha256 ?? '', 'base64url').toString('hex'), bytes.slice(0, 64));
    assert.equal(record.argvSha256, createHash('sha256').update(`sh\0-c\0touch ${file}; exit 7\0`).digest('base64url'));
    await approve(request);
    assert.equal(await request.terminal.exit, 7);
    assert.equal(host.exists(file), true);
    assert.doesNotMatch(request.terminal.text(), /password/i);
  });

  for (const [version, name, suite] of SUDOS) {
    test(`sudo ${version}, a list that sudo splits in place: what is shown is the command, not its file`, {
      skip,
    }, async () => {
      const host = world.host(name);
      const script = '/home/alice/report.txt';
      const file = mark();
      await host.write(script, `#!/bin/sh\ntouch ${file}\n`, 0o755);
      await host.sh(`chown alice ${script}`);
      for (const option of ['--preserve-env=LC_TIME,/usr/bin/cat', '--preserve-e=LC_TIME,/usr/bin/cat']) {
        const request = await ask(world, host, 'alice', ['sudo', option, script]);
        const record = recordOf(request);
        assert.equal(record.resolved?.command, script);
        assert.deepEqual(record.argv, [script]);
        assert.ok(record.unrestricted.includes('user-writable-target'));
        assert.equal(record.target?.sha256, null, 'nothing is promised of what its owner can still change');
        request.terminal.type('\x03');
        await request.terminal.exit;
      }
      assert.equal(host.exists(file), false);
    });

    test(`sudo ${version}: by a second proc it starts another program than anybody else finds there, and none is promised`, {
      skip,
    }, async () => {
      const host = world.host(name);
      const file = mark();
      await host.sh('mkdir -p /srv/jail/proc /home/alice/usr/bin; mount -t proc proc /srv/jail/proc');
      await host.write('/home/alice/usr/bin/id', `#!/bin/sh\ntouch ${file}\n`, 0o755);
      await host.sh('chown -R alice /home/alice/usr');
      const command = '/srv/jail/proc/self/cwd/usr/bin/id';
      const request = await ask(world, host, 'alice', ['sudo', command], { cwd: '/home/alice' });
      const record = recordOf(request);
      assert.equal(record.resolved?.command, command);
      assert.deepEqual([record.target, record.unrestricted], [null, ['unparsed']]);
      await approve(request);
      assert.equal(await request.terminal.exit, 0);
      assert.equal(host.exists(file), true, 'this is what sudo does');
    });

    test(`sudo ${version} without secure_path: the program of the caller’s own PATH is the one that is shown`, {
      skip,
    }, async () => {
      const host = await world.addHost(`nopath-${suite}`, { suite });
      await host.write('/etc/sudoers.d/nopath', 'Defaults !secure_path\n', 0o440);
      await host.sh('mkdir -p /home/alice/bin; cp /usr/bin/true /home/alice/bin/id; chown -R alice /home/alice/bin');
      const request = await ask(world, host, 'alice', ['sudo', 'id'], { env: { PATH: '/home/alice/bin:/usr/bin' } });
      const record = recordOf(request);
      assert.equal(record.resolved?.command, '/home/alice/bin/id');
      assert.ok(record.unrestricted.includes('user-writable-target'));
      request.terminal.type('\x03');
      await request.terminal.exit;
    });

    test(`sudo ${version}: a rule with NOPASSWD is asked as well`, { skip }, async () => {
      const host = world.host(name);
      const file = mark();
      const request = await ask(world, host, 'carol', ['sudo', 'touch', file]);
      assert.equal(host.exists(file), false);
      await approve(request, 'olga');
      assert.equal(await request.terminal.exit, 0);
      assert.equal(host.exists(file), true);
    });

    test(`sudo ${version}: what sudoers refuses makes no request`, { skip }, async () => {
      const file = mark();
      const terminal = world.host(name).terminal('carol', ['sudo', 'chmod', '600', file]);
      assert.equal(await terminal.exit, 1);
      assert.match(terminal.text(), /not allowed to execute/);
      assert.equal(requestsFor(world, file), 0);
    });

    test(`sudo ${version}: what became of a command is said as sudo saw it, and no more`, { skip }, async () => {
      const host = world.host(name);
      await host.write('/usr/local/bin/broken', '#!/nonexistent/interpreter\n', 0o755);
      const ended = { state: 'ended', exitStatus: null, signal: null, reason: null };
      for (const [command, last] of [
        [['sh', '-c', 'exit 7'], { ...ended, exitStatus: 7 }],
        [['sh', '-c', 'kill -KILL $$'], { ...ended, signal: 'SIGKILL' }],
        [['broken'], { ...ended, state: 'refused', reason: 'No such file or directory' }],
      ] as const) {
        const request = await ask(world, host, 'alice', ['sudo', ...command]);
        await approve(request);
        assert.notEqual(await request.terminal.exit, 0);
        const runs = () => request.events().flatMap(({ event, data }) => (event === 'challenge_run' ? [data] : []));
        await until(`the end of ${command.join(' ')}`, () => runs().some(({ state }) => state !== 'started'));
        assert.deepEqual(
          runs()
            .map(({ state }) => state)
            .slice(-1),
          [last.state],
          'nothing is said after the end',
        );
        const { durationMs, ...told } = runs().at(-1)!;
        assert.deepEqual(told, last);
        assert.equal(typeof durationMs, last.state === 'ended' ? 'number' : 'object');
        assert.equal(request.row().outcome, 'granted', 'sudo had the approval');
      }
      const file = mark();
      const still = await ask(world, host, 'alice', ['sudo', 'sh', '-c', `echo on-$((40+2)); read x; touch ${file}`]);
      await approve(still);
      await still.terminal.see(/on-42/);
      const states = () => still.events().flatMap(({ event, data }) => (event === 'challenge_run' ? [data.state] : []));
      await until('its start', () => states().length > 0);
      assert.deepEqual(states(), ['started'], 'it runs, and nobody says that it has ended');
      still.terminal.type('\r');
      assert.equal(await still.terminal.exit, 0);
      await until('its end', () => states().length > 1);
      assert.deepEqual(states(), ['started', 'ended']);
      const journal = await host.sh('journalctl --no-pager -u identree-agent');
      assert.doesNotMatch(journal, /could not be reported/, 'told once, and known to have arrived');
    });
  }

  // Its umask is what the rule says and what the asker has, 022, together.
  each(
    'what sudo sets beside the command is there where it is not the usual, with open files counted',
    async (sudo) => {
      for (const [options, settings, more] of [
        [['-u', 'bob'], undefined, undefined],
        [['-u', 'carol'], { umask: '027', timeoutSeconds: 90 }, 13],
        [['-P', '-u', 'carol'], { keepsGroups: true, umask: '027', timeoutSeconds: 90 }, 13],
      ] as const) {
        const request = await ask(world, sudo.host(), 'alice', ['sudo', ...options, 'id']);
        const { resolved } = recordOf(request);
        assert.deepEqual(resolved?.settings, settings, options.join(' '));
        assert.equal(resolved?.descriptorsMore, more);
        request.terminal.type('\x03');
        await request.terminal.exit;
      }
    },
  );

  each('a ticket is no way around it', async (sudo) => {
    const host = await world.addHost(`tickets-${sudo.suite}`, { suite: sudo.suite });
    await host.write('/etc/sudoers.d/zz-tickets', 'Defaults timestamp_timeout=15\n', 0o440);
    const script = 'sudo id -u; echo first=$?; sudo id -u; echo second=$?';
    const request = await ask(world, host, 'alice', ['bash', '-c', script]);
    await approve(request);
    await request.terminal.see(/first=0[\s\S]*[A-HJ-NP-Z]{6}-\d{6}/);
    request.terminal.type('\x03');
    await request.terminal.see(/second=1/);
  });

  for (const [name, user, args, expected] of [
    ['-u bob', 'alice', ['-u', 'bob', 'id', '-un'], { runAs: 'bob', group: null, mode: 'command', shows: /^bob$/m }],
    ['-Hubob', 'alice', ['-Hubob', 'id', '-un'], { runAs: 'bob', group: null, mode: 'command', shows: /^bob$/m }],
    [
      '--us bob',
      'alice',
      ['--us', 'bob', 'id', '-un'],
      { runAs: 'bob', group: null, mode: 'command', shows: /^bob$/m },
    ],
    [
      '-u #2002',
      'alice',
      ['-u', '#2002', 'id', '-un'],
      { runAs: 'bob', group: null, mode: 'command', shows: /^bob$/m },
    ],
    [
      '-g',
      'alice',
      ['-u', 'bob', '-g', 'alice', 'id', '-gn'],
      { runAs: 'bob', group: 'alice', mode: 'command', shows: /^alice$/m },
    ],
    ['-s', 'alice', ['-s', 'id', '-u'], { runAs: 'root', group: null, mode: 'shell', shows: /^0$/m }],
    ['-i', 'alice', ['-i', 'id', '-u'], { runAs: 'root', group: null, mode: 'login-shell', shows: /^0$/m }],
    ['-D /usr', 'bob', ['-D', '/usr', 'pwd'], { runAs: 'root', group: null, mode: 'command', shows: /^\/usr$/m }],
  ] as const)
    each(`sudo ${name}: as sudo resolved it`, async (sudo) => {
      const request = await ask(world, sudo.host(), user, ['sudo', ...args]);
      const record = recordOf(request);
      assert.deepEqual([record.runAs.user, record.runAs.group], [expected.runAs, expected.group]);
      assert.equal(record.mode, expected.mode);
      assert.equal(record.service, expected.mode === 'login-shell' ? 'sudo-i' : 'sudo');
      if (name === '-D /usr') assert.equal(record.cwd, '/usr');
      await approve(request);
      assert.equal(await request.terminal.exit, 0, request.terminal.text());
      assert.match(request.terminal.text(), expected.shows);
    });

  each('-R: the program within the other root is the one that is looked at', async (sudo) => {
    const host = sudo.host();
    await host.sh('mkdir -p /srv/root/bin; cp /usr/bin/true /srv/root/bin/tool');
    const request = await ask(world, host, 'bob', ['sudo', '-R', '/srv/root', '/bin/tool']);
    const record = recordOf(request);
    assert.equal(record.resolved?.chroot, '/srv/root');
    assert.equal(record.resolved?.command, '/bin/tool');
    const bytes = await host.sh('sha256sum /srv/root/bin/tool');
    assert.equal(Buffer.from(record.target?.sha256 ?? '', 'base64url').toString('hex'), bytes.slice(0, 64));
    request.terminal.type('\x03');
    await request.terminal.exit;
  });

  each('-R into a root that the asker can lead elsewhere: no hash is promised', async (sudo) => {
    const host = sudo.host();
    await host.sh('mkdir -p /srv/inner/bin; cp /usr/bin/true /srv/inner/bin/tool; ln -s /srv/inner /home/bob/jail');
    await host.sh('chown -h bob /home/bob/jail');
    const request = await ask(world, host, 'bob', ['sudo', '-R', '/home/bob/jail', '/bin/tool']);
    const record = recordOf(request);
    assert.ok(record.unrestricted.includes('user-writable-path'));
    assert.equal(record.target?.sha256, null);
    request.terminal.type('\x03');
    await request.terminal.exit;
  });

  each('sudoedit writes only after the approval', async (sudo) => {
    const file = mark();
    const script = `EDITOR='sh -c "echo edited >> \\$1" sh' sudoedit ${file}`;
    const request = await ask(world, sudo.host(), 'alice', ['sh', '-c', script]);
    const record = recordOf(request);
    assert.equal(record.mode, 'edit');
    assert.ok(record.unrestricted.includes('editor'));
    assert.ok(record.argv.join(' ').includes(file));
    await approve(request);
    assert.equal(await request.terminal.exit, 0, request.terminal.text());
    assert.equal(await sudo.host().read(file), 'edited\n');
  });

  each('a variable that loads code is shown with its value, and counts as unrestricted', async (sudo) => {
    const request = await ask(world, sudo.host(), 'dave', ['sudo', 'PYTHONPATH=/home/dave/lib', 'id', '-u']);
    const record = recordOf(request);
    assert.ok(record.unrestricted.includes('environment'));
    assert.deepEqual(
      record.resolved?.environment.notable.filter(({ name }) => name === 'PYTHONPATH'),
      [{ name: 'PYTHONPATH', value: '/home/dave/lib', kind: 'interpreter' }],
    );
    await approve(request, 'olga');
    assert.equal(await request.terminal.exit, 0, request.terminal.text());
  });

  each('a program that changes while it waits is not released', async (sudo) => {
    const host = sudo.host();
    await host.sh('mkdir -p /opt/tools; cp /usr/bin/true /opt/tools/job');
    const request = await ask(world, host, 'alice', ['sudo', '/opt/tools/job']);
    await host.sh('cp /usr/bin/id /opt/tools/job');
    await approve(request);
    assert.equal(await request.terminal.exit, 1);
    assert.match(request.terminal.text(), /changed while you waited/);
    assert.doesNotMatch(request.terminal.text(), /uid=0/);
    assert.doesNotMatch(request.terminal.text(), /password/i);
    await until('what became of it', () => request.row().outcome === 'refused');
    assert.equal(request.row().outcome_detail, 'target_changed');
  });

  each('a denial is one line with who and why, and none about passwords', async (sudo) => {
    const file = mark();
    const request = await ask(world, sudo.host(), 'alice', ['sudo', 'touch', file]);
    granted(await world.person('olga').deny(request.code, 'not on a Friday'));
    assert.equal(await request.terminal.exit, 1);
    assert.match(request.terminal.text(), /Denied by olga: not on a Friday/);
    assert.doesNotMatch(request.terminal.text(), /password|try again/i);
    assert.equal(sudo.host().exists(file), false);
    assert.equal(requestsFor(world, file), 1);
  });

  each('a command whose monitor the asker kills runs on, and nobody says that it did not', async (sudo) => {
    const host = sudo.host();
    await host.write('/etc/sudoers.d/zz-pty', 'Defaults use_pty\n', 0o440);
    const file = mark();
    const script = `trap '' HUP; echo on-$((40+2)); until test -e ${file}-go; do sleep 0.1; done; touch ${file}`;
    const request = await ask(world, host, 'alice', ['sudo', 'sh', '-c', script]);
    await approve(request);
    await request.terminal.see(/on-42/);
    // The monitor is the sudo that a sudo has started, and still hers to kill.
    const outer = `pgrep -x sudo | xargs -I% sh -c 'grep -qF "${file}" /proc/%/cmdline && pgrep -x -P % sudo'`;
    const pid = (await host.sh(`${outer} || true`)).trim();
    assert.match(pid, /^\d+$/);
    assert.equal((await host.as('alice', ['kill', '-KILL', pid])).code, 0);
    await request.terminal.exit;
    const runs = () => request.events().flatMap(({ event, data }) => (event === 'challenge_run' ? [data] : []));
    await until('the word of sudo', () => runs().length > 1);
    const { durationMs: _, ...told } = runs().at(-1)!;
    assert.deepEqual(told, { state: 'ended', exitStatus: null, signal: null, reason: null });
    await host.sh(`touch ${file}-go`);
    await until('what it does', () => host.exists(file));
  });

  each('a folder that the asker gave the name of another one: nothing is released', async (sudo) => {
    const host = sudo.host();
    const name = `folders-${sudo.suite}`;
    await host.as('alice', [
      'sh',
      '-ec',
      `mkdir ${name}; cd ${name}; mkdir shown real; echo real > real/x; echo shown > shown/x`,
    ]);
    const inside = `cd ${name}/real; mv ../shown ../kept; mv ../real ../shown; exec sudo sh -c 'echo this-is-$(cat x)'`;
    const request = await ask(world, host, 'alice', ['sh', '-c', inside]);
    assert.equal(recordOf(request).cwd, `/home/alice/${name}/shown`);
    await host.as('alice', ['sh', '-ec', `cd ${name}; mv shown real; mv kept shown`]);
    await approve(request);
    assert.equal(await request.terminal.exit, 1);
    assert.doesNotMatch(request.terminal.text(), /this-is-real/);
    await until('what became of it', () => request.row().outcome_detail === 'target_changed');
  });

  each('root is not asked', async (sudo) => {
    const result = await sudo.host().exec(['sudo', '-n', '-u', 'bob', 'id', '-un']);
    assert.deepEqual([result.code, result.stdout], [0, 'bob\n'], result.stderr);
  });

  each('two identical sudos and one approval: exactly one runs', async (sudo) => {
    const host = sudo.host();
    const file = mark();
    const command = ['sudo', 'sh', '-c', `echo ran >> ${file}`];
    const [first, second] = await Promise.all([ask(world, host, 'bob', command), ask(world, host, 'bob', command)]);
    await approve(second);
    assert.equal(await second.terminal.exit, 0);
    assert.equal(await host.read(file), 'ran\n');
    assert.equal(first.row().status, 'pending');
    first.terminal.type('\x03');
    assert.equal(await first.terminal.exit, 1);
    assert.equal(await host.read(file), 'ran\n');
  });

  each('a command that an allowed one starts is asked for too, where sudo intercepts', async (sudo) => {
    const host = await world.addHost(`intercept-${sudo.suite}`, { suite: sudo.suite });
    await host.write('/etc/sudoers.d/intercept', 'Defaults intercept\n', 0o440);
    const file = mark();
    const terminal = host.terminal('alice', ['sudo', 'sh', '-c', `cd /usr/share; touch ${file}; echo end`]);
    const [outer] = await terminal.see(CODE);
    const first = asked(world, terminal, outer);
    assert.equal(recordOf(first).resolved?.intercepted, false);
    await approve(first);
    const inner = await pendingCode(world.server, 'alice', file);
    const second = asked(world, terminal, inner);
    assert.equal(recordOf(second).resolved?.intercepted, true);
    assert.deepEqual(recordOf(second).argv, ['/usr/bin/touch', file]);
    assert.equal(recordOf(second).cwd, '/usr/share', 'where the shell is by now');
    assert.equal(host.exists(file), false);
    await approve(second);
    assert.equal(await terminal.exit, 0, terminal.text());
    assert.equal(host.exists(file), true);
  });

  each('Ctrl-C at that question refuses it also where sudo relays the terminal', async (sudo) => {
    const host = await world.addHost(`relayed-${sudo.suite}`, { suite: sudo.suite });
    await host.write('/etc/sudoers.d/relayed', 'Defaults intercept, use_pty\n', 0o440);
    const file = mark();
    const terminal = host.terminal('alice', ['sudo', 'sh', '-c', `/usr/bin/touch ${file}; echo end-$((40+2))`]);
    const [outer] = await terminal.see(CODE);
    await approve(asked(world, terminal, outer));
    const second = asked(world, terminal, await pendingCode(world.server, 'alice', file));
    await terminal.see(/Waiting[\s\S]*Waiting/);
    terminal.type('\x03');
    await terminal.see(/Cancelled[\s\S]*end-42/);
    assert.equal(await terminal.exit, 0, terminal.text());
    assert.equal(host.exists(file), false);
    await until('it is withdrawn', () => second.row().status === 'cancelled');
  });

  each('what an approved command starts runs without a word where sudo only logs it', async (sudo) => {
    const host = await world.addHost(`logged-${sudo.suite}`, { suite: sudo.suite });
    await host.write('/etc/sudoers.d/logged', 'Defaults log_subcmds\n', 0o440);
    const file = mark();
    const request = await ask(world, host, 'alice', ['sudo', 'sh', '-c', `/usr/bin/touch ${file}; /usr/bin/true`]);
    await approve(request);
    assert.equal(await request.terminal.exit, 0);
    assert.equal(host.exists(file), true);
    assert.doesNotMatch(request.terminal.text(), /identree_audit|unable to log/);
    assert.equal(requestsFor(world, file), 1);
  });
});

describe('the plugin in sudo: programs that call it', { concurrency: false }, () => {
  let world: World;
  before(async () => {
    if (skip) return;
    world = await openWorld({ sudo: 'plugin', people: ['alice', 'olga'] });
    await world.addHost('thirteen', { suite: 'trixie' });
  });
  after(() => world?.close());

  describe('as hosts are', { concurrency: 4 }, () => {
    for (const [version, name] of SUDOS)
      test(`sudo ${version}: without a terminal: plain lines on stderr at once, and stdout is the command’s alone`, {
        skip,
      }, async () => {
        const host = world.host(name);
        const file = mark();
        const running = host.as('alice', ['sudo', 'sh', '-c', `touch ${file}; head -c 100000 /dev/zero; cat`], {
          input: 'typed ahead',
        });
        const code = await pendingCode(world.server, 'alice', file);
        granted(await world.person('alice').approve(code));
        const result = await running;
        assert.equal(result.code, 0, result.stderr);
        assert.equal(result.stdout, `${'\0'.repeat(100_000)}typed ahead`);
        assert.match(result.stderr, new RegExp(`approve/${code}`));
        assert.doesNotMatch(result.stderr, /\x1b|█/);
      });

    for (const [version, name] of SUDOS)
      test(`sudo ${version}: $(sudo …) on a terminal holds the output alone, and the link is on the screen`, {
        skip,
      }, async () => {
        const host = world.host(name);
        const request = await ask(world, host, 'alice', ['bash', '-c', 'x=$(sudo id -u); echo "[$x]"']);
        granted(await world.person('alice').approve(request.code));
        assert.equal(await request.terminal.exit, 0);
        assert.match(request.terminal.text(), /^\[0\]$/m);
      });

    for (const [version, name] of SUDOS)
      test(`sudo ${version}: sudo -n fails at once, makes no request, and says why`, { skip }, async () => {
        const host = world.host(name);
        const file = mark();
        const result = await host.as('alice', ['sudo', '-n', 'touch', file]);
        assert.equal(result.code, 1);
        assert.match(result.stderr.replace(/\s+/g, ' '), /sudo -n does not wait/);
        assert.equal(host.exists(file), false);
        assert.ok(!world.server.data.challenges().some((row) => row.record.includes(file) && row.status === 'pending'));
      });
  });

  describe('on a host that lets sudo -n wait', { concurrency: 2 }, () => {
    for (const [version, name] of SUDOS)
      test(`sudo ${version}: IDENTREE_NONINTERACTIVE=ask: sudo -n waits`, { skip }, async () => {
        const host = world.host(name);
        await host.sh(
          'echo IDENTREE_NONINTERACTIVE=ask >> /etc/identree/client.conf; systemctl restart identree-agent',
        );
        await agentReady(host);
        const file = mark();
        const running = host.as('alice', ['sudo', '-n', 'touch', file]);
        const code = await pendingCode(world.server, 'alice', file);
        assert.equal(host.exists(file), false);
        granted(await world.person('alice').approve(code));
        const result = await running;
        assert.equal(result.code, 0, result.stderr);
        assert.equal(host.exists(file), true);
      });
  });
});
