import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  type Caller,
  frame,
  nativeDir,
  patience,
  pluginPath,
  startAgent,
  startSudo,
  startTime,
  temporaryFolder,
  until,
} from './support.ts';

interface Question {
  hello: Map<string, string>;
  /** What was sent of each part, all frames joined. */
  parts: Map<string, Buffer>;
  /** Types of the frames after the parts: E, R, S, C. */
  rest: string[];
  /** What the last frame of a type said. */
  said: Map<string, string>;
}

/** What a plugin has sent so far; null until its hello is whole. */
function read(bytes: Buffer): Question | null {
  const question: Question = { hello: new Map(), parts: new Map(), rest: [], said: new Map() };
  let at = 0;
  while (at + 3 <= bytes.length) {
    const type = String.fromCharCode(bytes[at]!);
    const end = at + 3 + bytes.readUInt16BE(at + 1);
    if (end > bytes.length) break;
    const payload = bytes.subarray(at + 3, end);
    at = end;
    if (type === 'H') {
      for (const field of payload.subarray(0, -1).toString('latin1').split('\0')) {
        question.hello.set(field.slice(0, field.indexOf('=')), field.slice(field.indexOf('=') + 1));
      }
    } else if (type === 'D') {
      const letter = String.fromCharCode(payload[0]!);
      question.parts.set(letter, Buffer.concat([question.parts.get(letter) ?? Buffer.alloc(0), payload.subarray(1)]));
    } else {
      question.rest.push(type);
      question.said.set(type, payload.toString('latin1'));
    }
  }
  return question.hello.size === 0 ? null : question;
}

const accepted = frame('A');
const yes = frame('V', '0');
const ready = frame('Q');
const token = (text: string) => Buffer.concat([frame('K', text), frame('K')]);

/** An agent that answers each conversation of a plugin by its mode, and remembers all of them. */
async function agent(
  answer: { open?: (caller: Caller) => void; check?: (caller: Caller, times: number) => void },
  dir?: string,
) {
  const seen: { mode: string; question: () => Question; caller: Caller }[] = [];
  let checks = 0;
  const fake = await startAgent((caller) => {
    void caller.hello().then(async (fields) => {
      const mode = fields.find((field) => field.startsWith('mode='))!.slice(5);
      seen.push({ mode, question: () => read(caller.bytes())!, caller });
      if (mode === 'sudo-open') {
        if (answer.open) answer.open(caller);
        else caller.socket.end(Buffer.concat([accepted, yes]));
        return;
      }
      await until('all is said', () => read(caller.bytes())!.rest.includes('E') || caller.ended());
      if (mode === 'sudo-check') {
        checks += 1;
        answer.check?.(caller, checks);
      } else caller.socket.end(Buffer.concat([accepted, yes]));
    });
  }, dir);
  return { dir: fake.dir, seen, modes: () => seen.map(({ mode }) => mode) };
}

/** Grants as an agent does: asks whether the verdict is used at once, and sends it when told so. */
async function grant(caller: Caller, before: Buffer = token('request-1')): Promise<void> {
  caller.socket.write(Buffer.concat([accepted, before, ready]));
  await until('the plugin is ready', () => read(caller.bytes())!.rest.includes('R'));
  caller.socket.end(yes);
}

const stateOf = (pid: number) => /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];

const lines = (text: string) => text.trimEnd().split('\n');
const GRANTED = ['audit open 1', 'approval open 1', 'check 1 -', 'accept 1 -', 'runs'];
const REFUSED = ['audit open 1', 'approval open 1', 'check 0 not approved'];

