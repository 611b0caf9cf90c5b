import pg from 'pg';
import { whyNoPostgres } from '../../../server/src/db/test-postgres.ts';
import { startLoadOnPostgres } from '../../../server/src/testing/load.ts';
import type { Fault } from '../../fault.ts';
import { withoutWriting } from '../../no-writing.ts';
import { directorySettings } from '../../observe.ts';

export const fault: Fault = {
  title: 'the database may only be read, as the copy of another one',
  missing: whyNoPostgres,
  async run(scope) {
    const load = await startLoadOnPostgres(scope);
    const operator = new pg.Client({ connectionString: load.dsn });
    scope.after(() => operator.end().catch(() => {}));
    await operator.connect();
    const server = await load.start('first', { env: await directorySettings(load.folder) });
    return withoutWriting(load, server, {
      refusal: 'storage_read_only',
      cause: /read-only transaction/,
      promisedSeconds: 3,
      async take() {
        await operator.query('alter database postgres set default_transaction_read_only = on');
        // As a database that has become the copy of another one lets nobody stay.
        await operator.query(
          'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()',
        );
      },
      async giveBack() {
        await operator.query('set default_transaction_read_only = off');
        await operator.query('alter database postgres reset default_transaction_read_only');
      },
    });
  },
};
