// What reaches the rest of the stage, and the program it may start, from a hostile caller.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  symlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  answering,
  directGate,
  frame,
  granted,
  isRoot,
  nativeDir,
  patience,
  releasePath,
  runStage,
  startAgent,
  startStage,
  temporaryFolder,
} from './support.ts';

const report = (text: string, name: string): string[] =>
  text
    .split('\n')
    .filter((line) => line.startsWith(`${name} `))
    .map((line) => line.slice(name.length + 1));

const hostile = {
  PATH: '/tmp/evil',
  HOME: '/tmp/evil',
  LANG: 'evil',
  NODE_OPTIONS: '--require=/tmp/evil.js',
  BASH_ENV: '/tmp/evil',
  IFS: '/',
  HOSTALIASES: '/tmp/evil',
  RES_OPTIONS: 'debug',
  PAM_EVIL: 'x',
  PAM_USERX: 'x',
  XPAM_USER: 'x',
  SSH_CONNECTION: 'x',
};

test('the direct gate gets its three arguments and nothing of the caller’s environment', patience, async () => {
  const direct = directGate('grant');
  const end = await runStage({
    direct,
    env: { ...hostile, PAM_TTY: 'not-a-terminal', PAM_RHOST: 'host', PAM_RUSER: 'a\tb' },
  });
  assert.equal(end.code, 0);
  assert.deepEqual(report(end.text, 'arg'), [direct, 'gate', '--direct']);
  assert.deepEqual(report(end.text, 'env').toSorted(), [
    'PAM_RHOST=host',
    'PAM_RUSER=a\tb',
    'PAM_SERVICE=sudo',
    'PAM_TTY=not-a-terminal',
    'PAM_TYPE=auth',
    'PAM_USER=root',
    'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
  ]);
});

test('an over-long value does not reach the direct gate', patience, async () => {
  const end = await runStage({ direct: directGate('grant'), env: { PAM_RHOST: 'h'.repeat(65536) } });
  assert.equal(end.code, 0);
  assert.equal(
    report(end.text, 'env').find((line) => line.startsWith('PAM_RHOST')),
    undefined,
  );
});

test('the caller’s folder, descriptors, umask and signal state do not reach the direct gate', patience, async () => {
  // The stage is also given an open descriptor 3, a deleted folder, and everything ignored.
  const doomed = temporaryFolder();
  const wrapper = [
    '/bin/sh',
    '-c',
    'umask 0; trap "" HUP INT TERM USR1 CHLD; exec 7</dev/zero 9>/dev/null; rmdir "$PWD"; exec "$@"',
    'sh',
  ];
  const end = await runStage({ direct: directGate('grant'), cwd: doomed, wrapper });
  assert.equal(end.code, 0);
  assert.deepEqual(report(end.text, 'cwd'), ['/']);
  const descriptors = report(end.text, 'fd');
  assert.match(descriptors[0] ?? '', /^0 socket:/);
  assert.deepEqual(descriptors.slice(1), ['1 /dev/null', '2 /dev/null']);
  const status = report(end.text, 'status').map((line) => line.replace(/\s+/g, ' '));
  assert.ok(status.includes('Umask: 0077'));
  assert.ok(status.includes('SigBlk: 0000000000000000'));
  assert.ok(status.includes('SigIgn: 0000000000000000'));
});

test('the caller’s groups and real ids are gone, as pam_exec without seteuid leaves them', {
  ...patience,
  skip: !isRoot,
}, async () => {
  const wrapper = ['setpriv', '--ruid=65534', '--rgid=65534', '--egid=65534', '--groups=65534,1'];
  const end = await runStage({ direct: directGate('grant'), wrapper });
  assert.equal(end.code, 0);
  const status = report(end.text, 'status').map((line) => line.replace(/\s+/g, ' ').trim());
  for (const expected of ['Uid: 0 0 0 0', 'Gid: 0 0 0 0', 'Groups:']) assert.ok(status.includes(expected), expected);
});

