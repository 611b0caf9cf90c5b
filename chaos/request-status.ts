import Sqlite from 'better-sqlite3';

/** What an SQLite database that a server has open says of a request; undefined: there is none. */
export function statusIn(dsn: string, id: string): string | undefined {
  const db = new Sqlite(dsn, { readonly: true });
  try {
    return db.prepare('select status from challenges where id = ?').pluck().get(id) as string | undefined;
  } finally {
    db.close();
  }
}
