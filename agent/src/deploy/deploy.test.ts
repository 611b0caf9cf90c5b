import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { generateKeyPairSync, sign } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { formatEnrolmentToken } from '#shared/enrolment-token.ts';
import { formatRelease, formatSignature, sha256Hex } from '#shared/release.ts';
import { identree, MAIN } from '../testing/cli.ts';

const TOKEN = formatEnrolmentToken({ id: 'A'.repeat(16), secret: 'B'.repeat(43), fingerprint: 'C'.repeat(43) });

/** Does what OpenSSH would, here: the host is a folder for each destination. */
const SSH = `#!/bin/sh
for last; do :; done
command=$last
for word; do [ "$next" = yes ] && host=$word; next=; [ "$word" = -- ] && next=yes; done
printf '%s\\n' "$*" >> "$SANDBOX/ssh.log"
case $host in
  gone) echo 'ssh: connect to host gone port 22: No route to host' >&2; exit 255 ;;
  stranger)
    case "$*" in *DEBUG1*) echo 'debug1: Server host key: ssh-ed25519 SHA256:abc' >&2 ;; esac
    echo 'No ED25519 host key is known for stranger and you have requested strict checking.' >&2
    echo 'Host key verification failed.' >&2
    exit 255 ;;
  locked) echo 'sudo: a password is required' >&2; exit 1 ;;
esac
export HOST=$host
exec sh -c "$command"
`;

/** Becomes nobody else: the sandbox belongs to whoever runs the test. */
const SUDO = `#!/bin/sh
shift
exec "$@"
`;

/** What an installer leaves behind, and what it was given. */
const INSTALLER = `#!/bin/sh
echo "installing $*"
printf '\\033[2Jescaped\\n'
IFS= read -r token
printf '%s\\n' "$token" >> "$SANDBOX/tokens.$HOST"
if [ -e "$SANDBOX/waits.$HOST" ]; then
  echo waiting
  while [ -e "$SANDBOX/waits.$HOST" ]; do sleep 0.05; done
  for n in 1 2 3 4 5 6 7 8 9; do echo "line $n"; done
  touch "$SANDBOX/whole.$HOST"
fi
[ "$HOST" != broken ] || { echo 'no space left'; exit 3; }
`;

