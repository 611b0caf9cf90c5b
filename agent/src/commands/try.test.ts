import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { identree, MAIN } from '../testing/cli.ts';
import { createFakeServer } from '../testing/fake-server.ts';
import { createEnrolledHost } from '../testing/host.ts';

const OPTIONS = { timeout: 120_000, concurrency: 3 };

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
