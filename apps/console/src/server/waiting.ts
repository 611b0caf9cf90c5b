import type { EVENTS, EventName, FeedEvent } from '#shared/events.ts';
import { atMostEvery } from './at-most.ts';

type RequestEvent = {
  [Name in EventName]: (typeof EVENTS)[Name]['topic'] extends 'requests' ? Name : never;
}[EventName];

/** What an event about a request makes of the list of those that wait. */
const CHANGES: Record<RequestEvent, 'enters' | 'leaves' | 'nothing'> = {
  challenge_created: 'enters',
  challenge_approved: 'leaves',
  challenge_rejected: 'leaves',
  challenge_expired: 'leaves',
  challenge_cancelled: 'leaves',
  // It never waited.
  auto_approved: 'nothing',
  grant_used_offline: 'nothing',
  // It does not wait any more.
  challenge_outcome: 'nothing',
  challenge_run: 'nothing',
};

/** The list of requests that wait, as it is kept here. */
export interface WaitingList<Entry> {
  /** Null: it was not answered yet. */
  read(): readonly Entry[] | null;
  write(entries: readonly Entry[]): void;
  /** Whether an answer is on its way: it may be older than what an event told meanwhile. */
  isAsked(): boolean;
  /** Asks for all of it anew. */
  askAll(): void;
  /** Asks for one of them, by its code; null when it does not wait. */
  askOne(code: string): Promise<Entry | null>;
}

/** As many as the server tells of at most: with fewer here, there may be others behind them. */
const MOST = 500;
/** How many of those that have left are remembered: the answer to an earlier question may still name them. */
const REMEMBERED = 1000;

/**
 * Keeps the list of requests that wait as events tell of it. What has left is taken out; one that has come is asked for by
 * itself, and several together by the list. However many come, the server is asked at most once in `everyMs`.
 *
 * @returns what is called with each event about a request
 */
export function keepWaiting<Entry extends { id: string; createdAt: number }>(
  list: WaitingList<Entry>,
  everyMs: number,
): (event: Pick<FeedEvent, 'event' | 'challengeId' | 'code'>) => void {
  let come: { id: string; code: string }[] = [];
  const left = new Set<string>();

  async function add({ id, code }: { id: string; code: string }): Promise<void> {
    try {
      const entry = await list.askOne(code);
      const entries = list.read();
      if (entries === null || list.isAsked()) list.askAll();
      else if (entry !== null && !left.has(id) && !entries.some((other) => other.id === id))
        list.write([...entries, entry].sort((a, b) => a.createdAt - b.createdAt));
    } catch {
      list.askAll();
    }
  }

  const ask = atMostEvery<'waiting'>(everyMs, () => {
    const [one, ...more] = come;
    come = [];
    if (one === undefined || more.length > 0 || list.read() === null || list.isAsked()) list.askAll();
    else void add(one);
  });

  function remove(id: string): void {
    left.add(id);
    if (left.size > REMEMBERED) left.delete(left.values().next().value!);
    const entries = list.read();
    const others = entries?.filter((entry) => entry.id !== id) ?? null;
    if (others !== null && others.length !== entries?.length) list.write(others);
    if (others === null || others.length + 1 >= MOST || list.isAsked()) ask('waiting');
  }

  return ({ event, challengeId, code }) => {
    const change = Object.hasOwn(CHANGES, event) ? CHANGES[event as RequestEvent] : null;
    if (change === 'nothing') return;
    if (change === 'leaves' && challengeId !== null) return remove(challengeId);
    if (change === 'enters' && challengeId !== null && code !== null) come.push({ id: challengeId, code });
    ask('waiting');
  };
}