describe('the plugin of sudo: the way to a yes', () => {
  test('registers, asks with all that sudo told, and reports what became of it', patience, async () => {
    const { dir, seen, modes } = await agent({ check: (caller) => void grant(caller) });
    const sudo = startSudo(dir, ['--exit', String(7 << 8), 'id', '-u', 'a b\n']);
    const pid = sudo.child.pid!;
    await until('sudo to register', () => modes().length > 0);
    const end = await sudo.ended;
    assert.deepEqual(lines(end.text), GRANTED);
    assert.equal(end.stderr, '');
    await until('the report', () => modes().length === 4);
    assert.deepEqual(modes(), ['sudo-open', 'sudo-check', 'sudo-report', 'sudo-report']);
    const [open, check, started, ended] = seen.map(({ question }) => question());
    assert.equal(open!.hello.get('pid'), String(pid));
    assert.match(open!.hello.get('build')!, /^[0-9a-f]{32}$/);
    assert.equal(open!.hello.get('api'), '1.15');
    assert.deepEqual([check!.hello.get('pid'), check!.hello.get('pstart')], [String(pid), open!.hello.get('pstart')]);
    assert.equal(check!.hello.get('intercepted'), '0');
    assert.equal(check!.parts.get('a')!.toString(), 'id\0-u\0a b\n\0');
    assert.equal(check!.parts.get('e')!.toString(), 'PATH=/usr/bin\0EMPTY=\0');
    assert.equal(check!.parts.get('s')!.toString(), 'progname=sudo\0noninteractive=true\0');
    assert.match(check!.parts.get('c')!.toString(), /^command=\/usr\/bin\/id\0runas_uid=0\0/);
    assert.match(check!.parts.get('u')!.toString(), /^user=alice\0uid=1000\0/);
    assert.deepEqual(check!.rest, ['E', 'R']);
    assert.equal(started!.hello.get('event'), 'started');
    assert.equal(started!.parts.get('k')!.toString(), 'request-1');
    assert.deepEqual([ended!.hello.get('event'), ended!.hello.get('status')], ['ended', String(7 << 8)]);
  });

  test('the start time that it tells is the kernel’s', patience, async () => {
    const { dir, seen, modes } = await agent({ check: () => {} });
    const sudo = startSudo(dir, ['id']);
    await until('the question', () => modes().includes('sudo-check'));
    assert.equal(seen[1]!.question().hello.get('pstart'), startTime(sudo.child.pid!));
    sudo.child.kill('SIGKILL');
  });

  test('an environment of a megabyte arrives whole', patience, async () => {
    const { dir, seen } = await agent({ check: (caller) => void grant(caller) });
    const end = await startSudo(dir, ['--fill', String(1024 * 1024), 'id']).ended;
    assert.deepEqual(lines(end.text), GRANTED);
    assert.equal(seen[1]!.question().parts.get('e')!.length, 'PATH=/usr/bin\0EMPTY=\0'.length + 1024 * 1024 + 1);
  });

  test('text goes to the person at once, and nothing of it to stdout', patience, async () => {
    const { dir } = await agent({
      check: (caller) => {
        caller.socket.write(Buffer.concat([accepted, frame('T', '  link\x07'), frame('T', '')]));
        void grant(caller, token('r'));
      },
    });
    const end = await startSudo(dir, ['id']).ended;
    assert.equal(end.stderr, '  link\n\n');
    assert.deepEqual(lines(end.text), GRANTED);
  });

  test('root is not asked, and needs no agent', patience, async () => {
    const end = await startSudo('/nonexistent', ['--uid', '0', 'id']).ended;
    assert.deepEqual(lines(end.text), GRANTED);
  });

  test('who only has a uid that begins like root’s is asked', patience, async () => {
    const end = await startSudo('/nonexistent', ['--uid', '00', 'id']).ended;
    assert.deepEqual(lines(end.text), REFUSED);
  });

  test('a command that an allowed one starts is a question of its own', patience, async () => {
    const { dir, seen, modes } = await agent({ check: (caller, n) => void grant(caller, token(`request-${n}`)) });
    const end = await startSudo(dir, ['--inner', 'id']).ended;
    assert.deepEqual(lines(end.text), [...GRANTED, 'approval open 1', 'check 1 -', 'accept 1 -']);
    await until('the last report', () => modes().length >= 5);
    const checks = seen.filter(({ mode }) => mode === 'sudo-check').map(({ question }) => question());
    assert.deepEqual(
      checks.map(({ hello }) => hello.get('intercepted')),
      ['0', '1'],
    );
    assert.equal(checks[1]!.parts.has('k'), false, 'the first request is not taken for the second');
    const reports = seen.filter(({ mode }) => mode === 'sudo-report').map(({ question }) => question());
    assert.deepEqual(
      reports.map(({ hello, parts }) => `${hello.get('event')} ${parts.get('k')}`),
      ['started request-1', 'ended request-1'],
      'sudo sees neither start nor end of what it only lets go on',
    );
  });

  test('what an approved command starts runs on without a word where sudo only logs it', patience, async () => {
    const { dir, modes } = await agent({ check: (caller) => void grant(caller) });
    const end = await startSudo(dir, ['--log-subcmds', 'id']).ended;
    assert.deepEqual(lines(end.text), [...GRANTED, 'accept 1 -']);
    await until('the last report', () => modes().length === 4);
    assert.deepEqual(modes(), ['sudo-open', 'sudo-check', 'sudo-report', 'sudo-report']);
  });

  test(
    'how long a command ran counts from its own release, not from that of one which it started',
    patience,
    async () => {
      let first = Number.POSITIVE_INFINITY;
      let between = 0;
      const { dir, seen, modes } = await agent({
        check: async (caller, times) => {
          if (times === 2) {
            await until('some time to pass', () => performance.now() - first > 200);
            between = performance.now() - first;
          }
          await grant(caller, token(`request-${times}`));
          if (times === 1) first = performance.now();
        },
      });
      await startSudo(dir, ['--inner', 'id']).ended;
      await until('the last report', () => modes().length >= 5);
      const ended = seen.at(-1)!.question();
      assert.equal(ended.hello.get('event'), 'ended');
      assert.ok(Number(ended.hello.get('ms')) >= Math.floor(between) - 50, `${ended.hello.get('ms')} of ${between} ms`);
    },
  );

  test('goes on while the agent looks into whether it counts', patience, async () => {
    const registered = Promise.withResolvers<Caller>();
    const { dir, modes } = await agent({ open: registered.resolve, check: (caller) => void grant(caller) });
    const end = await startSudo(dir, ['id']).ended;
    assert.deepEqual(lines(end.text), GRANTED);
    await until('all that it says', () => modes().length === 4);
    await until('it to leave', (await registered.promise).ended);
  });

  test('sudo -l and sudo -v ask nothing', patience, async () => {
    const { dir, modes } = await agent({});
    const end = await startSudo(dir, ['--list', 'list']).ended;
    assert.deepEqual(lines(end.text), ['audit open 1', 'policy accept 1']);
    assert.deepEqual(modes(), ['sudo-open']);
  });
});

