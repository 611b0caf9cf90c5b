import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { freePort } from '../testing/free-port.ts';
import { until } from '../testing/load.ts';

/** What is promised, seconds. A machine that does much else is given more: what hangs does not end at all. */
const SECONDS = process.env.IDENTREE_LONG === '1' ? 10 : 120;

test(`a server that is told to stop ends within ${SECONDS} seconds, whoever keeps it in the middle of a request`, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'identree-ends-'));
  const port = await freePort();
  const server = spawn(process.execPath, ['server/src/main.ts', 'serve'], {
    cwd: join(import.meta.dirname, '../../..'),
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      PATH: process.env.PATH,
      NODE_OPTIONS: '--disable-warning=ExperimentalWarning',
      IDENTREE_EXTERNAL_URL: 'https://identree.example.com',
      IDENTREE_LISTEN_ADDR: `127.0.0.1:${port}`,
      IDENTREE_KEYS_DIR: join(folder, 'keys'),
      IDENTREE_DATABASE_DSN: join(folder, 'identree.db'),
      IDENTREE_LDAP_ENABLED: 'false',
      IDENTREE_METRICS_TOKEN: 'b4bQ1wWqvJ7m0r9cXk2ZsT5u',
      IDENTREE_LOG_LEVEL: 'info',
      IDENTREE_OIDC_ISSUER_URL: 'http://localhost:9',
      IDENTREE_OIDC_CLIENT_ID: 'identree',
      IDENTREE_OIDC_CLIENT_SECRET: 'not-used-here',
      IDENTREE_ADMIN_GROUPS: 'admins',
    },
  });
  t.after(async () => {
    server.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });
  let said = '';
  server.stderr!.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  await until(async () => {
    if (server.exitCode !== null) throw new Error('the server ended');
    return fetch(`http://127.0.0.1:${port}/healthz`).then(
      () => true,
      () => false,
    );
  });
  const open = async (text: string) => {
    const socket = connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.on('error', () => {});
    socket.resume();
    await once(socket, 'connect');
    socket.write(text);
    return socket;
  };
  const head = `Host: identree.example.com\r\nContent-Type: application/json\r\n`;
  await open('');
  await open(`GET /healthz HTTP/1.1\r\n${head}`);
  await open(`POST /api/host/v1/enrol HTTP/1.1\r\n${head}Content-Length: 1000\r\n\r\n{"half":`);
  const whole = await open(`GET /healthz HTTP/1.1\r\n${head}\r\n`);
  // Once it has answered what came last, it has what came before.
  await once(whole, 'data');

  const ended = once(server, 'close');
  const began = performance.now();
  server.kill('SIGTERM');
  await ended;
  const seconds = (performance.now() - began) / 1000;
  t.diagnostic(`it ended after ${seconds.toFixed(1)} s`);
  assert.equal(server.signalCode, null, 'by itself');
  assert.ok(seconds < SECONDS, `it took ${seconds} s`);
  // Nobody was cut off in the middle of what the server had begun for them.
  assert.equal(server.exitCode, 0, said);
  const lines = said
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { level: number; msg: string });
  assert.deepEqual(
    lines.filter(({ level }) => level >= 50).map(({ msg }) => msg),
    [],
  );
  const about = lines.filter(({ msg }) => msg.startsWith('stopped after'));
  assert.equal(about.length, 1, said);
  assert.match(about[0]!.msg, /ended (?:one connection|\d+ connections) on which no whole request came/);
});
