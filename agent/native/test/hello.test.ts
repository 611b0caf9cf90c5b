import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { answering, granted, patience, runStage, type StageOptions, startTime } from './support.ts';

async function helloOf(options: StageOptions): Promise<string[]> {
  const agent = await answering(granted);
  const end = await runStage({ agentDir: agent.dir, ...options });
  assert.deepEqual([end.code, end.stderr], [0, '']);
  return (await agent.caller()).hello();
}

const parent = [`ppid=${process.pid}`, `pstart=${startTime(process.pid)}`];

test('sudo without a terminal: exactly these fields, in this order', patience, async () => {
  assert.deepEqual(await helloOf({ env: { PAM_USER: 'nobody' } }), [
    'v=1',
    'mode=sudo',
    'service=sudo',
    'user=nobody',
    'ruser=root',
    ...parent,
    'uid=65534',
    'ruid=0',
    'fg=0',
  ]);
});

test('the bytes on the wire are H, the length, and NUL-terminated entries', patience, async () => {
  const agent = await answering(granted);
  await runStage({ agentDir: agent.dir });
  const caller = await agent.caller();
  const body = `${['v=1', 'mode=sudo', 'service=sudo', 'user=root', 'ruser=root', ...parent, 'uid=0', 'ruid=0', 'fg=0'].join('\0')}\0`;
  const expected = Buffer.concat([Buffer.from([0x48, 0, body.length]), Buffer.from(body)]);
  assert.deepEqual(caller.bytes(), expected);
});

test(
  'sshd: the connection and the accepted key are passed on, the asking user is not looked up',
  patience,
  async () => {
    const ssh = {
      PAM_SERVICE: 'sshd',
      PAM_TTY: 'ssh',
      PAM_RHOST: '192.0.2.7',
      SSH_CONNECTION: '192.0.2.7 50022 198.51.100.1 22',
      SSH_AUTH_INFO_0: 'publickey ssh-ed25519 AAAAC3\n',
    };
    for (const mode of ['ssh-begin', 'ssh-wait'])
      assert.deepEqual(await helloOf({ mode, env: ssh }), [
        'v=1',
        `mode=${mode}`,
        'service=sshd',
        'user=root',
        'ruser=root',
        'tty=ssh',
        'rhost=192.0.2.7',
        ...parent,
        'uid=0',
        'fg=0',
        'ssh_connection=192.0.2.7 50022 198.51.100.1 22',
        'ssh_auth_info=publickey ssh-ed25519 AAAAC3\n',
      ]);
  },
);

test('under sudo, SSH_ variables are not passed on: the person could have set them', patience, async () => {
  const hello = await helloOf({ env: { SSH_CONNECTION: 'forged', SSH_AUTH_INFO_0: 'forged' } });
  assert.equal(
    hello.find((entry) => entry.includes('forged')),
    undefined,
  );
});

test('an account that does not exist is sent without a uid', patience, async () => {
  const hello = await helloOf({ env: { PAM_USER: 'no-such-user', PAM_RUSER: 'nor-this' } });
  assert.ok(hello.includes('user=no-such-user'));
  assert.equal(
    hello.find((entry) => /^r?uid=/.test(entry)),
    undefined,
  );
});

test('newlines and equal signs in a value cannot add or change a field', patience, async () => {
  const hello = await helloOf({ env: { PAM_RUSER: 'a\nuid=0\n=b=', PAM_RHOST: 'x\u001b[2Juid=0' } });
  assert.ok(hello.includes('ruser=a\nuid=0\n=b='));
  assert.ok(hello.includes('rhost=x\u001b[2Juid=0'));
  assert.deepEqual(
    hello.filter((entry) => entry.startsWith('uid=')),
    ['uid=0'],
  );
  assert.equal(
    hello.find((entry) => entry.startsWith('ruid=')),
    undefined,
  );
});

test('bytes that are not UTF-8 arrive unchanged', patience, async () => {
  // Only a shell can put such a value into an environment from here.
  const wrapper = ['/bin/sh', '-c', 'PAM_RHOST=$(printf "a\\377\\200b"); export PAM_RHOST; "$@"; exit $?', 'sh'];
  const hello = await helloOf({ wrapper });
  assert.ok(hello.includes('rhost=a\xff\x80b'));
});