test('while it waits, the stage itself holds nothing the caller had open', { ...patience, skip: !isRoot }, async () => {
  const agent = await startAgent((caller) => void caller.hello().then(() => caller.socket.write(frame('A'))));
  const wrapper = ['/bin/sh', '-c', 'exec 7</dev/zero 9</dev/full; exec "$@"', 'sh'];
  const stage = startStage({ agentDir: agent.dir, wrapper });
  const caller = await agent.caller();
  await caller.hello();
  const folder = `/proc/${stage.child.pid}/fd`;
  const targets = readdirSync(folder).map((fd) => readlinkSync(join(folder, fd)));
  assert.deepEqual(
    targets.filter((target) => target.startsWith('/dev/')),
    [],
  );
  assert.equal(readlinkSync(`/proc/${stage.child.pid}/cwd`), '/');
  caller.socket.end(frame('V', '0'));
  assert.equal((await stage.ended).code, 0);
});

test('started with its standard descriptors closed, it neither crashes nor grants by accident', patience, async () => {
  const agent = await answering(granted);
  const closed = await runStage({ agentDir: agent.dir, wrapper: ['/bin/sh', '-c', 'exec "$@" <&- >&- 2>&-', 'sh'] });
  assert.equal(closed.code, 0);
  const refusing = await answering(frame('A'), frame('T', 'no'), frame('V', '1'));
  const end = await runStage({ agentDir: refusing.dir, wrapper: ['/bin/sh', '-c', 'exec "$@" <&- >&- 2>&-', 'sh'] });
  assert.equal(end.code, 1);
  // The text went to /dev/null and not into the agent's socket.
  assert.deepEqual(await (await refusing.caller()).rest(), Buffer.alloc(0));
});

test('no file descriptors to be had: refused', patience, async () => {
  const agent = await answering(granted);
  const end = await runStage({
    agentDir: agent.dir,
    wrapper: ['/bin/sh', '-c', 'exec 3>&-; ulimit -n 4; exec "$@"', 'sh'],
  });
  assert.equal(end.code, 1);
});

test('what was typed at the ssh prompt is read and sent nowhere', patience, async () => {
  const agent = await answering(granted);
  const stdin = Buffer.from('correct horse battery staple\0');
  const end = await runStage({ mode: 'ssh-wait', agentDir: agent.dir, stdin, env: { PAM_TTY: 'ssh' } });
  assert.equal(end.code, 0);
  const caller = await agent.caller();
  assert.equal((await caller.rest()).length, 0);
  assert.equal(caller.bytes().includes('horse'), false);
});

test('a password typed at the ssh prompt does not stay in memory', { ...patience, skip: !isRoot }, async () => {
  const agent = await startAgent((caller) => void caller.hello().then(() => caller.socket.write(frame('A'))));
  const secret = 'correct horse battery staple';
  const stage = startStage({ mode: 'ssh-wait', agentDir: agent.dir, stdin: Buffer.from(`${secret}\0`) });
  const caller = await agent.caller();
  await caller.hello();
  const memory = openSync(`/proc/${stage.child.pid}/mem`, 'r');
  let searched = 0;
  for (const line of readFileSync(`/proc/${stage.child.pid}/maps`, 'utf8').split('\n')) {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw.*(?:\[stack\]|\[heap\]|identree-pam)$/.exec(line) ?? [];
    if (from === undefined || to === undefined) continue;
    const part = Buffer.alloc(Number.parseInt(to, 16) - Number.parseInt(from, 16));
    readSync(memory, part, 0, part.length, Number.parseInt(from, 16));
    assert.equal(part.includes(secret.slice(0, 12)), false, line);
    searched += 1;
  }
  closeSync(memory);
  assert.ok(searched >= 2);
  caller.socket.end(frame('V', '0'));
  assert.equal((await stage.ended).code, 0);
});

test('a megabyte typed at the ssh prompt does not hold anything up', patience, async () => {
  const agent = await answering(granted);
  const end = await runStage({ mode: 'ssh-wait', agentDir: agent.dir, stdin: Buffer.alloc(1 << 20, 0x61) });
  assert.equal(end.code, 0);
});

