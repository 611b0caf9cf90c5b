import type { ErrorCode } from '#shared/errors.ts';
import { Refusal } from '#shared/errors.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../platform/clock.ts';
import type { Channel, ChannelKind } from './channel.ts';
import {
  deleteChannel,
  findChannel,
  insertChannel,
  listChannels,
  type StoredChannel,
  updateChannel,
} from './channel-store.ts';
import { hiddenSettings, sharesSecret } from './create-channel.ts';
import { skipChannel } from './delivery-store.ts';
import type { ChannelInput } from './settings.ts';

/** Who changes something. `personId` null: an operator on the server's machine. */
export interface Operator {
  readonly personId: string | null;
  readonly isAdmin: boolean;
  readonly username: string;
  readonly remoteAddr: string | null;
}

/** What only an administrator may set up, even for themselves: it runs on the server, or reaches whole lists of people. */
const SHARED_ONLY: readonly ChannelKind[] = ['custom', 'apprise'];

/** Channels that a person may have: each of them is told of what the person may decide, and is something to look after. */
const MOST_OF_ONE = 20;

/** What came of a change: done, or what is wrong with what was asked for. */
export type Changed =
  | { readonly ok: true; readonly revision: number }
  | { readonly ok: false; readonly problem: string };

export type Configured = ReturnType<typeof createConfigured>;

