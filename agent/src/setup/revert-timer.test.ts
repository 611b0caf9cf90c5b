import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createRevertTimer, TIMER_FILES } from './revert-timer.ts';

const NOW = Date.UTC(2026, 1, 3, 4, 5, 6);
const UNTIL = NOW + 600_000;

async function host(
  folders: readonly string[],
  failing: (line: string) => boolean = () => false,
  command = ['/usr/bin/identree', 'setup', '--revert'],
) {
  const root = await mkdtemp(join(tmpdir(), 'identree-timer-'));
  for (const folder of folders) await mkdir(join(root, folder), { recursive: true });
  const ran: string[] = [];
  const detached: string[][] = [];
  const [waiting, reverting] = [join(root, 'unconfirmed.json'), join(root, 'reverting.json')] as const;
  const timer = createRevertTimer({
    root,
    run: async (program, args) => {
      const line = [program, ...args].join(' ');
      ran.push(line);
      return failing(line) ? { code: 1, output: 'no bus' } : { code: 0, output: '' };
    },
    init: async () =>
      folders.includes('/run/systemd/system') ? 'systemd' : folders.includes('/etc/cron.d') ? 'cron' : null,
    command: command.map((word) => word.replace('ROOT', root)),
    waiting: [waiting, reverting],
    now: () => NOW,
    detach: (program, args) => detached.push([program, ...args]),
  });
  return {
    timer,
    ran,
    detached,
    root,
    waiting,
    reverting,
    read: (path: string) => readFile(join(root, path), 'utf8'),
    there: () => TIMER_FILES.filter((path) => existsSync(join(root, path))),
    [Symbol.asyncDispose]: () => rm(root, { recursive: true }),
  };
}

const SYSTEMD = ['/run/systemd/system', '/etc/systemd/system'];
const CRON = ['/etc/cron.d'];

