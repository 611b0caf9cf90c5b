import assert from 'node:assert/strict';
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import type net from 'node:net';
import { join } from 'node:path';
import { Duplex } from 'node:stream';
import { describe, it } from 'node:test';
import type { HostRecord } from '#shared/decision.ts';
import { systemClock } from '../platform/clock.ts';
import { silentLog } from '../platform/log.ts';
import { connectHook, frame, helloPayload } from '../testing/fake-hook.ts';
import { connectPlugin, type PluginLists, SUDO_ID } from '../testing/fake-plugin.ts';
import type { FakeChallenge } from '../testing/fake-server.ts';
import { createTestGate, TEST_BUILD, type TestGate } from '../testing/test-gate.ts';
import { createGate, type GateDeps } from './gate.ts';
import type { PluginHello } from './hello.ts';
import type { PluginParts } from './plugin-parts.ts';
import { runOf } from './sudo-plugin.ts';

const SHORT = { timeout: 120_000, concurrency: 6 };

const until = async (condition: () => boolean): Promise<void> => {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10));
};

const hello = (gate: TestGate, change: Record<string, string | number> = {}) => ({
  v: 1,
  mode: 'sudo-check',
  build: TEST_BUILD,
  api: '1.21',
  pid: gate.parent.pid,
  pstart: gate.parent.startTime,
  fg: 1,
  intercepted: 0,
  ...change,
});

const check = (gate: TestGate, lists: PluginLists = SUDO_ID, change: Record<string, string | number> = {}) =>
  connectPlugin(gate.socket, hello(gate, change), lists);

const LOADED = '7f0000000000-7f0000001000 r-xp 00000000 08:01 42   /usr/lib/identree/identree_sudo.so';
/** The next agent of this host is reached at this time for the first time; the sudo of the test gate began at 777. */
async function reachedAt(gate: TestGate, ticks: number, maps = LOADED): Promise<void> {
  await writeFile(join(gate.parent.proc, 'uptime'), `${(ticks / 100).toFixed(2)} 1.00\n`);
  await writeFile(join(gate.parent.proc, String(gate.parent.pid), 'maps'), `${maps}\n`);
}

async function recordOf(lists: PluginLists, change: Record<string, string | number> = {}): Promise<HostRecord> {
  await using gate = await createTestGate();
  const plugin = check(gate, lists, change);
  const { record } = await gate.server.challenge();
  plugin.hangUp();
  await plugin.result;
  return record;
}

