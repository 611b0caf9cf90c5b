import { constants, copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { checkPostgresPlans } from '../testing/query-plans.ts';
import { type Database, openDatabase } from './database.ts';
import { TEST_FOLDER, testPostgres, whyNoPostgres } from './test-postgres.ts';
import { DatabaseTrouble } from './trouble.ts';

/** Opens a fresh, migrated database for one test and removes it when the test ends. */
export type OpenTestDatabase = (t: Pick<TestContext, 'after'>) => Promise<Database>;

let migrated: Promise<string> | undefined;

/** The file of a migrated database without a row, made once for this process. */
async function makeMigrated(): Promise<string> {
  const folder = mkdtempSync(join(TEST_FOLDER, 'identree-migrated-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'migrated.db');
  await (await openDatabase({ driver: 'sqlite', dsn: file })).close();
  return file;
}

/** Writes a fresh, migrated SQLite database to a file that is not there yet. */
export async function makeTestSqlite(file: string): Promise<void> {
  migrated ??= makeMigrated();
  copyFileSync(await migrated, file, constants.COPYFILE_EXCL);
}

/** A fresh SQLite database in a folder of its own. */
export const openTestSqlite: OpenTestDatabase = async (t) => {
  const folder = mkdtempSync(join(TEST_FOLDER, 'identree-sqlite-'));
  const file = join(folder, 'test.db');
  await makeTestSqlite(file);
  const db = await openDatabase({ driver: 'sqlite', dsn: file });
  t.after(async () => {
    await db.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return db;
};

const TEMPLATE = 'identree_template';
let template: Promise<void> | undefined;
let made = 0;

async function administer(sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: (await testPostgres()).dsn('postgres') });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

async function makeTemplate(): Promise<void> {
  await administer(`create database ${TEMPLATE}`);
  const db = await openDatabase({ driver: 'postgres', dsn: (await testPostgres()).dsn(TEMPLATE), maxConnections: 2 });
  await db.close();
}

/** A fresh, migrated database on the Postgres server of this test process: its DSN and what removes it. */
export async function makeTestPostgres(): Promise<{ dsn: string; drop: () => Promise<void> }> {
  const server = await testPostgres();
  template ??= makeTemplate();
  await template;
  made += 1;
  const name = `identree_test_${made}`;
  await administer(`create database ${name} template ${TEMPLATE}`);
  const dsn = server.dsn(name);
  return {
    dsn,
    async drop() {
      await checkPostgresPlans(dsn);
      await administer(`drop database ${name} with (force)`);
    },
  };
}

/** The same, opened. */
export const openTestPostgres: OpenTestDatabase = async (t) => {
  const { dsn, drop } = await makeTestPostgres();
  const db = await openDatabase({ driver: 'postgres', dsn, maxConnections: 10 });
  t.after(async () => {
    await db.close();
    await drop();
  });
  return db;
};

/** Declares the same tests for SQLite and, where it can run, for Postgres. */
export function forEachDriver(name: string, suite: (driver: Database['driver']) => void): void {
  describe(`${name} on SQLite`, () => suite('sqlite'));
  const missing = whyNoPostgres();
  if (missing !== null) {
    test(`${name} on Postgres`, { skip: missing }, () => {});
    return;
  }
  describe(`${name} on Postgres`, () => suite('postgres'));
}

/** The same, each test with a database of its own. */
export function forEachDatabase(
  name: string,
  suite: (open: OpenTestDatabase, driver: Database['driver']) => void,
): void {
  forEachDriver(name, (driver) => suite(driver === 'sqlite' ? openTestSqlite : openTestPostgres, driver));
}

/**
 * Asks again what a test asks of a database that its driver takes for away, as it does at times where a machine has far
 * more to do than it can.
 */
export async function persistently<T>(ask: () => Promise<T>): Promise<T> {
  for (let failures = 0; ; failures += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof DatabaseTrouble) || error.kind !== 'away' || failures === 20) throw error;
      await sleep(500);
    }
  }
}
