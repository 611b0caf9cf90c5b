import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answering, frame, granted, patience, runStage, startAgent, startStage } from './support.ts';

const accepted = frame('A');
const yes = frame('V', '0');

test('the command runs after a verdict of "0"', patience, async () => {
  const agent = await answering(accepted, yes);
  const end = await runStage({ agentDir: agent.dir });
  assert.deepEqual([end.code, end.text, end.stderr], [0, '', '']);
});

test('the command runs when the agent keeps its side open after the verdict', patience, async () => {
  const agent = await startAgent((caller) => void caller.hello().then(() => caller.socket.write(granted)));
  assert.equal((await runStage({ agentDir: agent.dir })).code, 0);
});

test('a verdict that arrives byte by byte counts like any other', patience, async () => {
  const stream = Buffer.concat([accepted, frame('T', 'Waiting…'), accepted, yes]);
  const agent = await startAgent(async (caller) => {
    await caller.hello();
    for (const byte of stream) {
      caller.socket.write(Buffer.from([byte]));
      await new Promise((done) => setTimeout(done, 3));
    }
    caller.socket.end();
  });
  const end = await runStage({ agentDir: agent.dir });
  assert.deepEqual([end.code, end.text], [0, 'Waiting…\n']);
});

for (const [name, payload] of [
  ['"1"', '1'],
  ['"00"', '00'],
  ['nothing', ''],
  ['"0" and a newline', '0\n'],
  ['"0" and a NUL', '0\0'],
  ['a NUL byte', '\0'],
  ['8192 zeros', '0'.repeat(8192)],
] as const)
  test(`a verdict of ${name} refuses`, patience, async () => {
    const agent = await answering(accepted, frame('V', payload));
    const end = await runStage({ agentDir: agent.dir });
    assert.deepEqual([end.code, end.text, end.stderr], [1, '', '']);
  });