describe('the plugin of sudo: what refuses', () => {
  const replies: [string, Buffer][] = [
    ['a verdict that nobody asked for', Buffer.concat([accepted, yes])],
    ['a verdict before the agent has accepted', yes],
    ['a question for readiness with a payload', Buffer.concat([accepted, frame('Q', 'x')])],
    ['two questions for readiness', Buffer.concat([accepted, ready, ready, yes])],
    ['no', Buffer.concat([accepted, ready, frame('V', '1')])],
    ['an unknown frame', Buffer.concat([accepted, frame('X'), yes])],
  ];
  for (const [name, bytes] of replies)
    test(name, patience, async () => {
      const { dir } = await agent({ check: (caller) => void caller.socket.write(bytes) });
      const end = await startSudo(dir, ['id']).ended;
      assert.deepEqual(lines(end.text), REFUSED);
    });

  test('no agent, and one whose folder is open to others', patience, async () => {
    assert.deepEqual(lines((await startSudo('/nonexistent', ['id']).ended).text), REFUSED);
    const folder = join(temporaryFolder(), 'open');
    mkdirSync(folder, { mode: 0o755 });
    const { dir } = await agent({ check: (caller) => void grant(caller) }, folder);
    const end = await startSudo(dir, ['id']).ended;
    assert.deepEqual(lines(end.text), REFUSED);
    assert.match(end.stderr, /folder that only root can use/);
  });

  test('an agent that falls silent', patience, async () => {
    const { dir } = await agent({ check: (caller) => void caller.socket.write(accepted) });
    const end = await startSudo(dir, ['id'], { IDENTREE_TEST_SILENCE_MS: '300' }).ended;
    assert.deepEqual(lines(end.text), REFUSED);
  });

  test('a verdict that is read long after it was asked for: sudo was stopped in between', patience, async () => {
    const { dir } = await agent({
      check: async (caller) => {
        caller.socket.write(Buffer.concat([accepted, ready]));
        await until('the plugin is ready', () => read(caller.bytes())!.rest.includes('R'));
        sudo.child.kill('SIGSTOP');
        caller.socket.write(yes);
        setTimeout(() => sudo.child.kill('SIGCONT'), 2500);
      },
    });
    const sudo = startSudo(dir, ['id']);
    const end = await sudo.ended;
    assert.deepEqual(lines(end.text), REFUSED);
    assert.match(end.stderr, /too late/);
  });

  test('an approval whose command is not started in time: sudo was stopped after it', patience, async () => {
    const { dir, seen } = await agent({ check: (caller) => void grant(caller) });
    const end = await startSudo(dir, ['id'], { IDENTREE_TEST_START_WITHIN_MS: '0' }).ended;
    assert.deepEqual(lines(end.text), [...GRANTED.slice(0, 3), 'accept 0 it was approved too long ago']);
    await until('the report', () => seen.at(-1)!.mode === 'sudo-report' && seen.at(-1)!.question().rest.includes('E'));
    assert.equal(seen.at(-1)!.question().hello.get('event'), 'refused');
    assert.equal(seen.at(-1)!.question().parts.get('r')!.toString(), 'it was approved too long ago');
  });

  test('sudo without the approval plugin: the audit plugin lets nothing run', patience, async () => {
    const { dir } = await agent({});
    const end = await startSudo(dir, ['--no-approval', 'id']).ended;
    assert.deepEqual(lines(end.text), [
      'audit open 1',
      "accept 0 sudo.conf loads identree's audit plugin without its approval plugin",
    ]);
  });

  test('an approval that was used is not used again', patience, async () => {
    const { dir } = await agent({
      check: (caller, times) =>
        times === 1 ? void grant(caller) : void caller.socket.end(Buffer.concat([accepted, frame('V', '1')])),
    });
    const end = await startSudo(dir, ['--inner', 'id']).ended;
    assert.deepEqual(lines(end.text), [...GRANTED, 'approval open 1', 'check 0 not approved']);
  });
});