describe('the plugin at the gate: what is asked is what sudo told', SHORT, () => {
  it('of so many at a time of one account, and of any other', async () => {
    await using gate = await createTestGate();
    for (let begun = 0; begun < 128; begun++) check(gate);
    await until(() => gate.server.challenges.length === 128);
    const oneMore = await check(gate).result;
    assert.deepEqual([oneMore.granted, /Too many sudos of this account/.test(oneMore.text)], [false, true]);
    const userInfo = SUDO_ID.userInfo.map((field) => (field === 'uid=1000' ? 'uid=1001' : field));
    check(gate, { ...SUDO_ID, userInfo });
    await until(() => gate.server.challenges.length === 129);
  });

  it('but for a terminal that is somebody else’s, whatever number sudo knows its own by', async () => {
    const userInfo = SUDO_ID.userInfo.map((field) => (field === 'tty=/dev/null' ? 'tty=/dev/zero' : field));
    assert.equal((await recordOf({ ...SUDO_ID, userInfo })).tty, null);
  });

  it('command, arguments, run-as, folder, environment: as they came, with nothing parsed', async () => {
    const record = await recordOf({
      ...SUDO_ID,
      commandInfo: [
        'command=/usr/bin/id',
        'runas_uid=7',
        'runas_user=lp',
        'runas_group=adm',
        'preserve_fds=5,4',
        'closefrom=3',
      ],
      argv: ['-id', '--preserve-env=X,/usr/bin/cat', '-u'],
      environment: ['PATH=/usr/bin:/home/alice/bin', 'LD_PRELOAD=/home/alice/x.so', 'LANG=C', 'EDITOR=vi'],
    });
    assert.equal(record.gate, 'plugin');
    assert.deepEqual(record.runAs, { user: 'lp', group: 'adm', assurance: 'resolved' });
    assert.deepEqual(record.argv, ['-id', '--preserve-env=X,/usr/bin/cat', '-u']);
    assert.equal(record.mode, 'command');
    assert.equal(record.cwd, '/usr');
    assert.equal(record.user, 'alice');
    assert.equal(record.uid, 1000);
    assert.equal(record.tty, '/dev/null');
    assert.equal(record.target?.assurance, 'resolved');
    const { resolved } = record;
    assert.equal(resolved?.command, '/usr/bin/id');
    assert.deepEqual(resolved?.descriptors, [4, 5]);
    assert.deepEqual(resolved?.environment.names, ['PATH', 'LD_PRELOAD', 'LANG', 'EDITOR']);
    assert.deepEqual(resolved?.environment.notable, [
      { name: 'PATH', value: '/usr/bin:/home/alice/bin', kind: 'path' },
      { name: 'LD_PRELOAD', value: '/home/alice/x.so', kind: 'loader' },
      { name: 'EDITOR', value: 'vi', kind: 'editor' },
    ]);
  });

  it('descriptors beyond those that a record lists are counted', async () => {
    const of = async (...commandInfo: string[]) => {
      const { resolved } = await recordOf({ ...SUDO_ID, commandInfo: [...SUDO_ID.commandInfo, ...commandInfo] });
      return [resolved?.descriptors.length, resolved?.descriptors.at(-1), resolved?.descriptorsMore];
    };
    assert.deepEqual(await of('closefrom=67'), [64, 66, undefined]);
    assert.deepEqual(await of('closefrom=68', 'preserve_fds=5,900,2000000'), [64, 66, 2]);
    assert.deepEqual(await of('closefrom=9999999'), [64, 66, 1_048_574 - 64]);
    assert.deepEqual(await of(`preserve_fds=${Array.from({ length: 70 }, (_, i) => 200 - i)}`), [64, 194, 6]);
  });

  it('what sudo sets beside them is there where it is not what every command gets', async () => {
    const of = async (...commandInfo: string[]) => {
      const lists = { ...SUDO_ID, commandInfo: ['command=/usr/bin/id', 'runas_user=lp', ...commandInfo] };
      return (await recordOf(lists)).resolved?.settings;
    };
    assert.equal(await of('runas_uid=7', 'runas_gid=7', 'runas_groups=7', 'umask=0022', 'timeout=0'), undefined);
    assert.deepEqual(await of('runas_uid=7', 'runas_gid=7', 'runas_groups=7,0,4000000001', 'umask=0', 'timeout=90'), {
      groups: ['root', '#4000000001'],
      umask: '0',
      timeoutSeconds: 90,
    });
    assert.deepEqual(await of('runas_uid=0', 'runas_gid=0', 'runas_groups=0,6'), undefined, 'root may do all of it');
    const many = Array.from({ length: 70 }, (_, i) => 4_000_000_000 + i);
    const { groups, groupsMore } = (await of('runas_uid=7', `runas_groups=${many}`)) ?? {};
    assert.deepEqual([groups?.length, groupsMore], [64, 6]);
    assert.deepEqual(
      await of('runas_uid=7', 'preserve_groups=true', 'selinux_role=a_r', 'selinux_type=b_t', 'apparmor_profile=c'),
      { keepsGroups: true, selinuxRole: 'a_r', selinuxType: 'b_t', apparmorProfile: 'c' },
    );
  });

  for (const [name, uid, home, expected] of [
    ['root’s own home is nothing to mention', 0, '/root', []],
    ['a home that is not root’s', 0, '/nonexistent/evil', ['HOME']],
    ['root’s home for somebody else', 7, '/root', ['HOME']],
    ['a home that is no path', 0, 'root', ['HOME']],
  ] as const)
    it(`HOME: ${name}`, async () => {
      const commandInfo = ['command=/usr/bin/id', `runas_uid=${uid}`];
      const record = await recordOf({ ...SUDO_ID, commandInfo, environment: [`HOME=${home}`] });
      assert.deepEqual(
        record.resolved?.environment.notable.map(({ name }) => name),
        expected,
      );
    });

  it('the interpreter that env finds in the PATH of the command is looked at', async () => {
    await using gate = await createTestGate();
    const script = join(gate.dir, 'script');
    await writeFile(script, '#!/usr/bin/env sh\n', { mode: 0o755 });
    const plugin = check(gate, { ...SUDO_ID, commandInfo: [`command=${script}`, 'runas_uid=0'] });
    const { record } = await gate.server.challenge();
    assert.equal(record.unrestricted.includes('unparsed'), false, record.unrestricted.join());
    plugin.hangUp();
  });

  for (const [name, settings, commandInfo, mode] of [
    ['a shell', ['run_shell=true'], [], 'shell'],
    ['a login shell', ['run_shell=true', 'login_shell=true'], [], 'login-shell'],
    ['files to edit', [], ['sudoedit=true'], 'edit'],
  ] as const)
    it(`says that it is ${name}`, async () => {
      const lists = { ...SUDO_ID, settings: [...settings], commandInfo: [...SUDO_ID.commandInfo, ...commandInfo] };
      const record = await recordOf(lists);
      assert.equal(record.mode, mode);
      assert.equal(record.unrestricted.length > 0, true);
      assert.equal(record.service, mode === 'login-shell' ? 'sudo-i' : 'sudo');
    });

  it('who edits reads what they have typed, and who approves what is started', async () => {
    await using gate = await createTestGate();
    const commandInfo = [...SUDO_ID.commandInfo, 'sudoedit=true'];
    const argv = ['/usr/bin/vi', '--', '/etc/motd', '/etc/issue'];
    const plugin = check(gate, { ...SUDO_ID, commandInfo, argv });
    const { record } = await gate.server.challenge();
    assert.deepEqual(record.argv, argv);
    await plugin.says('asked to approve: sudoedit /etc/motd /etc/issue');
    plugin.hangUp();
  });

  it('a program that its user can change has no name of trust', async () => {
    await using gate = await createTestGate();
    const program = join(gate.dir, 'tool');
    await writeFile(program, '#!/bin/sh\n');
    await chmod(program, 0o777);
    const plugin = check(gate, { ...SUDO_ID, commandInfo: [`command=${program}`, 'runas_uid=7'] });
    const { record } = await gate.server.challenge();
    assert.ok(record.unrestricted.includes('user-writable-target'));
    assert.deepEqual(record.runAs.user, '#7', 'a uid without a name is shown as one');
    plugin.hangUp();
  });

  it('a command within another root is looked at there', async () => {
    await using gate = await createTestGate();
    const root = join(gate.dir, 'root');
    await mkdir(join(root, 'bin'), { recursive: true });
    await writeFile(join(root, 'bin/tool'), 'inner', { mode: 0o755 });
    const commandInfo = ['command=/bin/tool', 'runas_uid=0', `chroot=${root}`];
    const plugin = check(gate, { ...SUDO_ID, commandInfo });
    const { record } = await gate.server.challenge();
    assert.equal(record.resolved?.chroot, root);
    assert.equal(record.target?.path, '/bin/tool');
    assert.equal(record.cwd, null, 'which folder it will be there, sudo does not tell');
    plugin.hangUp();
  });

  it('within a root that others can lead elsewhere, or add to, no program has a hash', async () => {
    await using gate = await createTestGate();
    const root = join(gate.dir, 'root');
    await mkdir(join(root, 'bin'), { recursive: true });
    await writeFile(join(root, 'bin/tool'), 'inner', { mode: 0o755 });
    const theirs = join(gate.dir, 'theirs');
    await mkdir(theirs);
    await symlink(root, join(theirs, 'link'));
    await chmod(theirs, 0o777);
    const open = join(gate.dir, 'open');
    await mkdir(join(open, 'bin'), { recursive: true });
    await writeFile(join(open, 'bin/tool'), 'inner', { mode: 0o755 });
    await chmod(open, 0o777);
    for (const chroot of [join(theirs, 'link'), open]) {
      const plugin = check(gate, { ...SUDO_ID, commandInfo: ['command=/bin/tool', 'runas_uid=0', `chroot=${chroot}`] });
      const { record } = await gate.server.challenge();
      assert.ok(record.unrestricted.includes('user-writable-path'), chroot);
      assert.equal(record.target?.sha256, null, 'nothing is promised of what others can still change');
      plugin.hangUp();
      await plugin.result;
    }
  });

  it('a command that an allowed one has started says so, and is in the folder where that one is by now', async () => {
    const lists = { ...SUDO_ID, commandInfo: [...SUDO_ID.commandInfo, 'cwd=/usr', 'runcwd=/usr/share'] };
    const record = await recordOf(lists, { intercepted: 1 });
    assert.equal(record.resolved?.intercepted, true);
    assert.equal(record.cwd, '/usr/share');
    const unknown = { ...SUDO_ID, commandInfo: [...SUDO_ID.commandInfo, 'cwd=/usr', 'runcwd=unknown'] };
    assert.equal((await recordOf(unknown, { intercepted: 1 })).cwd, null);
    assert.equal((await recordOf(lists)).cwd, '/usr', 'of the first command nothing else is told');
  });

  it('a folder that sudo may do without is claimed only where it is', async () => {
    const asked = (cwd: string, optional: string) =>
      recordOf({ ...SUDO_ID, commandInfo: [...SUDO_ID.commandInfo, `cwd=${cwd}`, `cwd_optional=${optional}`] });
    assert.equal((await asked('/usr/share', 'true')).cwd, '/usr/share');
    assert.equal((await asked('/nonexistent/home', 'true')).cwd, null);
    assert.equal((await asked('/nonexistent/home', 'false')).cwd, '/nonexistent/home', 'sudo refuses by itself then');
  });

  it('whose power a command has is its effective uid', async () => {
    const commandInfo = ['command=/usr/bin/id', 'runas_uid=1000', 'runas_euid=0'];
    const record = await recordOf({ ...SUDO_ID, commandInfo, environment: ['HOME=/home/alice'] });
    assert.equal(record.runAs.user, 'root');
    assert.deepEqual(record.resolved?.environment.notable, [{ name: 'HOME', value: '/home/alice', kind: 'path' }]);
  });

  it('whoever has the number of root is root, whatever else it is called', async () => {
    const record = await recordOf({
      ...SUDO_ID,
      commandInfo: ['command=/usr/bin/id', 'runas_uid=0', 'runas_user=toor'],
    });
    assert.equal(record.runAs.user, 'root');
  });

  it('a shell that only root can change, or put there, is a usual one, any other is shown', async () => {
    for (const [shell, usual] of [
      ['/bin/sh', true],
      ['/nonexistent/nologin', true],
      ['/tmp/evil', false],
      ['/proc/self/exe', false],
      ['sh', false],
    ] as const) {
      const record = await recordOf({ ...SUDO_ID, environment: [`SHELL=${shell}`] });
      const shown = usual ? [] : [{ name: 'SHELL', value: shell, kind: 'shell' }];
      assert.deepEqual(record.resolved?.environment.notable, shown, shell);
      assert.equal(record.unrestricted.includes('environment'), !usual);
    }
  });

  it('a folder that sudo goes to is the one where its name leads, and another one is not released', async () => {
    await using gate = await createTestGate();
    const link = join(gate.dir, 'link');
    await symlink('/usr/share', link);
    const plugin = check(gate, { ...SUDO_ID, commandInfo: [...SUDO_ID.commandInfo, `cwd=${link}`] });
    const challenge = await gate.server.challenge();
    assert.equal(challenge.record.cwd, '/usr/share');
    await gate.server.approve(challenge);
    await plugin.asked;
    await rm(link);
    await symlink('/usr/lib', link);
    plugin.ready();
    assert.equal((await plugin.result).granted, false);
  });

  it('a folder behind /proc is not said, because it is another one for each process', async () => {
    const record = await recordOf({ ...SUDO_ID, commandInfo: [...SUDO_ID.commandInfo, 'cwd=/proc/self/cwd'] });
    assert.equal(record.cwd, null);
  });

  it('the largest environment still makes a request that the server reads', async () => {
    const environment = Array.from({ length: 3000 }, (_, i) => `LD_${'X'.repeat(40)}${i}=${'é'.repeat(400)}`);
    const record = await recordOf({ ...SUDO_ID, environment, argv: ['id', 'ü'.repeat(5000)] });
    assert.equal(record.resolved?.environment.truncated, true);
    assert.equal(record.argvTruncated, true);
    assert.ok(Buffer.byteLength(JSON.stringify(record)) < 24_000);
  });
});

