import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { openStops } from '../testing/crash-at.ts';
import { confirm, createDeadMan } from './dead-man.ts';
import { MODULE, STAGE } from './pam-stacks.ts';
import { revert } from './revert.ts';
import type { Session } from './session.ts';
import { type SetupDeps, setUp, undo } from './setup.ts';
import { putSnapshot } from './snapshot.ts';

const PAM = '#%PAM-1.0\n@include common-auth\n@include common-account\n';

const FILES: Record<string, [string, number]> = {
  '/etc/pam.d/sudo': [PAM, 0o644],
  '/etc/pam.d/sudo-i': [PAM, 0o640],
  '/etc/pam.d/sshd': [PAM, 0o644],
  '/etc/sudo.conf': ['Path askpass /usr/bin/ask\n', 0o644],
  '/etc/sudoers': ['root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n', 0o440],
  '/etc/ssh/sshd_config': ['Include /etc/ssh/sshd_config.d/*.conf\n', 0o644],
  [STAGE]: ['stage', 0o755],
  [MODULE]: ['module', 0o644],
  '/usr/lib/x86_64-linux-gnu/security/pam_deny.so': ['', 0o644],
  '/usr/lib/x86_64-linux-gnu/security/pam_permit.so': ['', 0o644],
};

const PLUGIN = 'Sudo version 1.9.13p3\nidentree plugin, build abc\nidentree plugin, build abc\n';
const MINUTE = 60_000;
const stop = await openStops();

/** Logins in the order in which they began; with `second` somebody comes in when setup is done. */
const LOGINS = { first: '7', open: '8', second: '9' };
const login = (name: keyof typeof LOGINS, boot = 'boot-1'): Session => ({
  boot,
  audit: LOGINS[name],
  processes: [`${LOGINS[name]}:1`],
});

