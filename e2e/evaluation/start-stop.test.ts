import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { demoHostArguments } from '../../server/src/evaluation/demo-host.ts';
import { freePort } from '../../server/src/testing/free-port.ts';
import { run, until } from '../harness/run.ts';
import { command, type Evaluation, newFolder, startEvaluation } from './evaluation.ts';

/** Status of a request to the evaluation with exactly these headers. */
function statusOf(evaluation: Evaluation, headers: Record<string, string>, address = '127.0.0.1'): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = {
      host: address,
      port: evaluation.port,
      path: '/',
      headers: { host: `localhost:${evaluation.port}`, ...headers },
    };
    const call = request(options, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    call.on('error', reject);
    call.end();
  });
}

describe('npm start', () => {
  let evaluation: Evaluation;
  let second: string;
  before(async () => {
    second = join(await newFolder(), 'second.jsonl');
    evaluation = await startEvaluation({ set: [`IDENTREE_AUDIT_LOG_2=file:${second}`] });
  });
  after(() => evaluation?.remove());

  test('says where it is, how to sign in and what to try', () => {
    assert.match(evaluation.said(), new RegExp(`^identree is ready: ${evaluation.url}$`, 'm'));
    // Commands as they have to be typed: it is not where they look by themselves.
    assert.ok(evaluation.said().includes(`npm run try -- --dir ${evaluation.folder} systemctl restart nginx`));
    assert.ok(evaluation.said().includes(`npm run reset -- --dir ${evaluation.folder} deletes it`));
    assert.ok(evaluation.said().includes(`${evaluation.folder}/audit.jsonl`));
    assert.doesNotMatch(evaluation.said(), /warning|deprecat|error/i);
  });

  test('writes every event to a file in its folder', async () => {
    const path = join(evaluation.folder, 'audit.jsonl');
    let text = '';
    for (const deadline = Date.now() + 60_000; !text.includes('"event":"host_enrolled"') && Date.now() < deadline; ) {
      text = existsSync(path) ? await readFile(path, 'utf8') : '';
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.match(text, /^\{"seq":1,[^\n]*"event":"server_initialized"/);
    assert.match(text, /"event":"host_enrolled"/);
  });

  test('and to a sink that the command line sets', async () => {
    await until(
      'the second file',
      () => existsSync(second) && readFileSync(second, 'utf8').includes('"event":"host_enrolled"'),
    );
    await rm(join(second, '..'), { recursive: true });
  });

  test('a second start says that it runs already, and where', async () => {
    const again = await command('start', ['--dir', evaluation.folder]);
    assert.equal(again.code, 0);
    assert.match(again.stdout, new RegExp(`already running: ${evaluation.url}`));
    const elsewhere = await command('start', ['--dir', evaluation.folder, '--port', String(await freePort())]);
    assert.equal(elsewhere.code, 1);
  });

  test('a busy port is named, with a way out, and leaves nothing behind', async () => {
    const folder = await newFolder();
    await rm(folder, { recursive: true });
    const result = await command('start', ['--dir', folder, '--port', String(evaluation.port)]);
    assert.equal(result.code, 1);
    assert.match(result.stderr, new RegExp(`Port ${evaluation.port} is in use`));
    assert.match(result.stderr, /npm start -- --port/);
    assert.equal(existsSync(folder), false);
  });

  test('a port that is taken on IPv6 only is busy, too', async (t) => {
    const squatter = createServer();
    const port = await freePort();
    const listening = await new Promise<boolean>((resolve) => {
      squatter.on('error', () => resolve(false));
      squatter.listen({ port, host: '::1', ipv6Only: true }, () => resolve(true));
    });
    if (!listening) return t.skip('this machine has no IPv6');
    const folder = await newFolder();
    const result = await command('start', ['--dir', folder, '--port', String(port)]);
    squatter.close();
    await rm(folder, { recursive: true });
    assert.equal(result.code, 1);
    assert.match(result.stderr, /is in use/);
  });

  test('reset refuses while it runs', async () => {
    const result = await command('reset', ['--dir', evaluation.folder]);
    assert.equal(result.code, 1);
    assert.match(result.stderr, /is running/);
    assert.ok(existsSync(join(evaluation.folder, 'identree.db')));
  });

  test('only this machine under its one name, and nothing that came through a proxy', async () => {
    assert.equal(await statusOf(evaluation, { host: 'evil.example' }), 421);
    assert.equal(await statusOf(evaluation, { host: `127.0.0.1:${evaluation.port}` }), 421);
    assert.equal(await statusOf(evaluation, { 'x-forwarded-for': '192.0.2.1' }), 400);
    assert.equal(await statusOf(evaluation, { forwarded: 'for=192.0.2.1' }), 400);
    assert.equal(await statusOf(evaluation, { via: '1.1 tunnel' }), 400);
    assert.notEqual(await statusOf(evaluation, {}), 421);
    // The listener for IPv6 has the same guard.
    const byIpv6 = await statusOf(evaluation, { host: 'evil.example' }, '::1').catch(() => 421);
    assert.equal(byIpv6, 421);
  });

  test('it listens on loopback only', async () => {
    const addresses = await run('hostname', ['-I']);
    const outside = addresses.stdout
      .split(/\s+/)
      .find((address) => /^\d+\.\d+\.\d+\.\d+$/.test(address) && !address.startsWith('127.'));
    if (!outside) return;
    const refused = await new Promise<boolean>((resolve) => {
      const socket = connect({ host: outside, port: evaluation.port, timeout: 3000 });
      socket.on('connect', () => resolve(false));
      socket.on('error', () => resolve(true));
      socket.on('timeout', () => resolve(true));
      socket.on('close', () => socket.destroy());
    });
    assert.equal(refused, true);
  });

  test('production refuses its database and its keys', async () => {
    const folder = await newFolder();
    const production = (env: Record<string, string>) =>
      run(process.execPath, [join(import.meta.dirname, '../../server/src/main.ts'), 'serve'], {
        timeoutMs: 90_000,
        env: {
          PATH: process.env.PATH ?? '',
          IDENTREE_EXTERNAL_URL: 'https://identree.example.com',
          IDENTREE_LISTEN_ADDR: '127.0.0.1:0',
          IDENTREE_OIDC_ISSUER_URL: 'https://id.example.com',
          IDENTREE_OIDC_CLIENT_ID: 'identree',
          IDENTREE_OIDC_CLIENT_SECRET: 'k3yFromTheProvider',
          IDENTREE_ADMIN_GROUPS: 'admins',
          ...env,
        },
      });
    const database = await production({
      IDENTREE_DATABASE_DSN: join(evaluation.folder, 'identree.db'),
      IDENTREE_KEYS_DIR: join(folder, 'keys'),
    });
    assert.equal(database.code, 1);
    assert.match(database.stderr, /evaluation/);
    const keys = await production({
      IDENTREE_DATABASE_DSN: join(folder, 'identree.db'),
      IDENTREE_KEYS_DIR: join(evaluation.folder, 'keys'),
    });
    assert.equal(keys.code, 1);
    assert.match(keys.stderr, /evaluation/);
    await rm(folder, { recursive: true });
  });
});

test('Ctrl-C ends it cleanly, twice in a row as well, and reset then deletes everything', async () => {
  const evaluation = await startEvaluation();
  const ended = evaluation.stop();
  await evaluation.stop();
  assert.equal(await ended, 0, evaluation.said());
  assert.match(evaluation.said(), /stopping/);
  const tried = await command('try', ['--dir', evaluation.folder, 'id']);
  assert.equal(tried.code, 3);
  assert.match(tried.stderr, /npm start/);
  // The agent itself, for which the server is simply not there.
  const agent = join(import.meta.dirname, '../../agent/src/main.ts');
  const asked = await run(process.execPath, [
    agent,
    'try',
    ...demoHostArguments(evaluation.folder),
    '--user',
    'alice',
    'id',
  ]);
  assert.equal(asked.code, 3, asked.stdout + asked.stderr);
  const reset = await command('reset', ['--dir', evaluation.folder]);
  assert.equal(reset.code, 0);
  assert.match(reset.stdout, /Deleting/);
  assert.equal(existsSync(evaluation.folder), false);
});

test('what a crash leaves behind does not keep it from starting again', async () => {
  const evaluation = await startEvaluation();
  const { pid } = JSON.parse(await readFile(join(evaluation.folder, 'run.json'), 'utf8')) as { pid: number };
  process.kill(pid, 'SIGKILL');
  await evaluation.stop();
  const next = await startEvaluation({ folder: evaluation.folder, port: evaluation.port });
  assert.equal(next.code, evaluation.code);
  await next.remove();
});

test('reset deletes nothing that is not an evaluation', async () => {
  const folder = await newFolder();
  await writeFile(join(folder, 'thesis.txt'), 'x');
  const result = await command('reset', ['--dir', folder]);
  assert.equal(result.code, 1);
  assert.ok(existsSync(join(folder, 'thesis.txt')));
  await rm(folder, { recursive: true });
});

test('wrong options are explained', async () => {
  assert.match((await command('start', ['--prot', '1'])).stderr, /--port PORT/);
  assert.match((await command('start', ['--port', 'x'])).stderr, /--port needs/);
  assert.match((await command('try', [])).stderr, /npm run try/);
  for (const given of ['IDENTREE_EXTERNAL_URL=https://a.example', 'IDENTREE_AUDIT_LOG_2', 'AUDIT_LOG=x'])
    assert.match(
      (await command('start', ['--set', given])).stderr,
      /^--set [A-Z0-9_]+: NAME=VALUE is needed, with IDENTREE_AUDIT_/,
    );
  const folder = await newFolder();
  const wrong = ['--dir', folder, '--port', String(await freePort()), '--set', 'IDENTREE_AUDIT_SYSLOG_URL=http://x'];
  const { code, stderr } = await command('start', wrong);
  await rm(folder, { recursive: true });
  assert.equal(code, 1);
  assert.match(
    stderr,
    /the settings are not in order:\n {2}IDENTREE_AUDIT_SYSLOG_URL is not the address of a syslog receiver/,
  );
});