describe('the plugin at the gate: the way to a yes', SHORT, () => {
  it('the verdict comes when the plugin will use it at once, and not before', async () => {
    await using gate = await createTestGate();
    const plugin = check(gate);
    const challenge = await gate.server.challenge();
    await plugin.says('ABCDEF-123456');
    await gate.server.approve(challenge);
    await plugin.asked;
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.equal(plugin.granted(), null);
    assert.deepEqual(challenge.outcomes, []);
    plugin.ready();
    assert.equal((await plugin.result).granted, true);
    await until(() => challenge.outcomes.length > 0);
    assert.deepEqual(challenge.outcomes, [{ outcome: 'granted', detail: null }]);
  });

  it('a plugin that goes when it is asked gets nothing, and nothing is reported as released', async () => {
    await using gate = await createTestGate();
    const plugin = check(gate);
    const challenge = await gate.server.challenge();
    await gate.server.approve(challenge);
    await plugin.asked;
    plugin.hangUp();
    await until(() => challenge.outcomes.length > 0);
    assert.deepEqual(challenge.outcomes, [{ outcome: 'refused', detail: 'gone' }]);
  });

  it('a plugin that does not say whether it uses the verdict (it is stopped) is refused when its time is over', async () => {
    await using gate = await createTestGate();
    gate.server.ttlMs = 1500;
    const plugin = check(gate);
    const challenge = await gate.server.challenge();
    await gate.server.approve(challenge);
    await plugin.asked;
    const result = await plugin.result;
    assert.equal(result.granted, false);
    assert.notEqual(result.text, '');
    await until(() => challenge.outcomes.length > 0);
    assert.deepEqual(challenge.outcomes, [{ outcome: 'refused', detail: 'gone' }]);
  });

  it('a program that changed while it waited is refused', async () => {
    await using gate = await createTestGate();
    const program = join(gate.dir, 'tool');
    await writeFile(program, 'one', { mode: 0o755 });
    const plugin = check(gate, { ...SUDO_ID, commandInfo: [`command=${program}`, 'runas_uid=0'] });
    const challenge = await gate.server.challenge();
    await gate.server.approve(challenge);
    await plugin.asked;
    await writeFile(program, 'two');
    plugin.ready();
    assert.equal((await plugin.result).granted, false);
    await until(() => challenge.outcomes.length > 0);
    assert.deepEqual(challenge.outcomes, [{ outcome: 'refused', detail: 'target_changed' }]);
  });

  it('a folder that is called otherwise by now is refused: what is relative to it is not what was shown', async () => {
    await using gate = await createTestGate();
    const plugin = check(gate);
    const challenge = await gate.server.challenge();
    assert.equal(challenge.record.cwd, '/usr');
    await gate.server.approve(challenge);
    await plugin.asked;
    await gate.parent.setCwd('/usr/lib');
    plugin.ready();
    assert.equal((await plugin.result).granted, false);
    await until(() => challenge.outcomes.length > 0);
    assert.deepEqual(challenge.outcomes, [{ outcome: 'refused', detail: 'target_changed' }]);
  });

  it('a folder that was called otherwise when sudo began is not said', async () => {
    const record = await recordOf({ ...SUDO_ID, userInfo: ['user=alice', 'uid=1000', 'cwd=/srv'] });
    assert.equal(record.cwd, null);
  });

  it('a process that has become another one is refused', async () => {
    await using gate = await createTestGate();
    const plugin = check(gate);
    const challenge = await gate.server.challenge();
    await gate.server.approve(challenge);
    await plugin.asked;
    await gate.parent.setStartTime('4711');
    plugin.ready();
    assert.equal((await plugin.result).granted, false);
  });

  for (const [name, lists] of [
    ['no command', { ...SUDO_ID, commandInfo: ['runas_uid=0'] }],
    ['no run-as', { ...SUDO_ID, commandInfo: ['command=/usr/bin/id'] }],
    ['no arguments', { ...SUDO_ID, argv: [] }],
    ['no user', { ...SUDO_ID, userInfo: ['uid=1000'] }],
    ['a user that is no name', { ...SUDO_ID, userInfo: ['user=-x', 'uid=1000'] }],
    ['a uid that is no number', { ...SUDO_ID, userInfo: ['user=alice', 'uid=1e3'] }],
  ] as const)
    it(`${name}: refused, and no request is made`, async () => {
      await using gate = await createTestGate();
      assert.equal((await check(gate, lists).result).granted, false);
      assert.equal(gate.server.challenges.length, 0);
    });

  it('a plugin of another build is refused, with words', async () => {
    await using gate = await createTestGate({ conf: 'IDENTREE_CONTACT=ops@example.com\n' });
    const result = await check(gate, SUDO_ID, { build: 'c'.repeat(32) }).result;
    assert.equal(result.granted, false);
    assert.match(result.text.replace(/\s+/g, ' '), /another version.*Help: ops@example\.com/);
    assert.equal(gate.server.challenges.length, 0);
  });
});

