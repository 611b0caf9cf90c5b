import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { localTerminal, type Suite } from '../harness/lab.ts';
import { CODE, granted } from '../harness/person.ts';
import type { Terminal } from '../harness/pty.ts';
import { must, run, until } from '../harness/run.ts';
import { asked, eventsBecome, mark, openWorld, skip, type World } from '../harness/world.ts';

/** OpenSSH 9.2, and 10.0, which asks PAM in a program of its own. */
const SUITES = ['bookworm', 'trixie'] as const satisfies Suite[];

for (const suite of SUITES)
  describe(`ssh to a real host, ${suite}`, { concurrency: 3 }, () => {
    let world: World;
    let key: string;
    before(async () => {
      if (skip) return;
      world = await openWorld({ hosts: [] });
      const host = await world.addHost('web1', { suite, pam: 'sudo,sudo-i,sshd' });
      key = join(world.lab.dir, 'id');
      await must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
      const authorized = await readFile(`${key}.pub`, 'utf8');
      await host.write('/home/bob/.ssh/authorized_keys', authorized, 0o600);
      await host.sh('chown -R bob:bob /home/bob/.ssh; chmod 700 /home/bob/.ssh');
      // OpenSSH of Debian 13 turns an address away for a while from which somebody was denied, and everybody here has one.
      const penalties = suite === 'trixie' ? 'PerSourcePenalties no\n' : '';
      await host.write(
        '/etc/ssh/sshd_config.d/10-lab.conf',
        `${penalties}Match User bob\n  AuthenticationMethods publickey,keyboard-interactive:pam\n`,
      );
      await host.sh('sshd -t; systemctl reload ssh');
      // While sshd starts itself anew, nobody listens.
      await until('sshd', async () => (await run('ssh-keyscan', ['-t', 'ed25519', host.address])).stdout !== '');
    });
    after(() => world?.close());

    const sshCommand = (
      user: string,
      command: readonly string[],
      options: readonly string[],
    ): [program: string, args: string[]] => [
      'ssh',
      [
        // ssh takes the first of an option that is given twice.
        ...[...options, '-F', 'none', '-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
        ...['-o', 'LogLevel=ERROR', '-o', 'IdentitiesOnly=yes', '-o', 'NumberOfPasswordPrompts=1'],
        `${user}@${world.host().address}`,
        ...command,
      ],
    ];
    const ssh = (user: string, command: readonly string[], options: readonly string[] = []): Promise<Terminal> => {
      const [program, args] = sshCommand(user, command, ['-tt', ...options]);
      return localTerminal([program, ...args]);
    };
    const interactive = ['-o', 'PreferredAuthentications=keyboard-interactive'];

    /** The code that was shown, once ssh listens: it throws away what is typed before its prompt. */
    async function codeAtPrompt(terminal: Terminal): Promise<string> {
      const [, code = ''] = await terminal.see(
        new RegExp(`(${CODE.source})[\\s\\S]*Press Enter here once it is approved: $`),
      );
      return code;
    }
    /** Presses Enter and waits until ssh has taken the line. */
    async function enter(terminal: Terminal, line = ''): Promise<void> {
      void terminal.type(`${line}\r`);
      await terminal.see(/once it is approved: *\n/);
    }

    test('keyboard-interactive: the link is shown before the wait, approved, logged in', { skip }, async () => {
      const terminal = await ssh('alice', ['id', '-un'], interactive);
      const code = await codeAtPrompt(terminal);
      assert.match(terminal.text(), new RegExp(`${world.server.url}/approve/${code}[\\s\\S]*Enter`));
      const request = asked(world, terminal, code);
      assert.equal(request.row().status, 'pending');
      const record = JSON.parse(request.row().record) as {
        gate: string;
        service: string;
        mode: string;
        origin: string;
      };
      assert.equal(record.gate, 'ssh');
      assert.equal(record.service, 'sshd');
      assert.equal(record.mode, 'login');
      assert.match(record.origin, new RegExp(world.lab.serverAddress.replaceAll('.', '\\.')));
      await enter(terminal);
      granted(await world.person('alice').approve(code));
      assert.equal(await terminal.exit, 0, terminal.text());
      assert.match(terminal.text(), /^alice$/m);
      await eventsBecome(request, ['challenge_created', 'challenge_approved', 'challenge_outcome']);
    });

    test('approved first, Enter afterwards: logged in', { skip }, async () => {
      const terminal = await ssh('alice', ['id', '-un'], interactive);
      const code = await codeAtPrompt(terminal);
      granted(await world.person('alice').approve(code));
      await enter(terminal);
      assert.equal(await terminal.exit, 0, terminal.text());
      assert.match(terminal.text(), /^alice$/m);
    });

    test('Enter without an approval, then denied: not logged in', { skip }, async () => {
      const terminal = await ssh('alice', ['id', '-un'], interactive);
      const code = await codeAtPrompt(terminal);
      await enter(terminal);
      assert.equal(asked(world, terminal, code).row().status, 'pending');
      granted(await world.person('olga').deny(code, 'who are you'));
      assert.equal(await terminal.exit, 255);
      assert.match(terminal.text(), /Permission denied/);
      assert.doesNotMatch(terminal.text(), /^alice$/m);
      await eventsBecome(asked(world, terminal, code), ['challenge_created', 'challenge_rejected']);
    });

    test('denied: its words are the last, and ssh, which tries again by itself, makes no second request', {
      skip,
    }, async () => {
      const before = world.server.data.challenges().filter(({ username }) => username === 'carol').length;
      const tries = ['-o', 'NumberOfPasswordPrompts=3', '-o', 'LogLevel=INFO'];
      const terminal = await ssh(
        'carol',
        ['id', '-un'],
        [...['-o', 'PreferredAuthentications=keyboard-interactive,password'], ...tries],
      );
      const code = await codeAtPrompt(terminal);
      await enter(terminal);
      granted(await world.person('olga').deny(code, 'who are you'));
      assert.equal(await terminal.exit, 255);
      assert.match(
        terminal.text(),
        /\n {2}Denied by olga: who are you\n+carol@[0-9.]+: Permission denied \([a-z,-]+\)\.\n$/,
      );
      assert.equal(terminal.text().match(/Press Enter/g)?.length, 1);
      assert.doesNotMatch(terminal.text(), /password:/i);
      const now = world.server.data.challenges().filter(({ username }) => username === 'carol').length;
      assert.equal(now, before + 1);
    });

    test('whatever is typed at the prompt is no approval', { skip }, async () => {
      const terminal = await ssh('alice', ['id', '-un'], interactive);
      const code = await codeAtPrompt(terminal);
      await enter(terminal, 'approved');
      assert.equal(asked(world, terminal, code).row().status, 'pending');
      granted(await world.person('alice').deny(code));
      assert.equal(await terminal.exit, 255);
    });

    test('unknown user over SSH: no challenge, and the same words', { skip }, async () => {
      const before = world.server.data.lastSeq();
      const challenges = world.server.data.challenges().filter(({ username }) => username === 'nosuch').length;
      const terminal = await ssh('nosuch', ['id'], interactive);
      assert.equal(await terminal.exit, 255);
      assert.match(terminal.text(), /Permission denied/);
      assert.doesNotMatch(terminal.text(), CODE);
      assert.equal(challenges, 0);
      assert.ok(!world.server.data.events({ after: before }).some(({ username }) => username === 'nosuch'));
      assert.ok(!world.server.data.challenges().some(({ username }) => username === 'nosuch'));
    });

    test('as a second factor after the key', { skip }, async () => {
      const terminal = await ssh('bob', ['id', '-un'], ['-i', key]);
      const code = await codeAtPrompt(terminal);
      await enter(terminal);
      granted(await world.person('bob').approve(code));
      assert.equal(await terminal.exit, 0, terminal.text());
      assert.match(terminal.text(), /^bob$/m);
    });

    test('the person goes away during the wait: the request is withdrawn', { skip }, async () => {
      const terminal = await ssh('alice', ['id', '-un'], interactive);
      const [code] = await terminal.see(CODE);
      const request = asked(world, terminal, code);
      terminal.hangUp();
      await until('the request to be withdrawn', () => request.row().status === 'cancelled');
    });

    test('sudo over ssh on a pty: Ctrl-C reaches the host, the approval continues by itself', { skip }, async () => {
      const host = world.host();
      const file = mark();
      const terminal = await ssh(
        'bob',
        [`sudo touch ${file}; echo first=$?; sudo touch ${file}; echo second=$?`],
        ['-i', key],
      );
      const login = await codeAtPrompt(terminal);
      await enter(terminal);
      granted(await world.person('bob').approve(login));
      const next = (...known: string[]): Promise<string> =>
        until('another request', () => {
          const codes = terminal.text().match(new RegExp(CODE, 'g')) ?? [];
          return codes.find((code) => !known.includes(code));
        });
      const first = await next(login);
      terminal.type('\x03');
      await terminal.see(/first=1/);
      assert.equal(host.exists(file), false);
      const second = await next(login, first);
      granted(await world.person('bob').approve(second));
      await terminal.see(/second=0/);
      assert.equal(host.exists(file), true);
    });
  });

describe('sudo over ssh without a terminal', () => {
  let world: World;
  let key: string;
  before(async () => {
    if (skip) return;
    world = await openWorld({ sudo: 'plugin', people: ['alice'] });
    const host = world.host();
    key = join(world.lab.dir, 'id');
    await must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
    await host.write('/home/alice/.ssh/authorized_keys', await readFile(`${key}.pub`, 'utf8'), 0o600);
    await host.sh('chown -R alice:alice /home/alice/.ssh; chmod 700 /home/alice/.ssh');
    await until('sshd', async () => (await run('ssh-keyscan', ['-t', 'ed25519', host.address])).stdout !== '');
  });
  after(() => world?.close());

  test('link and code are on stderr at once, stdout is what the command prints', { skip }, async () => {
    const child = spawn(
      'ssh',
      [
        ...['-F', 'none', '-T', '-i', key, '-o', 'IdentitiesOnly=yes', '-o', 'LogLevel=ERROR'],
        ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
        ...[`alice@${world.host().address}`, 'sudo id -u'],
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let [stdout, stderr] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const exit = new Promise((resolve) => child.on('close', resolve));
    const [link, code = ''] = await until('the link on stderr', async () =>
      new RegExp(`${world.server.url}/approve/(${CODE.source})`).exec(stderr),
    );
    assert.ok(link);
    assert.equal(child.exitCode, null, 'shown while it waits');
    granted(await world.person('alice').approve(code));
    assert.equal(await exit, 0, stderr);
    assert.equal(stdout, '0\n');
  });
});
