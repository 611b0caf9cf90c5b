import { statSync } from 'node:fs';
import { access, constants, statfs } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { COMMON_VALUES, healthCheck } from '../platform/health-check.ts';
import type { Ground, HealthCheck, Module } from '../platform/module.ts';
import { writeProbe } from './probe-store.ts';
import { DatabaseTrouble, type TroubleKind } from './trouble.ts';

/** How long what was found is told to all who ask, milliseconds: anybody may ask, and each look is written to the disk. */
const TOLD_FOR_MS = 1000;
/** After this the row of a server that was not heard of is removed, milliseconds. */
const FORGOTTEN_AFTER_MS = 24 * 60 * 60_000;

/** Where everything is kept: whether it can be written and whether it answers. */
export function storageModule(
  ground: Pick<Ground, 'config' | 'log' | 'db' | 'events' | 'clock' | 'random' | 'unreadable'>,
): Module {
  const { config, unreadable } = ground;
  return {
    name: 'storage',
    metrics: [unreadable.metric, ...ground.db.metrics],
    health: [
      diskCheck(
        config.database.driver === 'sqlite' ? dirname(config.database.dsn) : config.keysDir,
        () => config.database.driver === 'sqlite' && ground.db.wasFull(),
      ),
      databaseCheck(ground),
    ],
  };
}

/** With less than this free nothing that is decided has room, octets. */
const LEAST_FREE = 64 * 1024;

/**
 * `disk`: the folder of keys or database can be written, and has room.
 *
 * @param wasFull whether the database that lies there has found that there is no room: a quota does not show otherwise
 */
export function diskCheck(folder: string, wasFull: () => boolean = () => false): HealthCheck {
  return healthCheck({
    name: 'disk',
    about: 'The disk with the SQLite database; with Postgres the one with the keys folder.',
    severity: 'critical',
    values: {
      not_writable:
        'The folder is not there or cannot be written: look at its owner and mode, and whether the disk is mounted read-only.',
      full: 'There is no room left on it. Make room; the server goes on by itself.',
    },
    run: async () => {
      try {
        await access(folder, constants.W_OK);
      } catch {
        return 'not_writable';
      }
      const { bavail, bsize } = await statfs(folder);
      return bavail * bsize < LEAST_FREE || wasFull() ? 'full' : null;
    },
  });
}

/**
 * An open SQLite file is read and written on when its name is gone, so no statement ever fails of it.
 *
 * @returns whether what lies at the path is still the file that lay there when this was called
 */
function watchPlace(path: string): () => boolean {
  const look = (): string | null => {
    const found = statSync(path, { bigint: true, throwIfNoEntry: false });
    return found === undefined ? null : `${found.dev} ${found.ino}`;
  };
  const opened = look();
  return () => look() === opened;
}

/**
 * `database`: it answers, and what is written to it stays. Only writing shows that: a full disk, or a database that has
 * become a copy of another one, answers every question.
 */
function databaseCheck({
  config,
  log,
  db,
  events,
  clock,
  random,
}: Pick<Ground, 'config' | 'log' | 'db' | 'events' | 'clock' | 'random'>): HealthCheck {
  const { driver, dsn } = config.database;
  const isInPlace = driver === 'sqlite' ? watchPlace(dsn) : () => true;
  let goneTold = false;
  const holder = `${hostname()} ${random.uuid()}`;
  type Found = TroubleKind | 'gone' | 'error' | null;
  let looked: { at: number; found: Promise<Found> } | null = null;

  async function look(): Promise<Found> {
    if (!isInPlace()) {
      if (!goneTold) log.error({ file: dsn }, 'the database file was removed or replaced: what is written now is lost');
      goneTold = true;
      return 'gone';
    }
    goneTold = false;
    try {
      await events.head();
      const now = clock.now();
      await db.transaction((work) => writeProbe(work, holder, now, now - FORGOTTEN_AFTER_MS));
      // The row of a probe stays where it is; what is decided needs more room than was ever used.
      return db.wasFull() ? 'full' : null;
    } catch (error) {
      return error instanceof DatabaseTrouble ? error.kind : 'error';
    }
  }

  return healthCheck({
    name: 'database',
    about: 'Whether the database answers, and whether what is written to it stays.',
    severity: 'critical',
    values: {
      away: 'It does not answer. Is it running, and does the network lead there? The server goes on by itself once it answers.',
      busy: 'Others hold for too long what is needed. With Postgres `pg_stat_activity` shows who; with SQLite another process has the file.',
      full: 'There is no room left. Make room where the database lies; the server goes on by itself, up to ten seconds later.',
      read_only:
        'Nothing may be written: a Postgres that is a standby, or an SQLite file whose owner or disk has changed.',
      gone: 'SQLite: the file was moved, removed or replaced while the server runs, and what is written now is lost when it stops. Move it back, with those that end in `-wal` and `-shm`; if it is nowhere, stop the server and [restore a backup](backup.md).',
      damaged: 'What is stored cannot be read. The log names the table. [Restore a backup](backup.md).',
      error: COMMON_VALUES.error,
    },
    run() {
      const now = performance.now();
      if (looked === null || now - looked.at > TOLD_FOR_MS) looked = { at: now, found: look() };
      return looked.found;
    },
  });
}
