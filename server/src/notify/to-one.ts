import { isErased, type LoggedEvent } from '#shared/events.ts';
import type { Database } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import { readChallengeEvents } from '../events/store.ts';
import type { Clock } from '../platform/clock.ts';
import { noticeOf } from './notice.ts';
import { announces, type Planning } from './planning.ts';
import { afterQuiet } from './quiet-hours.ts';
import type { NotTold } from './routing.ts';
import { type NoticeLocale, noticeWords } from './words/words.ts';

const WEEK_MS = 7 * 24 * 60 * 60_000;
/** So many events are looked at, from the newest back: a busy week is not to be read to its end while others wait. */
const MOST_EVENTS = 5000;
/** Of these, requests: who may decide one is found out of policy, people and accounts. */
const MOST_REQUESTS = 200;
/** So many are shown. */
const MOST_SHOWN = 100;
const BATCH = 20;

/** Requests that are asked about at a time. */
export const MOST_ASKED_OF = 100;

/** What would have reached a person. */
export interface Week {
  /** Everything since then was looked at, milliseconds. Later than a week ago where there was too much. */
  readonly since: number;
  readonly complete: boolean;
  /** The newest of them, newest first, in the words in which they are told. */
  readonly told: readonly {
    readonly seq: number;
    readonly at: number;
    readonly event: string;
    readonly title: string;
    readonly text: string;
    /** None: they have no channel for it. */
    readonly on: readonly string[];
    /** When it would have come, where that is the end of quiet hours; null: at once. */
    readonly heldUntil: number | null;
  }[];
  /** All of them, also those that are not shown. */
  readonly count: number;
  /** Of what they may know of, why the rest would not have reached them. */
  readonly notTold: Readonly<Partial<Record<NotTold, number>>>;
}

export type ToOne = ReturnType<typeof createToOne>;

/** What reaches one person, by the rules by which everything is told. */
export function createToOne(deps: {
  db: Pick<Database, 'query'>;
  events: Pick<EventLog, 'read' | 'head'>;
  clock: Clock;
  planning: Pick<Planning, 'ofOne'>;
}) {
  const { db, events, clock, planning } = deps;

  /** Newest first, since a moment and as far as is looked. */
  async function* back(since: number): AsyncGenerator<LoggedEvent> {
    const { seq: head } = await events.head();
    const first = Math.max(0, head - MOST_EVENTS);
    for (let to = head; to > first; to -= BATCH) {
      // Others are answered in between: a database in this process answers without a pause.
      await new Promise((resolve) => setImmediate(resolve));
      const from = Math.max(first, to - BATCH);
      for (const event of (await events.read(from, to - from)).reverse()) {
        if (event.at < since) return;
        yield event;
      }
    }
  }

  return {
    /** What of the last week would be told to a person today, in the words of a notification. */
    async week(personId: string, lang: NoticeLocale = 'en'): Promise<Week> {
      const now = clock.now();
      let since = now - WEEK_MS;
      const one = await planning.ofOne(personId);
      const told: Week['told'][number][] = [];
      const notTold: Partial<Record<NotTold, number>> = {};
      if (one === null) return { since, complete: true, told, count: 0, notTold };
      let count = 0;
      let seen = 0;
      let requests = 0;
      for await (const event of back(since)) {
        if (seen + 1 >= MOST_EVENTS || requests >= MOST_REQUESTS) {
          since = event.at;
          return { since, complete: false, told, count, notTold };
        }
        seen += 1;
        if (announces(event)) requests += 1;
        if (isErased(event)) continue;
        const { why, sees, on } = await one.about(event);
        if (why !== null) {
          // What they may not know of is not counted either.
          if (sees) notTold[why] = (notTold[why] ?? 0) + 1;
          continue;
        }
        count += 1;
        if (told.length < MOST_SHOWN) told.push(await shown(event, on, one.preferences.quiet, lang));
      }
      return { since, complete: true, told, count, notTold };
    },

    /**
     * Of which of these requests a person is told where they are signed in.
     *
     * @returns those of them; the others they have chosen not to be told of, or they may not decide them
     */
    async onScreen(personId: string, ids: readonly string[]): Promise<{ ids: string[] }> {
      const one = await planning.ofOne(personId);
      const now = clock.now();
      if (one === null || !one.preferences.screens || afterQuiet(one.preferences.quiet, now) !== now)
        return { ids: [] };
      const told: string[] = [];
      for (const id of new Set(ids)) {
        const event = (await readChallengeEvents(db.query, id)).find(announces);
        if (event !== undefined && (await one.about(event)).why === null) told.push(id);
      }
      return { ids: told };
    },
  };
}

async function shown(
  event: LoggedEvent,
  on: readonly string[],
  quiet: Parameters<typeof afterQuiet>[0],
  lang: NoticeLocale,
): Promise<Week['told'][number]> {
  const { seq, at, code } = event;
  const about = { request: null, folded: 0, oneTapLink: async () => null };
  const notice = await noticeOf({ id: '', person: '', announces: null }, event, about);
  // Nobody is led anywhere from here: of the request only its code is said.
  const request =
    code === null ? null : { userCode: code, approvalUrl: '', onetapUrl: null, expiresAt: at, command: null };
  const { title, text } = noticeWords({ ...notice, request }, lang, at);
  const until = afterQuiet(quiet, at);
  return { seq, at, event: event.event, title, text, on, heldUntil: until === at ? null : until };
}
