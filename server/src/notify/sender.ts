import type { Logger } from 'pino';
import { isErased, type LoggedEvent } from '#shared/events.ts';
import { visibleText } from '#shared/visible-text.ts';
import type { Announcing } from '../challenges/announcing.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import { createTurn, type Lease, type Leases } from '../db/leases.ts';
import { DatabaseTrouble } from '../db/trouble.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../platform/clock.ts';
import type { Random } from '../platform/random.ts';
import { backoffMs, LONGEST_ASKED_MS } from './backoff.ts';
import type { Channel, Delivery, Exchange, Notice } from './channel.ts';
import { listChannels, type StoredChannel } from './channel-store.ts';
import * as store from './delivery-store.ts';
import { createLane, type Lane } from './lane.ts';
import { noticeOf, type OneTapLink, type TestedBy, testNotice } from './notice.ts';
import { LOOK_THROUGH_EVERY_MS, uselessOn } from './paused-queue.ts';
import type { Planning } from './planning.ts';
import { TAKES_BACK, takenBackNotice } from './taking-back.ts';

/** What becomes of deliveries and attempts, as it is counted. */
export type Counted = 'sent' | 'failed' | 'skipped' | 'folded' | 'dead_lettered';

/** The lease of who delivers, for all servers. */
export const SENDER_LEASE = 'notifications';

/** Safety net when nobody says that there is something to do, milliseconds. */
const LOOK_EVERY_MS = 1000;
/** How many of a channel are looked at together: so many can be told as one. */
const LOOK_AT = 500;
const MAX_REASON = 500;
/** How long one that was told to end may take for it, milliseconds. */
const END_WITHIN_MS = 5000;
/** How long those that are under way may go on when the server stops, milliseconds. */
const FINISH_WITHIN_MS = 3000;

export interface SenderDeps {
  db: Database;
  events: Pick<EventLog, 'read'>;
  clock: Clock;
  random: Pick<Random, 'int'>;
  leases: Leases;
  log: Pick<Logger, 'error'>;
  announcing: Announcing;
  /** Makes a channel of what is stored. @throws when it cannot be made */
  createChannel: (stored: StoredChannel) => Channel;
  oneTapLink: OneTapLink;
  /** Whether a person may be told of an event at this moment. */
  mayBeTold: Planning['mayBeTold'];
  /** Name of this server, for tests of channels. */
  hostname: string;
  /** An attempt that takes longer has failed, milliseconds. */
  timeoutMs: number;
  /** The address of a channel is no longer one; part of the transaction in which that is noted. */
  forget: (work: UnitOfWork, channel: StoredChannel, reason: string) => Promise<void>;
  counted: (channel: StoredChannel, status: Counted, count: number) => void;
  /** How long a successful attempt took, seconds. */
  took: (channel: StoredChannel, seconds: number) => void;
}

/**
 * Delivers what is queued: in one process at a time, each channel at its own pace, so that none waits for another. What was
 * under way when a process died is delivered again, under the same id; what a process has delivered that meanwhile lost its
 * turn is noted by its successor.
 */
