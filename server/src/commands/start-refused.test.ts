import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { sql } from 'kysely';
import { createApp } from '../app/app.ts';
import { createCore } from '../app/core.ts';
import { migrations, openDatabase } from '../db/database.ts';
import { kysely } from '../db/query.ts';
import { forEachDriver, makeTestPostgres } from '../db/test-databases.ts';
import { runWith } from '../testing/run-command.ts';
import { testConfig } from '../testing/test-config.ts';
import { VERSION } from '../version.ts';

/** An installation that has been used, and what changes it behind its back. */
async function install(t: TestContext, driver: 'sqlite' | 'postgres') {
  const folder = await mkdtemp(join(tmpdir(), 'identree-refused-'));
  const postgres = driver === 'postgres' ? await makeTestPostgres() : null;
  t.after(async () => {
    await postgres?.drop();
    await rm(folder, { recursive: true, force: true });
  });
  const env: Record<string, string> = {
    IDENTREE_EXTERNAL_URL: 'https://identree.example.com',
    IDENTREE_LISTEN_ADDR: '127.0.0.1:0',
    IDENTREE_LDAP_ENABLED: 'false',
    IDENTREE_KEYS_DIR: join(folder, 'keys'),
    IDENTREE_OIDC_ISSUER_URL: 'http://localhost:9',
    IDENTREE_OIDC_CLIENT_ID: 'identree',
    IDENTREE_OIDC_CLIENT_SECRET: 'not-used-here',
    IDENTREE_ADMIN_GROUPS: 'admins',
    IDENTREE_METRICS_TOKEN: 'b4bQ1wWqvJ7m0r9cXk2ZsT5u',
    IDENTREE_DATABASE_DRIVER: driver,
    IDENTREE_DATABASE_DSN: postgres?.dsn ?? join(folder, 'identree.db'),
  };
  const config = testConfig(folder, env);
  await (await createApp(config)).close();

  return {
    config,
    keys: config.keysDir,
    async change(...statements: string[]): Promise<void> {
      const db = await openDatabase(config.database);
      for (const statement of statements)
        await db.transaction(({ query }) => sql.raw(statement).execute(kysely(query)));
      await db.close();
    },
    /** `identree-server` in this process. */
    async ask(command: string): Promise<{ code: number; said: string }> {
      const { code, err: said } = await runWith(command.split(' '), env);
      return { code, said };
    },
    /** `identree-server` in a process of its own, which has to end by itself. */
    async run(command: string, more: Record<string, string> = {}): Promise<{ code: number | null; said: string }> {
      const child = spawn(process.execPath, ['server/src/main.ts', ...command.split(' ')], {
        cwd: join(import.meta.dirname, '../../..'),
        stdio: ['ignore', 'ignore', 'pipe'],
        env: {
          PATH: process.env.PATH,
          NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
          NODE_OPTIONS: '--disable-warning=ExperimentalWarning',
          ...env,
          ...more,
        },
      });
      t.after(() => child.kill('SIGKILL'));
      let said = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      const [code] = (await once(child, 'close')) as [number | null];
      return { code, said };
    },
  };
}

const FUTURE = `insert into kysely_migration (name, timestamp) values ('9999-future', '2030-01-01')`;