describe('identree deploy', () => {
  const sandbox = mkdtempSync(join(tmpdir(), 'identree-deploy-'));
  const at = (name: string): string => join(sandbox, name);
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const answers = new Map<string, string>();
  let server: Server;
  let url: string;

  before(async () => {
    for (const [name, text] of [
      ['ssh', SSH],
      ['sudo', SUDO],
    ] as const) {
      writeFileSync(at(name), text);
      chmodSync(at(name), 0o755);
    }
    writeFileSync(at('install.pub'), publicKey.export({ type: 'spki', format: 'pem' }));
    server = createServer(({ url: path = '' }, response) => {
      const body = answers.get(path);
      response.writeHead(body === undefined ? 404 : 200).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  after(() => {
    server.close();
    rmSync(sandbox, { recursive: true, force: true });
  });

  const signature = (text: string): string => formatSignature(sign(null, Buffer.from(text), privateKey));
  /** The server hands out this version. */
  function hand(version: string): void {
    const files = [{ name: 'install.sh', size: INSTALLER.length, sha256: sha256Hex(Buffer.from(INSTALLER)) }];
    const manifest = formatRelease({ version, files });
    answers.clear();
    for (const [path, text] of [
      ['/install.sh', INSTALLER],
      ['/download/manifest', manifest],
    ] as const) {
      answers.set(path, text);
      answers.set(`${path}.sig`, signature(text));
    }
  }
  beforeEach(() => {
    hand('1.2.3');
    rmSync(at('ssh.log'), { force: true });
  });

  let records = 0;
  const env = { PATH: `${sandbox}:${process.env.PATH}`, SANDBOX: sandbox, HOME: sandbox };
  const makesToken = `echo made >> ${at('made')}; echo ${TOKEN} #`;
  const words = (record: string, more: readonly string[], tokens = makesToken): string[] => [
    ...['deploy', '--server', url, '--key', at('install.pub'), '--record', record],
    ...['--token-command', tokens, ...more],
  ];
  const deploy = (more: readonly string[], record = at(`record-${++records}`), tokens = makesToken) =>
    identree(words(record, more, tokens), { env });
  const events = (text: string): Record<string, unknown>[] =>
    text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
  const endOf = (text: string, host: string) =>
    events(text).find((line) => line.event === 'ended' && line.host === host);

  it('runs the installer that was signed, with the token on its standard input and in no argument or file', async () => {
    const { code, stdout, stderr } = await deploy(['web1.example.com=one', 'web2.example.com=two']);
    assert.equal(code, 0, stdout + stderr);
    assert.match(stdout, new RegExp(`web1\\.example\\.com \\| installing --hostname web1\\.example\\.com ${url}`));
    assert.match(stdout, /web2\.example\.com \| \[2Jescaped\n/, 'nothing that a host says moves the cursor');
    assert.match(stdout, /\n2 done\.\n$/);
    assert.equal(readFileSync(at('tokens.one'), 'utf8'), `${TOKEN}\n`);
    assert.equal(readFileSync(at('tokens.two'), 'utf8'), `${TOKEN}\n`);
    const calls = readFileSync(at('ssh.log'), 'utf8');
    assert.ok(!calls.includes('idt1.') && !stdout.includes('idt1.'));
    assert.ok(!readFileSync(at('record-1'), 'utf8').includes('idt1.'));
    assert.equal(statSync(at('record-1')).mode & 0o777, 0o600);
  });

  it('says for each host that is not done why, and does the others', async () => {
    const list = at('list');
    writeFileSync(list, 'gone\nstranger\nlocked\nbroken\nweb3\n');
    const { code, stdout } = await deploy(['--json', '--hosts', list]);
    assert.equal(code, 1);
    assert.deepEqual(endOf(stdout, 'web3'), { event: 'ended', host: 'web3', outcome: 'done' });
    for (const [host, reason, message] of [
      ['gone', 'unreachable', /No route to host/],
      ['stranger', 'host_key_unknown', /not among the known hosts; it shows ssh-ed25519 SHA256:abc/],
      ['locked', 'no_root', /a password is required/],
      ['broken', 'installer_failed', /ended with 3/],
    ] as const) {
      const ended = endOf(stdout, host);
      assert.deepEqual([ended?.outcome, ended?.reason], ['failed', reason]);
      assert.match(String(ended?.message), message);
    }
    assert.deepEqual(events(stdout).at(-1), {
      event: 'finished',
      done: 1,
      skipped: 0,
      planned: 0,
      failed: 4,
      left: 0,
    });
  });

  it('run again it leaves alone what is done, and tries the others again; a new version is brought to all', async () => {
    const record = at('again');
    await deploy(['web4=four', 'gone'], record);
    writeFileSync(record, `${readFileSync(record, 'utf8')}{"host":"web4","outc`);
    const second = await deploy(['--json', 'web4=four', 'gone'], record);
    assert.equal(endOf(second.stdout, 'web4')?.outcome, 'skipped');
    assert.equal(endOf(second.stdout, 'gone')?.reason, 'unreachable');
    assert.equal(readFileSync(at('tokens.four'), 'utf8'), `${TOKEN}\n`);

    for (const other of [['--pam', 'sudo'], ['--sssd', '--auditd'], ['--again']]) {
      const { stdout } = await deploy(['--json', ...other, 'web4=four'], record);
      assert.equal(endOf(stdout, 'web4')?.outcome, 'done', other.join(' '));
    }
    assert.equal(readFileSync(at('tokens.four'), 'utf8'), `${TOKEN}\n`.repeat(4));

    // Its packages are others; the script that fetches them is as it was.
    hand('1.2.4');
    assert.equal(endOf((await deploy(['--json', 'web4=four'], record)).stdout, 'web4')?.outcome, 'done');
    assert.equal(endOf((await deploy(['--json', 'web4=four'], record)).stdout, 'web4')?.outcome, 'skipped');
  });

  it('with --dry-run it looks: no token is made, nothing is run, nothing is noted', async () => {
    const before = readFileSync(at('made'), 'utf8');
    const { code, stdout } = await identree(
      [
        ...['deploy', '--server', url, '--key', at('install.pub'), '--record', at('dry'), '--dry-run'],
        ...['web5=five', 'gone'],
      ],
      { env },
    );
    assert.equal(code, 1);
    assert.match(stdout, /web5: would be installed and enrolled/);
    assert.match(stdout, /gone: failed: .*No route/);
    assert.equal(existsSync(at('tokens.five')), false);
    assert.equal(existsSync(at('dry')), false);
    assert.equal(readFileSync(at('made'), 'utf8'), before);
  });

  for (const [what, change, says] of [
    ['an installer that was changed', { '/install.sh': `${INSTALLER}id\n` }, /install\.sh .* is not signed/],
    ['another signature', { '/install.sh.sig': signature('x') }, /install\.sh .* is not signed/],
    ['a manifest that was changed', { '/download/manifest': 'identree release 1\n' }, /manifest .* is not signed/],
    ['no signature at all', { '/download/manifest.sig': '' }, /manifest .* is not signed/],
    [
      'an installer that was signed for another release',
      { '/install.sh': '#!/bin/sh\n', '/install.sh.sig': signature('#!/bin/sh\n') },
      /names another install\.sh/,
    ],
  ] as const) {
    it(`asks no host when the server hands out ${what}`, async () => {
      for (const [path, body] of Object.entries(change)) answers.set(path, body as string);
      const { code, stderr } = await deploy(['web6=six']);
      assert.equal(code, 1);
      assert.match(stderr, says);
      assert.equal(existsSync(at('ssh.log')), false);
    });
  }

  it('a command that makes no token costs the host, and what it printed is not shown', async () => {
    for (const [command, says] of [
      ['echo hunter2; true', /printed something else than an enrolment token/],
      ['echo "not signed in" >&2; false', /failed: not signed in/],
    ] as const) {
      const { code, stdout } = await deploy(['web7=seven'], at('none'), command);
      assert.equal(code, 1);
      assert.match(stdout, says);
      assert.ok(!stdout.includes('hunter2'));
    }
    assert.equal(existsSync(at('tokens.seven')), false);
  });

  it('a program that is killed leaves no half: the host finishes by itself, and is done again', async () => {
    writeFileSync(at('waits.eight'), '');
    const record = at('killed');
    const child = spawn(process.execPath, [MAIN, ...words(record, ['web8=eight'])], {
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let said = '';
    for await (const chunk of child.stdout) {
      said += chunk;
      if (said.includes('| waiting')) break;
    }
    child.kill('SIGKILL');
    await new Promise((resolve) => child.once('close', resolve));
    rmSync(at('waits.eight'));
    while (!existsSync(at('whole.eight'))) await new Promise((resolve) => setTimeout(resolve, 20));
    const second = await deploy(['--json', 'web8=eight'], record);
    assert.equal(endOf(second.stdout, 'web8')?.outcome, 'done');
  });

  it('stopped by Ctrl-C it begins no other host and waits for the one that it began', async () => {
    writeFileSync(at('waits.nine'), '');
    const child = spawn(
      process.execPath,
      [MAIN, ...words(at('stopped'), ['--parallel', '1', 'web9=nine', 'web10=ten'])],
      {
        env,
        stdio: ['ignore', 'pipe', 'pipe'],
      },
    );
    const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
    let said = '';
    let warned = '';
    let isStopped = false;
    child.stdout.on('data', (chunk: Buffer) => {
      said += chunk;
      // Once: the second ends it at once.
      if (!isStopped && said.includes('| waiting')) isStopped = child.kill('SIGINT');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      warned += chunk;
      if (warned.includes('No other host is begun')) rmSync(at('waits.nine'), { force: true });
    });
    assert.equal(await closed, 1);
    assert.match(said, /web9: done\n\n1 done, 1 not begun\.\n$/);
    assert.equal(existsSync(at('tokens.ten')), false);
  });

  it('wrong use is said before anything is fetched', async () => {
    for (const [more, says] of [
      [[], /Name the hosts/],
      [['--parallel', '0', 'web1'], /--parallel takes a number/],
      [['--no-setup', '--sssd', 'web1'], /--sssd does not go with --no-setup/],
      [['web1', '--json'], /"--json" is not a host name/],
    ] as const) {
      const { code, stderr } = await deploy(more);
      assert.equal(code, 2, stderr);
      assert.match(stderr, says);
    }
    const plain = await identree(['deploy', '--server', 'http://identree.example.com', 'web1'], { env });
    assert.deepEqual([plain.code, /must start with https/.test(plain.stderr)], [2, true]);
    const without = await identree(['deploy', '--server', url, 'web1'], { env });
    assert.deepEqual([without.code, /Say how a token is made/.test(without.stderr)], [2, true]);
  });
});
