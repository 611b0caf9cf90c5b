import { access, constants } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Ground, HealthCheck, Module } from '../platform/module.ts';

/** Where everything is kept: whether it can be written and whether it answers. */
export function storageModule({
  config,
  events,
  unreadable,
}: Pick<Ground, 'config' | 'events' | 'unreadable'>): Module {
  return {
    name: 'storage',
    metrics: [unreadable.metric],
    health: [
      diskCheck(config.database.driver === 'sqlite' ? dirname(config.database.dsn) : config.keysDir),
      {
        name: 'database',
        severity: 'critical',
        run: async () => {
          await events.head();
          return null;
        },
      },
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
