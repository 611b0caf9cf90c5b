import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { sql } from 'kysely';
import { lockHead } from '../events/store.ts';
import { openDatabase, type UnitOfWork } from './database.ts';
import { kysely } from './query.ts';
import { makeTestPostgres, openTestPostgres } from './test-databases.ts';
import { whyNoPostgres } from './test-postgres.ts';

/** Cuts connections of its own while they are in use, as a restart of the database does, and works on. */
const PROGRAM = `
  import pg from 'pg';
  import { openDatabase } from './database.ts';
  const dsn = process.env.DSN;
  let heard = () => {};
  const broke = new Promise((resolve) => { heard = resolve; });
  const { emit } = pg.Client.prototype;
  pg.Client.prototype.emit = function (name, ...values) {
    if (name === 'error') heard();
    return emit.call(this, name, ...values);
  };
  const db = await openDatabase({ driver: 'postgres', dsn, maxConnections: 5 });
  const cut = async (state) => {
    const other = new pg.Client({ connectionString: dsn });
    await other.connect();
    const { rows } = await other.query(
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and state = $1',
      [state],
    );
    await other.end();
    return rows.length;
  };
  let began = () => {};
  const inside = new Promise((resolve) => { began = resolve; });
  let go = () => {};
  const wait = new Promise((resolve) => { go = resolve; });
  const broken = db.transaction(async ({ query }) => {
    await query.selectFrom('event_head').selectAll().execute();
    began();
    await wait;
    await query.selectFrom('event_head').selectAll().execute();
  }).then(() => 'committed', () => 'refused');
  await inside;
  console.log('cut', await cut('idle in transaction'));
  // What the server says of it arrives before the next query is sent.
  await broke;
  go();
  console.log(await broken);
  await db.transaction(({ query }) => query.selectFrom('event_head').selectAll().execute());
  console.log('works');
  await db.close();
`;

async function insertMeta(work: UnitOfWork, key: string): Promise<void> {
  await kysely(work.query).insertInto('meta').values({ key, value: '' }).execute();
}

describe('Postgres', { skip: whyNoPostgres() ?? false }, () => {
  test('a connection that is cut while it is in use fails its transaction and nothing else', async (t) => {
    const { dsn, drop } = await makeTestPostgres();
    t.after(drop);
    const child = spawn(process.execPath, ['--input-type=module-typescript', '--eval', PROGRAM], {
      cwd: import.meta.dirname,
      env: { ...process.env, DSN: dsn },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    t.after(() => child.kill('SIGKILL'));
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
    const [code] = (await once(child, 'close')) as [number | null];
    assert.equal(said, 'cut 1\nrefused\nworks\n');
    assert.equal(code, 0);
  });

  test('a server that is frozen in the middle of a change holds up the others for seconds, not for ever', async (t) => {
    const { dsn, drop } = await makeTestPostgres();
    const [frozen, other] = [
      await openDatabase({ driver: 'postgres', dsn, maxConnections: 2 }),
      await openDatabase({ driver: 'postgres', dsn, maxConnections: 2 }),
    ];
    let goOn = () => {};
    const thawed = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    t.after(async () => {
      goOn();
      await Promise.all([frozen.close(), other.close()]);
      await drop();
    });
    let stands = () => {};
    const standsStill = new Promise<void>((resolve) => {
      stands = resolve;
    });
    const late = assert.rejects(
      frozen.transaction(async (work) => {
        await lockHead(work.query);
        stands();
        await thawed;
        await insertMeta(work, 'late');
      }),
    );
    await standsStill;
    await other.transaction(async (work) => {
      await lockHead(work.query);
      await insertMeta(work, 'in time');
    });
    goOn();
    await late;
    const rows = await kysely(other.query).selectFrom('meta').select('key').execute();
    assert.deepEqual(rows, [{ key: 'in time' }]);
  });

  test('who says that there is something new is not told so, and everybody else is', async (t) => {
    const { dsn, drop } = await makeTestPostgres();
    const heard: string[] = [];
    const servers = await Promise.all(
      ['one', 'other'].map(async (name) => {
        const db = await openDatabase({ driver: 'postgres', dsn, maxConnections: 2 });
        let told = () => {};
        const hears = new Promise<void>((resolve) => {
          told = resolve;
        });
        db.onNotify(() => {
          heard.push(name);
          told();
        });
        return { db, hears };
      }),
    );
    t.after(async () => {
      await Promise.all(servers.map(({ db }) => db.close()));
      await drop();
    });
    const [one, other] = servers as [(typeof servers)[0], (typeof servers)[0]];
    await one.db.notify();
    await other.hears;
    // What is said arrives in its order: its own words would be there before those of the other one.
    await other.db.notify();
    await one.hears;
    assert.deepEqual(heard, ['other', 'one']);
  });

  test('what reads for long at one moment is not cut off', async (t) => {
    const db = await openTestPostgres(t);
    const shown = await db.snapshot(async (query) =>
      sql<{ setting: string }>`select current_setting('idle_in_transaction_session_timeout') as setting`.execute(
        kysely(query),
      ),
    );
    assert.deepEqual(shown.rows, [{ setting: '0' }]);
  });
});
