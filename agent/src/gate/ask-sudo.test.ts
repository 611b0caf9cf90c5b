import assert from 'node:assert/strict';
import { chmod, chown, copyFile, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { systemClock } from '../platform/clock.ts';
import { createSudoPolicies, type RunSudo, runSudo } from './ask-sudo.ts';

const skip = process.getuid?.() === 0 ? false : 'only root can be asked about root’s files';

const listing = (path: string) =>
  `Matching Defaults entries for alice on web1:\n    secure_path=${path}\n\nUser alice may run the following commands on web1:\n    ALL\n`;

describe('asking sudo for its rules', { skip }, () => {
  let dir: string;
  let root: string;
  let program: string;
  let asked: string[];
  let answers: Record<string, string | null>;
  let time: number;
  let said: string[];
  let of: ReturnType<typeof createSudoPolicies>;
  const caller = () => ({ exe: join(dir, 'exe'), root: '/' });

  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'identree-ask-sudo-'));
    root = join(dir, 'root');
    program = join(dir, 'sudo');
    await mkdir(join(root, 'etc/sudoers.d'), { recursive: true });
    await copyFile('/bin/true', program);
    await chmod(program, 0o755);
  });
  after(() => rm(dir, { recursive: true, force: true }));

  beforeEach(async () => {
    asked = [];
    time = 0;
    answers = { '-V': 'Sudo version 1.9.13p3\n', '-l': listing('/bin') };
    const run: RunSudo = async (path, args) => {
      asked.push([path, ...args].join(' '));
      const stdout = answers[args[0]!] ?? null;
      if (stdout === null) return null;
      return stdout.startsWith('sudo-rs') ? { stdout: '', stderr: stdout } : { stdout, stderr: '' };
    };
    const clock = { now: () => time, monotonic: () => time, sleep: async () => undefined };
    said = [];
    of = createSudoPolicies({ run, clock, log: { warn: (text) => said.push(text) }, root });
    await rm(join(dir, 'exe'), { force: true });
    await symlink(program, join(dir, 'exe'));
    await writeFile(join(root, 'etc/sudoers'), '@includedir /etc/sudoers.d\n');
    await writeFile(join(root, 'etc/nsswitch.conf'), 'sudoers: files sss\n');
    await rm(join(root, 'etc/sudoers.d/more'), { force: true });
  });

  it('asks the very program that asks us, and remembers what it said', async () => {
    assert.deepEqual((await of(caller(), 'alice'))?.securePath, ['/bin']);
    assert.deepEqual(asked.sort(), [`${program} -V`, `${program} -l -U alice`].sort());
    answers['-l'] = listing('/opt');
    assert.deepEqual((await of(caller(), 'alice'))?.securePath, ['/bin']);
    assert.equal(asked.length, 2);
    assert.deepEqual((await of(caller(), 'bob'))?.securePath, ['/opt'], 'each account has its own rules');
  });

  for (const [name, change] of [
    ['the rules', () => writeFile(join(root, 'etc/sudoers'), '# changed\n@includedir /etc/sudoers.d\n')],
    ['a file more', () => writeFile(join(root, 'etc/sudoers.d/more'), '')],
    ['where rules come from', () => writeFile(join(root, 'etc/nsswitch.conf'), 'sudoers: sss\n')],
    [
      'a minute',
      async () => {
        time += 60_000;
      },
    ],
  ] as const) {
    it(`asks again after ${name}`, async () => {
      await of(caller(), 'alice');
      answers['-l'] = listing('/opt');
      await change();
      assert.deepEqual((await of(caller(), 'alice'))?.securePath, ['/opt']);
    });
  }

  for (const [name, change] of [
    ['rules of an LDAP server', () => writeFile(join(root, 'etc/nsswitch.conf'), 'sudoers: files ldap\n')],
    ['a file elsewhere', () => writeFile(join(root, 'etc/sudoers'), '@include /opt/sudoers\n')],
  ] as const) {
    it(`asks each time with ${name}`, async () => {
      await change();
      await of(caller(), 'alice');
      answers['-l'] = listing('/opt');
      assert.deepEqual((await of(caller(), 'alice'))?.securePath, ['/opt']);
    });
  }

  it('is done once at a time for one account, however often it types sudo, and at once for all others', async () => {
    const bobs = Promise.withResolvers<void>();
    const running = { alice: 0, most: 0 };
    const run: RunSudo = async (_, [option, , user]) => {
      if (option !== '-l') return { stdout: answers['-V']!, stderr: '' };
      if (user === 'bob') bobs.resolve();
      else {
        running.alice += 1;
        running.most = Math.max(running.most, running.alice);
        await bobs.promise;
        running.alice -= 1;
      }
      return { stdout: answers['-l']!, stderr: '' };
    };
    await writeFile(join(root, 'etc/nsswitch.conf'), 'sudoers: files ldap\n');
    of = createSudoPolicies({ run, clock: systemClock, log: { warn: (text) => said.push(text) }, root });
    const ofAlice = Array.from({ length: 20 }, () => of(caller(), 'alice'));
    assert.notEqual(await of(caller(), 'bob'), null);
    assert.equal((await Promise.all(ofAlice)).includes(null), false);
    assert.equal(running.most, 1);
  });

  it('who has no rules is not asked about each time', async () => {
    answers['-l'] = 'User mallory is not allowed to run sudo on web1.\n';
    assert.equal(await of(caller(), 'mallory'), null);
    assert.equal(await of(caller(), 'mallory'), null);
    assert.equal(asked.length, 2);
    await writeFile(join(root, 'etc/sudoers.d/more'), '');
    answers['-l'] = listing('/bin');
    assert.notEqual(await of(caller(), 'mallory'), null);
  });

  it('an answer that failed is not remembered', async () => {
    answers['-l'] = null;
    assert.equal(await of(caller(), 'alice'), null);
    assert.match(said.join(), /sudo does not tell what its rules do for alice/);
    answers['-l'] = listing('/bin');
    assert.notEqual(await of(caller(), 'alice'), null);
  });

  it('sudo-rs is asked which PATH it gives, and nothing is known when that is the caller’s own', async () => {
    answers = { '-V': 'sudo-rs 0.2.5\n', '-l': listing('/ignored'), '-n': '/usr/bin:/bin\n' };
    assert.deepEqual(await of(caller(), 'alice'), {
      kind: 'sudo-rs',
      securePath: ['/usr/bin', '/bin'],
      runAsDefault: 'root',
      keeps: [],
    });
    answers['-n'] = '/identree-asks\n';
    assert.equal((await of(caller(), 'bob'))?.securePath, null);
    answers['-n'] = null;
    assert.equal(await of(caller(), 'carol'), null);
  });

  it('nothing that is not sudo, or that a user may have put there, is started', async () => {
    const point = async (path: string) => {
      await rm(join(dir, 'exe'));
      await symlink(path, join(dir, 'exe'));
    };
    await copyFile('/bin/true', join(dir, 'other'));
    await point(join(dir, 'other'));
    assert.equal(await of(caller(), 'alice'), null, 'another program');
    await mkdir(join(dir, 'own'), { recursive: true });
    await copyFile('/bin/true', join(dir, 'own/sudo'));
    await chmod(join(dir, 'own/sudo'), 0o777);
    await point(join(dir, 'own/sudo'));
    assert.equal(await of(caller(), 'alice'), null, 'a program that anybody may change');
    await mkdir(join(dir, 'theirs'));
    await copyFile('/bin/true', join(dir, 'theirs/sudo'));
    await chown(join(dir, 'theirs'), 1000, 1000);
    await point(join(dir, 'theirs/sudo'));
    assert.equal(await of(caller(), 'alice'), null, 'a program in a folder whose owner may put another one there');
    await point(join(dir, 'own/nothing/sudo'));
    assert.equal(await of(caller(), 'alice'), null, 'a program that is gone');
    await point(program);
    assert.equal(await of({ ...caller(), root: dir }, 'alice'), null, 'a process that sees other files than we do');
    assert.deepEqual(asked, []);
  });

  it('an unknown version is not believed', async () => {
    answers['-V'] = 'Sudo version 2.0\n';
    assert.equal(await of(caller(), 'alice'), null);
  });
});

describe('running sudo', () => {
  it('gives what a program printed, and nothing when it failed, hangs on or cannot be started', async () => {
    assert.deepEqual(await runSudo('/bin/sh', ['-c', 'printf %s "$A"'], { A: 'b' }), { stdout: 'b', stderr: '' });
    assert.equal(await runSudo('/bin/sh', ['-c', 'echo x; exit 1'], {}), null);
    assert.equal(await runSudo('/nonexistent', [], {}), null);
    assert.equal(await runSudo('/bin/sh', ['-c', 'head -c 600000 /dev/zero'], {}), null, 'more than sudo says');
  });
});