/** Channels as operators and people set them up. A shared one is an administrator's to change, a personal one its owner's. */
export function createConfigured(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  /** Null: what is wrong with settings is found when something is delivered. */
  createChannel: ((stored: StoredChannel) => Channel) | null;
  /** Called once a change is durable. */
  wake: () => void;
}) {
  const { db, events, clock } = deps;

  /** What is wrong with its settings, in words of its kind; null: nothing. */
  function problemOf(channel: StoredChannel): string | null {
    try {
      deps.createChannel?.(channel);
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  /** Somebody else's looks like one that is not there. @throws Refusal */
  function mayChange(channel: StoredChannel | null, by: Operator): StoredChannel {
    if (channel === null) throw new Refusal('not_found');
    if (channel.owner === null) {
      if (!by.isAdmin) throw new Refusal('forbidden' satisfies ErrorCode);
    } else if (channel.owner !== by.personId) throw new Refusal('not_found');
    return channel;
  }

  /** Why a name is none for a new channel of everybody; null: it is. Personal channels have no variables. */
  async function nameProblemOf(work: UnitOfWork, name: string): Promise<string | null> {
    const shared = (await listChannels(work.query)).filter(({ owner }) => owner === null);
    const other = sharesSecret(
      name,
      shared.map((channel) => channel.name),
    );
    return other === null
      ? null
      : `its variables would be those of the channel "${other}", and so its secret: name it otherwise`;
  }

  /** Those of its settings that are shown masked. */
  function hiddenOf({ kind, settings }: StoredChannel): Record<string, unknown> {
    const hidden = hiddenSettings(kind);
    return Object.fromEntries(Object.entries(settings ?? {}).filter(([setting]) => hidden.includes(setting)));
  }

  const about = (channel: StoredChannel, by: Pick<Operator, 'username' | 'remoteAddr'>) => ({
    username: '',
    actor: by.username,
    remoteAddr: by.remoteAddr,
    // Never its settings: an address may be a secret.
    data: { name: channel.name, kind: channel.kind, shared: channel.owner === null },
  });

  return {
    list: (): Promise<StoredChannel[]> => listChannels(db.query),
    problemOf,

    /**
     * Makes a channel.
     *
     * @param name of one that is there, or that would share the secret of one: nothing is changed, and the problem says so
     * @param personal for its maker alone
     * @throws Refusal
     */
    async add(name: string, input: ChannelInput, { personal }: { personal: boolean }, by: Operator): Promise<Changed> {
      if (!personal && !by.isAdmin) throw new Refusal('forbidden');
      if (personal && (by.personId === null || SHARED_ONLY.includes(input.kind))) throw new Refusal('forbidden');
      const now = clock.now();
      const channel: StoredChannel = {
        ...input,
        name,
        owner: personal ? by.personId : null,
        revision: 1,
        createdAt: now,
        updatedAt: now,
        updatedBy: by.username,
      };
      const problem = problemOf(channel);
      if (problem !== null) return { ok: false, problem };
      return db.transaction(async (work) => {
        const taken = personal ? null : await nameProblemOf(work, name);
        if (taken !== null) return { ok: false, problem: taken };
        const own = (await listChannels(work.query)).filter(({ owner }) => owner !== null && owner === channel.owner);
        if (own.length >= MOST_OF_ONE) return { ok: false, problem: `you have ${MOST_OF_ONE} channels already` };
        if (!(await insertChannel(work, channel)))
          return { ok: false, problem: `there is a channel "${name}" already` };
        await events.append(work, { event: 'notification_channel_added', ...about(channel, by) });
        return { ok: true, revision: 1 };
      });
    },

    /**
     * Changes one that has this revision. Settings that are left out stay; its kind stays.
     *
     * @param keepHidden of the settings those that are shown masked stay as they are, all of them: who could give one anew
     *   and keep another would have a secret sent to an address of theirs
     * @throws Refusal
     */
    async change(
      name: string,
      revision: number,
      set: Partial<Omit<ChannelInput, 'kind'>>,
      by: Operator,
      { keepHidden = false } = {},
    ): Promise<Changed> {
      const before = mayChange(await findChannel(db.query, name), by);
      if (before.revision !== revision) return { ok: false, problem: 'it was changed by somebody else' };
      const kept = keepHidden ? hiddenOf(before) : {};
      const anew = hiddenSettings(before.kind).find((setting) => Object.hasOwn(set.settings ?? {}, setting));
      if (keepHidden && anew !== undefined)
        return { ok: false, problem: `${anew} is given and kept: give all settings that are masked, or none` };
      const channel: StoredChannel = {
        ...before,
        ...set,
        ...(set.settings === undefined ? {} : { settings: { ...kept, ...set.settings } }),
        revision: revision + 1,
        updatedAt: clock.now(),
        updatedBy: by.username,
      };
      // One that cannot be made can still be switched off.
      const problem = set.settings === undefined ? null : problemOf(channel);
      if (problem !== null) return { ok: false, problem };
      return db.transaction(async (work) => {
        if (!(await updateChannel(work, channel))) return { ok: false, problem: 'it was changed by somebody else' };
        const said = about(channel, by);
        const changed = Object.keys(set).sort();
        await events.append(work, {
          event: 'notification_channel_changed',
          ...said,
          data: { ...said.data, changed, enabled: channel.enabled, paused: channel.paused },
        });
        work.afterCommit(deps.wake);
        return { ok: true, revision: channel.revision };
      });
    },

    /** Removes one; what waits for it is told to nobody. An administrator may remove anybody's. @throws Refusal */
    async remove(name: string, by: Operator): Promise<void> {
      await db.transaction(async (work) => {
        const found = await findChannel(work.query, name);
        const channel = by.isAdmin && found !== null ? found : mayChange(found, by);
        if (!(await deleteChannel(work, name))) throw new Refusal('not_found');
        await skipChannel(work, name, 'the channel is gone', clock.now());
        await events.append(work, { event: 'notification_channel_deleted', ...about(channel, by) });
      });
    },

    /**
     * Its receiver says that the address is none any more: a personal one goes, a shared one is switched off until somebody
     * has looked. One that was changed since, or made anew under the same name, has another address for all that is known.
     */
    async forget(
      work: UnitOfWork,
      told: Pick<StoredChannel, 'name' | 'createdAt' | 'revision'>,
      reason: string,
    ): Promise<void> {
      const { name } = told;
      const channel = await findChannel(work.query, name);
      if (channel === null || channel.createdAt !== told.createdAt || channel.revision !== told.revision) return;
      const said = { ...about(channel, { username: 'receiver', remoteAddr: null }), reason };
      await skipChannel(work, name, 'the address is no longer one', clock.now());
      if (channel.owner !== null) {
        await deleteChannel(work, name);
        await events.append(work, { event: 'notification_channel_deleted', ...said });
        return;
      }
      const off = { ...channel, enabled: false, revision: channel.revision + 1, updatedAt: clock.now() };
      await updateChannel(work, { ...off, updatedBy: 'receiver' });
      await events.append(work, {
        event: 'notification_channel_changed',
        ...said,
        data: { ...said.data, changed: ['enabled'], enabled: false, paused: channel.paused },
      });
    },
  };
}