describe('the plugin at the gate: the PAM stage steps aside for it', SHORT, () => {
  const open = (gate: TestGate, change: Record<string, string | number> = {}) =>
    connectPlugin(gate.socket, hello(gate, { mode: 'sudo-open', ...change }), null).result;

  /** The PAM module inside a sudo: need the stage be started at all? */
  const asksByItself = async (gate: TestGate, change: Record<string, string | number> = {}) => {
    const { pid, startTime } = gate.parent;
    const question = { v: 1, mode: 'sudo-registered', pid, pstart: startTime, ...change };
    const { granted, text } = await connectHook(gate.socket, question).result;
    assert.equal(text, '', 'the module shows nothing');
    return granted;
  };

  it('a sudo that registered is not asked twice', async () => {
    await using gate = await createTestGate();
    assert.equal(await asksByItself(gate), false);
    assert.equal((await open(gate)).granted, true);
    assert.equal(await asksByItself(gate), true);
    const result = await gate.sudo().result;
    assert.deepEqual([result.granted, result.text], [true, '']);
    assert.equal(gate.server.challenges.length, 0);
  });

  it('a PAM stage that is faster than the registration of its sudo waits for it', async () => {
    await using gate = await createTestGate();
    const { promise, resolve: find } = Promise.withResolvers<void>();
    gate.loads.found = promise;
    // As a plugin does that has loaded: it says so, and has gone on before anything came of it.
    connectPlugin(gate.socket, hello(gate, { mode: 'sudo-open' }), null).stream.end();
    const [module, stage, another] = [asksByItself(gate), gate.sudo().result, asksByItself(gate, { pid: 1 })];
    assert.equal(await another, false, 'who has not registered waits for nobody');
    find();
    assert.equal(await module, true);
    assert.deepEqual([(await stage).granted, (await stage).text], [true, '']);
    assert.equal(gate.server.challenges.length, 0);
  });

  for (const [name, change] of [
    ['another process', { pid: 1 }],
    ['an earlier process with the same number', { pstart: '1' }],
    ['a plugin of another build', { build: 'c'.repeat(32) }],
  ] as const)
    it(`${name} is no reason to`, async () => {
      await using gate = await createTestGate();
      await open(gate, change);
      assert.equal(await asksByItself(gate), false);
      const hook = gate.sudo();
      await gate.server.challenge();
      hook.hangUp();
    });

  it('a plugin that sudo does not load as setup left it is no reason to, until it does again', async () => {
    await using gate = await createTestGate();
    gate.loads.now = null;
    assert.equal((await open(gate)).granted, false);
    assert.equal(await asksByItself(gate), false);
    const hook = gate.sudo();
    await gate.server.challenge();
    hook.hangUp();
    gate.loads.now = TEST_BUILD;
    assert.equal((await open(gate)).granted, true);
    assert.equal(await asksByItself(gate), true);
  });

  it('the plugin of the version that takes the place of this agent is a reason to, and is answered', async () => {
    await using gate = await createTestGate();
    const next = 'c'.repeat(32);
    gate.loads.now = next;
    assert.equal((await open(gate, { build: 'd'.repeat(32) })).granted, false, 'neither the one nor the other');
    assert.equal((await open(gate, { build: next })).granted, true);
    assert.equal(await asksByItself(gate), true);
    const plugin = check(gate, SUDO_ID, { build: next });
    await gate.server.approve(await gate.server.challenge());
    await plugin.asked;
    plugin.ready();
    assert.equal((await plugin.result).granted, true);
  });

  it('our own plugin, loaded right before another took its place, is a reason to', async () => {
    await using gate = await createTestGate();
    gate.loads.now = 'c'.repeat(32);
    assert.equal((await open(gate)).granted, true);
    assert.equal(await asksByItself(gate), true);
  });

  describe('a sudo that has told the agent before this one', () => {
    /** Whether it need not be asked, by another agent than the first of the test gate. */
    async function passes(gate: TestGate, change: Record<string, string | number> = {}): Promise<boolean> {
      await using now = await gate.again();
      const { pid, startTime } = gate.parent;
      const question = { v: 1, mode: 'sudo-registered', pid, pstart: startTime, ...change };
      return (await connectHook(now.socket, question).result).granted === true;
    }

    it('is not asked twice, also where its plugin was replaced since', async () => {
      await using gate = await createTestGate();
      await reachedAt(gate, 778, `${LOADED} (deleted)`);
      assert.equal(await passes(gate), true);
    });

    for (const [name, ticks, maps, change] of [
      ['began when this agent was there', 777, LOADED, {}],
      ['began later', 776, LOADED, {}],
      ['has not loaded the plugin', 778, `${LOADED}.so`, {}],
      ['has loaded a file of a folder with a name like that', 778, LOADED.replace('/usr', '/tmp/x /usr'), {}],
      ['is another process by now', 778, LOADED, { pstart: '776' }],
    ] as const)
      it(`one that ${name} is asked`, async () => {
        await using gate = await createTestGate();
        await reachedAt(gate, ticks, maps);
        assert.equal(await passes(gate, change), false);
      });

    it('is asked where the plugin is not loaded as setup left it', async () => {
      await using gate = await createTestGate();
      await reachedAt(gate, 778);
      gate.loads.now = null;
      assert.equal(await passes(gate), false);
    });
  });

  it('who registers with another start than the kernel knows has registered nothing', async () => {
    await using gate = await createTestGate();
    await open(gate, { pstart: '4711' });
    assert.equal(await asksByItself(gate, { pstart: '4711' }), false);
  });

  it('a module that is not where the plugin registered is told so', async () => {
    await using gate = await createTestGate();
    await open(gate);
    for (const [field, value] of [
      ['pid', gate.parent.pid + 1],
      ['pstart', '4711'],
      ['pstart', ''],
    ] as const)
      assert.notEqual(await asksByItself(gate, { [field]: value }), true);
  });

  it('a process that took the number of a registered one is asked', async () => {
    await using gate = await createTestGate();
    await open(gate);
    await gate.parent.setStartTime('4711');
    assert.equal(await asksByItself(gate, { pstart: '4711' }), false);
    const hook = gate.sudo({ pstart: '4711' });
    await gate.server.challenge();
    hook.hangUp();
  });

  it('an ssh login is asked whatever has registered', async () => {
    await using gate = await createTestGate();
    await open(gate);
    for (const [index, mode] of ['ssh', 'ssh-begin'].entries()) {
      const hook = gate.sudo({ mode, service: 'sshd', ruser: null, ruid: null });
      await gate.server.challenge(index);
      hook.hangUp();
    }
  });
});

