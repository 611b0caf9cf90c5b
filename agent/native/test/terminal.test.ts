// The person's terminal: what Ctrl-C does, what is left behind, and what is never touched.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtemp, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type Caller,
  directGate,
  ECHO,
  type FakeAgent,
  frame,
  granted,
  ICANON,
  ISIG,
  localModes,
  openTerminal,
  patience,
  processIsGone,
  runStage,
  sleep,
  startAgent,
  startTime,
  type Terminal,
  until,
} from './support.ts';

const waitingAgent = (): Promise<FakeAgent> =>
  startAgent((caller) => void caller.hello().then(() => caller.socket.write(frame('A'))));

const isRaw = (modes: string): boolean => (localModes(modes) & (ICANON | ECHO | ISIG)) === 0;

const waitRaw = (terminal: Terminal): Promise<void> =>
  until('the stage takes the terminal', async () => isRaw(await terminal.modes()));

const waitModes = (terminal: Terminal, modes: string): Promise<void> =>
  until('the terminal is as it was', async () => (await terminal.modes()) === modes);

/** How often something that is to be quick is tried: a busy machine may be slow once, but not each time. */
const TRIES = 5;

/** Runs `once` until it took less than `limit` milliseconds. @throws when it never did. */
async function quick(limit: number, once: () => Promise<number>): Promise<void> {
  const took: number[] = [];
  while (took.length < TRIES) {
    took.push(await once());
    if ((took.at(-1) ?? limit) < limit) return;
  }
  assert.fail(`took ${took.map(Math.round).join(', ')} ms; ${limit} are allowed`);
}

/** A stage that waits in the foreground of a fresh terminal. */
async function waitingInForeground(
  flags: string[] = [],
): Promise<{ terminal: Terminal; caller: Caller; before: string }> {
  const agent = await waitingAgent();
  const terminal = await openTerminal({ agentDir: agent.dir, flags });
  const before = await terminal.modes();
  await terminal.command('start');
  const caller = await agent.caller();
  await caller.hello();
  await waitRaw(terminal);
  return { terminal, caller, before };
}

test('the hello names the terminal, its size, the foreground and sudo itself', patience, async () => {
  const { terminal, caller } = await waitingInForeground();
  const hello = await caller.hello();
  const sudo = terminal.pid('sudo');
  for (const entry of [
    `tty=${terminal.tty}`,
    'cols=101',
    'rows=37',
    'fg=1',
    `ppid=${sudo}`,
    `pstart=${startTime(sudo)}`,
  ])
    assert.ok(hello.includes(entry), entry);
  await terminal.key('\u0003');
  await terminal.end();
});

for (const [name, key] of [
  ['Ctrl-C', '\u0003'],
  ['Ctrl-\\', '\u001c'],
] as const)
  test(`${name} cancels within 100 ms, says so, and leaves the terminal as it was`, patience, async () => {
    await quick(100, async () => {
      const { terminal, caller, before } = await waitingInForeground();
      const pressed = performance.now();
      await terminal.key(key);
      assert.equal(await terminal.end(), 'exit 1');
      const took = performance.now() - pressed;
      assert.deepEqual(await caller.rest(), frame('C', 'interrupt'));
      await until('the line is shown', () => terminal.text() === '  Cancelled.\n');
      assert.equal(await terminal.modes(), before);
      return took;
    });
  });

test('a key pressed before the agent answers cancels too', patience, async () => {
  const agent = await startAgent();
  const terminal = await openTerminal({ agentDir: agent.dir });
  const before = await terminal.modes();
  await terminal.command('start');
  await waitRaw(terminal);
  await terminal.key('\u0003');
  assert.equal(await terminal.end(), 'exit 1');
  assert.deepEqual(await (await agent.caller()).rest(), frame('C', 'interrupt'));
  assert.equal(await terminal.modes(), before);
});

test('Ctrl-C while the direct gate decides cancels it', patience, async () => {
  const terminal = await openTerminal({ direct: directGate('wait') });
  const before = await terminal.modes();
  await terminal.command('start');
  await until('the direct gate reports', () => /^hello/m.test(terminal.text()));
  await waitRaw(terminal);
  await terminal.key('\u0003');
  assert.equal(await terminal.end(), 'exit 1');
  assert.equal(await terminal.modes(), before);
});