describe('the timer of a setup that waits', () => {
  it('under systemd is a unit that holds through a restart and against a clock that is set back', async () => {
    await using h = await host(SYSTEMD);
    assert.equal(await h.timer.arm(UNTIL), null);
    const timer = await h.read(TIMER_FILES[1]);
    for (const line of [
      'OnCalendar=2026-02-03 04:15:06 UTC',
      'OnActiveSec=600',
      'Persistent=true',
      'WantedBy=timers.target',
    ])
      assert.ok(timer.split('\n').includes(line), line);
    const service = await h.read(TIMER_FILES[0]);
    assert.match(service, /^ExecStart=\/usr\/bin\/identree setup --revert$/m);
    assert.match(service, /^Restart=on-failure$/m, 'what was interrupted goes on');
    assert.ok(h.ran.includes('systemctl restart identree-revert.timer'), 'a later setup counts from the beginning');
    assert.ok(
      h.ran.some((line) => line.includes('enable')),
      'for the next start of the machine',
    );
    await h.timer.disarm();
    assert.deepEqual(h.there(), []);
    assert.match(h.ran.join('\n'), /disable --now[\s\S]*clean --what=state[\s\S]*daemon-reload$/);
  });

  it('one that systemd does not take is told, and leaves nothing', async () => {
    for (const fault of ['daemon-reload', 'enable', 'restart', 'is-active']) {
      await using h = await host(SYSTEMD, (line) => line.startsWith(`systemctl ${fault}`));
      assert.match((await h.timer.arm(UNTIL)) ?? '', /no bus/);
      assert.deepEqual(h.there(), []);
    }
  });

  it('a folder that cannot be written is told', async () => {
    await using h = await host(['/run/systemd/system', '/etc']);
    await writeFile(h.waiting.replace('unconfirmed.json', 'etc/systemd'), '');
    assert.match((await h.timer.arm(UNTIL)) ?? '', /ENOTDIR|EEXIST/);
  });

  it('without systemd is a process that leaves the session, and a line of cron for after a restart', async () => {
    await using h = await host(CRON);
    assert.equal(await h.timer.arm(UNTIL), null);
    assert.equal(h.detached.length, 1);
    assert.match(
      h.detached[0]!.join(' '),
      /^\/bin\/sh -c sleep 600; while [^\n]*'"until":\d+,'; do flock --nonblock \S+ \/usr\/bin\/identree setup --revert && exit; sleep 10; done$/,
    );
    assert.match(
      await h.read(TIMER_FILES[2]),
      /^@reboot root while [^\n]*; do flock --nonblock \S+ \/usr\/bin\/identree setup --revert && exit; sleep 10; done$/m,
    );
    await h.timer.disarm();
    assert.deepEqual(h.there(), []);
    assert.deepEqual(h.ran, []);
  });

  it('with neither systemd nor cron is none: after a restart nobody would know of it', async () => {
    await using h = await host([]);
    assert.match((await h.timer.arm(UNTIL)) ?? '', /neither systemd nor cron[\s\S]*--no-confirm/);
    assert.deepEqual([h.there(), h.detached], [[], []]);
  });

  it('what was half written when it was made is gone with it', async () => {
    await using h = await host(SYSTEMD);
    const half = join(h.root, '/etc/systemd/system/.identree-revert.timer.0123456789ab');
    await writeFile(half, '[Unit]');
    await h.timer.arm(UNTIL);
    await h.timer.disarm();
    assert.equal(existsSync(half), false);
  });

  it('without systemd it goes on with what was interrupted or failed, and does nothing about another time', async () => {
    await using h = await host(['/bin', ...CRON], undefined, ['ROOT/revert', '--revert']);
    const script = async (name: string, text: string) => {
      await writeFile(join(h.root, name), `#!/bin/sh\n${text}\n`);
      await chmod(join(h.root, name), 0o755);
    };
    await script('bin/sleep', `echo "sleep $1" >>${h.root}/log`);
    // The first attempt claims it and fails, the second comes to its end.
    const claim = `test -e ${h.waiting} && mv ${h.waiting} ${h.reverting} && exit 1`;
    await script('revert', `echo "revert $1" >>${h.root}/log\n${claim}\nrm ${h.reverting}`);
    await h.timer.arm(UNTIL);
    const strike = async (line: readonly string[]) => {
      await writeFile(join(h.root, 'log'), '');
      spawnSync('/bin/sh', line, { env: { PATH: `${h.root}/bin:/usr/bin:/bin` } });
      return (await h.read('log')).trim().split('\n');
    };
    const asleep = h.detached[0]!.slice(1);
    const afterStart = ['-c', / root (.*)$/m.exec(await h.read(TIMER_FILES[2]))![1]!];
    const twice = ['revert --revert', 'sleep 10', 'revert --revert'];
    await writeFile(h.waiting, `{"v":1,"until":${UNTIL},"whole":true}\n`);
    assert.deepEqual(await strike(asleep), ['sleep 600', ...twice]);
    await writeFile(h.reverting, `{"v":1,"until":${UNTIL},"whole":true}\n`);
    assert.deepEqual(
      await strike(afterStart),
      ['revert --revert'],
      'the machine was started while it was being put back',
    );
    await writeFile(h.waiting, `{"v":1,"until":${UNTIL + 1},"whole":true}\n`);
    assert.deepEqual(await strike(asleep), ['sleep 600'], 'a later setup has a time of its own');
  });

  it('without systemd it strikes also when the process was killed and no start of the machine was seen', async () => {
    await using h = await host(['/bin', ...CRON], undefined, ['ROOT/revert', '--revert']);
    const script = async (name: string, text: string) => {
      await writeFile(join(h.root, name), `#!/bin/sh\n${text}\n`);
      await chmod(join(h.root, name), 0o755);
    };
    await script('bin/date', `test "$1" = +%s && cat ${h.root}/now`);
    await script('revert', `echo "revert $1" >>${h.root}/log`);
    await h.timer.arm(UNTIL);
    const eachMinute = /^\* \* \* \* \* root (.*)$/m.exec(await h.read(TIMER_FILES[2]))?.[1] ?? '';
    assert.doesNotMatch(eachMinute, /(?<!\\)%/, 'to cron that is the end of the command');
    const lookAt = async (now: number) => {
      await writeFile(join(h.root, 'log'), '');
      await writeFile(join(h.root, 'now'), `${now / 1000}\n`);
      const line = ['-c', eachMinute.replaceAll('\\%', '%')];
      spawnSync('/bin/sh', line, { env: { PATH: `${h.root}/bin:/usr/bin:/bin` } });
      return h.read('log');
    };
    await writeFile(h.waiting, `{"v":1,"until":${UNTIL},"whole":true}\n`);
    assert.equal(await lookAt(UNTIL - 1000), '');
    assert.equal(await lookAt(UNTIL), 'revert --revert\n');
    const other = spawn('flock', [h.root, 'sh', '-c', 'echo held; exec sleep 1000'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      detached: true,
    });
    await new Promise((resolve) => other.stdout.once('data', resolve));
    assert.equal(await lookAt(UNTIL + 60_000), '', 'it is being put back already');
    process.kill(-other.pid!, 'SIGKILL');
    await new Promise((resolve) => other.once('close', resolve));
    await writeFile(h.waiting, `{"v":1,"until":${UNTIL + 1},"whole":true}\n`);
    assert.equal(await lookAt(UNTIL + 60_000), '', 'a later setup has a time of its own');
    await rm(h.waiting);
    assert.equal(await lookAt(UNTIL + 60_000), '', 'it was confirmed');
  });

  it('a path that would be another command in a unit or a shell is refused, and nothing is written', async () => {
    for (const folders of [SYSTEMD, CRON]) {
      await using h = await host(folders, undefined, ['/usr/bin/identree', '--state', '/var/lib/my state']);
      assert.match((await h.timer.arm(UNTIL)) ?? '', /no way to name "\/var\/lib\/my state"/);
      assert.deepEqual([h.there(), h.ran, h.detached], [[], [], []]);
    }
  });
});
