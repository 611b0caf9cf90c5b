import type { Logger } from 'pino';
import { type EventRecord, eventKind, type FeedEvent } from '#shared/events.ts';
import type { Credentials, Viewer } from '../http/viewer.ts';
import type { EventLog } from './log.ts';

/** May this viewer see this event? */
export function maySeeEvent(viewer: Viewer, event: EventRecord): boolean {
  if (viewer.role === 'admin') return true;
  if (!eventKind(event.event)?.own) return false;
  if (event.challengeId !== null) return viewer.accounts.includes(event.username);
  // By who it is about, and not by name: another person may be called the same.
  const { issuer, subject } = event.data;
  return issuer === viewer.person.issuer && subject === viewer.person.subject;
}

function shown(event: EventRecord): FeedEvent {
  const { seq, at, event: name, username, hostId, hostname, challengeId, code, actor, reason } = event;
  const topic = eventKind(name)?.topic ?? 'server';
  return { seq, at, event: name, topic, username, hostId, hostname, challengeId, code, actor, reason };
}

export interface EventFeed {
  /** Sequence number of the newest event: where a stream without a past begins. */
  head(): Promise<number>;
  /** Id of the person behind these credentials; null: there is none. */
  personOf(credentials: Credentials): Promise<string | null>;
  /**
   * Events after `after` that the person may see, for as long as the signal lasts. Who is asking is looked up anew before
   * each event: a session that ended, or a role that was taken away, ends or narrows the stream.
   */
  open(credentials: Credentials, after: number, signal: AbortSignal): AsyncGenerator<FeedEvent>;
  /** Ends every stream: the server is stopping. */
  close(): void;
}

/** A client that follows. */
interface Stream {
  readonly credentials: Credentials;
  /** Decided on for this stream, and not read by its client yet. */
  readonly queue: FeedEvent[];
  /** Everything up to here was decided on. */
  cursor: number;
  /** True: it is told what happens as it happens. False: it reads from the database until it has caught up. */
  live: boolean;
  ended: boolean;
  wake: () => void;
}

const BATCH = 100;
/** A client that has as many to read is let go of, and reads the rest from the database when it comes to it. */
const QUEUE = 500;
const RECHECK_MS = 15_000;
/**
 * How many streams are looked up and told at a time. In between the server answers others: to tell thousands takes longer
 * than a host may be kept waiting.
 */
const AT_ONCE = 100;
/**
 * The longest that it rests after all were told, milliseconds: as long as that took, so that half of the time is left for
 * others. What happens meanwhile is told together.
 */
const REST_MS = 150;

/**
 * The live feed. What happens is read from the log once for all who follow, and they are looked up many at a time. Nobody
 * else is held up by it for long, however many they are.
 */
