import type { Database, UnitOfWork } from './database.ts';
import { kysely, type Query } from './query.ts';

/** Which installation a database belongs to. */
export interface Installation {
  serverId: string;
  /** RFC 7638 thumbprint of the trust root. */
  trustRoot: string;
  evaluation: boolean;
}

async function readMeta(db: Pick<Database, 'query'>): Promise<Map<string, string>> {
  const rows = await kysely(db.query).selectFrom('meta').selectAll().execute();
  return new Map(rows.map(({ key, value }) => [key, value]));
}

/**
 * Whether a database and the keys that were found may be used together, before anything is made.
 *
 * @throws when one of them is new and the other is not: an operator who lost one of them has to be told, not to get another
 */
export async function checkTogether(
  db: Database,
  keys: 'none' | 'unclaimed' | 'claimed',
  where: { keysDir: string },
): Promise<void> {
  const isNew = (await readMeta(db)).size === 0;
  if (isNew && keys === 'claimed') {
    throw new Error(
      `the database is empty, but the keys in ${where.keysDir} belong to an installation that has one. Restore the database from a backup; for a new installation, remove the keys.`,
    );
  }
  if (!isNew && keys === 'none') {
    throw new Error(
      `the database belongs to an installation whose keys are not in ${where.keysDir}. Restore them from a backup.`,
    );
  }
}

/** Notes which version has served with this database, for one that is too old for it. */
export async function noteVersion(db: Database, version: string): Promise<void> {
  if ((await readMeta(db)).get('version') === version) return;
  await db.transaction(async (work) => {
    await kysely(work.query)
      .insertInto('meta')
      .values({ key: 'version', value: version })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: version }))
      .execute();
  });
}

/**
 * Binds a new database to the server's keys, or checks that they belong together.
 *
 * @param first runs in the transaction that stamps a new database.
 * @throws when the keys are another installation's, or an evaluation database meets production.
 */
export async function claimInstallation(
  db: Database,
  installation: Installation,
  first: (work: UnitOfWork) => Promise<void>,
): Promise<void> {
  const wanted = {
    server_id: installation.serverId,
    trust_root: installation.trustRoot,
    evaluation: installation.evaluation ? 'yes' : 'no',
  };
  if ((await readMeta(db)).size === 0) {
    await db.transaction(async (work) => {
      const inserted = await kysely(work.query)
        .insertInto('meta')
        .values(Object.entries(wanted).map(([key, value]) => ({ key, value })))
        .onConflict((conflict) => conflict.doNothing())
        .executeTakeFirst();
      // Another replica may have been first.
      if (inserted.numInsertedOrUpdatedRows === 3n) await first(work);
    });
  }
  const meta = await readMeta(db);
  if (meta.get('evaluation') !== wanted.evaluation) {
    throw new Error(
      meta.get('evaluation') === 'yes'
        ? 'this database belongs to an evaluation installation and is not accepted in production'
        : 'this database belongs to a production installation and is not touched by evaluation mode',
    );
  }
  if (meta.get('server_id') !== wanted.server_id || meta.get('trust_root') !== wanted.trust_root) {
    throw new Error(
      'the database and the keys folder belong to different installations. Restore both from one backup.',
    );
  }
}

/** One fact about this installation; null when it is not known. */
export async function readFact(query: Query, key: string): Promise<string | null> {
  const row = await kysely(query).selectFrom('meta').select('value').where('key', '=', key).executeTakeFirst();
  return row?.value ?? null;
}

export async function writeFact(work: UnitOfWork, key: string, value: string): Promise<void> {
  await kysely(work.query)
    .insertInto('meta')
    .values({ key, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .execute();
}
