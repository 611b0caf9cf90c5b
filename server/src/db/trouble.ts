/**
 * What is wrong with a database that can be asked or written no more: it is `away`, others hold for too long what is
 * needed (`busy`), there is no room (`full`), nothing may be written (`read_only`), or what is stored is `damaged`.
 */
export type TroubleKind = 'away' | 'busy' | 'full' | 'read_only' | 'damaged';

/** What is wrong, in words. */
export const TROUBLE_SAYS: Record<TroubleKind, string> = {
  away: 'the database does not answer',
  busy: 'the database is held up by another transaction',
  full: 'the database has no room left',
  read_only: 'the database may only be read',
  damaged: 'the database is damaged',
};

/** A failure that is the database's own, whatever was asked. Its cause is what the driver said. */
export class DatabaseTrouble extends Error {
  readonly kind: TroubleKind;
  /** Where it was noticed; null: not at a table. */
  readonly table: string | null;

  constructor(kind: TroubleKind, cause: unknown, statement = '') {
    const table = tableOf(statement);
    const said = cause instanceof Error ? `: ${cause.message}` : '';
    // Where it was noticed first says something only where it is the fault of that table, or of who holds it.
    const where = table === null || kind === 'away' ? '' : `, noticed at table ${table}`;
    super(`${TROUBLE_SAYS[kind]}${where}${said}`, { cause });
    this.kind = kind;
    this.table = table;
  }
}

/** The first table that a statement names. Values are not part of it: they may be secrets. */
const tableOf = (statement: string): string | null =>
  /\b(?:from|into|update|join|table)\s+"?([a-z_]+)"?/i.exec(statement)?.[1] ?? null;

/** By the first letters of the code: codes of Postgres are listed in its appendix A, those of SQLite in its result codes. */
const KINDS: readonly [prefix: string, kind: TroubleKind][] = [
  // The connection is gone, too many are open, or the server stops or starts.
  ['08', 'away'],
  ['53300', 'away'],
  ['57P', 'away'],
  // It ended a transaction that stood still, or a statement that took too long.
  ['25P03', 'busy'],
  ['40', 'busy'],
  ['55P03', 'busy'],
  ['57014', 'busy'],
  ['SQLITE_BUSY', 'busy'],
  ['53', 'full'],
  ['SQLITE_FULL', 'full'],
  ['25006', 'read_only'],
  ['SQLITE_READONLY', 'read_only'],
  ['58', 'damaged'],
  ['XX', 'damaged'],
  ['SQLITE_CORRUPT', 'damaged'],
  ['SQLITE_IOERR', 'damaged'],
  ['SQLITE_NOTADB', 'damaged'],
];

/** What a code of the driver says; null for one that is the fault of who asked. */
function kindOf(code: string): TroubleKind | null {
  return KINDS.find(([prefix]) => code.startsWith(prefix))?.[1] ?? null;
}

/**
 * An error of a driver as what it means here. One that is the fault of who asked stays as it is.
 *
 * @param statement what was asked, without values
 * @param otherwise what an error without a code of the database means: a driver that speaks over a network fails with
 * those of the connection
 */
export function asTrouble(error: unknown, statement = '', otherwise: TroubleKind | null = null): unknown {
  if (error instanceof DatabaseTrouble || !(error instanceof Error) || error instanceof TypeError) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  const ofDatabase = /^(SQLITE_|[0-9A-Z]{5}$)/.test(code) && !/^E[A-Z]{4}$/.test(code);
  const kind = ofDatabase ? kindOf(code) : otherwise;
  return kind === null ? error : new DatabaseTrouble(kind, error, statement);
}
