import BetterSqlite from 'better-sqlite3';
import { CompiledQuery, type Dialect, Kysely, SqliteDialect, type Transaction } from 'kysely';
import type { Durability, Engine } from './engine.ts';
import type { Schema } from './schema.ts';
import { asTrouble, DatabaseTrouble } from './trouble.ts';
import { cannotOpen } from './where-it-is.ts';

/** @throws in words for an operator */
function open(path: string, readonly: boolean): BetterSqlite.Database {
  let db: BetterSqlite.Database | null = null;
  try {
    db = new BetterSqlite(path, { readonly, timeout: 5000 });
    if (!readonly) {
      db.pragma('journal_mode = WAL');
      // An approval that was answered must survive a power cut: every commit waits for the disk, unless it may be lost.
      db.pragma('synchronous = FULL');
      // What undoes a statement is gone with the process in any case; else a file is made for it in each larger transaction.
      db.pragma('temp_store = MEMORY');
    }
    db.pragma('foreign_keys = ON');
    return db;
  } catch (cause) {
    db?.close();
    throw cannotOpen(path, cause);
  }
}

type Tell = (trouble: DatabaseTrouble) => void;
type Answered = (milliseconds: number) => void;

/** Calls the driver, and tells failures that are the database's own as what they are. */
function asked<T>(statement: string, tell: Tell, ask: () => T): T {
  try {
    return ask();
  } catch (error) {
    const trouble = asTrouble(error, statement);
    if (trouble instanceof DatabaseTrouble) tell(trouble);
    throw trouble;
  }
}

/** What the query builder uses of a statement. */
type Statement = Pick<BetterSqlite.Statement, 'all' | 'run' | 'iterate' | 'reader'>;

/** What the query builder says of transactions → what is done for it; nothing: just that. */
type Transactions = Readonly<Record<string, string>>;

// A deferred transaction that reads first may be refused the write lock later (SQLITE_BUSY_SNAPSHOT) when a command-line
// tool writes at the same time: take the lock at once.
const WRITES: Transactions = { begin: 'begin immediate' };
const READS: Transactions = {};
/** Inside a transaction that is open already. */
const INSIDE: Transactions = { begin: 'savepoint step', commit: 'release step', rollback: 'rollback to step' };

function dialect(db: BetterSqlite.Database, transactions: Transactions, tell: Tell, answered: Answered): SqliteDialect {
  const statements = new Map<string, Statement>();
  function prepare(text: string): Statement {
    const statement = asked(text, tell, () => db.prepare(text));
    const timed = <T>(ask: () => T): T => {
      const started = performance.now();
      try {
        return asked(text, tell, ask);
      } finally {
        answered(performance.now() - started);
      }
    };
    return {
      reader: statement.reader,
      all: (values) => timed(() => statement.all(values)),
      run: (values) => timed(() => statement.run(values)),
      iterate: (values) => asked(text, tell, () => statement.iterate(values)),
    };
  }
  return new SqliteDialect({
    database: {
      prepare(sql: string) {
        // It has ended a transaction on its own when there was no room: what else went wrong would hide that.
        if (sql === 'rollback' && !db.inTransaction) return NOTHING as never;
        const text = transactions[sql] ?? sql;
        let statement = statements.get(text);
        if (!statement) {
          statement = prepare(text);
          if (statements.size < 500) statements.set(text, statement);
        }
        return statement as never;
      },
      close: () => void db.close(),
    },
  });
}

const NOTHING: Statement = {
  reader: false,
  all: () => [],
  run: () => ({ changes: 0, lastInsertRowid: 0 }),
  iterate: () => [][Symbol.iterator](),
};

/**
 * For reading alone. The driver answers at once, so no read is ever under way when the next begins, and none needs to wait
 * for another. The query builder would let them: it wakes every waiting one after each, which costs a burst of n reads n².
 */
function readerDialect(db: BetterSqlite.Database, tell: Tell, answered: Answered): Dialect {
  const base = dialect(db, READS, tell, answered);
  const adapter = Object.create(base.createAdapter(), { supportsMultipleConnections: { value: true } });
  return {
    createDriver: () => base.createDriver(),
    createQueryCompiler: () => base.createQueryCompiler(),
    createIntrospector: (kysely) => base.createIntrospector(kysely),
    createAdapter: () => adapter,
  };
}

interface Unit {
  /** Whether somebody relies on it once it is committed. */
  isDurable: boolean;
  run(query: Transaction<Schema>): Promise<unknown>;
  resolve(value: unknown): void;
  reject(error: unknown): void;
}

const SAVEPOINT = CompiledQuery.raw('savepoint unit');
const ROLLBACK_TO = CompiledQuery.raw('rollback to unit');
const RELEASE = CompiledQuery.raw('release unit');