describe('the plugin of sudo: signals', () => {
  for (const [signal, reason] of [
    ['SIGINT', 'interrupt'],
    ['SIGQUIT', 'interrupt'],
    ['SIGHUP', 'hangup'],
    ['SIGTERM', 'signal'],
  ] as const)
    test(`${signal} withdraws the request`, patience, async () => {
      let taken = false;
      const check = (caller: Caller) => {
        caller.socket.write(accepted);
        taken = true;
      };
      const { dir, seen } = await agent({ check });
      // One that is deaf to the signal says that the agent was silent, and withdraws nothing.
      const sudo = startSudo(dir, ['id'], { IDENTREE_TEST_SILENCE_MS: '20000' });
      // An agent that writes to who has gone reads nothing more.
      await until('the question, and that it is taken', () => taken);
      sudo.child.kill(signal);
      const end = await sudo.ended;
      assert.deepEqual(lines(end.text), REFUSED);
      assert.deepEqual([end.code, end.signal], [0, null], 'sudo ends in its own way');
      const { caller } = seen[1]!;
      await until('the end of the conversation', caller.ended);
      assert.match(caller.bytes().toString('latin1'), new RegExp(`${reason}$`), 'withdrawn');
    });

  test('a signal that is ignored (nohup) is ignored here too', patience, async () => {
    let answer: (() => void) | null = null;
    const { dir } = await agent({
      check: (caller) => {
        caller.socket.write(accepted);
        answer = () => void grant(caller);
      },
    });
    const sudo = startSudo(dir, ['id'], {}, ['sh', '-c', `trap '' HUP; exec "$0" "$@"`]);
    await until('the question', () => answer !== null);
    sudo.child.kill('SIGHUP');
    answer!();
    assert.deepEqual(lines((await sudo.ended).text), GRANTED);
  });

  test('Ctrl-Z stops sudo, and the wait goes on afterwards', patience, async () => {
    let answer: (() => void) | null = null;
    const { dir, seen } = await agent({
      check: (caller) => {
        caller.socket.write(accepted);
        answer = () => void grant(caller);
      },
    });
    const sudo = startSudo(dir, ['--job', 'id']);
    await until('the question', () => seen.length === 2 && answer !== null);
    const pid = Number(seen[1]!.question().hello.get('pid'));
    process.kill(pid, 'SIGTSTP');
    await until('it has stopped', () => stateOf(pid) === 'T');
    process.kill(pid, 'SIGCONT');
    answer!();
    assert.deepEqual(lines((await sudo.ended).text), GRANTED);
  });

  test('Ctrl-Z where no shell could let it go on (ssh -t host sudo …) leaves Ctrl-C working', patience, async () => {
    const { dir, seen } = await agent({ check: (caller) => void caller.socket.write(accepted) });
    const sudo = startSudo(dir, ['id'], {}, ['setsid']);
    await until('its question', () => seen.length === 2 && seen[1]!.question().rest.includes('E'));
    const pid = Number(seen[1]!.question().hello.get('pid'));
    process.kill(pid, 'SIGTSTP');
    await until('it has been heard', () => /^ShdPnd:\s+0+$/m.test(readFileSync(`/proc/${pid}/status`, 'latin1')));
    process.kill(pid, 'SIGINT');
    assert.deepEqual(lines((await sudo.ended).text), REFUSED);
  });
});

