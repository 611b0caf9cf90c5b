import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { identree } from './testing/cli.ts';
import { createFakeServer, type FakeServer } from './testing/fake-server.ts';
import { createHostFolders } from './testing/host.ts';
import { AGENT_VERSION } from './version.ts';

const OPTIONS = { timeout: 120_000, concurrency: 3 };

describe('identree on the command line', OPTIONS, () => {
  it('tells its version and its commands', async () => {
    assert.equal((await identree(['--version'])).stdout, `identree ${AGENT_VERSION}\n`);
    const help = await identree(['--help']);
    assert.equal(help.code, 0);
    for (const command of ['enroll', 'setup', 'doctor', 'try', 'verify-approval', 'agent', 'gate'])
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
