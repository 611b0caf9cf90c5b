// The PAM module in a stand-in for sudo and sshd, with the real stage behind it.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import {
  type Caller,
  type FakeAgent,
  frame,
  modulePath,
  nativeDir,
  pamDriverPath,
  patience,
  processIsGone,
  stagePath,
  startAgent,
  startTime,
  temporaryFolder,
  until,
} from './support.ts';

const accepted = frame('A');
const yes = frame('V', '0');
const no = frame('V', '1');
const SUCCESS = 'returns 0\n';
const DENIED = 'returns 6\n';

const modeOf = (hello: string[]) => hello.find((field) => field.startsWith('mode='))!.slice(5);

/** An agent that answers by the mode of who calls; the question for the plugin with no, unless told otherwise. */
function agent(answers: Partial<Record<'sudo' | 'ssh' | 'sudo-registered', (caller: Caller) => void>>) {
  return startAgent((caller) => {
    void caller.hello().then((hello) => {
      const answer = answers[modeOf(hello) as keyof typeof answers];
      if (answer) answer(caller);
      else caller.socket.end(Buffer.concat([accepted, no]));
    });
  });
}

const say = (...bytes: Uint8Array[]) => {
  return (caller: Caller) => void caller.socket.end(Buffer.concat([accepted, ...bytes]));
};

const calls = async ({ callers }: FakeAgent) =>
  Promise.all(callers.map(async (caller) => modeOf(await caller.hello())));

/** What a caller has sent after its hello, once it has gone. */
const frames = async (caller: Caller) => (await caller.rest()).toString('latin1');

interface Asked {
  /** What PAM's application got and what the person read, line by line. */
  text(): string;
  pid: number;
  kill(signal: NodeJS.Signals): void;
  /** Lets the person type who thinks. */
  type(): void;
  ended: Promise<string>;
}

