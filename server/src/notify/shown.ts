import type { Database } from '../db/database.ts';
import type { ChannelKind } from './channel.ts';
import type { StoredChannel } from './channel-store.ts';
import { shownAddress } from './channels/exchange.ts';
import { hiddenSettings, KINDS } from './create-channel.ts';
import { countDead, newestOn, waitingOn } from './delivery-store.ts';

/** Counted no further than this. */
const MOST_COUNTED = 1000;

/** A channel as people are shown it. */
export interface ChannelView {
  readonly name: string;
  readonly kind: ChannelKind;
  /** With everything masked that its kind does not show, also in addresses. Null: what is stored cannot be read. */
  readonly settings: Readonly<Record<string, unknown>> | null;
  /** Settings of its kind that are masked. */
  readonly hidden: readonly string[];
  readonly shared: boolean;
  readonly enabled: boolean;
  readonly paused: boolean;
  readonly perMinute: number;
  readonly atOnce: number;
  readonly foldFrom: number;
  readonly revision: number;
  readonly updatedAt: number;
  readonly updatedBy: string;
  /** Why nothing can be sent on it: a setting or the environment of the server. Null: nothing is known to be wrong. */
  readonly problem: string | null;
  /** When something was delivered last, of what is kept; null: never. */
  readonly deliveredAt: number | null;
  /** What is wrong with what is newest of it; null: nothing. */
  readonly failure: { readonly at: number; readonly reason: string | null } | null;
  /** Counted up to 1,000. */
  readonly dead: number;
  /** What waits, counted up to 1,000, and since when the first of it is due; null: nothing waits. */
  readonly waiting: { readonly count: number; readonly since: number } | null;
}

/** Everything that could be a secret masked. What is no text is shown: a port is none. */
function masked(value: unknown): unknown {
  if (typeof value === 'string') return value === '' ? '' : shownAddress(value);
  if (Array.isArray(value)) return value.map(masked);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, masked(one)]));
}

/** Settings as they are shown: what their kind shows, and of everything else only what it is. */
function shownSettings({ kind, settings }: StoredChannel): ChannelView['settings'] {
  if (settings === null) return null;
  const { shown } = KINDS[kind];
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => [name, shown.includes(name) ? value : masked(value)]),
  );
}

/** What is shown of a channel, and how it fares. */
export async function channelView(
  query: Database['query'],
  channel: StoredChannel,
  problem: string | null,
): Promise<ChannelView> {
  const { name, kind, owner, enabled, paused, perMinute, atOnce, foldFrom } = channel;
  const delivered = await newestOn(query, channel, 'delivered');
  const failed = await newestOn(query, channel, 'failed');
  const deliveredAt = delivered?.ended_at ?? null;
  const isNewer =
    failed !== null && (deliveredAt === null || (failed.ended_at ?? Number.MAX_SAFE_INTEGER) >= deliveredAt);
  return {
    ...{ name, kind, enabled, paused, perMinute, atOnce, foldFrom },
    settings: shownSettings(channel),
    hidden: hiddenSettings(kind),
    shared: owner === null,
    revision: channel.revision,
    updatedAt: channel.updatedAt,
    updatedBy: channel.updatedBy,
    problem,
    deliveredAt,
    failure: isNewer ? { at: failed.ended_at ?? failed.created_at, reason: failed.reason } : null,
    dead: await countDead(query, channel, MOST_COUNTED),
    waiting: await waitingOn(query, channel, MOST_COUNTED),
  };
}
