import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { serverUser, whyNoPostgres } from '../../../server/src/db/test-postgres.ts';
import { startLoadOnPostgres, until } from '../../../server/src/testing/load.ts';
import { fill, makeDisk, whyNoDisk } from '../../disk.ts';
import type { Fault } from '../../fault.ts';
import { withoutWriting } from '../../no-writing.ts';
import { directorySettings } from '../../observe.ts';

export const fault: Fault = {
  title: 'the disk of a Postgres database is full',
  missing: () => whyNoPostgres() ?? whyNoDisk(),
  async run(scope) {
    const disk = makeDisk(scope, 256, serverUser()!);
    const load = await startLoadOnPostgres(scope, disk);
    const server = await load.start('first', { env: await directorySettings(load.folder) });
    const operator = new pg.Client({ connectionString: load.dsn });
    operator.on('error', () => {});
    scope.after(() => operator.end().catch(() => {}));
    await operator.connect();
    const filler = join(disk, 'filler');
    return withoutWriting(load, server, {
      refusal: 'storage_full',
      cause: /No space left on device/,
      promisedSeconds: 15,
      // Postgres makes room for itself as it goes on.
      someFit: true,
      async take() {
        // A log that finds no room for its next file ends Postgres, and that is another fault: it gets a whole one first.
        await operator.query('select pg_switch_wal()');
        const before = server.created();
        await until(() => server.created() > before + 1);
        await fill(filler);
      },
      giveBack: () => rm(filler),
    });
  },
};
