import type { Announcing } from '../challenges/announcing.ts';
import type { Query } from '../db/query.ts';
import * as store from './delivery-store.ts';

/** How long something waits for a channel that is paused: a long weekend and more. Older than that it is no news. */
export const WAITS_FOR_MS = 7 * 24 * 60 * 60_000;
/** How often is looked at what waits for a channel that is paused, milliseconds. */
export const LOOK_THROUGH_EVERY_MS = 60_000;

const AT_ONCE = 500;

/** What of the queue of a channel is of no use any more, however long it is paused. */
export interface Useless {
  readonly reason: string;
  readonly ids: readonly string[];
}

/**
 * Looks through what waits for a channel that is paused. Whoever resumes it wants what they missed and can still use:
 * neither requests that were decided meanwhile, nor the news of last month.
 *
 * @param busy deliveries that are under way still: what comes of them is noted
 */
export async function uselessOn(
  query: Query,
  channel: string,
  { now, busy, announcing }: { now: number; busy: ReadonlySet<string>; announcing: Pick<Announcing, 'open'> },
): Promise<Useless[]> {
  const free = (ids: readonly string[]) => ids.filter((id) => !busy.has(id));
  const requests = await store.announcedOn(query, channel);
  const over: string[] = [];
  for (let at = 0; at < requests.length; at += AT_ONCE) {
    const some = requests.slice(at, at + AT_ONCE);
    const open = await announcing.open(some);
    const ended = some.filter((id) => !open.has(id));
    over.push(...(await store.announcementsOn(query, channel, ended)));
  }
  const old = await store.waitingSince(query, channel, now - WAITS_FOR_MS);
  return [
    { reason: 'the request is over', ids: free(over) },
    { reason: 'it waited for seven days while the channel was paused', ids: free(old) },
  ].filter(({ ids }) => ids.length > 0);
}
