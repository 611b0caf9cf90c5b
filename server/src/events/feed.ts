import { type EventRecord, eventKind, type Topic } from '#shared/events.ts';
import type { Viewer } from '../http/viewer.ts';
import type { EventLog } from './log.ts';

/** What a signed-in person is told about an event. */
export type FeedEvent = Pick<
  EventRecord,
  'seq' | 'at' | 'event' | 'username' | 'hostId' | 'hostname' | 'challengeId' | 'code' | 'actor' | 'reason'
> & { topic: Topic };

/** May this viewer see this event? */
export function maySeeEvent(viewer: Viewer, event: EventRecord): boolean {
  if (viewer.role === 'admin') return true;
  if (!eventKind(event.event)?.own) return false;
  return event.challengeId === null
    ? event.username === viewer.person.username
    : viewer.accounts.includes(event.username);
}

export interface EventFeed {
  /** Sequence number of the newest event: where a stream without a past begins. */
  head(): Promise<number>;
  /**
   * Events after `after` that the viewer may see, for as long as the signal lasts. Who is asking is looked up anew
   * before each batch: a session that ended, or a role that was taken away, ends or narrows the stream.
   */
  open(viewer: () => Promise<Viewer | null>, after: number, signal: AbortSignal): AsyncGenerator<FeedEvent>;
  /** Ends every stream: the server is stopping. */
  close(): void;
}

const BATCH = 100;
const RECHECK_MS = 15_000;

export function createEventFeed(deps: { events: Pick<EventLog, 'read' | 'head' | 'follow'> }): EventFeed {
  const stopping = new AbortController();
  return {
    head: async () => (await deps.events.head()).seq,
    close: () => stopping.abort(),
    async *open(viewer, after, gone) {
      const signal = AbortSignal.any([gone, stopping.signal]);
      let wake = () => {};
      let fresh = false;
      const stop = deps.events.follow(() => {
        fresh = true;
        wake();
      });
      const onAbort = () => wake();
      signal.addEventListener('abort', onAbort);
      try {
        let cursor = after;
        while (!signal.aborted) {
          fresh = false;
          const events = await deps.events.read(cursor, BATCH);
          const who = await viewer();
          if (!who) return;
          for (const event of events) {
            cursor = event.seq;
            if (!maySeeEvent(who, event)) continue;
            const { seq, at, event: name, username, hostId, hostname, challengeId, code, actor, reason } = event;
            yield {
              seq,
              at,
              event: name,
              topic: eventKind(name)?.topic ?? 'server',
              username,
              hostId,
              hostname,
              challengeId,
              code,
              actor,
              reason,
            };
          }
          if (events.length === BATCH || fresh || signal.aborted) continue;
          await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, RECHECK_MS);
            wake = () => {
              clearTimeout(timer);
              resolve();
            };
            if (fresh || signal.aborted) wake();
          });
        }
      } finally {
        stop();
        signal.removeEventListener('abort', onAbort);
      }
    },
  };
}
