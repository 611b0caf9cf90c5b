// The resident agent is dead, deaf or starting: one question goes to a process of its own.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  directGate,
  frame,
  granted,
  isRoot,
  patience,
  processIsGone,
  runStage,
  startAgent,
  startStage,
  temporaryFolder,
  until,
} from './support.ts';

const probePid = (text: string): number => Number(/^pid (\d+)$/m.exec(text)?.[1]);

test('no agent: the direct gate decides', patience, async () => {
  assert.equal((await runStage({ direct: directGate('grant') })).code, 0);
  assert.equal((await runStage({ direct: directGate('refuse') })).code, 1);
});

test('the direct gate is told the same as the agent', patience, async () => {
  const end = await runStage({ direct: directGate('grant') });
  assert.match(end.text, /^hello v=1$/m);
});

test('limits that the caller was given are not those of the direct gate', patience, async () => {
  const wrapper = ['prlimit', '--fsize=100:', '--cpu=1000:', '--stack=1048576:', '--nofile=64:', '--'];
  const end = await runStage({ direct: directGate('grant'), wrapper });
  assert.equal(end.code, 0);
  assert.deepEqual(
    [...end.text.matchAll(/^limit (.+)$/gm)].map(([, limit]) => limit),
    ['fsize -1', 'cpu -1', 'stack 8388608', 'nofile 1024'],
  );
});

test('a turn that the caller was content with is not that of the direct gate', {
  ...patience,
  skip: isRoot ? false : 'needs root',
}, async () => {
  const turn = async (...wrapper: string[]) =>
    /^turn (.+)$/m.exec((await runStage({ direct: directGate('grant'), wrapper })).text)?.[1];
  const slack = ['sh', '-c', 'echo 5000000000 >/proc/$$/timerslack_ns; exec "$@"', 'sh'];
  const last = ['nice', '-n', '19', 'chrt', '--idle', '0', 'taskset', '1', 'ionice', '-c', '3'];
  const usual = await turn();
  assert.match(usual ?? '', /^policy 0 nice 0 cpus \d+ disk \d+ slack 50000$/);
  assert.equal(await turn(...slack, ...last), usual);
});

test('a socket nobody listens on any more: the direct gate decides', patience, async () => {
  const dir = temporaryFolder();
  const stale = join(dir, 'agent.sock');
  const { spawnSync } = await import('node:child_process');
  // Ended without a chance to remove its socket, as by a power cut.
  spawnSync(process.execPath, [
    '-e',
    `require('node:net').createServer().listen('${stale}', () => process.kill(process.pid, 'SIGKILL'))`,
  ]);
  assert.equal((await runStage({ agentDir: dir, direct: directGate('grant') })).code, 0);
});

test('a file in place of the socket: the direct gate decides', patience, async () => {
  const dir = temporaryFolder();
  writeFileSync(join(dir, 'agent.sock'), '');
  assert.equal((await runStage({ agentDir: dir, direct: directGate('grant') })).code, 0);
});

test('an agent that takes the question and says nothing: the direct gate decides', patience, async () => {
  const agent = await startAgent();
  const end = await runStage({ agentDir: agent.dir, direct: directGate('grant'), acceptMs: 400 });
  assert.equal(end.code, 0);
  assert.ok(end.ms >= 400 && end.ms < 10_000, `${end.ms}`);
  // The silent agent sees the connection end, so it cannot go on with a question nobody asks.
  assert.equal((await (await agent.caller()).rest()).length, 0);
});

test('the agent has three seconds to answer, no less and not much more', patience, async () => {
  const agent = await startAgent();
  const end = await runStage({ agentDir: agent.dir, direct: directGate('grant') });
  assert.equal(end.code, 0);
  assert.ok(end.ms >= 3_000 && end.ms < 20_000, `${end.ms}`);
});

test('an agent that hangs up before accepting: the direct gate decides', patience, async () => {
  const agent = await startAgent((caller) => void caller.hello().then(() => caller.socket.destroy()));
  assert.equal((await runStage({ agentDir: agent.dir, direct: directGate('grant') })).code, 0);
});

test('an agent that hangs up after accepting refuses: its answer may have been no', patience, async () => {
  const agent = await startAgent((caller) => void caller.hello().then(() => caller.socket.end(frame('A'))));
  const end = await runStage({ agentDir: agent.dir, direct: directGate('grant') });
  assert.equal(end.code, 1);
  assert.match(end.text, /incomplete or malformed/);
});

test('an agent that refuses is not asked again through the direct gate', patience, async () => {
  const agent = await startAgent(
    (caller) => void caller.hello().then(() => caller.socket.end(Buffer.concat([frame('A'), frame('V', '1')]))),
  );
  const end = await runStage({ agentDir: agent.dir, direct: directGate('grant') });
  assert.deepEqual([end.code, end.text], [1, '']);
});

for (const [name, options] of [
  ['missing', { direct: '/nonexistent/direct' }],
  ['not a program', { direct: '/etc/passwd' }],
  ['crashing', { direct: '' }],
  ['silent', { direct: '' }],
] as const)
  test(`no agent and a direct gate that is ${name}: refused with one clear line`, patience, async () => {
    const behaviour = { crashing: 'crash', silent: 'silent' }[name as string];
    const direct = behaviour === undefined ? options.direct : directGate(behaviour);
    const end = await runStage({ direct, acceptMs: 400 });
    assert.equal(end.code, 1);
    assert.equal(
      end.text,
      'identree: the agent is not running and could not be started; sudo is refused. Run `identree doctor` as root to see why.\n',
    );
    assert.ok(end.ms < 10_000);
  });

test('for ssh the line speaks of the login', patience, async () => {
  const end = await runStage({ mode: 'ssh-begin', acceptMs: 400 });
  assert.match(end.text, /could not be started; the login is refused\./);
});

test('a direct gate that outstays its verdict is ended', patience, async () => {
  const end = await runStage({ direct: directGate('linger') });
  assert.equal(end.code, 0);
  assert.ok(end.ms < 15_000);
  assert.ok(processIsGone(probePid(end.text)));
});

test('cancelling reaches the direct gate, which ends', patience, async () => {
  const stage = startStage({ direct: directGate('wait') });
  await until('the direct gate reports', () => /^hello/m.test(stage.text()));
  stage.child.kill('SIGTERM');
  const end = await stage.ended;
  assert.equal(end.code, 1);
  assert.ok(processIsGone(probePid(end.text)));
});

test('SIGKILL to the stage ends the direct gate too', patience, async () => {
  const stage = startStage({ direct: directGate('wait') });
  await until('the direct gate reports', () => /^hello/m.test(stage.text()));
  const pid = probePid(stage.text());
  stage.child.kill('SIGKILL');
  await stage.ended;
  await until('the direct gate is gone', () => processIsGone(pid));
});

test('the resident agent is preferred while it answers', patience, async () => {
  const agent = await startAgent((caller) => void caller.hello().then(() => caller.socket.end(granted)));
  const end = await runStage({ agentDir: agent.dir, direct: directGate('refuse') });
  assert.deepEqual([end.code, agent.callers.length], [0, 1]);
});