describe('the plugin of sudo: a line that the person types', () => {
  /** What an agent gets that asks for a line before it grants. */
  async function asked(args: readonly string[], prompt = frame('P', '0Code:\x07 ')) {
    const { dir, seen } = await agent({
      check: async (caller) => {
        caller.socket.write(Buffer.concat([accepted, prompt]));
        await until('an answer', () => caller.ended() || /[SC]/.test(read(caller.bytes())!.rest.join('')));
        if (read(caller.bytes())!.rest.includes('S')) await grant(caller);
      },
    });
    const end = await startSudo(dir, args).ended;
    await until('the end of the conversation', () => seen[1]!.caller.ended());
    return { end, question: seen[1]!.question() };
  }

  test('goes to the agent, and the verdict counts afterwards', patience, async () => {
    const { end, question } = await asked(['--interactive', '--types', 'hunter2', 'id']);
    assert.deepEqual(lines(end.text), GRANTED.toSpliced(2, 0, 'prompt off Code: '));
    assert.deepEqual(question.rest, ['E', 'S', 'R']);
    assert.equal(question.said.get('S'), 'hunter2');
  });

  test('may be seen where the agent says so, and may be empty', patience, async () => {
    const { end, question } = await asked(['--interactive', '--types', '', 'id'], frame('P', '1Reason: '));
    assert.deepEqual(lines(end.text), GRANTED.toSpliced(2, 0, 'prompt on Reason: '));
    assert.equal(question.said.get('S'), '');
  });

  test('that is interrupted withdraws the request', patience, async () => {
    const { end, question } = await asked(['--interactive', 'id']);
    assert.deepEqual(lines(end.text), REFUSED.toSpliced(2, 0, 'prompt off Code: '));
    assert.deepEqual(question.rest, ['E', 'C']);
    assert.match(question.said.get('C')!, /^(interrupt|noprompt)$/); // by whether the test has a terminal
  });

  test('is asked for neither under sudo -n nor in front of a command that runs', patience, async () => {
    const { end, question } = await asked(['--types', 'hunter2', 'id']);
    assert.deepEqual(lines(end.text), REFUSED);
    assert.match(end.stderr, /something has to be typed/);
    assert.deepEqual([question.rest, question.said.get('C')], [['E', 'C'], 'noprompt']);

    const { dir, seen } = await agent({
      check: (caller, times) => {
        if (times === 1) void grant(caller);
        else caller.socket.write(Buffer.concat([accepted, frame('P', '0Code: ')]));
      },
    });
    await startSudo(dir, ['--interactive', '--inner', '--types', 'hunter2', 'id']).ended;
    const inner = () => seen.filter(({ mode }) => mode === 'sudo-check')[1]!;
    await until('the end of the conversation', () => inner().caller.ended());
    assert.deepEqual([inner().question().rest, inner().question().said.get('C')], [['E', 'C'], 'noprompt']);
  });

  test('of 1024 bytes is handed on, a longer one refuses', patience, async () => {
    const { question } = await asked(['--interactive', '--types', 'x'.repeat(1024), 'id']);
    assert.equal(question.said.get('S')!.length, 1024);
    const { end, question: refused } = await asked(['--interactive', '--types', 'x'.repeat(1025), 'id']);
    assert.match(end.text, /^check 0 not approved$/m);
    assert.match(end.stderr, /too long/);
    assert.deepEqual(refused.rest, ['E', 'C']);
  });
});

