import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

test('a signal to npm run serve ends the server', { timeout: 170_000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'identree-serve-'));
  const npm = spawn('npm', ['run', '--silent', 'serve'], {
    cwd: join(import.meta.dirname, '..'),
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      ...process.env,
      IDENTREE_EXTERNAL_URL: 'https://identree.example.com',
      IDENTREE_LISTEN_ADDR: '127.0.0.1:0',
      IDENTREE_KEYS_DIR: join(folder, 'keys'),
      IDENTREE_DATABASE_DSN: join(folder, 'identree.db'),
      IDENTREE_OIDC_ISSUER_URL: 'http://localhost:9',
      IDENTREE_OIDC_CLIENT_ID: 'identree',
      IDENTREE_OIDC_CLIENT_SECRET: 'not-used-here',
      IDENTREE_ADMIN_GROUPS: 'admins',
      IDENTREE_LOG_LEVEL: 'error',
    },
    detached: true,
  });
  t.after(async () => {
    // The server too, should it have been left behind.
    try {
      process.kill(-npm.pid!, 'SIGKILL');
    } catch {}
    await rm(folder, { recursive: true, force: true });
  });
  let said = '';
  const ready = new Promise<void>((resolve) => {
    npm.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes('identree is ready')) resolve();
    });
  });
  // What it says goes through a pipe that the server holds: it is closed when the server has ended, and not before.
  const closed = once(npm.stdout, 'close');
  await Promise.race([ready, closed]);
  assert.match(said, /identree is ready/);
  npm.kill('SIGTERM');
  await closed;
  assert.equal(existsSync(join(folder, 'identree.db-wal')), false, 'it has closed its database');
});