forEachDriver('a start that is refused', (driver) => {
  test('because the database is newer says both versions and ends', async (t) => {
    const { change, run } = await install(t, driver);
    await change(FUTURE, `update meta set value = '99.0.0' where key = 'version'`);
    const { code, said } = await run('serve');
    assert.equal(code, 1);
    assert.match(said, /the schema 9999-future of identree 99\.0\.0, which is newer than this program/);
    assert.ok(said.includes(`identree ${VERSION} knows`));
  });

  test('because the keys are gone makes no new ones', async (t) => {
    const { keys, run } = await install(t, driver);
    await rm(keys, { recursive: true });
    const { code, said } = await run('serve');
    assert.equal(code, 1);
    assert.match(said, /the database belongs to an installation whose keys are not in .*\/keys\. Restore them/);
    assert.equal(existsSync(keys), false);
  });

  test('of a command that reads leaves the schema of an earlier version as it is', async (t) => {
    const { config, change, ask } = await install(t, driver);
    const newest = '0032-sinks-delivered';
    assert.equal(Object.keys(migrations).at(-1), newest, 'another one is newer: take that one back here');
    await change('alter table event_cursors drop column delivered_at');
    await change(`delete from kysely_migration where name = '${newest}'`);
    for (const command of ['verify-log', 'hosts list', 'trust show', `backup ${join(config.keysDir, '../backup')}`]) {
      const { code, said } = await ask(command);
      assert.equal(code, 1, command);
      assert.match(
        said,
        new RegExp(`works with the schema ${newest}\\. Start the server of this version first`),
        command,
      );
    }
    // The server brings it up to date.
    await (await createApp(config)).close();
    assert.equal((await ask('verify-log')).code, 0);
  });
});

test('a database file that was emptied is not taken for a new installation', async (t) => {
  const { config, ask } = await install(t, 'sqlite');
  await truncate(config.database.dsn);
  for (let i = 0; i < 2; i += 1) {
    const { code, said } = await ask('serve');
    assert.equal(code, 1);
    assert.match(said, /the database is empty, but the keys in .* belong to an installation that has one/);
  }
});

test('an installation whose first start was cut off between keys and database begins anew', async (t) => {
  const { config } = await install(t, 'sqlite');
  await writeFile(join(config.keysDir, 'unclaimed'), '');
  await truncate(config.database.dsn);
  await (await createCore(config)).close();
  assert.equal(existsSync(join(config.keysDir, 'unclaimed')), false);
});

test('a second server on an SQLite file is refused and says who has it; commands work beside the first', async (t) => {
  const { config, run, ask } = await install(t, 'sqlite');
  const app = await createApp(config);
  t.after(() => app.close());
  const { code, said } = await run('serve');
  assert.equal(code, 1);
  assert.match(said, new RegExp(`another server is running on the database .*: process ${process.pid} on `));
  assert.equal((await ask('hosts list')).code, 0);
});

test('an empty or garbled key file is refused by its name and length', async (t) => {
  const { keys, ask } = await install(t, 'sqlite');
  // Every file that there is: a new one is not to be forgotten here.
  for (const name of await readdir(keys)) {
    const path = join(keys, name);
    const good = await readFile(path);
    // The last is no text: it has the size that `ls` shows.
    for (const garbage of ['', 'garbage', Buffer.from('ff00fe80c328ffff', 'hex')]) {
      await writeFile(path, garbage);
      const { code, said } = await ask('hosts list');
      assert.equal(code, 1, name);
      assert.ok(said.includes(`${path} is no `) && said.includes(`it has ${garbage.length} bytes`), said);
    }
    await writeFile(path, good);
  }
});

test('a lost log key is not made anew by the way: a server says what it is and the ways back, and commands go on', async (t) => {
  const { keys, ask } = await install(t, 'sqlite');
  const path = join(keys, 'log.pem');
  const good = await readFile(path);
  await rm(path);
  const { code, said } = await ask('serve');
  assert.equal(code, 1);
  assert.ok(said.includes(`${path} is missing`), said);
  assert.match(said, /from a backup\. If it is lost, .*: identree-server restore accept --operator NAME --reason TEXT/);
  // Above all those by which an operator helps himself meanwhile.
  for (const command of ['hosts list', 'verify-log', 'recovery-code alice']) {
    assert.doesNotMatch((await ask(command)).said, /log\.pem/, command);
  }
  assert.equal(existsSync(path), false, 'and nothing was made');

  await writeFile(path, good, { mode: 0o600 });
  assert.equal((await ask('serve')).code, 0);
  await rm(path);
  assert.equal((await ask('restore accept --operator olga --reason lost')).code, 0);
  assert.equal((await ask('serve')).code, 0);
});
