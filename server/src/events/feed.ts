import type { Logger } from 'pino';
import { type EventRecord, eventKind, type FeedEvent } from '#shared/events.ts';
import type { Credentials, Viewer } from '../http/viewer.ts';
import type { EventLog } from './log.ts';

/** May this viewer see this event? */
export function maySeeEvent(viewer: Pick<Viewer, 'person' | 'role' | 'accounts'>, event: EventRecord): boolean {
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

/** Whom a stream tells. */
export interface StreamClient {
  /** Is given an event. False: that is enough for now, and `resume` says when there is room for more. */
  tell(event: FeedEvent): boolean;
  /** Nothing comes any more: the session has ended, the server stops, or what was missed cannot be read. */
  end(): void;
}

/** A stream that is open. */
export interface OpenStream {
  /** The client has read what it was given. */
  resume(): void;
  /** The client has gone: nothing is given to it any more, not even the end. */
  leave(): void;
}

export interface EventFeed {
  /** Sequence number of the newest event: where a stream without a past begins. */
  head(): Promise<number>;
  /** Id of the person behind these credentials; null: there is none. */
  personOf(credentials: Credentials): Promise<string | null>;
  /**
   * Tells a client of events after `after` that the person may see, until it leaves or its stream ends. Who is asking is
   * looked up anew before each event: a session that ended, or a role that was taken away, ends or narrows the stream.
   */
  open(credentials: Credentials, after: number, client: StreamClient): OpenStream;
  /** Ends every stream: the server is stopping. */
  close(): void;
}

/**
 * A client that follows. It is called and waits for nothing: thousands of promises that wait from one event to the next
 * would each outlive the collection of short-lived memory, and stay until all of the heap is looked through.
 */
interface Stream {
  readonly credentials: Credentials;
  readonly client: StreamClient;
  /** Decided on for this stream; its client has not had room for it yet. */
  readonly queue: FeedEvent[];
  /** Everything up to here was decided on. */
  cursor: number;
  /** True: it is told what happens as it happens. False: it reads from the database until it has caught up. */
  live: boolean;
  /** The client has enough for now. */
  full: boolean;
  /** What it missed is being read. */
  reading: boolean;
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
}): EventFeed & { /** How many streams are open. */ count(): number } {
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
      if (!stream.live || !streams.has(stream)) continue;
      const viewer = viewers[index] ?? null;
      if (viewer === null) end(stream);
      else give(stream, viewer, told);
    }
  }

  function give(stream: Stream, viewer: Viewer, told: readonly { event: EventRecord; shown: FeedEvent }[]): void {
    for (const { event, shown } of told) {
      if (event.seq <= stream.cursor) continue;
      stream.cursor = event.seq;
      if (maySeeEvent(viewer, event)) pass(stream, shown);
    }
    if (stream.queue.length > QUEUE) fallBehind(stream);
  }

  /** Gives the client an event, or keeps it until there is room. */
  function pass(stream: Stream, event: FeedEvent): void {
    if (stream.full) stream.queue.push(event);
    else stream.full = !stream.client.tell(event);
  }

  /** Gives the client what was kept for it, and then what it missed. */
  function goOn(stream: Stream): void {
    while (!stream.full && stream.queue.length > 0 && streams.has(stream))
      stream.full = !stream.client.tell(stream.queue.shift()!);
    if (!stream.full && !stream.live && !stream.reading) void catchUp(stream);
  }

  function fallBehind(stream: Stream): void {
    const [oldest] = stream.queue.splice(0);
    if (oldest) stream.cursor = oldest.seq - 1;
    stream.live = false;
  }

  function end(stream: Stream): void {
    if (streams.delete(stream)) stream.client.end();
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
        if (stream.live) fallBehind(stream);
        goOn(stream);
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

  /** What the stream missed, from the database, as far as its client has room; live when there is no more. */
  async function catchUp(stream: Stream): Promise<void> {
    stream.reading = true;
    try {
      while (!stream.live && !stream.full && streams.has(stream)) {
        const batch = await events.read(stream.cursor, BATCH);
        const [viewer] = await viewersOf([stream.credentials]);
        if (!viewer) end(stream);
        if (!viewer || !streams.has(stream)) return;
        for (const event of batch) {
          stream.cursor = event.seq;
          if (maySeeEvent(viewer, event)) pass(stream, shown(event));
        }
        // From here to the next event nothing is awaited: what is dispatched after this is given to it.
        stream.live = batch.length < BATCH && stream.cursor >= dispatched;
      }
    } catch (err) {
      log.error({ err }, 'what a client has missed of live events could not be read; it comes back for it');
      end(stream);
    } finally {
      stream.reading = false;
    }
  }

  return {
    head: async () => (await events.head()).seq,
    personOf: async (credentials) => (await viewersOf([credentials]))[0]?.person.id ?? null,
    count: () => streams.size,
    close() {
      unfollow();
      clearInterval(recheck);
      closed = true;
      for (const stream of streams) end(stream);
    },
    open(credentials, after, client) {
      const stream: Stream = {
        credentials,
        client,
        queue: [],
        cursor: after,
        live: false,
        full: false,
        reading: false,
      };
      streams.add(stream);
      if (closed) end(stream);
      else goOn(stream);
      return {
        resume() {
          stream.full = false;
          goOn(stream);
        },
        leave: () => void streams.delete(stream),
      };
    },
  };
}
