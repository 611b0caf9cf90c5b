import { canonicalJson } from '#shared/canonical-json.ts';
import { type EventOutcome, eventOutcome } from '#shared/event-outcome.ts';
import { eventSentence, type SentenceLocale } from '#shared/event-sentences/sentence.ts';
import {
  type EventRecord,
  eventKind,
  hashedPart,
  isAsHashed,
  isErased,
  type LoggedEvent,
  payloadOf,
  type Topic,
} from '#shared/events.ts';
import { visibleText } from '#shared/visible-text.ts';
import type { Viewer } from '../../http/viewer.ts';

/** An event as people read it. */
export interface EventView
  extends Pick<
    EventRecord,
    'seq' | 'at' | 'event' | 'username' | 'hostId' | 'hostname' | 'challengeId' | 'code' | 'actor' | 'reason'
  > {
  readonly topic: Topic;
  readonly outcome: EventOutcome;
  readonly sentence: string;
  /** Null also for people who are no administrators: it may be where one was. */
  readonly remoteAddr: string | null;
  /** What is stored as its data cannot be read. */
  readonly damaged: boolean;
  /** Its time was over: who, where and why are no longer known. */
  readonly erased: boolean;
}

const shown = (text: string | null): string | null => text && visibleText(text);

export function eventView(event: LoggedEvent, viewer: Pick<Viewer, 'role'>, locale: SentenceLocale): EventView {
  return {
    seq: event.seq,
    at: event.at,
    event: event.event,
    topic: eventKind(event.event)?.topic ?? 'server',
    outcome: eventOutcome(event.event),
    sentence: eventSentence(event, locale),
    username: visibleText(event.username),
    hostId: event.hostId,
    hostname: shown(event.hostname),
    challengeId: event.challengeId,
    code: event.code,
    actor: shown(event.actor),
    reason: shown(event.reason),
    remoteAddr: viewer.role === 'admin' ? event.remoteAddr : null,
    damaged: event.unreadable === true,
    erased: isErased(event),
  };
}

/** An event as it stands in the chain. */
export interface SignedRecord {
  /** What `hash` is over, RFC 8785. */
  readonly text: string;
  /** What the `payloadHash` in it is over. Null: it was erased, or an earlier version has it in `text`. */
  readonly payload: string | null;
  readonly hash: string;
  readonly prevHash: string;
  /** Whether the hashes are those of the texts. */
  readonly intact: boolean;
}

export function signedRecord(event: LoggedEvent): SignedRecord {
  const { hash, prevHash, unreadable } = event;
  const isApart = event.payloadHash !== null && !isErased(event);
  return {
    text: canonicalJson(hashedPart(event)),
    payload: isApart ? canonicalJson(payloadOf(event)) : null,
    hash,
    prevHash,
    intact: unreadable === undefined && isAsHashed(event),
  };
}