export function createEventFeed(deps: {
  events: Pick<EventLog, 'read' | 'head' | 'follow'>;
  /** Who is behind these credentials now, in their order; null: no person any more. */
  viewersOf: (credentials: readonly Credentials[]) => Promise<(Viewer | null)[]>;
  log: Pick<Logger, 'error'>;
}): EventFeed {
  const { events, viewersOf, log } = deps;
  const streams = new Set<Stream>();
  let pending: EventRecord[] = [];
  let busy = false;
  let recheckDue = false;
  let closed = false;
  /** Everything up to here is for those that were live when it happened: who is not reads it from the database. */
  let dispatched = 0;

  /** Looks all live streams up and gives them what is new. */
  async function dispatch(): Promise<void> {
    const batch = pending;
    pending = [];
    // Before the look-up, and however that ends: a stream that catches up meanwhile must not go on behind this.
    dispatched = Math.max(dispatched, batch.at(-1)?.seq ?? 0);
    const told = batch.map((event) => ({ event, shown: shown(event) }));
    const live = [...streams].filter((stream) => stream.live);
    for (let from = 0; from < live.length; from += AT_ONCE) {
      if (from > 0) await new Promise((resolve) => setImmediate(resolve));
      // The server stopped meanwhile, and the database goes with it.
      if (closed) return;
      await tell(live.slice(from, from + AT_ONCE), told);
    }
  }

  /** Looks some streams up and gives them what is new. */
  async function tell(
    some: readonly Stream[],
    told: readonly { event: EventRecord; shown: FeedEvent }[],
  ): Promise<void> {
    const viewers = await viewersOf(some.map(({ credentials }) => credentials));
    for (const [index, stream] of some.entries()) {
      // One that has fallen behind meanwhile reads all of this from the database.
      if (!stream.live) continue;
      const viewer = viewers[index] ?? null;
      if (viewer === null) stream.ended = true;
      else give(stream, viewer, told);
      stream.wake();
    }
  }

  function give(stream: Stream, viewer: Viewer, told: readonly { event: EventRecord; shown: FeedEvent }[]): void {
    for (const { event, shown } of told) {
      if (event.seq <= stream.cursor) continue;
      stream.cursor = event.seq;
      if (maySeeEvent(viewer, event)) stream.queue.push(shown);
    }
    if (stream.queue.length > QUEUE) fallBehind(stream);
  }

  function fallBehind(stream: Stream): void {
    const [oldest] = stream.queue.splice(0);
    if (oldest) stream.cursor = oldest.seq - 1;
    stream.live = false;
  }

  async function run(): Promise<void> {
    if (busy) return;
    busy = true;
    try {
      while (!closed && (pending.length > 0 || recheckDue)) {
        recheckDue = false;
        // What happens in one turn of the event loop is told together.
        await new Promise((resolve) => setImmediate(resolve));
        const started = performance.now();
        await dispatch();
        const took = performance.now() - started;
        if (took >= 1) await new Promise((resolve) => setTimeout(resolve, Math.min(took, REST_MS)));
      }
    } catch (err) {
      log.error({ err }, 'live events could not be told; those who follow read them from the database');
      for (const stream of streams) {
        fallBehind(stream);
        stream.wake();
      }
    } finally {
      busy = false;
      // What came meanwhile is not to wait for the next event.
      if (!closed && pending.length > 0) void run();
    }
  }

  const unfollow = events.follow((event) => {
    pending.push(event);
    void run();
  });
  // Sessions also end by time, and nobody writes an event then.
  const recheck = setInterval(() => {
    recheckDue = streams.size > 0;
    void run();
  }, RECHECK_MS).unref();

  /** What the stream missed, from the database; live when there is no more. */
  async function* catchUp(stream: Stream, signal: AbortSignal): AsyncGenerator<FeedEvent> {
    while (!stream.ended && !signal.aborted) {
      const batch = await events.read(stream.cursor, BATCH);
      const [viewer] = await viewersOf([stream.credentials]);
      if (!viewer) {
        stream.ended = true;
        return;
      }
      for (const event of batch) {
        stream.cursor = event.seq;
        if (maySeeEvent(viewer, event)) yield shown(event);
      }
      // From here to the next event nothing is awaited: what is dispatched after this comes to the queue.
      if (batch.length < BATCH && stream.cursor >= dispatched) {
        stream.live = true;
        return;
      }
    }
  }

  return {
    head: async () => (await events.head()).seq,
    personOf: async (credentials) => (await viewersOf([credentials]))[0]?.person.id ?? null,
    close() {
      unfollow();
      clearInterval(recheck);
      closed = true;
      for (const stream of streams) {
        stream.ended = true;
        stream.wake();
      }
    },
    async *open(credentials, after, signal) {
      const stream: Stream = {
        credentials,
        queue: [],
        cursor: after,
        live: false,
        ended: closed,
        wake: () => {},
      };
      const onAbort = () => stream.wake();
      signal.addEventListener('abort', onAbort);
      streams.add(stream);
      try {
        while (!signal.aborted) {
          if (!stream.live && !stream.ended) {
            yield* catchUp(stream, signal);
            continue;
          }
          const next = stream.queue.shift();
          if (next) {
            yield next;
            continue;
          }
          if (stream.ended) return;
          await new Promise<void>((resolve) => {
            stream.wake = resolve;
          });
          stream.wake = () => {};
        }
      } finally {
        streams.delete(stream);
        signal.removeEventListener('abort', onAbort);
      }
    },
  };
}