for (const [verdict, status] of [
  ['0', 'exit 0'],
  ['1', 'exit 1'],
] as const)
  test(`after the verdict "${verdict}" the terminal is as it was`, patience, async () => {
    const { terminal, caller, before } = await waitingInForeground();
    caller.socket.end(frame('V', verdict));
    assert.equal(await terminal.end(), status);
    assert.equal(await terminal.modes(), before);
  });

test('a malformed answer and an agent that vanishes leave the terminal as it was', patience, async () => {
  for (const bytes of [frame('X'), Buffer.alloc(0)]) {
    const { terminal, caller, before } = await waitingInForeground();
    caller.socket.end(bytes);
    assert.equal(await terminal.end(), 'exit 1');
    assert.equal(await terminal.modes(), before);
  }
});

test(
  'keys typed ahead, even Ctrl-C characters in a paste, neither cancel nor reach the command',
  patience,
  async () => {
    const agent = await waitingAgent();
    const terminal = await openTerminal({ agentDir: agent.dir });
    // LNEXT (Ctrl-V) makes the terminal keep a literal Ctrl-C instead of signalling.
    await terminal.key('rm -rf /\nyes\n\u0016\u0003half a line');
    await terminal.command('start');
    const caller = await agent.caller();
    await waitRaw(terminal);
    await sleep(100);
    caller.socket.end(frame('V', '0'));
    assert.equal(await terminal.end(), 'exit 0');
    assert.equal(await terminal.leftover(), '');
  },
);

test('a paste while waiting decides nothing, is not echoed, and does not reach the command', patience, async () => {
  const { terminal, caller } = await waitingInForeground();
  await terminal.key(`yes\ny\n0\n\u0004\u001a\u0011\u0013${'hunter2 '.repeat(200)}\n`);
  await sleep(150);
  assert.equal(caller.ended(), false);
  await terminal.key('last');
  caller.socket.end(frame('V', '0'));
  assert.equal(await terminal.end(), 'exit 0');
  assert.equal(await terminal.leftover(), '');
  assert.equal(terminal.output().includes('hunter2'), false);
  assert.equal(caller.bytes().includes('hunter2'), false);
});

test('Ctrl-S does not freeze the wait: Ctrl-C after it still cancels', patience, async () => {
  const { terminal } = await waitingInForeground();
  await terminal.key('\u0013');
  await sleep(50);
  await terminal.key('\u0003');
  assert.equal(await terminal.end(), 'exit 1');
});

test('started in the background, it takes no key and never touches the terminal', patience, async () => {
  const agent = await waitingAgent();
  const terminal = await openTerminal({ agentDir: agent.dir });
  const before = await terminal.modes();
  await terminal.command('start bg');
  const caller = await agent.caller();
  assert.ok((await caller.hello()).includes('fg=0'));
  await terminal.key('ls\n');
  for (let i = 0; i < 5; i++) {
    await sleep(100);
    assert.equal(await terminal.modes(), before);
  }
  caller.socket.end(frame('V', '0'));
  assert.equal(await terminal.end(), 'exit 0');
  assert.equal(await terminal.modes(), before);
  assert.equal(await terminal.leftover(), 'ls\n');
});

test('brought to the foreground, it takes the terminal and Ctrl-C cancels', patience, async () => {
  const agent = await waitingAgent();
  const terminal = await openTerminal({ agentDir: agent.dir });
  const before = await terminal.modes();
  await terminal.command('start bg');
  await (await agent.caller()).hello();
  await terminal.command('fg');
  await waitRaw(terminal);
  await terminal.key('\u0003');
  assert.equal(await terminal.end(), 'exit 1');
  assert.equal(await terminal.modes(), before);
});

test('sent to the background, it gives back a terminal that the shell left alone', patience, async () => {
  const { terminal, caller, before } = await waitingInForeground();
  await terminal.command('bg');
  await waitModes(terminal, before);
  await terminal.key('shell input\n');
  await sleep(250);
  assert.equal(caller.ended(), false);
  assert.equal(await terminal.leftover(), 'shell input\n');
  caller.socket.end(frame('V', '1'));
  assert.equal(await terminal.end(), 'exit 1');
});