/** The most transactions that share one wait for the disk. */
const GROUP = 64;

/**
 * One writer at a time, and one wait for the disk for all who queued up meanwhile: each transaction is a savepoint of
 * a common one, or that one itself where nobody else waits. A failure undoes its own savepoint only; nobody hears of success before the common commit is durable, or
 * committed if all of them may be lost.
 *
 * @param waitForDisk whether commits wait for it from here on
 */
function groupCommit(writer: Kysely<Schema>, waitForDisk: (wait: boolean) => void) {
  const queue: Unit[] = [];
  let running: Promise<void> | null = null;

  async function commitGroup(group: Unit[]): Promise<void> {
    const answers: (() => void)[] = [];
    /** What went wrong in each of them, which says more than what comes of it at the commit. */
    const failures = new Map<Unit, unknown>();
    // Who is alone undoes the transaction itself.
    const isAlone = group.length === 1;
    try {
      waitForDisk(group.some((unit) => unit.isDurable));
      await writer.transaction().execute(async (query) => {
        for (const unit of group) {
          if (!isAlone) await query.executeQuery(SAVEPOINT);
          try {
            const value = await unit.run(query);
            answers.push(() => unit.resolve(value));
          } catch (error) {
            failures.set(unit, error);
            if (isAlone) throw error;
            // No savepoint is left of what the database itself has ended: then the whole group has failed of this.
            await query.executeQuery(ROLLBACK_TO).catch(() => {
              throw error;
            });
            answers.push(() => unit.reject(error));
          }
          if (!isAlone) await query.executeQuery(RELEASE);
        }
      });
    } catch (error) {
      for (const unit of group) unit.reject(failures.get(unit) ?? error);
      return;
    }
    for (const answer of answers) answer();
  }

  async function drain(): Promise<void> {
    while (queue.length > 0) {
      // SQLite answers at once, so without this turn of the event loop nobody else's request would ever be read
      // meanwhile, and every group would be one.
      await new Promise((resolve) => setImmediate(resolve));
      await commitGroup(queue.splice(0, GROUP));
    }
    running = null;
  }

  return {
    transact<T>(run: (query: Transaction<Schema>) => Promise<T>, { mayBeLost = false }: Durability = {}): Promise<T> {
      return new Promise<T>((resolve, reject) => {
        queue.push({ isDurable: !mayBeLost, run, resolve: resolve as Unit['resolve'], reject });
        running ??= drain();
      });
    },
    idle: async (): Promise<void> => {
      await running;
    },
  };
}

/**
 * SQLite: one connection that writes, one that reads and sees only committed rows. The file is created with mode 0600
 * by the caller's umask; WAL needs a local file system.
 */
export function openSqlite(path: string, tell: Tell, answered: Answered = () => {}): Engine {
  const writerFile = open(path, false);
  const readerFile = open(path, false);
  readerFile.pragma('query_only = ON');
  const writer = new Kysely<Schema>({ dialect: dialect(writerFile, WRITES, tell, answered) });
  let waits = true;
  /** What is not waited for stands in the log of SQLite all the same, before what follows: the next wait is for both. */
  function waitForDisk(wait: boolean): void {
    if (wait === waits) return;
    writerFile.pragma(`synchronous = ${wait ? 'FULL' : 'NORMAL'}`);
    waits = wait;
  }
  const { transact, idle } = groupCommit(writer, waitForDisk);
  return {
    driver: 'sqlite',
    writer,
    reader: new Kysely<Schema>({ dialect: readerDialect(readerFile, tell, answered) }),
    async snapshot(run) {
      const file = open(path, false);
      file.pragma('query_only = ON');
      const kysely = new Kysely<Schema>({ dialect: dialect(file, READS, tell, answered) });
      try {
        return await kysely.transaction().execute(run);
      } finally {
        await kysely.destroy();
      }
    },
    async migrating(run) {
      // The query builder makes each statement durable by itself here, and whoever is killed between two of them would
      // leave a schema that nothing can bring up to date.
      const inside = new Kysely<Schema>({ dialect: dialect(writerFile, INSIDE, tell, answered) });
      asked('begin', tell, () => writerFile.exec('begin immediate'));
      try {
        const result = await run(inside);
        asked('commit', tell, () => writerFile.exec('commit'));
        return result;
      } finally {
        if (writerFile.inTransaction) writerFile.exec('rollback');
      }
    },
    transact,
    connections: () => null,
    async notify() {},
    // A command-line tool commits in its own process; readers of the log look for that once a second anyway.
    onNotify: () => () => {},
    // What is in this process is never away.
    onAway: () => () => {},
    async close() {
      await idle();
      readerFile.close();
      writerFile.close();
    },
  };
}
