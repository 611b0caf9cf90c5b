import type { Database } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Viewer } from '../http/viewer.ts';
import type { Clock } from '../platform/clock.ts';
import { listChannels } from './channel-store.ts';
import { findPreferences, putPreferences } from './preference-store.ts';
import { DEFAULT_PREFERENCES, type Preferences } from './settings.ts';

export type Chosen = ReturnType<typeof createChosen>;

/** What people want to be told, each for themselves. */
export function createChosen(deps: { db: Database; events: Pick<EventLog, 'append'>; clock: Clock }) {
  const { db, events, clock } = deps;
  return {
    /** `chosen` false: they get what everybody gets who has chosen nothing. */
    async get(personId: string): Promise<Preferences & { chosen: boolean }> {
      const found = await findPreferences(db.query, personId);
      const chosen = found !== null && !('unreadable' in found);
      return { ...(chosen ? found : DEFAULT_PREFERENCES), chosen };
    },

    /** A channel has to be the person's own, or shared where they are an administrator. */
    async set(
      viewer: Pick<Viewer, 'person' | 'role' | 'remoteAddr'>,
      wanted: Preferences,
    ): Promise<{ ok: true } | { ok: false; problem: string }> {
      const { id, username, issuer, subject } = viewer.person;
      const channels = await listChannels(db.query);
      const isTheirs = (name: string) =>
        channels.some(
          (channel) =>
            channel.name === name && (channel.owner === id || (channel.owner === null && viewer.role === 'admin')),
        );
      const foreign = wanted.channels.find((name) => !isTheirs(name));
      if (foreign !== undefined) return { ok: false, problem: `there is no channel "${foreign}" of yours` };
      await db.transaction(async (work) => {
        await putPreferences(work, id, wanted, clock.now());
        await events.append(work, {
          event: 'notification_preferences_changed',
          username,
          remoteAddr: viewer.remoteAddr,
          data: { issuer, subject, enabled: wanted.enabled },
        });
      });
      return { ok: true };
    },

    /** Takes over what somebody had chosen elsewhere. @returns false when they have chosen here already */
    import: (personId: string, { username, wanted }: { username: string; wanted: Preferences }): Promise<boolean> =>
      db.transaction(async (work) => {
        if ((await findPreferences(work.query, personId)) !== null) return false;
        await putPreferences(work, personId, wanted, clock.now());
        const data = { enabled: wanted.enabled };
        await events.append(work, {
          event: 'notification_preferences_changed',
          username,
          actor: 'identree-server',
          data,
        });
        return true;
      }),
  };
}
