import { spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import pg from 'pg';
import { serverUser, TEST_FOLDER, testPostgres, whyNoPostgres } from './test-postgres.ts';

const PROGRAM = '/usr/sbin/pgbouncer';

/** Why there can be no pooler here; null when there can. */
export function whyNoPgbouncer(): string | null {
  return whyNoPostgres() ?? (existsSync(PROGRAM) ? null : 'pgbouncer is needed: apt-get install pgbouncer');
}

/** Debian's pgbouncer in front of the Postgres server of this test process, in transaction mode. */
export async function startPgbouncer(t: Pick<TestContext, 'after'>): Promise<{ dsn(database: string): string }> {
  const postgres = await testPostgres();
  const user = serverUser()!;
  const folder = mkdtempSync(join(TEST_FOLDER, 'identree-pgbouncer-'));
  const file = join(folder, 'pgbouncer.ini');
  writeFileSync(
    file,
    `[databases]
* = host=${dirname(postgres.socket)} port=5432 user=identree
[pgbouncer]
listen_port = 6432
unix_socket_dir = ${folder}
auth_type = any
pool_mode = transaction
default_pool_size = 5
`,
  );
  chownSync(folder, user.uid, user.gid);
  chownSync(file, user.uid, user.gid);
  const child = spawn(PROGRAM, [file], { ...user, cwd: '/', stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said = `${said}${chunk}`.slice(-4000);
  });
  t.after(() => {
    child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });
  const dsn = (database: string) => `postgres://identree@localhost:6432/${database}?host=${encodeURIComponent(folder)}`;
  for (const end = Date.now() + 120_000; ; ) {
    const client = new pg.Client({ connectionString: dsn('postgres') });
    try {
      await client.connect();
      await client.end();
      return { dsn };
    } catch (error) {
      if (child.exitCode !== null || Date.now() > end) throw new Error(`no pgbouncer: ${said}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
