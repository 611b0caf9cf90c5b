import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import pino from 'pino';
import { makeTestPostgres } from '../db/test-databases.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { testConfig } from '../testing/test-config.ts';
import { createCore } from './core.ts';

test('a server that may not use its database says why and ends', { skip: whyNoPostgres() ?? false }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'identree-core-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const postgres = await makeTestPostgres();
  t.after(() => postgres.drop());
  /** `identree-server trust show` with keys of its own, which claims a database that nobody has claimed yet. */
  async function run(keys: string): Promise<{ code: number | null; said: string }> {
    const child = spawn(process.execPath, ['server/src/main.ts', 'trust', 'show'], {
      cwd: join(import.meta.dirname, '../../..'),
      stdio: ['ignore', 'ignore', 'pipe'],
      env: {
        PATH: process.env.PATH,
        IDENTREE_EXTERNAL_URL: 'https://identree.example.com',
        IDENTREE_DATABASE_DRIVER: 'postgres',
        IDENTREE_DATABASE_DSN: postgres.dsn,
        IDENTREE_KEYS_DIR: join(folder, keys),
        IDENTREE_OIDC_ISSUER_URL: 'https://idp.example.com',
        IDENTREE_OIDC_CLIENT_ID: 'identree',
        IDENTREE_OIDC_CLIENT_SECRET: 'b4bQ1wWqvJ7m0r9cXk2ZsT5u',
        IDENTREE_ADMIN_GROUPS: 'admins',
      },
    });
    t.after(() => child.kill('SIGKILL'));
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, said };
  }
  assert.equal((await run('keys')).code, 0);
  const { code, said } = await run('keys of another installation');
  assert.match(said, /whose keys are not in/);
  assert.equal(code, 1);
});

test('what may not use its database does not go on reading it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'identree-core-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const logged: string[] = [];
  const log = pino({ level: 'error' }, { write: (line: string) => void logged.push(line) });
  const first = await createCore(testConfig(folder), { log });
  await first.close();
  t.mock.timers.enable({ apis: ['setInterval'] });
  const others = { IDENTREE_KEYS_DIR: join(folder, 'keys of another installation') };
  await assert.rejects(createCore(testConfig(folder, others), { log }), /whose keys are not in/);
  t.mock.timers.tick(60_000);
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(logged, []);
});
