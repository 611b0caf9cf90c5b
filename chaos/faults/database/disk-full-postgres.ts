import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { serverUser, whyNoPostgres } from '../../../server/src/db/test-postgres.ts';
import { startLoadOnPostgres } from '../../../server/src/testing/load.ts';
import { fill, makeDisk, whyNoDisk } from '../../disk.ts';
import type { Fault } from '../../fault.ts';
import { withoutWriting } from '../../no-writing.ts';
import { directorySettings } from '../../observe.ts';

export const fault: Fault = {
  title: 'the disk of a Postgres database is full',
  inEveryTest: false,
  missing: () => whyNoPostgres() ?? whyNoDisk(),
  async run(scope) {
    const disk = makeDisk(scope, 256, serverUser()!);
    const load = await startLoadOnPostgres(scope, disk);
    const server = await load.start('first', { env: await directorySettings(load.folder) });
    const filler = join(disk, 'filler');
    return withoutWriting(load, server, {
      refusal: 'storage_full',
      cause: /No space left on device/,
      promisedSeconds: 15,
      // Postgres makes room for itself as it goes on.
      someFit: true,
      take: () => fill(filler),
      giveBack: () => rm(filler),
    });
  },
};