test('sent to the background, it leaves alone what the shell has set', patience, async () => {
  const { terminal, caller } = await waitingInForeground();
  await terminal.command('bg');
  await terminal.command('shellmodes'); // ISIG back on, as a line editor has it
  const shell = await terminal.modes();
  await sleep(500);
  const later = await terminal.modes();
  caller.socket.end(frame('V', '0'));
  assert.equal(await terminal.end(), 'exit 0');
  assert.deepEqual([later, await terminal.modes()], [shell, shell]);
});

test('a key typed right after it went to the background is the shell’s', patience, async () => {
  for (const key of ['ls\n', '\u0016\u0003\n']) {
    const { terminal, caller } = await waitingInForeground();
    await terminal.command('bg');
    await terminal.key(key);
    await sleep(300);
    assert.equal(caller.ended(), false);
    assert.notEqual(await terminal.leftover(), '');
    caller.socket.end(frame('V', '1'));
    assert.equal(await terminal.end(), 'exit 1');
  }
});

test('back and forth: the terminal ends as it began', patience, async () => {
  const { terminal, caller, before } = await waitingInForeground();
  for (let i = 0; i < 2; i++) {
    await terminal.command('bg');
    await waitModes(terminal, before);
    await terminal.command('fg');
    await waitRaw(terminal);
  }
  caller.socket.end(frame('V', '0'));
  assert.equal(await terminal.end(), 'exit 0');
  assert.equal(await terminal.modes(), before);
});

for (const start of ['start', 'start bg'])
  test(`the window is closed while it waits (${start}): cancelled at once`, patience, async () => {
    await quick(500, async () => {
      const agent = await waitingAgent();
      const terminal = await openTerminal({ agentDir: agent.dir });
      await terminal.command(start);
      const caller = await agent.caller();
      await caller.hello();
      if (start === 'start') await waitRaw(terminal);
      const closed = performance.now();
      await terminal.command('hup');
      assert.equal(await terminal.end(), 'exit 1');
      const took = performance.now() - closed;
      assert.deepEqual(await caller.rest(), frame('C', 'hangup'));
      return took;
    });
  });

test('sudo is killed: the question is withdrawn and the terminal given back', patience, async () => {
  const { terminal, caller, before } = await waitingInForeground();
  const stage = terminal.pid('stage');
  process.kill(terminal.pid('sudo'), 'SIGKILL');
  assert.deepEqual(await caller.rest(), frame('C', 'parent'));
  await until('the stage is gone', () => processIsGone(stage));
  assert.equal(await terminal.modes(), before);
});

test('sudo is killed under a subreaper: the new parent is not mistaken for sudo', patience, async () => {
  const { terminal, caller, before } = await waitingInForeground(['--subreaper']);
  process.kill(terminal.pid('sudo'), 'SIGKILL');
  assert.deepEqual(await caller.rest(), frame('C', 'parent'));
  assert.equal(await terminal.end('orphan'), 'exit 1');
  assert.equal(await terminal.modes(), before);
});

for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGALRM'] as const)
  test(`${signal} gives the terminal back`, patience, async () => {
    const { terminal, caller, before } = await waitingInForeground();
    process.kill(terminal.pid('stage'), signal);
    assert.equal(await terminal.end(), 'exit 1');
    assert.deepEqual(await caller.rest(), frame('C', 'signal'));
    assert.equal(await terminal.modes(), before);
  });

test('a crash gives the terminal back, refuses, and shows as a crash', patience, async () => {
  const { terminal, before } = await waitingInForeground();
  process.kill(terminal.pid('stage'), 'SIGABRT');
  assert.equal(await terminal.end(), 'killed 6');
  assert.equal(await terminal.modes(), before);
});

test('output that nobody reads for five seconds cancels, and gives the terminal back', patience, async () => {
  const { terminal, caller, before } = await waitingInForeground(['--deaf']);
  const line = frame('T', 'x'.repeat(8000));
  for (let i = 0; i < 20; i++) caller.socket.write(line);
  caller.socket.write(frame('V', '0'));
  const began = performance.now();
  assert.equal(await terminal.end(), 'exit 1');
  const took = performance.now() - began;
  assert.ok(took > 4_000, `${took}`);
  assert.deepEqual(await caller.rest(), frame('C', 'hangup'));
  assert.equal(await terminal.modes(), before);
});