describe('the plugin of sudo: an agent that goes away', () => {
  test('the next agent gets the token of the request, and its answer counts', patience, async () => {
    const folder = temporaryFolder();
    const pieces = Buffer.concat([frame('K', 'x'.repeat(8000)), frame('K', 'tail'), frame('K')]);
    const { dir, seen, modes } = await agent(
      {
        check: (caller, times) => {
          if (times === 1) caller.socket.end(Buffer.concat([accepted, pieces]));
          else void grant(caller, token('again'));
        },
      },
      folder,
    );
    const end = await startSudo(dir, ['id']).ended;
    assert.deepEqual(lines(end.text), GRANTED);
    const checks = seen.filter(({ mode }) => mode === 'sudo-check').map(({ question }) => question());
    assert.equal(checks.length, 2);
    assert.equal(checks[0]!.parts.has('k'), false);
    assert.equal(checks[1]!.parts.get('k')!.toString(), `${'x'.repeat(8000)}tail`);
    await until('the reports', () => modes().length >= 5);
    assert.equal(seen.at(-1)!.question().parts.get('k')!.toString(), 'again');
  });

  test('one that goes between its question for readiness and the answer is followed by another', patience, async () => {
    const { dir, seen } = await agent({
      check: async (caller, times) => {
        if (times > 1) return void grant(caller);
        const pid = Number(read(caller.bytes())!.hello.get('pid'));
        process.kill(pid, 'SIGSTOP');
        await until('the plugin stands', () => stateOf(pid) === 'T');
        caller.socket.end(Buffer.concat([accepted, token('request-1'), ready]));
        caller.socket.destroySoon();
        await until('the agent has gone', () => caller.socket.closed);
        process.kill(pid, 'SIGCONT');
      },
    });
    const end = await startSudo(dir, ['id']).ended;
    assert.deepEqual(lines(end.text), GRANTED);
    const checks = seen.filter(({ mode }) => mode === 'sudo-check').map(({ question }) => question());
    assert.equal(checks[1]!.parts.get('k')!.toString(), 'request-1');
  });

  test('a token that is not whole, or too long, is none', patience, async () => {
    for (const pieces of [
      frame('K', 'half'),
      Buffer.concat([...Array(17).fill(frame('K', 'x'.repeat(8000))), frame('K')]),
    ]) {
      const { dir, seen } = await agent({
        check: (caller, times) => {
          if (times === 1) caller.socket.end(Buffer.concat([accepted, pieces]));
          else void grant(caller);
        },
      });
      await startSudo(dir, ['id']).ended;
      const second = seen.filter(({ mode }) => mode === 'sudo-check')[1]!.question();
      assert.equal(second.parts.has('k'), false);
    }
  });

  test('without another agent it is refused after a while, and Ctrl-C ends the search', patience, async () => {
    const folder = temporaryFolder();
    const { dir, seen } = await agent(
      {
        check: (caller) => {
          caller.socket.end(Buffer.concat([accepted, token('r')]));
          rmSync(join(folder, 'agent.sock'));
        },
      },
      folder,
    );
    const end = await startSudo(dir, ['id']).ended;
    assert.deepEqual(lines(end.text), REFUSED);
    assert.match(end.stderr, /does not answer/);
    assert.equal(seen.length, 2);
    const patientSudo = startSudo('/nonexistent', ['id'], { IDENTREE_TEST_START_MS: '60000' });
    await until('it says that it looks', () => patientSudo.said().includes('waiting for the agent'));
    patientSudo.child.kill('SIGINT');
    assert.deepEqual(lines((await patientSudo.ended).text), REFUSED);
  });
});

