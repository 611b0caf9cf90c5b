import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { CHAIN_START, eventHash } from '#shared/events.ts';
import { attachHook, connectHook } from './testing/fake-hook.ts';
import { createFakeServer, type FakeServer } from './testing/fake-server.ts';
import { createEnrolledHost, createHostFolders } from './testing/host.ts';
import { AGENT_VERSION } from './version.ts';

const MAIN = join(import.meta.dirname, 'main.ts');

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

function identree(
  args: readonly string[],
  options: { input?: string; cwd?: string; env?: Record<string, string> } = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const env = { PATH: process.env.PATH ?? '', ...options.env };
    const child = execFile(
      process.execPath,
      [MAIN, ...args],
      { timeout: 60_000, env, ...(options.cwd ? { cwd: options.cwd } : {}) },
      (error, stdout, stderr) => {
        resolve({ code: error ? ((error.code as unknown as number | null) ?? null) : 0, stdout, stderr });
      },
    );
    child.stdin?.end(options.input ?? '');
  });
}

const OPTIONS = { timeout: 120_000, concurrency: 3 };

describe('identree on the command line', OPTIONS, () => {
  it('tells its version and its commands', async () => {
    assert.equal((await identree(['--version'])).stdout, `identree ${AGENT_VERSION}\n`);
    const help = await identree(['--help']);
    assert.equal(help.code, 0);
    for (const command of ['enroll', 'setup', 'status', 'try', 'verify-approval', 'agent', 'gate'])
      assert.ok(help.stdout.includes(`identree ${command}`), command);
  });

  for (const args of [
    [],
    ['nonsense'],
    ['enroll', '--nonsense'],
    ['enroll', 'a-token-in-argv'],
    ['gate'],
    ['try'],
    ['verify-approval'],
    ['verify-approval', 'a', 'b'],
    ['status', '--json=x'],
  ]) {
    it(`identree ${args.join(' ')}: wrong use, exit 2 or 3 (try)`, async () => {
      const ended = await identree(args);
      assert.equal(ended.code, args[0] === 'try' ? 3 : 2, ended.stderr);
      assert.notEqual(ended.stderr, '');
      assert.equal(ended.stdout, '');
    });
  }
});

describe('enrolling from the command line', OPTIONS, () => {
  let server: FakeServer;
  before(async () => {
    server = await createFakeServer();
  });
  after(() => server.close());
  const flags = (paths: { config: string; state: string; socket: string }) => [
    '--config',
    paths.config,
    '--state',
    paths.state,
    '--socket',
    paths.socket,
  ];

  it('reads the token from standard input or a file', async () => {
    const one = await createHostFolders(server.url);
    const ended = await identree(['enroll', ...flags(one.paths), '--hostname', 'Web1.Example.com.'], {
      input: `${server.token}\n`,
    });
    assert.equal(ended.code, 0, ended.stderr);
    assert.match(ended.stdout, /Enrolled as web1\.example\.com at http/);
    assert.match(ended.stdout, /Server key: {7}(\S{1,4} ?)+\n/);
    const again = await identree(['enroll', ...flags(one.paths)], { input: `${server.token}\n` });
    assert.equal(again.code, 8, 'enrolled already');
    const file = join(one.dir, 'token');
    await writeFile(file, server.token);
    const replaced = await identree([
      'enroll',
      ...flags(one.paths),
      '--replace',
      '--token-file',
      file,
      '--hostname',
      'web1',
    ]);
    assert.equal(replaced.code, 0, replaced.stderr);
    await one.remove();
  });

  it('with the shared secret: waits, and says what to compare', async () => {
    const one = await createHostFolders(server.url);
    await writeFile(join(one.dir, 'secret'), `${'s'.repeat(40)}\n`);
    server.hostState = 'waiting';
    const ended = await identree([
      'enroll',
      ...flags(one.paths),
      '--secret-file',
      join(one.dir, 'secret'),
      '--hostname',
      'web2',
    ]);
    server.hostState = 'active';
    assert.equal(ended.code, 0, ended.stderr);
    assert.match(ended.stdout, /Compare both fingerprints/);
    assert.match(ended.stdout, /This host waits/);
    await one.remove();
  });

  it('no configuration, a hostile one and no token are told apart', async () => {
    const one = await createHostFolders(server.url);
    const missing = await identree(['enroll', ...flags({ ...one.paths, config: join(one.dir, 'none') })], {
      input: server.token,
    });
    assert.equal(missing.code, 6);
    assert.match(missing.stderr, /does not exist/);
    const empty = await identree(['enroll', ...flags(one.paths)], { input: '' });
    assert.equal(empty.code, 2);
    await chmod(one.paths.config, 0o666);
    const hostile = await identree(['enroll', ...flags(one.paths)], { input: server.token });
    assert.equal(hostile.code, 6);
    assert.match(hostile.stderr, /chmod go-w/);
    await one.remove();
  });
});

