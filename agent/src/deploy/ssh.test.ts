import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { linesOf, shownKey, sshArguments, sshProblem } from './ssh.ts';

/** What ssh makes of its first `-o` of this name. */
const option = (args: readonly string[], name: string): string | undefined =>
  args.find((word, index) => args[index - 1] === '-o' && word.startsWith(`${name}=`))?.slice(name.length + 1);

it('[W-20] no key is accepted by itself, and the keys of the operator stay with the operator', () => {
  for (const how of ['unattended', 'verbose', 'asking'] as const) {
    const args = sshArguments({ config: null, jump: null }, how, 'ops@web1', 'true');
    assert.equal(option(args, 'StrictHostKeyChecking'), how === 'asking' ? 'ask' : 'yes');
    assert.equal(option(args, 'ForwardAgent'), 'no');
    assert.equal(option(args, 'GSSAPIDelegateCredentials'), 'no');
    assert.equal(option(args, 'ControlPath'), 'none');
    assert.equal(option(args, 'BatchMode'), how === 'asking' ? 'no' : 'yes');
    assert.deepEqual(args.slice(-3), ['--', 'ops@web1', 'true']);
  }
  const args = sshArguments({ config: '/c', jump: 'bastion' }, 'unattended', 'web1', 'true');
  assert.deepEqual(args.slice(0, 4), ['-F', '/c', '-J', 'bastion']);
});

it('what ssh says is told apart', () => {
  for (const [said, problem] of [
    ['ssh: connect to host web1 port 22: Connection refused', 'unreachable'],
    ['ssh: Could not resolve hostname web1: Name or service not known', 'unreachable'],
    ['Connection closed by UNKNOWN port 65535', 'unreachable'],
    ['Timeout, server web1 not responding.', 'unreachable'],
    ['root@web1: Permission denied (publickey).', 'not_admitted'],
    [
      'No ED25519 host key is known for web1 and you have requested strict checking.\nHost key verification failed.',
      'host_key_unknown',
    ],
    [
      '@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nOffending ED25519 key in /root/.ssh/known_hosts:1\nHost key verification failed.',
      'host_key_changed',
    ],
    ['/c: line 1: Bad configuration option: hots', 'ssh_failed'],
  ] as const)
    assert.equal(sshProblem(said), problem, said);
});

it('the key that a host shows is read from what ssh tells', () => {
  assert.equal(shownKey('debug1: Server host key: ssh-ed25519 SHA256:abc+/d'), 'ssh-ed25519 SHA256:abc+/d');
  assert.equal(shownKey('web1 says: debug1: Server host key: ssh-ed25519 SHA256:abc'), null);
});

it('while somebody is asked about a key, the host gets nothing that is typed and moves no cursor', () => {
  const sandbox = mkdtempSync(join(tmpdir(), 'identree-ssh-'));
  // A host whose key is known, and which says that it is not.
  const hostile = "printf '\\033[2JEnter passphrase: '; printf '\\033[2Jsaid\\n' >&2; cat > \"$TYPED\"";
  writeFileSync(join(sandbox, 'ssh'), `#!/bin/sh\n${hostile}\n`, { mode: 0o755 });
  try {
    const script = `
      import { createSsh } from ${JSON.stringify(new URL('ssh.ts', import.meta.url).href)};
      await createSsh({ config: null, jump: null }).ask('web1', (line) => console.log('shown: ' + line));`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
      env: { PATH: `${sandbox}:${process.env.PATH}`, TYPED: join(sandbox, 'typed') },
      input: 'secret\n',
      encoding: 'utf8',
    });
    assert.deepEqual([stdout, stderr.includes('\x1b')], ['shown: [2Jsaid\n', false]);
    assert.equal(readFileSync(join(sandbox, 'typed'), 'utf8'), '');
  } finally {
    rmSync(sandbox, { recursive: true });
  }
});

it('lines are put together from what comes in pieces, and one without an end is cut', async () => {
  async function* pieces() {
    for (const text of ['a', 'b\nc\n', 'é'.repeat(4096), 'x\n', 'last']) yield Buffer.from(text);
  }
  const lines: string[] = [];
  for await (const line of linesOf(pieces())) lines.push(line);
  assert.deepEqual(lines.slice(0, 2), ['ab', 'c']);
  assert.equal(lines.slice(2).join('\n'), `${'é'.repeat(4096)}x\nlast`);

  async function* flood() {
    for (let i = 0; i < 100; i += 1) yield Buffer.alloc(64 * 1024, 'x');
  }
  for await (const line of linesOf(flood())) assert.ok(line.length <= 64 * 1024 + 4096);
});