export function createSender(deps: SenderDeps) {
  const { db, clock, leases, log } = deps;
  const turn = createTurn(leases, SENDER_LEASE);
  const leaving = new AbortController();
  const ending = new AbortController();
  const lanes = new Map<string, Lane>();
  const made = new Map<string, { of: string; channel: Channel }>();
  /** When the queue of a channel that is paused was looked through last. */
  const lookedThrough = new Map<string, number>();
  const underWay = new Set<Promise<void>>();
  let wakeUp = () => {};
  let fresh = true;
  let running: Promise<void> | null = null;

  function wake(): void {
    fresh = true;
    wakeUp();
  }

  /** Resolves after `ms`; with `wakeable`, as soon as there may be something to do. */
  const pause = (ms: number, wakeable: boolean): Promise<void> =>
    new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        if (wakeable) wakeUp = () => {};
        leaving.signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms).unref();
      leaving.signal.addEventListener('abort', done);
      if (wakeable) wakeUp = done;
      if (leaving.signal.aborted || (wakeable && fresh)) done();
    });

  /** Another channel that is given the name of one that is gone does not wait for the receiver of that one. */
  function laneOf({ name, createdAt }: StoredChannel): Lane {
    const of = `${createdAt} ${name}`;
    const lane = lanes.get(of) ?? createLane(clock);
    lanes.set(of, lane);
    return lane;
  }

  /** @throws when it cannot be made */
  function channelOf(stored: StoredChannel): Channel {
    // Another one may have the name of one that is gone.
    const of = `${stored.createdAt} ${stored.revision}`;
    const known = made.get(stored.name);
    if (known?.of === of) return known.channel;
    const channel = deps.createChannel(stored);
    made.set(stored.name, { of, channel });
    return channel;
  }

  /** Writes what only the one may write whose turn it is. @returns null when it is no longer this process's */
  async function write<T>(lease: Lease, run: (work: UnitOfWork) => Promise<T>): Promise<T | null> {
    const written = await db.transaction(async (work) =>
      (await leases.stillHas(work, lease)) ? { value: await run(work) } : null,
    );
    if (written === null) turn.lost();
    return written?.value ?? null;
  }

  /** Nobody is told of these, nor of what they stood for unless it is to be told itself. */
  async function skip(lease: Lease, channel: StoredChannel, ids: readonly string[], reason: string): Promise<void> {
    const skipped = await write(lease, async (work) => {
      const ended = await store.skipQueued(work, ids, reason, clock.now());
      if ((await store.unfold(work, ids)) > 0) work.afterCommit(wake);
      return ended;
    });
    if (skipped) deps.counted(channel, 'skipped', skipped);
  }

  /** What of a flood is told by one that stands for the others. @returns the others */
  async function fold(lease: Lease, channel: StoredChannel, ready: readonly store.Queued[]): Promise<Set<string>> {
    const gone = new Set<string>();
    if (channel.foldFrom === 0) return gone;
    const groups = Map.groupBy(
      ready.filter(({ seq }) => seq !== null),
      ({ fold_key }) => fold_key,
    );
    const standing = await store.foldedCounts(
      db.query,
      [...groups.values()].flatMap(([first, second]) => (second === undefined ? [] : first!.id)),
    );
    for (const [head, ...others] of groups.values()) {
      if (others.length === 0) continue;
      if (others.length + 1 < channel.foldFrom && !standing.has(head!.id)) continue;
      const ids = others.map(({ id }) => id);
      const folded = await write(lease, async (work) => {
        // What these stood for is stood for by the one that stands for them.
        await store.unfold(work, ids);
        await store.foldInto(work, head!.id, ids, clock.now());
        return true;
      });
      if (folded === null) return gone;
      for (const id of ids) gone.add(id);
      deps.counted(channel, 'folded', ids.length);
    }
    return gone;
  }

  /** Begins what there is room for on a channel. */
  async function fill(lease: Lease, channel: StoredChannel, lane: Lane, room: number): Promise<void> {
    // One that is read as queued may have been delivered by the time that the answer is here.
    const busy = lane.underWay();
    const found = await store.dueOn(db.query, channel.name, clock.now(), LOOK_AT + busy.size);
    // A name is free again once its channel is gone: what was for that one is not for whoever has the name now.
    const isForeign = ({ person }: store.Queued) => person !== (channel.owner ?? '');
    const foreign = found.filter(isForeign).map(({ id }) => id);
    if (foreign.length > 0) await skip(lease, channel, foreign, 'the channel is gone');
    const due = found.filter((one) => !isForeign(one) && !busy.has(one.id));
    const asked = [...new Set(due.flatMap(({ announces }) => announces ?? []))];
    const open = await deps.announcing.open(asked);
    const isOver = ({ announces }: store.Queued) => announces !== null && !open.has(announces);
    const over = due.filter(isOver).map(({ id }) => id);
    if (over.length > 0) await skip(lease, channel, over, 'the request is over');
    const ready = due.filter((one) => !isOver(one));
    const gone = await fold(lease, channel, ready);
    const next = ready.filter(({ id }) => !gone.has(id)).slice(0, room);
    for (const one of next) {
      if (leaving.signal.aborted || !turn.isSure()) return;
      lane.begin(one.id);
      const attempt = deliver(lease, channel, lane, one).finally(() => {
        lane.end(one.id);
        underWay.delete(attempt);
        wake();
      });
      underWay.add(attempt);
    }
  }

  /** What waits for a channel that is paused is let go once it is of no use: it is looked through now and then. */
  async function lookThrough(lease: Lease, channel: StoredChannel, lane: Lane): Promise<void> {
    const now = clock.now();
    const last = lookedThrough.get(channel.name) ?? Number.NEGATIVE_INFINITY;
    // A clock that is put back looks anew.
    if (now >= last && now - last < LOOK_THROUGH_EVERY_MS) return;
    lookedThrough.set(channel.name, now);
    const useless = await uselessOn(db.query, channel.name, {
      now,
      busy: lane.underWay(),
      announcing: deps.announcing,
    });
    for (const { ids, reason } of useless) await skip(lease, channel, ids, reason);
  }

  /** What is told, or why nothing is any more. */
  async function tell(one: store.Queued): Promise<Notice | { readonly ended: string }> {
    if (one.seq === null) {
      const [by] = JSON.parse(one.because) as [TestedBy];
      return testNotice(one, by, deps.hostname);
    }
    const [event] = (await deps.events.read(one.seq - 1, 1)) as [LoggedEvent?];
    if (event?.seq !== one.seq || isErased(event)) return { ended: 'the event is no longer in the log' };
    const request = event.challengeId === null ? null : await deps.announcing.request(event.challengeId);
    if (one.step === TAKES_BACK)
      return request === null ? { ended: 'the request is gone' } : takenBackNotice(one, event.at, request);
    if (one.person !== '' && !(await deps.mayBeTold(one.person, event, request)))
      return { ended: 'it is not for this person any more' };
    const folded = (await store.foldedCounts(db.query, [one.id])).get(one.id) ?? 0;
    return noticeOf(one, event, { request, folded, oneTapLink: deps.oneTapLink });
  }

  /** One attempt. Ends in time, also where the channel does not. */
  async function attempt(stored: StoredChannel, notice: Notice, seen: (exchange: Exchange) => void): Promise<Delivery> {
    let channel: Channel;
    try {
      channel = channelOf(stored);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      return { outcome: 'later', reason: `it is not set up as it should be: ${reason}`, retryMs: null };
    }
    const end = new AbortController();
    const stop = () => end.abort();
    const timer = setTimeout(stop, deps.timeoutMs);
    ending.signal.addEventListener('abort', stop);
    let patience: NodeJS.Timeout | undefined;
    const tooLong = new Promise<Delivery>((resolve) => {
      const reason = `no answer within ${deps.timeoutMs / 1000} s`;
      end.signal.addEventListener('abort', () => {
        patience = setTimeout(() => resolve({ outcome: 'later', reason, retryMs: null }), END_WITHIN_MS);
      });
    });
    try {
      return await Promise.race([channel.deliver(notice, end.signal, seen), tooLong]);
    } catch (error) {
      log.error({ err: error, channel: stored.name }, 'a notification channel failed in a way of its own');
      return { outcome: 'later', reason: 'it failed; the log of the server says why', retryMs: null };
    } finally {
      clearTimeout(timer);
      clearTimeout(patience);
      ending.signal.removeEventListener('abort', stop);
    }
  }

  async function deliver(lease: Lease, channel: StoredChannel, lane: Lane, one: store.Queued): Promise<void> {
    try {
      const notice = await tell(one);
      if ('ended' in notice) return await skip(lease, channel, [one.id], notice.ended);
      // A process that was stopped for a while and goes on: its successor delivers it.
      if (!turn.isSure()) return;
      const at = clock.now();
      const begun = performance.now();
      let exchange: Exchange | null = null;
      const answer = await attempt(channel, notice, (seen) => {
        exchange = seen;
      });
      const tookMs = Math.round(performance.now() - begun);
      // The server stops, and gave it up: nothing went wrong with it.
      if (ending.signal.aborted && answer.outcome !== 'delivered') return;
      if (answer.outcome === 'later' && answer.retryMs !== null) lane.hold(Math.min(answer.retryMs, LONGEST_ASKED_MS));
      await note(lease, channel, one, answer, { at, tookMs, exchange });
    } catch (err) {
      if (!(err instanceof DatabaseTrouble)) log.error({ err, delivery: one.id }, 'a notification was not delivered');
      // Not again at once: what is wrong may be wrong for longer.
      await pause(LOOK_EVERY_MS, false);
    }
  }

  /** Notes what came of an attempt, until that is noted: what was delivered is not to be delivered again. */
  async function note(
    lease: Lease,
    channel: StoredChannel,
    one: store.Queued,
    answer: Delivery,
    { at, tookMs, exchange }: { at: number; tookMs: number; exchange: Exchange | null },
  ): Promise<void> {
    const { outcome } = answer;
    const reason = answer.outcome === 'delivered' ? null : visibleText(answer.reason.slice(0, MAX_REASON));
    const isDead = outcome === 'refused' || (outcome === 'later' && one.attempts_left <= 1);
    const pauseMs = answer.outcome === 'later' ? backoffMs(one.attempts + 1, answer.retryMs, deps.random) : 0;
    const noted = (now: number): store.Noted => {
      if (outcome === 'delivered') return { status: 'delivered', reason: null, at: now };
      return isDead ? { status: 'dead', reason, at: now } : { status: 'queued', reason: reason!, dueAt: now + pauseMs };
    };
    for (;;) {
      try {
        const isNoted = await write(lease, async (work) => {
          const attempt = { at, took_ms: tookMs, outcome, reason, exchange: exchange && JSON.stringify(exchange) };
          if (!(await store.noteAttempt(work, one, noted(clock.now()), attempt))) return false;
          if (answer.outcome === 'refused' && answer.gone) await deps.forget(work, channel, reason!);
          return true;
        });
        if (!isNoted) return;
        break;
      } catch (err) {
        if (leaving.signal.aborted) return;
        if (!(err instanceof DatabaseTrouble))
          log.error({ err, delivery: one.id }, 'what came of a notification was not noted; it is tried again');
        await pause(LOOK_EVERY_MS, false);
      }
    }
    if (answer.outcome === 'delivered') {
      deps.counted(channel, 'sent', 1);
      deps.took(channel, tookMs / 1000);
    } else {
      deps.counted(channel, 'failed', 1);
      if (isDead) deps.counted(channel, 'dead_lettered', 1);
    }
  }

  /** Looks at every channel for which something waits. @returns after how many milliseconds to look again, at the latest */
  async function look(lease: Lease): Promise<number> {
    const waiting = await store.queuedChannels(db.query);
    if (waiting.length === 0) return LOOK_EVERY_MS;
    const channels = new Map((await listChannels(db.query)).map((channel) => [channel.name, channel]));
    let next = LOOK_EVERY_MS;
    for (const { channel: name, dueAt } of waiting) {
      if (leaving.signal.aborted || !turn.isSure()) break;
      const channel = channels.get(name);
      if (channel === undefined) {
        await write(lease, (work) => store.skipChannel(work, name, 'the channel is gone', clock.now()));
        continue;
      }
      if (!channel.enabled) {
        const reason = 'the channel is switched off';
        const skipped = await write(lease, (work) => store.skipChannel(work, name, reason, clock.now()));
        if (skipped) deps.counted(channel, 'skipped', skipped);
        continue;
      }
      const lane = laneOf(channel);
      if (channel.paused) {
        await lookThrough(lease, channel, lane);
        continue;
      }
      const now = clock.now();
      const room = lane.room(channel);
      if (dueAt > now) next = Math.min(next, dueAt - now);
      else if (room.count > 0) await fill(lease, channel, lane, room.count);
      else next = Math.min(next, room.waitMs ?? LOOK_EVERY_MS);
    }
    return next;
  }

  async function run(): Promise<void> {
    while (!leaving.signal.aborted) {
      try {
        const lease = await turn.has();
        if (lease === null) {
          await pause(leases.renewEveryMs, false);
          continue;
        }
        fresh = false;
        await pause(await look(lease), true);
      } catch (err) {
        if (!(err instanceof DatabaseTrouble)) log.error({ err }, 'notifications are not delivered; it is tried again');
        await pause(LOOK_EVERY_MS, false);
      }
    }
  }

  return {
    start(): void {
      running ??= run();
    },
    /** There may be something to deliver. */
    wake,
    /** Those that are under way may finish; what is left is for the next one. */
    async stop(): Promise<void> {
      leaving.abort();
      await running;
      const timer = setTimeout(() => ending.abort(), FINISH_WITHIN_MS);
      await Promise.all(underWay);
      clearTimeout(timer);
      if (running) await turn.release().catch(() => {});
    },
  };
}