describe('identree try', OPTIONS, () => {
  async function world(conf = '') {
    const server = await createFakeServer();
    const host = await createEnrolledHost(server, conf);
    const flags = ['--config', host.paths.config, '--state', host.paths.state];
    return {
      server,
      host,
      run: (words: string[], options: Parameters<typeof identree>[1] = {}) =>
        identree(['try', ...flags, '--user', 'sam', ...words], options),
      async [Symbol.asyncDispose]() {
        await server.close();
        await host.remove();
      },
    };
  }

  it('approved: 0, and the command never runs', async () => {
    await using w = await world();
    const mark = join(w.host.dir, 'mark');
    const running = w.run(['touch', mark], { cwd: '/usr' });
    const challenge = await w.server.challenge();
    assert.equal(challenge.record.gate, 'try');
    assert.equal(challenge.record.service, 'try');
    assert.equal(challenge.record.user, 'sam');
    assert.deepEqual(challenge.record.argv, ['touch', mark]);
    assert.equal(challenge.record.cwd, '/usr');
    assert.match(challenge.record.target?.path ?? '', /\/touch$|\/coreutils$/);
    await w.server.approve(challenge);
    const ended = await running;
    assert.equal(ended.code, 0, ended.stdout);
    assert.match(ended.stdout, /Approved by dana\.\n {2}This was a rehearsal; nothing was run\.\n$/);
    await assert.rejects(readFile(mark));
  });

  it('denied: 1', async () => {
    await using w = await world();
    const running = w.run(['systemctl', 'restart', 'nginx']);
    await w.server.deny(await w.server.challenge(), 'no');
    const ended = await running;
    assert.equal(ended.code, 1);
    assert.match(ended.stdout, /Denied by dana: no/);
  });

  it('expired: 2', async () => {
    await using w = await world();
    w.server.ttlMs = 500;
    const ended = await w.run(['id']);
    assert.equal(ended.code, 2, ended.stdout);
    assert.match(ended.stdout, /Expired/);
  });

  it('a forged approval is not believed', async () => {
    await using w = await world('IDENTREE_TIMEOUT=5s\n');
    const running = w.run(['id']);
    const challenge = await w.server.challenge();
    w.server.decide(challenge, 'approved', await w.server.verdict(challenge, undefined, w.server.trustRoot));
    const ended = await running;
    assert.equal(ended.code, 2);
    assert.match(ended.stdout, /could not be verified/);
    assert.doesNotMatch(ended.stdout, /Approved/);
  });

  it('the server refuses, or is away: 3', async () => {
    await using w = await world();
    w.server.intercept = ({ response }) => {
      w.server.refuse(response, 403, 'host_revoked', 'This host was revoked.');
      return true;
    };
    const refused = await w.run(['id']);
    assert.equal(refused.code, 3);
    assert.match(refused.stdout, /This host was revoked/);
  });

  it('not enrolled: 3', async () => {
    await using w = await world();
    const ended = await identree([
      'try',
      '--config',
      w.host.paths.config,
      '--state',
      join(w.host.dir, 'elsewhere'),
      'id',
    ]);
    assert.equal(ended.code, 3);
    assert.match(ended.stderr, /not enrolled/);
  });

  it('Ctrl-C cancels on the server', async () => {
    await using w = await world();
    const child = spawn(
      process.execPath,
      [MAIN, 'try', '--config', w.host.paths.config, '--state', w.host.paths.state, '--user', 'sam', 'id'],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    const challenge = await w.server.challenge();
    while (challenge.polls === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    child.kill('SIGINT');
    const code = await new Promise((resolve) => child.on('close', resolve));
    assert.equal(code, 1);
    assert.match(text, /Cancelled/);
    assert.equal(challenge.cancelled, true);
  });

  it('hands over the exact bytes, options and all', async () => {
    await using w = await world();
    const running = w.run(['grep', '--user=x', '-e', 'ä\u202e', '--', '']);
    const challenge = await w.server.challenge();
    assert.deepEqual(challenge.record.argv, ['grep', '--user=x', '-e', 'ä\\u{202e}', '--', '']);
    await w.server.deny(challenge);
    await running;
  });

  it('a hostile folder and environment change nothing', async () => {
    await using w = await world();
    const trap = join(w.host.dir, 'trap');
    await mkdir(join(trap, 'node_modules', 'qrcode'), { recursive: true });
    const evil = `require('fs').writeFileSync(${JSON.stringify(join(w.host.dir, 'owned'))}, '')`;
    for (const name of [
      'package.json',
      'tsconfig.json',
      'bunfig.toml',
      '.env',
      'index.js',
      'node_modules/qrcode/index.js',
    ])
      await writeFile(join(trap, name), evil);
    const env = {
      IDENTREE_SERVER_URL: 'https://evil.example',
      HTTPS_PROXY: 'http://127.0.0.1:1',
      HTTP_PROXY: 'http://127.0.0.1:1',
      NODE_TLS_REJECT_UNAUTHORIZED: '0',
      HOME: trap,
    };
    const running = w.run(['id'], { cwd: trap, env });
    await w.server.approve(await w.server.challenge());
    assert.equal((await running).code, 0);
    await assert.rejects(readFile(join(w.host.dir, 'owned')));
  });
});

describe('agent, direct gate and status as processes', OPTIONS, () => {
  it('the agent answers hooks until it is told to stop; status tells how it is', async () => {
    const server = await createFakeServer();
    const host = await createEnrolledHost(server);
    const flags = ['--config', host.paths.config, '--state', host.paths.state, '--socket', host.paths.socket];
    const before = await identree(['status', ...flags, '--json']);
    assert.equal(before.code, 1, 'no agent yet');
    const agent = spawn(process.execPath, [MAIN, 'agent', ...flags], { stdio: ['ignore', 'inherit', 'pipe'] });
    let log = '';
    agent.stderr.on('data', (chunk: Buffer) => {
      log += chunk.toString();
    });
    while (!server.calls.some(({ path }) => path === '/heartbeat') || !log.includes('ready'))
      await new Promise((resolve) => setTimeout(resolve, 20));
    await new Promise((resolve) => setTimeout(resolve, 200));
    const status = await identree(['status', ...flags]);
    assert.equal(status.code, 0, status.stdout);
    assert.match(status.stdout, /Agent +running/);
    const second = await identree(['agent', ...flags]);
    assert.equal(second.code, 8, 'one agent per host');

    const stat = await readFile(`/proc/${process.pid}/stat`, 'latin1');
    const pstart = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!;
    const hook = connectHook(host.paths.socket, {
      v: 1,
      mode: 'sudo',
      service: 'sudo',
      user: 'root',
      uid: 0,
      ppid: process.pid,
      pstart,
    });
    const challenge = await server.challenge();
    assert.equal(challenge.record.mode, 'unparsed', 'this test is not sudo');
    await server.approve(challenge);
    assert.equal((await hook.result).granted, true);

    agent.kill('SIGTERM');
    assert.equal(await new Promise((resolve) => agent.on('close', resolve)), 0);
    await server.close();
    await host.remove();
  });

  it('the direct gate speaks on its standard input', async () => {
    const server = await createFakeServer();
    const host = await createEnrolledHost(server);
    const run = (state: string) => {
      const child = spawn(
        process.execPath,
        [MAIN, 'gate', '--direct', '--config', host.paths.config, '--state', state],
        { stdio: ['pipe', 'ignore', 'ignore'] },
      );
      // What Node gives a child as a "pipe" is one end of a socket pair; this takes the other for both directions.
      const handle = (child.stdin as unknown as { _handle: unknown })._handle;
      return new net.Socket({ handle, readable: true, writable: true } as net.SocketConstructorOpts);
    };
    const stat = await readFile(`/proc/${process.pid}/stat`, 'latin1');
    const pstart = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!;
    const hello = { v: 1, mode: 'sudo', service: 'sudo', user: 'root', uid: 0, ppid: process.pid, pstart };
    const hook = attachHook(run(host.paths.state), hello);
    const challenge = await server.challenge();
    await server.approve(challenge);
    const result = await hook.result;
    assert.equal(result.granted, true, result.text);
    assert.deepEqual(challenge.outcomes, [{ outcome: 'granted', detail: null }]);

    const lost = await attachHook(run(join(host.dir, 'nowhere')), hello).result;
    assert.equal(lost.granted, false);
    assert.match(lost.text, /not enrolled/);
    await server.close();
    await host.remove();
  });
});

describe('identree verify-approval', OPTIONS, () => {
  async function exported() {
    const server = await createFakeServer();
    const host = await createEnrolledHost(server);
    const running = identree([
      'try',
      '--config',
      host.paths.config,
      '--state',
      host.paths.state,
      '--user',
      'sam',
      'id',
      '-u',
    ]);
    const challenge = await server.challenge();
    await server.approve(challenge);
    await running;
    const event = {
      seq: 1,
      at: 1,
      event: 'challenge_approved',
      username: 'sam',
      hostId: null,
      hostname: null,
      challengeId: challenge.id,
      code: null,
      actor: 'dana',
      reason: null,
      remoteAddr: null,
      data: {},
      prevHash: CHAIN_START,
    };
    const bundle = {
      v: 1,
      challengeId: challenge.id,
      record: challenge.record,
      verdict: challenge.verdict,
      approverKeys: await server.keySet(1, [server.passkey.key]),
      events: [{ ...event, hash: eventHash(event) }],
      claimed: {
        serverId: server.serverId,
        trustRoot: server.trustRoot.public,
        verificationKeys: [server.verdictKey.public],
      },
    };
    const check = async (change: object = {}, trust?: string) => {
      const file = join(host.dir, 'approval.json');
      await writeFile(file, JSON.stringify({ ...bundle, ...change }));
      return identree(['verify-approval', file, '--trust', trust ?? join(host.paths.state, 'trust.json')]);
    };
    return {
      server,
      host,
      bundle,
      check,
      async [Symbol.asyncDispose]() {
        await server.close();
        await host.remove();
      },
    };
  }

  it('believes what was approved and says what and by whom', async () => {
    await using w = await exported();
    const ended = await w.check();
    assert.equal(ended.code, 0, ended.stdout + ended.stderr);
    for (const words of ['VALID: approved, class passkey', 'sam as root', 'id -u', 'dana'])
      assert.ok(ended.stdout.includes(words), words);
  });

  it('does not believe anything that was changed, nor keys that the file brings along', async () => {
    await using w = await exported();
    const { bundle } = w;
    const other = await createFakeServer();
    const trust = {
      serverId: other.serverId,
      trustRoot: other.trustRoot.public,
      verificationKeys: [other.verdictKey.public],
    };
    await writeFile(join(w.host.dir, 'other.json'), JSON.stringify(trust));
    await other.close();
    for (const [name, change] of Object.entries({
      'the command': { record: { ...bundle.record, argv: ['id'] } },
      'the user': { record: { ...bundle.record, user: 'root' } },
      'the challenge': { challengeId: 'f'.repeat(32) },
      'an event': { events: [{ ...bundle.events[0], actor: 'somebody' }] },
      'the key set': { approverKeys: await w.server.keySet(1, []) },
      'the verdict': { verdict: bundle.verdict!.slice(0, -4).concat('AAAA') },
    })) {
      const ended = await w.check(change);
      assert.equal(ended.code, 1, name);
      assert.match(ended.stdout, /^NOT VALID: /);
    }
    assert.equal((await w.check({}, join(w.host.dir, 'other.json'))).code, 1);
  });

  it('a file that is none, and no trust file, are explained', async () => {
    await using w = await exported();
    const none = await identree(['verify-approval', '/nonexistent', '--trust', '/nonexistent']);
    assert.equal(none.code, 1);
    assert.match(none.stderr, /cannot be read/);
    assert.match((await w.check({}, '/nonexistent')).stderr, /cannot be read/);
    assert.match((await w.check({ v: 2 })).stderr, /not an exported approval/);
  });
});