async function host() {
  const dir = await mkdtemp(join(tmpdir(), 'identree-dead-man-'));
  const root = join(dir, 'root');
  const backup = join(dir, 'backup');
  await mkdir(backup, { mode: 0o700 });
  for (const [path, [text, mode]] of Object.entries(FILES)) {
    await mkdir(dirname(join(root, path)), { recursive: true, mode: 0o755 });
    await writeFile(join(root, path), text);
    await chmod(join(root, path), mode);
  }
  for (const folder of ['/etc/sudoers.d', '/etc/ssh/sshd_config.d']) await mkdir(join(root, folder), { mode: 0o755 });
  const printed: string[] = [];
  const ran: string[] = [];
  let now = Date.UTC(2026, 1, 3);
  let who = login('first');
  /** When everything is put back; null: nothing is going to. */
  let strikes: number | null = null;
  const timer = {
    async arm(until: number) {
      strikes = until;
      return null as string | null;
    },
    async disarm() {
      strikes = null;
    },
  };
  let directory: string | null = '{"before":1}';
  const shared = {
    root,
    backup,
    timer,
    now: () => now,
    print: (line: string) => void printed.push(line),
    run: async (program: string, args: readonly string[]) => {
      const line = [program, ...args].join(' ');
      ran.push(line);
      const sshd = 'kbdinteractiveauthentication yes\nusepam yes\n';
      return { code: 0, output: line === 'sshd -T' ? sshd : line === 'sudo -V' ? PLUGIN : '' };
    },
  };
  const session = async () => who;
  const moment = async () => ({ audit: Math.max(Number(who.audit), Number(LOGINS.open)), start: 1 });
  const deps = (): SetupDeps => ({
    ...shared,
    ownerUid: process.geteuid!(),
    enrolment: async () => null,
    agent: async () => null,
    serverAccepts: async () => null,
    breakGlass: async () => ({ problem: null, note: null }),
    deadMan: createDeadMan({ ...shared, session, moment, directory: async () => directory, minutes: 10 }),
  });
  const putDirectory = async (text: string | null) => {
    directory = text;
  };
  /** Every path below, with mode and bytes. */
  const everything = async (from = join(root, 'etc')) => {
    const out: Record<string, string> = {};
    for (const entry of await readdir(from, { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      out[path.slice(root.length)] = entry.isFile()
        ? await readFile(path, 'latin1')
        : entry.isSymbolicLink()
          ? await readlink(path)
          : 'folder';
    }
    return out;
  };
  return {
    root,
    backup,
    printed,
    ran,
    deps,
    everything,
    timer,
    setUp: (services: readonly ('sudo' | 'sudo-i' | 'sshd')[] = ['sudo', 'sudo-i', 'sshd']) =>
      setUp(services, { dryRun: false }, deps()),
    confirm: () => confirm({ backup, timer, session }),
    revert: (put?: SetupDeps['put']) => revert({ ...shared, ...(put ? { put } : {}), putDirectory }),
    undo: () => undo({ dryRun: false }, deps()),
    as(next: Session) {
      who = next;
    },
    later(ms: number) {
      now += ms;
    },
    strikes: () => (strikes === null ? null : strikes - now),
    directory: () => directory,
    setDirectory: putDirectory,
    write: (path: string, text: string) => writeFile(join(root, path), text),
    read: (path: string) => readFile(join(root, path), 'utf8'),
    [Symbol.asyncDispose]: () => rm(dir, { recursive: true, force: true }),
  };
}

const said = (h: { printed: string[] }): string => h.printed.join('\n');

describe('a setup that nobody confirms', () => {
  it('is put back to the byte, and what is left of it is nothing', async () => {
    await using h = await host();
    const before = await h.everything();
    assert.equal(await h.setUp(), true, said(h));
    assert.match(said(h), /At 00:10 UTC, in 10 minutes, all of this is put back[\s\S]*identree setup --confirm/);
    assert.equal(h.strikes(), 10 * MINUTE);
    assert.notDeepEqual(await h.everything(), before);
    await h.setDirectory('{"after":1}');
    assert.equal(await h.revert(), true);
    assert.deepEqual(await h.everything(), before);
    assert.equal(h.strikes(), null);
    assert.equal(h.directory(), '{"before":1}');
    assert.deepEqual(await readdir(h.backup), []);
    assert.equal(await h.revert(), true, 'a second time finds nothing');
  });

  it('leaves what was confirmed before', async () => {
    await using h = await host();
    await h.setUp(['sudo', 'sudo-i']);
    h.as(login('second'));
    assert.equal(await h.confirm(), 'confirmed');
    const confirmed = await h.everything();
    await h.setUp(['sshd']);
    assert.equal(await h.revert(), true);
    assert.deepEqual(await h.everything(), confirmed);
    assert.equal(await h.undo(), true);
    assert.equal(await h.read('/etc/pam.d/sudo'), PAM);
  });

  it('several are one: everything since the last confirmation is put back, after the time of the last', async () => {
    await using h = await host();
    const before = await h.everything();
    await h.setUp(['sudo']);
    h.later(9 * MINUTE);
    await h.setUp(['sshd']);
    assert.equal(h.strikes(), 10 * MINUTE);
    await h.revert();
    assert.deepEqual(await h.everything(), before);
  });

  it('keeps what somebody else wrote into a file meanwhile, and takes out what is ours', async () => {
    await using h = await host();
    await h.setUp();
    await h.write('/etc/pam.d/sudo', `${await h.read('/etc/pam.d/sudo')}session optional pam_mail.so\n`);
    assert.equal(await h.revert(), true);
    assert.equal(await h.read('/etc/pam.d/sudo'), `${PAM}session optional pam_mail.so\n`);
    assert.equal(await h.read('/etc/pam.d/sshd'), PAM);
  });

  it('what cannot be put back keeps nothing else from it, and is tried again', async () => {
    await using h = await host();
    const before = await h.everything();
    await h.setUp();
    const stuck = await h.revert(async (path, snapshot) => {
      if (path.endsWith('/pam.d/sudo')) throw new Error('EROFS: read-only file system');
      await putSnapshot(path, snapshot);
    });
    assert.equal(stuck, false);
    assert.equal(await h.read('/etc/pam.d/sshd'), PAM);
    assert.notEqual(h.strikes(), null);
    assert.equal(await h.confirm(), 'reverting', 'nobody keeps half of it');
    assert.equal(await h.setUp(), false, 'and nothing is added to it');
    assert.equal(await h.revert(), true);
    assert.deepEqual(await h.everything(), before);
  });

  it('a file with half of our lines becomes what it was, and one that is no file keeps none of the others', async () => {
    await using h = await host();
    await h.setUp();
    h.ran.length = 0;
    await h.write('/etc/pam.d/sudo', (await h.read('/etc/pam.d/sudo')).replace(/^# identree end.*\n/m, ''));
    const conf = join(h.root, '/etc/sudo.conf');
    await rm(conf);
    await mkdir(conf);
    assert.equal(await h.revert(), false);
    assert.equal(await h.read('/etc/pam.d/sudo'), PAM);
    assert.equal(await h.read('/etc/pam.d/sshd'), PAM);
    assert.match(said(h), /sudo\.conf is not a regular file/);
    const reloads = () => h.ran.filter((line) => line === 'systemctl try-reload-or-restart sshd.service').length;
    assert.equal(reloads(), 1, 'sshd goes by its files again');
    assert.equal(await h.revert(), false);
    assert.equal(reloads(), 1, 'and is left in peace while nothing else comes back');
    assert.notEqual(h.strikes(), null);
    await rm(conf, { recursive: true });
    assert.equal(await h.revert(), true);
    assert.equal(await h.read('/etc/sudo.conf'), FILES['/etc/sudo.conf']![0]);
    assert.equal(reloads(), 2);
  });

  it('a folder that went away meanwhile is made again for what was in it', async () => {
    await using h = await host();
    const own = join(h.root, '/etc/ssh/sshd_config.d/50-identree.conf');
    await writeFile(own, 'UsePAM yes\n');
    await h.setUp(['sshd']);
    await rm(dirname(own), { recursive: true });
    assert.equal(await h.revert(), true, said(h));
    assert.equal(await readFile(own, 'utf8'), 'UsePAM yes\n');
  });

  it('a second one that took too long does not bring back what the first had changed', async () => {
    await using h = await host();
    const before = await h.everything();
    await h.setUp(['sudo']);
    const deps = h.deps();
    const { run } = deps;
    deps.run = async (program, args) => {
      if (program === 'visudo' && !(await h.read('/etc/sudo.conf')).includes('identree')) await h.revert();
      return run(program, args);
    };
    assert.equal(await setUp(['sudo'], { dryRun: false, sudo: 'pam' }, deps), false);
    assert.match(said(h), /This took too long/);
    assert.deepEqual(await h.everything(), before);
  });

  it('a setup that took too long finds that everything was put back, and puts its own back', async () => {
    await using h = await host();
    const before = await h.everything();
    const deps = h.deps();
    const { run } = deps;
    deps.run = async (program, args) => {
      if (program === 'sshd' && args[0] === '-T') await h.revert();
      return run(program, args);
    };
    assert.equal(await setUp(['sudo', 'sshd'], { dryRun: false }, deps), false);
    assert.match(said(h), /This took too long/);
    assert.deepEqual(await h.everything(), before);
  });
});

describe('a confirmation', () => {
  it('comes from another login than the one that ran setup; then nothing is put back any more', async () => {
    await using h = await host();
    await h.setUp();
    const done = await h.everything();
    assert.equal(await h.confirm(), 'same_session');
    assert.notEqual(h.strikes(), null);
    h.as(login('second'));
    assert.equal(await h.confirm(), 'confirmed');
    assert.equal(h.strikes(), null);
    assert.equal(await h.confirm(), 'nothing');
    assert.equal(await h.revert(), true);
    assert.deepEqual(await h.everything(), done);
  });

  it('nor from one that was open already when setup was done, whoever is in it', async () => {
    await using h = await host();
    await h.setUp();
    h.as(login('open'));
    assert.equal(await h.confirm(), 'old_session');
    assert.equal(h.strikes(), 10 * MINUTE);
    h.as(login('open', 'boot-2'));
    assert.equal(await h.confirm(), 'confirmed');
  });

  it('nor from any login that ran one of several', async () => {
    await using h = await host();
    await h.setUp(['sudo']);
    h.as(login('second'));
    await h.setUp(['sshd']);
    assert.equal(await h.confirm(), 'same_session');
    h.as(login('first'));
    assert.equal(await h.confirm(), 'same_session');
    h.as(login('first', 'boot-2'));
    assert.equal(await h.confirm(), 'confirmed', 'after a restart of the machine it is another one');
  });

  it('is not possible while setup is at work', async () => {
    await using h = await host();
    const deps = h.deps();
    let during = '';
    deps.put = async (path, snapshot) => {
      h.as(login('second'));
      during = await h.confirm();
      h.as(login('first'));
      await putSnapshot(path, snapshot);
    };
    assert.equal(await setUp(['sudo'], { dryRun: false }, deps), true);
    assert.equal(during, 'not_whole');
  });
});

describe('setup without a way back by itself', () => {
  it('is not begun when nothing would take it', async () => {
    await using h = await host();
    const before = await h.everything();
    h.timer.arm = async () => 'no bus';
    assert.equal(await h.setUp(), false);
    assert.match(said(h), /Nothing would put this back[^\n]*no bus\nNothing is changed\./);
    assert.deepEqual(await h.everything(), before);
    assert.deepEqual(await readdir(h.backup), []);
  });

  it('one whose timer cannot be set says that what waited before is not put back either', async () => {
    await using h = await host();
    await h.setUp(['sudo']);
    h.timer.arm = async () => {
      await h.timer.disarm();
      return 'no space left on device';
    };
    assert.equal(await h.setUp(['sshd']), false);
    assert.match(said(h), /an earlier setup changed still waits, and nothing puts it back any more: no space/);
    assert.match(said(h), /identree setup --revert/);
    h.as(login('second'));
    assert.equal(await h.confirm(), 'confirmed');
  });

  it('has to be asked for, and not while something waits', async () => {
    await using h = await host();
    await h.setUp(['sudo']);
    const done = await h.everything();
    assert.equal(await setUp(['sshd'], { dryRun: false }, { ...h.deps(), deadMan: null }), false);
    assert.match(said(h), /waits for somebody to confirm it/);
    assert.deepEqual(await h.everything(), done);
    h.as(login('second'));
    await h.confirm();
    assert.equal(await setUp(['sshd'], { dryRun: false }, { ...h.deps(), deadMan: null }), true);
    assert.equal(h.strikes(), null);
  });

  it('one that fails by itself leaves no timer; what an earlier one did still waits for its own time', async () => {
    await using h = await host();
    const failing = () => {
      const deps = h.deps();
      deps.put = async () => {
        throw new Error('ENOSPC: no space left on device');
      };
      return setUp(['sshd'], { dryRun: false }, deps);
    };
    assert.equal(await failing(), false);
    assert.equal(h.strikes(), null);
    await h.setUp(['sudo']);
    h.later(4 * MINUTE);
    assert.equal(await failing(), false);
    assert.equal(h.strikes(), 6 * MINUTE);
    h.as(login('second'));
    assert.equal(await h.confirm(), 'confirmed');
  });

  it('--undo calls it off, whatever has become of the note of it', async () => {
    for (const text of [null, 'no JSON']) {
      await using h = await host();
      await h.setUp();
      if (text !== null) await writeFile(join(h.backup, 'unconfirmed.json'), text, { mode: 0o600 });
      assert.equal(await h.undo(), true);
      assert.equal(h.strikes(), null);
      assert.deepEqual(await readdir(h.backup), []);
    }
  });
});

describe('killed at any step', () => {
  it('setup is put back to the byte when its time comes', async () => {
    let reached = 0;
    for (let n = 1; ; n += 1) {
      await using h = await host();
      const before = await h.everything();
      if (!(await stop(n, () => h.setUp()))) break;
      reached += 1;
      // Without a timer there must be nothing to put back.
      if (h.strikes() === null) assert.deepEqual(await h.everything(), before, `killed before step ${n}`);
      assert.equal(await h.revert(), true, `killed before step ${n}: ${said(h)}`);
      assert.deepEqual(await h.everything(), before, `killed before step ${n}`);
      assert.deepEqual(await readdir(h.backup), [], `killed before step ${n}: no copies of files are left`);
    }
    assert.ok(reached > 50, `${reached} steps`);
  });

  it('setup goes on where it stopped, and can be confirmed and undone', async () => {
    for (let n = 1; ; n += 3) {
      await using h = await host();
      const before = await h.everything();
      if (!(await stop(n, () => h.setUp()))) break;
      assert.equal(await h.setUp(), true, `killed before step ${n}: ${said(h)}`);
      assert.ok((await h.read('/etc/pam.d/sudo')).includes(MODULE));
      const half = Object.keys(await h.everything()).filter((path) => /\.[0-9a-f]{12}$/.test(path));
      assert.deepEqual(half, [], `killed before step ${n}: nothing that was half written is left`);
      h.as(login('second'));
      assert.equal(await h.confirm(), 'confirmed', `killed before step ${n}`);
      assert.equal(await h.undo(), true);
      assert.deepEqual(await h.everything(), before, `killed before step ${n}`);
    }
  });

  it('the way back is gone to its end by the next attempt', async () => {
    for (let n = 1; ; n += 1) {
      await using h = await host();
      const before = await h.everything();
      await h.setUp();
      const stopped = await stop(n, () => h.revert());
      assert.equal(await h.revert(), true, `killed before step ${n}: ${said(h)}`);
      assert.deepEqual(await h.everything(), before, `killed before step ${n}`);
      if (!stopped) break;
    }
  });
});