const malformed: [string, Buffer][] = [
  ['a verdict before the agent has accepted', yes],
  ['text before the agent has accepted', Buffer.concat([frame('T', 'hello'), granted])],
  ['an acceptance with a payload', Buffer.concat([frame('A', 'x'), yes])],
  ['a later keep-alive with a payload', Buffer.concat([accepted, frame('A', 'x'), yes])],
  ['an unknown frame type', Buffer.concat([accepted, frame('X'), yes])],
  ['a lower-case verdict', Buffer.concat([accepted, frame('v', '0')])],
  ['its own hello sent back', Buffer.concat([accepted, frame('H', 'v=1\0'), yes])],
  ['a frame type of NUL', Buffer.concat([accepted, Buffer.alloc(64)])],
  ['an over-long frame', Buffer.concat([accepted, Buffer.from([0x54, 0x20, 0x01]), Buffer.alloc(8193, 0x61), yes])],
  ['the longest length', Buffer.concat([accepted, Buffer.from([0x56, 0xff, 0xff]), Buffer.alloc(65535, 0x30)])],
  ['a verdict shorter than it says', Buffer.concat([accepted, Buffer.from([0x56, 0, 2, 0x30])])],
  ['a verdict longer than it says', Buffer.concat([accepted, Buffer.from([0x56, 0, 1, 0x30, 0x30])])],
  ['a verdict without its payload', Buffer.concat([accepted, Buffer.from([0x56, 0, 1])])],
  ['half a header', Buffer.concat([accepted, Buffer.from([0x56, 0])])],
  ['an end without a verdict', accepted],
  ['data after the verdict', Buffer.concat([granted, Buffer.from([0])])],
  ['a keep-alive after the verdict', Buffer.concat([granted, accepted])],
  ['a second verdict', Buffer.concat([granted, frame('V', '1')])],
  ['a line of prose', Buffer.from('HTTP/1.1 200 OK\r\n\r\n0')],
];
for (const [name, bytes] of malformed)
  test(`${name} refuses, and says that the answer was malformed`, patience, async () => {
    const agent = await answering(bytes);
    const end = await runStage({ agentDir: agent.dir });
    assert.equal(end.code, 1);
    assert.match(end.text, /identree: the agent's answer was incomplete or malformed; sudo is refused\./);
    assert.equal(end.stderr, '');
  });

for (const [name, prompt] of [
  ['nothing', ''],
  ['an unknown way to echo', '2Code: '],
  ['513 bytes', `0${'x'.repeat(513)}`],
] as const)
  test(`a prompt of ${name} is malformed and refuses`, patience, async () => {
    const agent = await answering(accepted, frame('P', prompt), yes);
    const end = await runStage({ agentDir: agent.dir });
    assert.equal(end.code, 1);
    assert.match(end.text, /incomplete or malformed/);
  });

test('where nobody can be asked for a line, the question is withdrawn with that reason', patience, async () => {
  const agent = await startAgent(
    (caller) => void caller.hello().then(() => caller.socket.write(Buffer.concat([accepted, frame('P', '0Code: ')]))),
  );
  const end = await runStage({ agentDir: agent.dir });
  assert.equal(end.code, 1);
  assert.equal(end.text, 'identree: something has to be typed, and it cannot be asked for here; sudo is refused.\n');
  assert.deepEqual(await (await agent.caller()).rest(), frame('C', 'noprompt'));
});

test('text is shown as sent, without the bytes that move a cursor', patience, async () => {
  const agent = await answering(
    accepted,
    frame('T', 'Genehmigen: ✓ \u001b[1m42\tB'),
    frame('T', ''),
    frame('T', 'a\nb\r\u0007\u007fc'),
    yes,
  );
  const end = await runStage({ agentDir: agent.dir });
  assert.equal(end.code, 0);
  assert.equal(end.text, 'Genehmigen: ✓ \u001b[1m42\tB\n\nabc\n');
});

test('the longest line arrives whole, and before the verdict takes effect', patience, async () => {
  const longest = 'x'.repeat(8192);
  const agent = await answering(accepted, frame('T', longest), frame('T', longest), frame('T', longest), yes);
  const end = await runStage({ agentDir: agent.dir });
  assert.deepEqual([end.code, end.text.length], [0, 3 * 8193]);
});

test('an agent that falls silent refuses with a line that says so', patience, async () => {
  const agent = await startAgent((caller) => void caller.hello().then(() => caller.socket.write(accepted)));
  const end = await runStage({ agentDir: agent.dir, silenceMs: 400 });
  assert.equal(end.code, 1);
  assert.equal(end.text, 'identree: the agent has stopped answering; sudo is refused.\n');
});

test('keep-alives hold the question open longer than the silence limit', patience, async () => {
  const agent = await startAgent(async (caller) => {
    await caller.hello();
    for (let i = 0; i < 6; i++) {
      caller.socket.write(accepted);
      await new Promise((done) => setTimeout(done, 200));
    }
    caller.socket.end(yes);
  });
  const end = await runStage({ agentDir: agent.dir, silenceMs: 600 });
  assert.equal(end.code, 0);
  assert.ok(end.ms > 1_000);
});

test('an agent that dribbles a frame without end counts as silent', patience, async () => {
  const agent = await startAgent(async (caller) => {
    await caller.hello();
    caller.socket.write(Buffer.concat([accepted, Buffer.from([0x54, 0x20, 0])]));
    const drip = setInterval(() => caller.socket.write('x'), 30);
    caller.socket.on('close', () => clearInterval(drip));
  });
  const end = await runStage({ agentDir: agent.dir, silenceMs: 500 });
  assert.equal(end.code, 1);
  assert.match(end.text, /stopped answering/);
});

test('an approval that comes after the person has gone approves nothing', patience, async () => {
  const agent = await startAgent((caller) => void caller.hello().then(() => caller.socket.write(accepted)));
  const stage = startStage({ agentDir: agent.dir });
  const caller = await agent.caller();
  await caller.hello();
  stage.child.stdout?.destroy();
  const end = await stage.ended;
  assert.equal(end.code, 1);
  assert.deepEqual(await caller.rest(), frame('C', 'hangup'));
});

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGALRM', 'SIGUSR1', 'SIGXCPU'] as const)
  test(`${signal} withdraws the question and refuses`, patience, async () => {
    const agent = await startAgent((caller) => void caller.hello().then(() => caller.socket.write(accepted)));
    const stage = startStage({ agentDir: agent.dir });
    const caller = await agent.caller();
    await caller.hello();
    stage.child.kill(signal);
    const end = await stage.ended;
    assert.deepEqual([end.code, end.signal], [1, null]);
    assert.deepEqual(await caller.rest(), frame('C', 'signal'));
  });

test('SIGPIPE, SIGTSTP, SIGTTOU and SIGCONT change nothing', patience, async () => {
  const agent = await startAgent((caller) => void caller.hello().then(() => caller.socket.write(accepted)));
  const stage = startStage({ agentDir: agent.dir });
  const caller = await agent.caller();
  await caller.hello();
  for (const signal of ['SIGPIPE', 'SIGTSTP', 'SIGTTOU', 'SIGCONT'] as const) stage.child.kill(signal);
  await new Promise((done) => setTimeout(done, 100));
  caller.socket.end(yes);
  assert.equal((await stage.ended).code, 0);
});