for (const [variable, key, limit] of [
  ['PAM_USER', 'user', 256],
  ['PAM_RUSER', 'ruser', 256],
  ['PAM_RHOST', 'rhost', 256],
  ['PAM_SERVICE', 'service', 64],
  ['PAM_TTY', 'tty', 128],
] as const)
  test(`a ${variable} of 64 kB is left out and announced, one of ${limit} bytes is sent`, patience, async () => {
    const hello = await helloOf({ env: { [variable]: 'r'.repeat(65536) } });
    assert.ok(hello.includes(`${key}_truncated=1`));
    assert.equal(
      hello.find((entry) => entry.startsWith(`${key}=`)),
      undefined,
    );
    if (key === 'user')
      assert.equal(
        hello.find((entry) => entry.startsWith('uid=')),
        undefined,
      );
    const fits = await helloOf({ env: { [variable]: 'r'.repeat(limit) } });
    assert.ok(fits.includes(`${key}=${'r'.repeat(limit)}`));
    const over = await helloOf({ env: { [variable]: 'r'.repeat(limit + 1) } });
    assert.ok(over.includes(`${key}_truncated=1`));
  });

test('everything at its limit at once still fits into one frame', patience, async () => {
  const env = {
    PAM_USER: 'u'.repeat(256),
    PAM_RUSER: 'r'.repeat(256),
    PAM_RHOST: 'h'.repeat(256),
    PAM_SERVICE: 's'.repeat(64),
    PAM_TTY: 't'.repeat(128),
    SSH_CONNECTION: 'c'.repeat(256),
    SSH_AUTH_INFO_0: 'k'.repeat(4096),
  };
  const hello = await helloOf({ mode: 'ssh-begin', env });
  assert.ok(hello.includes(`ssh_auth_info=${'k'.repeat(4096)}`));
});

test('no PAM variables but the type: only what is known is sent', patience, async () => {
  const wrapper = ['/usr/bin/env', '-u', 'PAM_USER', '-u', 'PAM_RUSER', '-u', 'PAM_SERVICE'];
  const hello = await helloOf({ wrapper });
  assert.deepEqual(hello, ['v=1', 'mode=sudo', ...parent, 'fg=0']);
});

test('empty values are sent as empty', patience, async () => {
  const hello = await helloOf({ env: { PAM_USER: '', PAM_RUSER: '', PAM_TTY: '' } });
  assert.deepEqual(hello, ['v=1', 'mode=sudo', 'service=sudo', 'user=', 'ruser=', 'tty=', ...parent, 'fg=0']);
});

for (const type of ['account', 'setcred', 'open_session', 'password', '', 'AUTH', 'auth '])
  test(`PAM type "${type}" is refused without asking anybody`, patience, async () => {
    const agent = await answering(granted);
    const end = await runStage({ agentDir: agent.dir, env: { PAM_TYPE: type } });
    assert.deepEqual([end.code, end.text, agent.callers.length], [1, '', 0]);
  });

test('a PAM type that is missing is refused', patience, async () => {
  const agent = await answering(granted);
  const end = await runStage({ agentDir: agent.dir, wrapper: ['/usr/bin/env', '-u', 'PAM_TYPE'] });
  assert.deepEqual([end.code, agent.callers.length], [1, 0]);
});

test('a PAM name that comes twice is refused: one of them is forged', patience, async () => {
  const agent = await answering(granted);
  // env and sh merge duplicates; execve from perl's or python's bindings too. C does not.
  const source = `#include <unistd.h>
    int main(int c, char **v) { extern char **environ; static char *e[64]; int n = 0;
    (void)c; e[n++] = "PAM_USER=nobody"; for (char **p = environ; *p && n < 63; p++) e[n++] = *p;
    execve(v[1], v + 1, e); return 9; }`;
  const forge = `${agent.dir}/forge`;
  assert.equal(spawnSync('cc', ['-x', 'c', '-', '-o', forge], { input: source }).status, 0);
  const end = await runStage({ agentDir: agent.dir, wrapper: [forge] });
  assert.deepEqual([end.code, agent.callers.length], [1, 0]);
  assert.match(end.text, /names something twice; sudo is refused/);
});

for (const args of [[], ['sudo', 'x'], ['login'], [''], ['--help'], ['sudo-i']])
  test(`called with ${JSON.stringify(args)} it explains itself and exits 2`, patience, async () => {
    const end = await runStage({ args });
    assert.equal(end.code, 2);
    assert.match(end.text, /^usage: /);
  });