function startPam(args: readonly string[], env: Record<string, string>, wrapper: readonly string[] = []): Asked {
  const [program, ...rest] = [...wrapper, pamDriverPath, ...args] as [string, ...string[]];
  const child = spawn(program, rest, {
    env: { PAM_USER: 'root', PAM_RUSER: 'root', PAM_SERVICE: 'sudo', IDENTREE_TEST_STAGE: stagePath, ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
  }
  after(() => child.kill('SIGKILL'));
  return {
    text: () => text,
    pid: child.pid!,
    kill: (signal) => child.kill(signal),
    type: () => void child.stdin.write('\n'),
    ended: new Promise((done) => child.on('close', () => done(text))),
  };
}

const pam = ({ dir }: { dir: string }, args: readonly string[], env: Record<string, string> = {}) =>
  startPam(args, { IDENTREE_TEST_SOCKET_DIR: dir, IDENTREE_TEST_OWN_OUTPUT: '1', ...env });

/** A program in the place of the stage. */
function otherStage(script: string): Record<string, string> {
  const path = join(temporaryFolder(), 'stage');
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
  return { IDENTREE_TEST_STAGE: path };
}

const packet = (text: string) =>
  `perl -MSocket -e 'open(my $s, "+<&=0") or die; send($s, ${JSON.stringify(text)}, 0) or die'`;

describe('the PAM module: a sudo whose plugin asks by itself', () => {
  test('passes without a word, and no stage is started', patience, async () => {
    const answering = await agent({ 'sudo-registered': say(yes) });
    const sudo = pam(answering, ['sudo'], { IDENTREE_TEST_STAGE: '/nonexistent' });
    assert.equal(await sudo.ended, SUCCESS);
    assert.deepEqual(await calls(answering), ['sudo-registered']);
  });

  test('is told by its number and start time, and by nothing that its user has a say in', patience, async () => {
    let start = '';
    const answering = await agent({
      'sudo-registered': (caller) => {
        start = startTime(sudo.pid);
        say(yes)(caller);
      },
    });
    const sudo = pam(answering, ['sudo'], { PAM_USER: 'mallory' });
    await sudo.ended;
    assert.deepEqual(await answering.callers[0]!.hello(), [
      'v=1',
      'mode=sudo-registered',
      `pid=${sudo.pid}`,
      `pstart=${start}`,
    ]);
  });

  const unsure: [string, (caller: Caller) => void][] = [
    ['says no', say(no)],
    ['ends without an answer', say()],
    ['says yes before it has accepted', (caller) => void caller.socket.end(yes)],
    ['goes on after its yes', say(yes, Buffer.from([0]))],
    ['does not end after its yes', (caller) => void caller.socket.write(Buffer.concat([accepted, yes]))],
    ['says nothing at all', () => undefined],
    ['speaks another protocol', (caller) => void caller.socket.end('HTTP/1.1 200 OK\r\n\r\n0')],
  ];
  for (const [name, answer] of unsure)
    test(`is asked by the stage where the agent ${name}`, patience, async () => {
      const answering = await agent({ 'sudo-registered': answer, sudo: say(no) });
      assert.equal(await pam(answering, ['sudo']).ended, DENIED);
      assert.deepEqual(await calls(answering), ['sudo-registered', 'sudo']);
    });

  test('is no login: ssh asks the stage alone', patience, async () => {
    const answering = await agent({ 'sudo-registered': say(yes), ssh: say(no) });
    assert.equal(await pam(answering, ['ssh']).ended, DENIED);
    assert.deepEqual(await calls(answering), ['ssh']);
  });

  test('finds an agent in a folder that is open to others refused, not asked', patience, async () => {
    const answering = await agent({ 'sudo-registered': say(yes) });
    chmodSync(answering.dir, 0o755);
    const text = await pam(answering, ['sudo']).ended;
    assert.match(text, /not in a folder that only root can use/);
    assert.match(text, /returns 6\n$/);
    assert.equal(answering.callers.length, 0);
  });
});

describe('the PAM module: what the stage says', () => {
  test('is shown line by line, and its yes is PAM’s', patience, async () => {
    const answering = await agent({ sudo: say(frame('T', '  link\x07'), frame('T', ''), frame('T', '✓'), yes) });
    assert.equal(await pam(answering, ['sudo']).ended, `text   link\ntext \ntext ✓\n${SUCCESS}`);
  });

  test(
    'is an error to PAM where nothing can be said on standard error: sudo prints those there itself',
    patience,
    async () => {
      const answering = await agent({ sudo: say(frame('T', 'link'), no) });
      const env = { IDENTREE_TEST_SOCKET_DIR: answering.dir };
      const sudo = startPam(['sudo'], env, ['sh', '-c', 'exec "$0" "$@" 2</dev/null']);
      assert.equal(await sudo.ended, `error link\n${DENIED}`);
    },
  );

  test('a no is PAM’s no', patience, async () => {
    const answering = await agent({ ssh: say(frame('T', 'Denied by dana.'), no) });
    assert.equal(await pam(answering, ['ssh']).ended, `text Denied by dana.\n${DENIED}`);
  });

  test('a program that ignores SIGCHLD, or takes every child itself, gets the same answer', patience, async () => {
    for (const option of ['--ignore', '--reaps']) {
      const granting = await agent({ sudo: say(yes) });
      assert.equal(await pam(granting, [option, 'sudo']).ended, SUCCESS);
      const refusing = await agent({ sudo: say(no) });
      assert.equal(await pam(refusing, [option, 'sudo']).ended, DENIED);
    }
  });

  test('without a conversation the answer counts all the same', patience, async () => {
    const answering = await agent({ sudo: say(frame('T', 'x'), yes) });
    assert.equal(await pam(answering, ['--mute', 'sudo']).ended, SUCCESS);
  });

  test('the stage gets what PAM knows, and nothing of the program’s environment', patience, async () => {
    const answering = await agent({ ssh: say(no) });
    const known = { PAM_SERVICE: 'sshd', PAM_RHOST: '192.0.2.7', SSH_CONNECTION: '192.0.2.7 1 192.0.2.8 22' };
    await pam(answering, ['ssh'], { ...known, PAM_RUSER: 'x'.repeat(300), PAM_TYPE: 'account', LD_PRELOAD: '' }).ended;
    const hello = await answering.callers[0]!.hello();
    for (const field of [
      'mode=ssh',
      'service=sshd',
      'user=root',
      'ruser_truncated=1',
      'rhost=192.0.2.7',
      'ssh_connection=192.0.2.7 1 192.0.2.8 22',
    ])
      assert.ok(hello.includes(field), `${field} in ${hello.join(' ')}`);
    const printed = await pam(answering, ['sudo'], {
      ...otherStage('env >&2; echo done >&2'),
      LD_PRELOAD: '',
      BASH_ENV: '/tmp/x',
    }).ended;
    assert.doesNotMatch(printed, /LD_PRELOAD|BASH_ENV/);
  });
});

describe('the PAM module: what refuses', () => {
  const faults: [string, Record<string, string>][] = [
    ['is not there', { IDENTREE_TEST_STAGE: '/nonexistent' }],
    ['ends without an answer, though with success', otherStage('exit 0')],
    ['says yes and ends with a failure', otherStage(`${packet('V0')}; exit 1`)],
    ['says yes and is killed', otherStage(`${packet('V0')}; kill -9 $$`)],
    ['says yes and more', otherStage(`${packet('V0')}; ${packet('T')}; exit 0`)],
    ['says yes twice', otherStage(`${packet('V0')}; ${packet('V0')}; exit 0`)],
    ['says more than a yes', otherStage(`${packet('V00')}; exit 0`)],
    ['says a word of the module’s', otherStage(`${packet('Shunter2')}; ${packet('V0')}; exit 0`)],
  ];
  for (const [name, env] of faults)
    test(`a stage that ${name}`, patience, async () => {
      const answering = await agent({});
      assert.match(await pam(answering, ['sudo'], env).ended, /^returns 6$/m);
    });

  test('a stage that says yes and ends well is the one that may: what those above lack', patience, async () => {
    const answering = await agent({});
    assert.equal(await pam(answering, ['sudo'], otherStage(`${packet('V0')}; exit 0`)).ended, SUCCESS);
  });

  test('a line that says neither sudo nor ssh, or more', patience, async () => {
    const answering = await agent({ sudo: say(yes), 'sudo-registered': say(yes) });
    for (const args of [[], ['login'], ['sudo', 'debug']]) {
      const text = await pam(answering, args).ended;
      assert.match(text, /says neither sudo nor ssh/);
      assert.match(text, /returns 6\n$/);
    }
  });

  test('a person who would know why is told', patience, async () => {
    const answering = await agent({});
    const conf = join(temporaryFolder(), 'client.conf');
    writeFileSync(conf, 'IDENTREE_CONTACT=ops@example.com\n', { mode: 0o600 });
    const env = { IDENTREE_TEST_STAGE: '/nonexistent', IDENTREE_TEST_CLIENT_CONF: conf };
    const text = await pam(answering, ['sudo'], env).ended;
    assert.match(text, /^error identree: the program that asks for approval could not do so; refused\./);
    assert.match(text, / Help: ops@example\.com$/m);
  });

  test('what PAM does after a login is nobody’s yes here', patience, async () => {
    assert.equal(await pam(await agent({}), ['--setcred', 'sudo']).ended, 'returns 25\n');
  });
});

describe('the PAM module: a line that the person types', () => {
  /** An agent that asks for a line and says yes once it is there. */
  const asking = (prompt = frame('P', '0Code:\x07 '), verdict = yes) =>
    agent({
      ssh: async (caller) => {
        caller.socket.write(Buffer.concat([accepted, frame('T', 'before'), prompt]));
        const hello = 3 + caller.bytes().readUInt16BE(1);
        await until('an answer', () => caller.ended() || caller.bytes().length > hello);
        caller.socket.end(Buffer.concat([frame('T', 'after'), verdict]));
      },
    });

  test('goes to the agent, and the verdict counts afterwards', patience, async () => {
    const answering = await asking();
    const text = await pam(answering, ['--types', 'hunter2', 'ssh']).ended;
    assert.equal(text, `text before\noff Code: \ntext after\n${SUCCESS}`);
    assert.equal(await frames(answering.callers[0]!), 'S\0\x07hunter2');
  });

  test('may be seen where the agent says so, and may be empty', patience, async () => {
    const answering = await asking(frame('P', '1Press Enter: '), no);
    const text = await pam(answering, ['--types', '', 'ssh']).ended;
    assert.equal(text, `text before\non Press Enter: \ntext after\n${DENIED}`);
    assert.equal(await frames(answering.callers[0]!), 'S\0\0');
  });

  test('that nobody types withdraws the question, with the reason', patience, async () => {
    const login = await asking();
    assert.match(await pam(login, ['ssh']).ended, /returns 6\n$/);
    assert.equal(await frames(login.callers[0]!), 'C\0\x06hangup');
    const sudo = await agent({
      sudo: (caller) => void caller.socket.write(Buffer.concat([accepted, frame('P', '0Code: ')])),
    });
    const text = await pam(sudo, ['sudo']).ended;
    assert.match(text, /something has to be typed/);
    assert.equal(await frames(sudo.callers[1]!), 'C\0\x08noprompt');
  });

  test('of 1024 bytes is handed on, a longer one refuses', patience, async () => {
    const longest = await asking();
    await pam(longest, ['--types', 'x'.repeat(1024), 'ssh']).ended;
    assert.equal(await frames(longest.callers[0]!), `S\x04\0${'x'.repeat(1024)}`);
    const longer = await asking();
    assert.match(await pam(longer, ['--types', 'x'.repeat(1025), 'ssh']).ended, /returns 6\n$/);
    assert.doesNotMatch(await frames(longer.callers[0]!), /^S/);
  });

  /** What becomes of a login whose stage has had enough before the person has typed. */
  async function refusedBefore(answering: FakeAgent): Promise<string> {
    const sshd = pam(answering, ['--thinks', '--types', 'x', 'ssh']);
    const caller = await answering.caller();
    await until('the stage has gone', () => caller.ended());
    sshd.type();
    return sshd.ended;
  }

  test(
    'a yes while somebody sits before the prompt is none: only they could end it, any time later',
    patience,
    async () => {
      const answering = await agent({ ssh: say(frame('P', '0Code: '), yes) });
      assert.match(await refusedBefore(answering), /returns 6\n$/);
    },
  );

  test('two prompts at once are not this protocol', patience, async () => {
    const answering = await agent({ ssh: say(frame('P', '0Code: '), frame('P', '0Code: '), yes) });
    assert.match(await refusedBefore(answering), /returns 6\n$/);
  });
});

describe('the PAM module: a program that goes away', () => {
  for (const signal of ['SIGKILL', 'SIGTERM'] as const)
    test(`${signal}: the question is withdrawn, and no stage is left behind`, patience, async () => {
      const answering = await agent({ ssh: (caller) => void caller.socket.write(accepted) });
      const sshd = pam(answering, ['ssh']);
      const caller = await answering.caller();
      await caller.hello();
      const children = spawnSync('pgrep', ['-P', String(sshd.pid)], { encoding: 'utf8' }).stdout.trim();
      assert.match(children, /^\d+$/);
      sshd.kill(signal);
      await sshd.ended;
      assert.equal(await frames(caller), 'C\0\x06parent');
      await until('the stage has ended', () => processIsGone(Number(children)));
    });
});

describe('the PAM module: what is built', () => {
  test('exports what PAM calls and nothing else, is hardened, and has no test hooks', () => {
    const symbols = spawnSync('nm', ['-D', '--defined-only', modulePath], { encoding: 'utf8' });
    assert.deepEqual(
      [...symbols.stdout.matchAll(/ T (\S+)$/gm)].map(([, name]) => name),
      ['pam_sm_authenticate', 'pam_sm_setcred'],
    );
    const dynamic = spawnSync('readelf', ['-dlW', modulePath], { encoding: 'utf8' }).stdout;
    assert.match(dynamic, /BIND_NOW/);
    assert.match(dynamic, /GNU_RELRO/);
    assert.match(dynamic, /GNU_STACK\s+\S+ \S+ \S+ \S+ \S+ RW /);
    assert.deepEqual(
      [...dynamic.matchAll(/NEEDED.*\[(.*)\]/g)].map(([, name]) => name),
      ['libpam.so.0', 'libc.so.6'],
    );
    assert.doesNotMatch(spawnSync('strings', [modulePath], { encoding: 'utf8' }).stdout, /IDENTREE_TEST/);
  });

  test('its picture of PAM’s interface is that of the PAM of this machine', {
    skip: existsSync('/usr/include/security/pam_modules.h') ? false : 'the headers of PAM are not installed',
  }, () => {
    const source = join(nativeDir, 'test/pam-api.c');
    const made = spawnSync('cc', ['-std=gnu11', '-I', nativeDir, '-fsyntax-only', source], { encoding: 'utf8' });
    assert.deepEqual([made.status, made.stderr], [0, '']);
  });
});