describe('the plugin at the gate: nobody waits', SHORT, () => {
  const silent: PluginLists = { ...SUDO_ID, settings: ['noninteractive=true'] };

  it('sudo -n is refused at once where somebody would have to approve', async () => {
    await using gate = await createTestGate();
    const result = await check(gate, silent).result;
    assert.equal(result.granted, false);
    assert.match(result.text, /sudo -n does not wait/);
    await until(() => gate.server.challenges.every(({ cancelled }) => cancelled));
    assert.equal(gate.server.calls.find(({ path }) => path === '/challenges')?.body?.mayWait, false);
  });

  it('it waits where the host says so', async () => {
    await using gate = await createTestGate({ conf: 'IDENTREE_NONINTERACTIVE=ask\n' });
    const plugin = check(gate, silent);
    const challenge = await gate.server.challenge();
    await gate.server.approve(challenge);
    await plugin.asked;
    plugin.ready();
    assert.equal((await plugin.result).granted, true);
  });
});

describe('the plugin at the gate: an agent that leaves', SHORT, () => {
  it('ends the conversation without a verdict, keeps the request, and the next one goes on with it', async () => {
    await using gate = await createTestGate();
    const plugin = check(gate);
    const challenge = await gate.server.challenge();
    const token = await plugin.token;
    gate.stop.abort();
    const left = await plugin.result;
    assert.equal(left.granted, null);
    assert.equal(challenge.cancelled, false);
    await using next = await gate.again();
    const again = connectPlugin(next.socket, hello(gate), { ...SUDO_ID, token });
    await again.says('is back');
    await gate.server.approve(challenge);
    await again.asked;
    again.ready();
    const { granted, text } = await again.result;
    assert.equal(granted, true);
    assert.equal(text.match(/aiting for the answer/g)?.length, 1, 'said once');
    assert.equal(gate.server.challenges.length, 1);
  });

  for (const [name, lateMs, made] of [
    ['just being made: it is handed on as soon as the server has answered', 300, 1],
    ['that the server does not answer in time: the next one asks', 2500, 2],
  ] as const)
    it(`a request ${name}`, async () => {
      await using gate = await createTestGate();
      let arrived = 0;
      gate.server.intercept = async ({ path }) => {
        if (path !== '/challenges') return false;
        arrived += 1;
        if (arrived === 1) {
          gate.stop.abort();
          await new Promise((resolve) => setTimeout(resolve, lateMs));
        }
        return false;
      };
      const plugin = check(gate);
      assert.equal((await plugin.result).granted, null);
      const token = await Promise.race([plugin.token, Promise.resolve(undefined)]);
      assert.equal(token === undefined, made === 2);
      await using next = await gate.again();
      const again = connectPlugin(next.socket, hello(gate), { ...SUDO_ID, ...(token ? { token } : {}) });
      await until(() => gate.server.challenges.length === made);
      await gate.server.approve(gate.server.challenges.at(-1) as FakeChallenge);
      await again.asked;
      again.ready();
      assert.equal((await again.result).granted, true);
      await until(() => gate.server.challenges.filter(({ cancelled }) => cancelled).length === made - 1);
    });

  it('who comes while it leaves is asked about by the next one alone', async () => {
    await using gate = await createTestGate();
    const early = connectPlugin(gate.socket, hello(gate), null);
    await until(early.isHeard);
    gate.stop.abort();
    early.tells(SUDO_ID);
    assert.equal((await early.result).granted, null);
    assert.equal(gate.server.challenges.length, 0);
  });

  it('a request goes on with an agent whose plugin is another by now', async () => {
    await using gate = await createTestGate();
    await reachedAt(gate, 778);
    const plugin = check(gate);
    const challenge = await gate.server.challenge();
    const token = await plugin.token;
    gate.stop.abort();
    await plugin.result;
    await using next = await gate.again();
    const again = connectPlugin(next.socket, hello(gate, { build: 'c'.repeat(32) }), { ...SUDO_ID, token });
    await again.says('is back');
    await gate.server.approve(challenge);
    await again.asked;
    again.ready();
    assert.equal((await again.result).granted, true);
    assert.equal(gate.server.challenges.length, 1);
  });

  for (const [name, ticks] of [
    ['began when the agent was there', 777],
    ['began later', 776],
  ] as const)
    it(`a plugin of another build in a sudo that ${name} is refused, whatever it brings`, async () => {
      await using gate = await createTestGate();
      await reachedAt(gate, ticks);
      const plugin = check(gate);
      await gate.server.challenge();
      const token = await plugin.token;
      plugin.hangUp();
      await using next = await gate.again();
      const old = hello(gate, { build: 'c'.repeat(32) });
      for (const lists of [SUDO_ID, { ...SUDO_ID, token }]) {
        const refused = await connectPlugin(next.socket, old, lists).result;
        assert.equal(refused.granted, false);
        assert.match(refused.text.replace(/\s+/g, ' '), /another version/);
      }
    });

  it('a token for another command is no way to its approval', async () => {
    await using gate = await createTestGate();
    const plugin = check(gate);
    await gate.server.challenge();
    const token = await plugin.token;
    plugin.hangUp();
    const other = connectPlugin(gate.socket, hello(gate), { ...SUDO_ID, argv: ['id', '-g'], token });
    await until(() => gate.server.challenges.length === 2);
    assert.deepEqual(gate.server.challenges[1]?.record.argv, ['id', '-g']);
    other.hangUp();
  });

  for (const token of ['{}', 'x', '{"v":1}'])
    it(`a token of ${token} is none`, async () => {
      await using gate = await createTestGate();
      const plugin = connectPlugin(gate.socket, hello(gate), { ...SUDO_ID, token: Buffer.from(token) });
      await gate.server.challenge();
      plugin.hangUp();
    });
});

