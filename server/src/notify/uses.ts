import type { Database } from '../db/database.ts';
import type { UnreadableRows } from '../platform/unreadable.ts';
import { findChannel } from './channel-store.ts';
import { countDead, waitingOn } from './delivery-store.ts';
import { listPreferences } from './preference-store.ts';
import { listRoutes } from './route-store.ts';
import type { RouteRule } from './settings.ts';

/** Counted no further than this. */
const MOST_COUNTED = 1000;

/** What would be without a channel that is removed. */
export interface Uses {
  /** Routes that name it. They stay, and tell the others that they name. */
  readonly routes: readonly { readonly id: string; readonly rule: RouteRule }[];
  /** How many people chose it for what they are told. */
  readonly people: number;
  /** What waits for it, and what was given up on it, each counted up to 1,000. */
  readonly waiting: number;
  readonly dead: number;
}

/** @returns says what depends on a shared channel; null: there is none of this name */
export function createUses(deps: {
  db: Pick<Database, 'query'>;
  unreadable: Pick<UnreadableRows, 'report'>;
}): (name: string) => Promise<Uses | null> {
  const { query } = deps.db;
  return async (name) => {
    const channel = await findChannel(query, name);
    if (channel === null || channel.owner !== null) return null;
    const routes = (await listRoutes(query)).flatMap((route) => {
      if (!('unreadable' in route))
        return route.rule.channels.includes(name) ? [{ id: route.id, rule: route.rule }] : [];
      deps.unreadable.report('notify_routes', route);
      return [];
    });
    const chosen = [...(await listPreferences(query)).values()];
    return {
      routes,
      people: chosen.filter((one) => !('unreadable' in one) && one.channels.includes(name)).length,
      waiting: (await waitingOn(query, channel, MOST_COUNTED))?.count ?? 0,
      dead: await countDead(query, channel, MOST_COUNTED),
    };
  };
}
