import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { createParent } from '../testing/parent.ts';
import { createProcessReader, parseStartTime } from './proc.ts';

describe('start time of a process', () => {
  const fields = ['S', ...Array.from({ length: 18 }, (_, i) => String(i)), '4711', '0'];
  it('is field 22, whatever the process calls itself', () => {
    for (const name of ['sudo', 'a b', ') S 1 1 1 1', '((', 'x) R 0 0']) {
      assert.equal(parseStartTime(`12 (${name}) ${fields.join(' ')}\n`), '4711');
    }
  });
  it('is null for anything else', () => {
    for (const text of ['', '12 (sudo)', '12 (sudo) S 1 2', `12 (x) ${fields.join(' ').replace('4711', '-1')}`]) {
      assert.equal(parseStartTime(text), null);
    }
  });
});

describe('capture from the real /proc', () => {
  it('reads the exact bytes of another process', async () => {
    const code = 'process.stdin.resume();process.stdout.write("up")';
    const child = spawn(process.execPath, ['-e', code, 'a b', 'ä', ''], {
      cwd: '/usr',
      env: { SUDO_REASON: 'because\u0001', LANG: 'en_US.UTF-8', LC_ALL: '', SECRET: 'no', TERM: 'xterm' },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    try {
      await new Promise((resolve) => child.stdout.once('data', resolve));
      const processes = createProcessReader();
      const start = await processes.startTime(child.pid!);
      const facts = await processes.capture(child.pid!, start!);
      assert.equal(facts?.cmdline.toString('utf8'), `${process.execPath}\0-e\0${code}\0a b\0ä\0\0`);
      assert.equal(facts?.cwd?.path, '/usr');
      assert.equal(facts?.cwd?.inode, String((await stat('/usr', { bigint: true })).ino));
      assert.equal(facts?.environ.sudoReason?.toString(), 'because\u0001');
      assert.equal(facts?.environ.locale, 'en_US.UTF-8', 'an empty LC_ALL says nothing');
      assert.ok(!JSON.stringify(facts).includes('SECRET'));
      assert.equal(
        await processes.capture(child.pid!, String(Number(start) + 1)),
        null,
        'another process under this number',
      );
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('is null for a process that is gone', async () => {
    const processes = createProcessReader();
    assert.equal(await processes.startTime(2 ** 22 + 1), null);
    assert.equal(await processes.capture(2 ** 22 + 1, '1'), null);
  });
});

describe('the terminal of a process', () => {
  const uid = process.geteuid!();
  const SOMEBODY = 4711;

  it('is that of whoever asks, or one that the process has: a number alone is no terminal', async () => {
    const typed = spawn('script', ['-qec', 'echo $$ $(tty); exec sleep 60', '/dev/null'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const other = spawn('sleep', ['60'], { stdio: 'ignore' });
    try {
      const [said] = (await typed.stdout.take(1).toArray()) as [Buffer];
      const [pid = '', name = ''] = String(said).trim().split(' ');
      assert.match(name, /^\/dev\/pts\/\d+$/);
      const reader = createProcessReader();
      assert.equal(await reader.terminal(Number(pid), name, uid), name);
      assert.equal(await reader.terminal(Number(pid), name, SOMEBODY), name, 'after su');
      assert.equal(await reader.terminal(other.pid!, name, uid), name, 'all is redirected');
      assert.equal(await reader.terminal(other.pid!, name, SOMEBODY), null);
      for (const none of ['', 'pts/0', '/dev/pts', '/dev/pts/../null', '/dev/shm', '/etc/passwd', '/dev/pts/999999999'])
        assert.equal(await reader.terminal(Number(pid), none, uid), null, none);
    } finally {
      other.kill();
      typed.kill();
    }
  });
});

describe('capture from a fixture', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'identree-proc-'));
  });
  after(() => rm(dir, { recursive: true, force: true }));

  it('a variable whose name only begins like ours is another one', async () => {
    const parent = await createParent(dir, {
      argv: ['sudo'],
      cwd: '/',
      environ: { SUDO_REASONS: 'x', XSUDO_REASON: 'y', LANGUAGE: 'de' },
    });
    const facts = await createProcessReader(parent.proc).capture(parent.pid, parent.startTime);
    assert.equal(facts?.environ.sudoReason, null);
    assert.equal(facts?.environ.locale, '');
  });

  it('a removed executable keeps its name, an unreadable folder is unknown', async () => {
    const parent = await createParent(dir, { argv: ['sudo'], cwd: '/nonexistent', pid: 7, program: 'sudo (deleted)' });
    const facts = await createProcessReader(parent.proc).capture(7, parent.startTime);
    assert.equal(facts?.program, 'sudo');
    assert.equal(facts?.cwd, null);
  });

  it('a process that is replaced while it is read is not taken for the one that asked', async () => {
    const parent = await createParent(dir, { argv: ['sudo'], cwd: '/', pid: 9 });
    const cmdline = join(parent.proc, '9', 'cmdline');
    await rm(cmdline);
    execFileSync('mkfifo', [cmdline]);
    const facts = join(parent.proc, '9', 'stat');
    await parent.setStartTime('778');
    await rename(facts, `${facts}.later`);
    await parent.setStartTime('777');
    // Opening waits for a reader, so the first look at the start time is over by then.
    const replaced = `exec 3>'${cmdline}'; mv '${facts}.later' '${facts}'; printf 'sudo\\0harmless\\0' >&3`;
    const writer = spawn('sh', ['-c', replaced], { stdio: 'ignore' });
    assert.equal(await createProcessReader(parent.proc).capture(9, '777'), null);
    assert.equal(await createProcessReader(parent.proc).startTime(9), '778');
    if (writer.exitCode === null) await once(writer, 'exit');
  });

  it('arguments beyond all limits are not read', async () => {
    const parent = await createParent(dir, { argv: ['sudo'], cwd: '/', pid: 8 });
    await writeFile(join(parent.proc, '8', 'cmdline'), Buffer.alloc(9 * 1024 * 1024, 0x61));
    assert.equal(await createProcessReader(parent.proc).capture(8, parent.startTime), null);
  });
});
