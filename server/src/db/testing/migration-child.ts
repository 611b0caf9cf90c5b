import { sql } from 'kysely';
import { migrations, openDatabase } from '../database.ts';

/** Brings the SQLite file of its argument up to date, and is killed in the middle of a further step. */
Object.assign(migrations, {
  '9999-killed': {
    async up(db: Parameters<(typeof migrations)['0001-baseline']['up']>[0]) {
      await sql`create table half (id integer)`.execute(db);
      process.kill(process.pid, 'SIGKILL');
      await new Promise(() => setInterval(() => {}, 1000));
    },
  },
});
await openDatabase({ driver: 'sqlite', dsn: process.argv[2]! });
