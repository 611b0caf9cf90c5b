import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { startLoad } from '../../../server/src/testing/load.ts';
import { fill, makeDisk, whyNoDisk } from '../../disk.ts';
import type { Fault } from '../../fault.ts';
import { withoutWriting } from '../../no-writing.ts';
import { directorySettings } from '../../observe.ts';

export const fault: Fault = {
  title: 'the disk of an SQLite database is full',
  missing: whyNoDisk,
  async run(scope) {
    const disk = makeDisk(scope, 128);
    const load = await startLoad(scope, { driver: 'sqlite', dsn: join(disk, 'identree.db') });
    const server = await load.start('first', { env: await directorySettings(load.folder) });
    const filler = join(disk, 'filler');
    return withoutWriting(load, server, {
      refusal: 'storage_full',
      cause: /database or disk is full/,
      // What was taken over into the database gives its place in the log free.
      someFit: true,
      promisedSeconds: 15,
      take: () => fill(filler),
      giveBack: () => rm(filler),
    });
  },
};
