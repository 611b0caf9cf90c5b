import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import Sqlite from 'better-sqlite3';
import pg from 'pg';
import { createApp } from '../app/app.ts';
import type { Config } from '../config/config.ts';
import { forEachDriver, makeTestPostgres } from '../db/test-databases.ts';
import { testConfig } from './test-config.ts';

const LONG = process.env.IDENTREE_LONG === '1';
const FEW = 1000;
const MANY = LONG ? 1_000_000 : 50_000;

type Run = (text: string) => Promise<Record<string, unknown>[]>;

/** A server that has written some events, and was stopped. */
async function install(t: TestContext, driver: Config['database']['driver']) {
  const folder = await mkdtemp(join(tmpdir(), 'identree-long-log-'));
  const postgres = driver === 'postgres' ? await makeTestPostgres() : null;
  t.after(async () => {
    await postgres?.drop();
    await rm(folder, { recursive: true, force: true });
  });
  const config = testConfig(folder, {
    IDENTREE_DATABASE_DRIVER: driver,
    IDENTREE_DATABASE_DSN: postgres?.dsn ?? join(folder, 'identree.db'),
  });

  /** Past the server's way to its database, which gives up what takes long. */
  async function inDatabase<T>(work: (run: Run) => Promise<T>): Promise<T> {
    if (postgres !== null) {
      const client = new pg.Client({ connectionString: postgres.dsn });
      await client.connect();
      return work(async (text) => (await client.query(text)).rows).finally(() => client.end());
    }
    const db = new Sqlite(config.database.dsn);
    const run: Run = async (text) => {
      const prepared = db.prepare(text);
      if (prepared.reader) return prepared.all() as Record<string, unknown>[];
      prepared.run();
      return [];
    };
    return work(run).finally(() => db.close());
  }

  /** Rows of the log that Postgres has read for anybody until now. */
  const rowsRead = (): Promise<number> =>
    inDatabase(async (run) => {
      const [row] = await run(
        `select seq_tup_read + coalesce(idx_tup_fetch, 0) as n from pg_stat_user_tables where relname = 'events'`,
      );
      return Number(row?.n);
    });
  const bytesRead = (): number => Number(/^rchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))![1]);

  return {
    /** Has so many events follow the last one, as if they had been written and dealt with. */
    grow: (count: number) =>
      inDatabase(async (run) => {
        const columns = await run('select * from events where seq = (select max(seq) from events)');
        const others = Object.keys(columns[0]!).filter((column) => column !== 'seq');
        await run(
          `with recursive more(n) as (select 1 union all select n + 1 from more where n < ${count})
           insert into events (seq, ${others}) select seq + n, ${others} from events, more
           where seq = (select max(seq) from events)`,
        );
        await run('update event_head set seq = (select max(seq) from events)');
        await run('update event_cursors set seq = (select max(seq) from events)');
        if (driver === 'postgres') await run('analyze events');
      }),
    /** Starts the server and stops it; resolves with what it read, rows on Postgres and bytes on SQLite, and how long the start took. */
    async start(): Promise<{ read: number; ms: number }> {
      const before = driver === 'postgres' ? await rowsRead() : bytesRead();
      const began = performance.now();
      const app = await createApp(config);
      await app.listen();
      const ms = performance.now() - began;
      await app.close();
      return { read: (driver === 'postgres' ? await rowsRead() : bytesRead()) - before, ms };
    },
  };
}

forEachDriver('a server starts', (driver) => {
  test(`with ${MANY.toLocaleString('en')} events behind it as with ${FEW.toLocaleString('en')}: it does not read the log`, async (t) => {
    const { grow, start } = await install(t, driver);
    // What it loads the first time only, it loads here.
    await start();
    await grow(FEW);
    const few = await start();
    await grow(MANY - FEW);
    const many = await start();
    const room = driver === 'postgres' ? FEW / 2 : 200_000;
    assert.ok(many.read - few.read < room, `${many.read} instead of ${few.read}`);
    t.diagnostic(`started after ${Math.round(few.ms)} ms, and after ${Math.round(many.ms)} ms with many`);
    if (LONG) assert.ok(many.ms < 3000, `the start took ${many.ms} ms`);
  });
});