describe('the plugin at the gate: what became of the command', SHORT, () => {
  const report = (status: number, change: object = {}) =>
    ({ report: { event: 'ended', statusType: 1, status, ms: 12, ...change } }) as unknown as Parameters<
      typeof runOf
    >[0];

  it('the bits of a wait status', () => {
    const none = Buffer.alloc(0);
    const ended = { state: 'ended', exitStatus: null, signal: null, durationMs: 12 } as const;
    assert.deepEqual(runOf(report(0), none), { ...ended, exitStatus: 0 });
    assert.deepEqual(runOf(report(7 << 8), none), { ...ended, exitStatus: 7 });
    assert.deepEqual(runOf(report(255 << 8), none), { ...ended, exitStatus: 255 });
    assert.deepEqual(runOf(report(9), none), { ...ended, signal: 'SIGKILL' });
    assert.deepEqual(runOf(report(11 | 0x80), none), { ...ended, signal: 'SIGSEGV' });
    assert.deepEqual(runOf(report(34), none), { ...ended, signal: 'SIG34' });
    assert.deepEqual(runOf(report(0x137f), none), ended, 'stopped is not ended');
    assert.deepEqual(runOf(report(0, { statusType: 0 }), none), ended, 'nothing is claimed that was not told');
    assert.deepEqual(
      runOf(report(104, { statusType: 2 }), none),
      ended,
      'an error of sudo is no status of the command',
    );
    assert.deepEqual(runOf(report(8, { event: 'refused', statusType: 2 }), Buffer.from('Exec format error')), {
      state: 'refused',
      reason: 'Exec format error',
    });
    assert.deepEqual(runOf(report(0, { event: 'refused' }), none), {
      state: 'refused',
      reason: 'sudo did not start it',
    });
  });

  it('reaches the server for the request of the token', async () => {
    await using gate = await createTestGate();
    const plugin = check(gate);
    const challenge = (await gate.server.challenge()) as FakeChallenge;
    await gate.server.approve(challenge);
    await plugin.asked;
    plugin.ready();
    await plugin.result;
    const token = await plugin.token;
    const fields = { mode: 'sudo-report', event: 'ended', status_type: 1, status: 3 << 8, ms: 5 };
    const result = await connectPlugin(gate.socket, hello(gate, fields), { token }).result;
    assert.equal(result.granted, true);
    await until(() => gate.server.calls.some(({ path }) => path === `/challenges/${challenge.id}/run`));
    const call = gate.server.calls.find(({ path }) => path.endsWith('/run'));
    assert.deepEqual(call?.body, { state: 'ended', exitStatus: 3, signal: null, durationMs: 5 });
  });

  it('is heard though its sudo is gone before it could be answered, which would end the conversation', async () => {
    const heard = Promise.withResolvers<string>();
    const sudo = { report: (_: PluginHello, { token }: PluginParts) => heard.resolve(token.toString()) };
    const deps = { plugin: { registered: null, sudo }, clock: systemClock, log: silentLog };
    const gate = createGate(deps as unknown as GateDeps);
    let isOver = false;
    const stream = new Duplex({
      read() {},
      write: (_chunk, _encoding, done) => done(new Error('EPIPE')),
    }).on('error', () => {});
    const fields = { v: 1, mode: 'sudo-report', build: TEST_BUILD, api: '1.21', pid: 7, pstart: '777' };
    stream.push(frame('H', helloPayload({ ...fields, event: 'ended', status_type: 1, status: 0, ms: 5 })));
    const handled = gate.handle(stream).then(() => {
      isOver = true;
    });
    for (let i = 0; i < 5; i += 1) await new Promise(setImmediate);
    assert.equal(isOver, false);
    stream.push(frame('D', 'kwhose'));
    stream.push(frame('E', ''));
    await handled;
    assert.equal(await heard.promise, 'whose');
  });

  it('is heard of a sudo that has gone, to which nothing is said any more', async () => {
    const heard = Promise.withResolvers<string>();
    const sudo = { report: (_: PluginHello, { token }: PluginParts) => heard.resolve(token.toString()) };
    const deps = { plugin: { registered: null, sudo }, clock: systemClock, log: silentLog };
    const gate = createGate(deps as unknown as GateDeps);
    const said: string[] = [];
    const stream = new Duplex({
      read() {},
      write: (chunk: Buffer, _encoding, done) => {
        said.push(chunk.toString('latin1'));
        done();
      },
    });
    const fields = { v: 1, mode: 'sudo-report', build: TEST_BUILD, api: '1.21', pid: 7, pstart: '777' };
    stream.push(frame('H', helloPayload({ ...fields, event: 'ended', status_type: 1, status: 0, ms: 5 })));
    stream.push(frame('D', 'kwhose'));
    stream.push(frame('E', ''));
    stream.push(null);
    await gate.handle(stream);
    assert.equal(await heard.promise, 'whose');
    assert.deepEqual(said, []);
  });

  it('reaches the server in its order, however long it takes for the first', async () => {
    await using gate = await createTestGate();
    const told: string[] = [];
    gate.server.intercept = async ({ path, body }) => {
      if (!/\/(outcome|run)$/.test(path)) return false;
      const what = String(body!.outcome ?? body!.state);
      told.push(`${what} comes`);
      await new Promise((resolve) => setTimeout(resolve, what === 'ended' ? 0 : 150));
      told.push(`${what} is taken`);
      return false;
    };
    const plugin = check(gate);
    await gate.server.approve((await gate.server.challenge()) as FakeChallenge);
    await plugin.asked;
    plugin.ready();
    await plugin.result;
    const token = await plugin.token;
    for (const event of ['started', 'ended']) {
      const fields = { mode: 'sudo-report', event, status_type: event === 'ended' ? 1 : 0, status: 0, ms: 1 };
      assert.equal((await connectPlugin(gate.socket, hello(gate, fields), { token }).result).granted, true);
    }
    await until(() => told.length === 6);
    const order = ['granted', 'started', 'ended'].flatMap((what) => [`${what} comes`, `${what} is taken`]);
    assert.deepEqual(told, order);
  });
});

describe('the plugin at the gate: what does not speak the protocol', SHORT, () => {
  it('an unknown part, or more than there can be, ends the conversation', async () => {
    for (const bad of ['Zx', `e${'x'.repeat(8000)}`]) {
      await using gate = await createTestGate();
      const plugin = connectPlugin(gate.socket, hello(gate), null);
      for (let i = 0; i < 1200 && !plugin.stream.destroyed; i += 1) plugin.send('D', bad);
      assert.equal((await plugin.result).granted, null);
      assert.equal(gate.server.challenges.length, 0);
    }
  });

  it('a sudo without the plugin cannot use its words', async () => {
    await using gate = await createTestGate();
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    (hook.stream as net.Socket).write(Buffer.from([0x52, 0, 0]));
    await gate.server.approve(challenge);
    assert.equal((await hook.result).granted, true, 'a word that nobody waits for changes nothing');
  });
});
