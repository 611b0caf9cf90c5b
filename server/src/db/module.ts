import { access, constants } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import type { Ground, HealthCheck, Module } from '../platform/module.ts';
import { writeProbe } from './probe-store.ts';
import { DatabaseTrouble } from './trouble.ts';

/** How long what was found is told to all who ask, milliseconds: anybody may ask, and each look is written to the disk. */
const TOLD_FOR_MS = 1000;
/** After this the row of a server that was not heard of is removed, milliseconds. */
const FORGOTTEN_AFTER_MS = 24 * 60 * 60_000;

/** Where everything is kept: whether it can be written and whether it answers. */
export function storageModule(
  ground: Pick<Ground, 'config' | 'db' | 'events' | 'clock' | 'random' | 'unreadable'>,
): Module {
  const { config, unreadable } = ground;
  return {
    name: 'storage',
    metrics: [unreadable.metric, ...ground.db.metrics],
    health: [
      diskCheck(config.database.driver === 'sqlite' ? dirname(config.database.dsn) : config.keysDir),
      databaseCheck(ground),
    ],
  };
}

/** `disk`: the folder of keys or database can be written. */
export function diskCheck(folder: string): HealthCheck {
  return {
    name: 'disk',
    severity: 'critical',
    run: async () => {
      try {
        await access(folder, constants.W_OK);
        return null;
      } catch {
        return 'not_writable';
      }
    },
  };
}

/**
 * `database`: it answers, and what is written to it stays. Only writing shows that: a full disk, or a database that has
 * become a copy of another one, answers every question.
 */
function databaseCheck({ db, events, clock, random }: Pick<Ground, 'db' | 'events' | 'clock' | 'random'>): HealthCheck {
  const holder = `${hostname()} ${random.uuid()}`;
  let looked: { at: number; found: Promise<string | null> } | null = null;

  async function look(): Promise<string | null> {
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

  return {
    name: 'database',
    severity: 'critical',
    run() {
      const now = performance.now();
      if (looked === null || now - looked.at > TOLD_FOR_MS) looked = { at: now, found: look() };
      return looked.found;
    },
  };
}