test('the released program does not run for anybody but root', { ...patience, skip: !isRoot }, async () => {
  const folder = temporaryFolder();
  chmodSync(folder, 0o755);
  const binary = join(folder, 'identree-pam');
  copyFileSync(releasePath, binary);
  chmodSync(binary, 0o755);
  const wrapper = ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'];
  const end = await runStage({ wrapper, binary });
  assert.deepEqual([end.code, end.text], [1, '']);
});

test('the released program has no test hooks, no heap of its own, and is hardened', patience, () => {
  const run = (command: string, ...args: string[]): string => {
    const ran = spawnSync(command, [...args, releasePath], { encoding: 'latin1' });
    assert.equal(ran.status, 0, ran.stderr);
    return ran.stdout;
  };
  const strings = run('strings', '-a');
  assert.doesNotMatch(strings, /IDENTREE_TEST/);
  assert.equal(strings.includes(nativeDir), false, 'a path of the build machine');
  assert.match(strings, /^\/run\/identree$/m);
  assert.match(strings, /^\/usr\/bin\/identree$/m);
  const symbols = run('nm', '-D');
  assert.doesNotMatch(symbols, / (malloc|calloc|realloc|system|popen|getenv)\b/);
  assert.match(symbols, /__stack_chk_fail/);
  assert.match(run('readelf', '-hW'), /Type:\s+DYN/);
  const segments = run('readelf', '-lW');
  assert.match(segments, /GNU_RELRO/);
  assert.match(segments, /GNU_STACK\s.* RW /);
  assert.match(run('readelf', '-dW'), /BIND_NOW|FLAGS_1.*NOW/);
});

// The socket: whoever can put one there could say yes.

test('a socket folder that others may enter is refused, and not even the direct gate is tried', patience, async () => {
  for (const mode of [0o710, 0o701, 0o755, 0o777, 0o1700 | 0o020]) {
    const agent = await answering(granted);
    chmodSync(agent.dir, mode);
    const end = await runStage({ agentDir: agent.dir, direct: directGate('grant') });
    assert.deepEqual([end.code, agent.callers.length], [1, 0], mode.toString(8));
    assert.match(end.text, /not in a folder that only root can use; sudo is refused/);
  }
});

test('a socket folder that belongs to somebody else is refused', { ...patience, skip: !isRoot }, async () => {
  const agent = await answering(granted);
  chownSync(agent.dir, 65534, 65534);
  const end = await runStage({ agentDir: agent.dir, direct: directGate('grant') });
  assert.deepEqual([end.code, agent.callers.length], [1, 0]);
});

test('a symbolic link in place of the socket folder is refused', patience, async () => {
  const agent = await answering(granted);
  const link = join(temporaryFolder(), 'link');
  symlinkSync(agent.dir, link);
  const end = await runStage({ agentDir: link, direct: directGate('grant') });
  assert.deepEqual([end.code, agent.callers.length], [1, 0]);
});

test('a listener that does not run as root is refused', { ...patience, skip: !isRoot }, async () => {
  const dir = temporaryFolder();
  mkdirSync(join(dir, 'run'), { mode: 0o700 });
  chownSync(join(dir, 'run'), 65534, 65534);
  // Changes its ids before it listens: that is when the kernel notes whose socket it is.
  const script = `process.setgroups([]); process.setgid(65534); process.setuid(65534);
    require('node:net').createServer((s) => s.on('error', () => {}).end(Buffer.from([0x41, 0, 0, 0x56, 0, 1, 0x30])))
      .listen('agent.sock', () => console.log('up'));
    setTimeout(() => process.exit(), 15_000);`;
  const server = spawn(process.execPath, ['-e', script], {
    cwd: join(dir, 'run'),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await new Promise((up) => server.stdout.once('data', up));
    chownSync(join(dir, 'run'), 0, 0);
    const end = await runStage({ agentDir: join(dir, 'run') });
    assert.equal(end.code, 1);
    assert.match(end.text, /not in a folder that only root can use/);
  } finally {
    server.kill('SIGKILL');
  }
});