test('Ctrl-C is heard even while output is stuck', patience, async () => {
  // Without the key it would take five seconds.
  await quick(1_000, async () => {
    const { terminal, caller } = await waitingInForeground(['--deaf']);
    for (let i = 0; i < 20; i++) caller.socket.write(frame('T', 'x'.repeat(8000)));
    await sleep(200);
    await terminal.key('\u0003');
    const pressed = performance.now();
    assert.equal(await terminal.end(), 'exit 1');
    return performance.now() - pressed;
  });
});

test('in the ssh modes the terminal is never opened', patience, async () => {
  const agent = await waitingAgent();
  const terminal = await openTerminal({ agentDir: agent.dir, mode: 'ssh-begin' });
  const before = await terminal.modes();
  await terminal.command('start');
  const caller = await agent.caller();
  const hello = await caller.hello();
  assert.equal(
    hello.find((entry) => /^(cols|rows)=/.test(entry)),
    undefined,
  );
  await terminal.key('\u0003typed\n');
  await sleep(300);
  assert.equal(await terminal.modes(), before);
  assert.equal(caller.ended(), false);
  caller.socket.end(frame('V', '0'));
  assert.equal(await terminal.end(), 'exit 0');
});

for (const tty of [
  'pts/0',
  '/dev',
  '/dev/null',
  '/dev/pts/../null',
  '/dev/stdin',
  '/etc/passwd',
  '/proc/self/fd/0',
  ':0',
])
  test(`PAM_TTY=${tty} is no terminal: it asks without reading keys`, patience, async () => {
    const agent = await startAgent((caller) => void caller.hello().then(() => caller.socket.end(granted)));
    const end = await runStage({ agentDir: agent.dir, env: { PAM_TTY: tty } });
    assert.equal(end.code, 0);
    const hello = await (await agent.caller()).hello();
    assert.ok(hello.includes(`tty=${tty}`) && hello.includes('fg=0'));
    assert.equal(
      hello.find((entry) => /^(cols|rows)=/.test(entry)),
      undefined,
    );
  });

test('a terminal that is already gone refuses without asking anybody', patience, async () => {
  const agent = await waitingAgent();
  const end = await runStage({ agentDir: agent.dir, env: { PAM_TTY: '/dev/pts/999999' } });
  assert.deepEqual([end.code, agent.callers.length], [1, 0]);
});

/** Has a stage asked for a sudo whose terminal is said to be somebody else's, which stays as it is, with all that is typed there. */
async function leavesAlone(options: (tty: string) => Parameters<typeof openTerminal>[0]): Promise<void> {
  const agent = await waitingAgent();
  const other = await openTerminal();
  const before = await other.modes();
  const terminal = await openTerminal({ agentDir: agent.dir, ...options(other.tty) });
  await terminal.command('start');
  const caller = await agent.caller();
  const hello = await caller.hello();
  assert.ok(hello.includes(`tty=${other.tty}`) && hello.includes('fg=0'));
  await other.key('\u0003ls\n');
  await sleep(300);
  assert.equal(await other.modes(), before);
  assert.equal(caller.ended(), false);
  caller.socket.end(frame('V', '0'));
  assert.equal(await terminal.end(), 'exit 0');
  assert.equal(await other.modes(), before);
}

test('the terminal of somebody else than sudo is neither read nor changed', patience, () =>
  leavesAlone((tty) => ({ flags: [`--tty=${tty}`] })),
);

test('nor is one with the number of sudo’s own, which is of an instance that whoever asks has made', {
  ...patience,
  skip: process.geteuid?.() === 0 ? false : 'needs root',
}, async () => {
  const instance = await mkdtemp(join(tmpdir(), 'identree-devpts-'));
  execFileSync('mount', ['-t', 'devpts', '-o', 'newinstance,ptmxmode=0666', 'devpts', instance]);
  try {
    const env = { PAM_RUSER: 'nobody' };
    await leavesAlone((tty) => ({ flags: [`--tty=${tty}`, `--instance=${instance}`], env }));
  } finally {
    execFileSync('umount', ['-l', instance]);
    await rmdir(instance);
  }
});

test('after su the terminal is another account’s, and sudo has it open: it is taken', patience, async () => {
  const agent = await waitingAgent();
  const terminal = await openTerminal({ agentDir: agent.dir, env: { PAM_RUSER: 'nobody' } });
  await terminal.command('start');
  assert.ok((await (await agent.caller()).hello()).includes('fg=1'));
  await waitRaw(terminal);
  await terminal.key('\u0003');
  assert.equal(await terminal.end(), 'exit 1');
});
