import { Refusal } from '#shared/errors.ts';
import type { Database } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../platform/clock.ts';
import type { Random } from '../platform/random.ts';
import type { UnreadableRow } from '../platform/unreadable.ts';
import { listChannels } from './channel-store.ts';
import type { Changed, Operator } from './configured.ts';
import { deleteRoute, findRoute, insertRoute, listRoutes, type StoredRoute, updateRoute } from './route-store.ts';
import type { RouteRule } from './settings.ts';

export type Routes = ReturnType<typeof createRoutes>;

type By = Pick<Operator, 'username' | 'remoteAddr'>;

/** Which events go to which shared channels. Only administrators come here. */
export function createRoutes(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  random: Pick<Random, 'uuid'>;
}) {
  const { db, events, clock } = deps;

  /** What is wrong with a rule; null: nothing. What is sent to one person follows from what that person has chosen. */
  async function problemOf({ channels }: RouteRule): Promise<string | null> {
    const known = new Map((await listChannels(db.query)).map((channel) => [channel.name, channel]));
    for (const name of channels) {
      const channel = known.get(name);
      if (channel === undefined) return `there is no channel "${name}"`;
      if (channel.owner !== null) return `the channel "${name}" is one person's`;
    }
    return null;
  }

  const about = (id: string, by: By, data: Record<string, unknown>) => ({
    username: '',
    actor: by.username,
    remoteAddr: by.remoteAddr,
    data: { id, ...data },
  });

  return {
    list: (): Promise<(StoredRoute | UnreadableRow)[]> => listRoutes(db.query),

    async add(rule: RouteRule, enabled: boolean, by: By): Promise<Changed & { id?: string }> {
      const problem = await problemOf(rule);
      if (problem !== null) return { ok: false, problem };
      const id = deps.random.uuid();
      const now = clock.now();
      const route = { id, rule, enabled, revision: 1, createdAt: now, updatedAt: now, updatedBy: by.username };
      await db.transaction(async (work) => {
        await insertRoute(work, route);
        await events.append(work, { event: 'notification_route_added', ...about(id, by, { ...rule, enabled }) });
      });
      return { ok: true, revision: 1, id };
    },

    /** Changes one that has this revision. @throws Refusal */
    async change(id: string, revision: number, rule: RouteRule, enabled: boolean, by: By): Promise<Changed> {
      if ((await findRoute(db.query, id)) === null) throw new Refusal('not_found');
      const problem = await problemOf(rule);
      if (problem !== null) return { ok: false, problem };
      const set = { id, rule, enabled, revision: revision + 1, updatedAt: clock.now(), updatedBy: by.username };
      return db.transaction(async (work) => {
        if (!(await updateRoute(work, set))) return { ok: false, problem: 'it was changed by somebody else' };
        await events.append(work, { event: 'notification_route_changed', ...about(id, by, { ...rule, enabled }) });
        return { ok: true, revision: set.revision };
      });
    },

    /** Removes one that has this revision. @throws Refusal */
    async remove(id: string, revision: number, by: By): Promise<Changed> {
      return db.transaction(async (work) => {
        const route = await findRoute(work.query, id);
        if (route === null) throw new Refusal('not_found');
        if (!(await deleteRoute(work, id, revision))) return { ok: false, problem: 'it was changed by somebody else' };
        const rule = 'unreadable' in route ? {} : route.rule;
        await events.append(work, { event: 'notification_route_deleted', ...about(id, by, rule) });
        return { ok: true, revision };
      });
    },
  };
}