describe('the plugin of sudo: what became of a command', () => {
  const cases: [string, string[], string, string | undefined][] = [
    ['another plugin refuses after the approval', ['--reject', 'not today'], 'refused', 'not today'],
    ['it cannot be executed', ['--errno', '8'], 'refused', 'Exec format error'],
    ['sudo lost sight of it: its monitor was killed', ['--errno', '104'], 'ended', undefined],
    ['what it prints could not be passed on', ['--errno', '28'], 'ended', undefined],
    ['it is killed', ['--exit', '9'], 'ended', undefined],
    ['sudo itself fails while it runs', ['--fault', '5'], 'ended', undefined],
  ];
  for (const [name, args, event, reason] of cases)
    test(name, patience, async () => {
      const { dir, seen } = await agent({ check: (caller) => void grant(caller) });
      await startSudo(dir, [...args, 'id']).ended;
      const last = () => seen.at(-1)!;
      await until('the report', () => last().mode === 'sudo-report' && last().question().rest.includes('E'));
      assert.equal(last().question().hello.get('event'), event);
      assert.equal(last().question().parts.get('r')?.toString(), reason);
    });

  /** The report was sent before sudo ended. */
  const SOON_MS = 10_000;
  for (const [name, signal, reason] of [
    ['read too late', 'SIGSTOP', 'the approval did not reach it in time'],
    ['cancelled while it was on its way', 'SIGINT', 'it was cancelled before it started'],
  ] as const)
    test(`an approval that is ${name}: the agent, which has released it, hears that`, patience, async () => {
      const { dir, seen } = await agent({
        check: async (caller) => {
          caller.socket.write(Buffer.concat([accepted, token('r'), ready]));
          await until('the plugin is ready', () => read(caller.bytes())!.rest.includes('R'));
          sudo.child.kill(signal);
          if (signal === 'SIGSTOP') caller.socket.write(yes);
          setTimeout(() => sudo.child.kill('SIGCONT'), 2500);
        },
      });
      const sudo = startSudo(dir, ['id']);
      assert.deepEqual(lines((await sudo.ended).text), REFUSED);
      const last = () => seen.at(-1)!;
      await until('the report', () => last().mode === 'sudo-report' && last().question().rest.includes('E'), SOON_MS);
      assert.equal(last().question().hello.get('event'), 'refused');
      assert.equal(last().question().parts.get('r')?.toString(), reason);
      assert.equal(last().question().parts.get('k')?.toString(), 'r');
    });

  test('a refusal by the approver is no news to the agent', patience, async () => {
    const { dir, modes } = await agent({
      check: (caller) => void caller.socket.end(Buffer.concat([accepted, token('r'), frame('V', '1')])),
    });
    await startSudo(dir, ['id']).ended;
    await until('the question', () => modes().length > 1);
    assert.deepEqual(modes(), ['sudo-open', 'sudo-check']);
  });
});

describe('the plugin of sudo: what is built', () => {
  test('exports its two plugins and nothing else, is hardened, and has no test hooks', () => {
    const symbols = spawnSync('nm', ['-D', '--defined-only', pluginPath], { encoding: 'utf8' });
    assert.deepEqual(
      lines(symbols.stdout)
        .map((line) => line.split(' ').at(-1))
        .sort(),
      ['identree_approval', 'identree_audit'],
    );
    const dynamic = spawnSync('readelf', ['-dlW', pluginPath], { encoding: 'utf8' }).stdout;
    assert.match(dynamic, /BIND_NOW/);
    assert.match(dynamic, /GNU_RELRO/);
    assert.match(dynamic, /GNU_STACK\s+\S+ \S+ \S+ \S+ \S+ RW /);
    assert.deepEqual(
      [...dynamic.matchAll(/NEEDED.*\[(.*)\]/g)].map(([, name]) => name),
      ['libc.so.6'],
    );
    assert.doesNotMatch(spawnSync('strings', [pluginPath], { encoding: 'utf8' }).stdout, /IDENTREE_TEST/);
  });

  test('its picture of sudo’s interface is that of the sudo of this machine', {
    skip: existsSync('/usr/include/sudo_plugin.h') ? false : 'sudo is not installed, and so is its header',
  }, () => {
    const source = join(nativeDir, 'test/sudo-api.c');
    const made = spawnSync('cc', ['-std=gnu11', '-I', nativeDir, '-fsyntax-only', source], { encoding: 'utf8' });
    assert.deepEqual([made.status, made.stderr], [0, '']);
  });
});

describe('an agent that is not there at all', () => {
  /** A direct gate of this behaviour: what it says once all is said, and what it does with the answer to `Q`. */
  function gateThat(end: 'grants' | 'refuses' | 'dies'): { path: string; told: () => string } {
    const dir = temporaryFolder();
    const path = join(dir, 'identree');
    const told = join(dir, 'told');
    const source = `#!${process.execPath}
      const { appendFileSync, readFileSync } = require('node:fs');
      const frame = (type, payload = '') => Buffer.concat([Buffer.from([type.charCodeAt(0), payload.length >> 8, payload.length & 255]), Buffer.from(payload)]);
      const hook = new (require('node:net').Socket)({ fd: 0 });
      const note = (text) => appendFileSync(${JSON.stringify(told)}, text);
      const status = readFileSync('/proc/self/status', 'latin1');
      note(process.argv.slice(2).join(' ') + '|' + process.cwd() + '|' + Object.keys(process.env).sort().join() + '|' + /^Uid:.*$/m.exec(status)[0] + '|' + /^Umask:.*$/m.exec(status)[0] + '\\n');
      let seen = Buffer.alloc(0);
      let asked = false;
      hook.on('data', (chunk) => {
        if (seen.length === 0) hook.write(frame('A'));
        seen = Buffer.concat([seen, chunk]);
        if (!asked && seen.includes(Buffer.from([0x45, 0, 0]))) {
          asked = true;
          if (${JSON.stringify(end)} === 'dies') process.exit(0);
          hook.write(Buffer.concat([frame('T', 'of a gate of its own'), frame('Q')]));
        } else if (asked) hook.end(frame('V', ${JSON.stringify(end)} === 'grants' ? '0' : '1'));
      });
      hook.on('close', () => process.exit(0));
    `;
    writeFileSync(path, source, { mode: 0o755 });
    return { path, told: () => readFileSync(told, 'utf8') };
  }

  test('the question goes to a gate of its own, with nothing of the caller, and its yes counts', patience, async () => {
    const gate = gateThat('grants');
    const sudo = startSudo('/nonexistent/identree', ['id'], {
      IDENTREE_TEST_DIRECT: gate.path,
      LD_LIBRARY_PATH: '/tmp',
    });
    const end = await sudo.ended;
    assert.match(sudo.said() + end.text, /of a gate of its own/);
    assert.deepEqual(lines(end.text), GRANTED);
    assert.match(gate.told(), /^gate --direct\|\/\|PATH\|Uid:\s+(\d+)\s+\1\s+\1\s+\1\|Umask:\s+0077$/m);
  });

  for (const end of ['refuses', 'dies'] as const) {
    test(`one that ${end} lets nothing run`, patience, async () => {
      const sudo = startSudo('/nonexistent/identree', ['id'], { IDENTREE_TEST_DIRECT: gateThat(end).path });
      assert.deepEqual(lines((await sudo.ended).text), REFUSED);
    });
  }

  test('one that cannot be started lets nothing run', patience, async () => {
    const sudo = startSudo('/nonexistent/identree', ['id'], { IDENTREE_TEST_DIRECT: '/nonexistent/identree' });
    assert.deepEqual(lines((await sudo.ended).text), REFUSED);
    assert.match(sudo.said(), /the agent of this host does not answer/);
  });

  test('somebody else’s socket is no reason for one', patience, async () => {
    const dir = temporaryFolder();
    chmodSync(dir, 0o777);
    const gate = gateThat('grants');
    const sudo = startSudo(dir, ['id'], { IDENTREE_TEST_DIRECT: gate.path });
    assert.deepEqual(lines((await sudo.ended).text), REFUSED);
    assert.throws(() => gate.told());
  });
});
