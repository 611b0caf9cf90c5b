import type { EVENTS, EventName, LoggedEvent } from '#shared/events.ts';
import type { Announced } from '../challenges/announcing.ts';
import type { Database } from '../db/database.ts';
import type { NotifyDeliveriesTable } from '../db/schema.ts';
import type { Notice } from './channel.ts';
import type { StoredChannel } from './channel-store.ts';
import { announcementsDelivered } from './delivery-store.ts';

/** The step of what takes an announcement back where it is still shown. It is news to nobody. */
export const TAKES_BACK = -1;

/** How far back an announcement is looked for, milliseconds: no request waits for so long. */
const LOOK_BACK_MS = 24 * 60 * 60_000;
const ATTEMPTS = 3;

type RequestEvent = {
  [Name in EventName]: (typeof EVENTS)[Name]['topic'] extends 'requests' ? Name : never;
}[EventName];

/** Whether a request waits no more with an event about it. */
const ENDS: Record<RequestEvent, boolean> = {
  challenge_created: false,
  challenge_approved: true,
  challenge_rejected: true,
  challenge_expired: true,
  challenge_cancelled: true,
  // It never waited, or did so no more.
  auto_approved: false,
  grant_used_offline: false,
  challenge_outcome: false,
  challenge_run: false,
};

const ends = (event: string): boolean => Object.hasOwn(ENDS, event) && ENDS[event as RequestEvent];

/**
 * Where an announcement is shown that is over with an event: on the screens of those who could have decided it. What became
 * of it takes its place there. Elsewhere what was said stays said.
 *
 * @returns what was delivered
 */
export async function announcementsOver(
  query: Database['query'],
  event: Pick<LoggedEvent, 'event' | 'challengeId' | 'at'>,
  channels: readonly Pick<StoredChannel, 'name' | 'kind' | 'enabled'>[],
): Promise<NotifyDeliveriesTable[]> {
  if (event.challengeId === null || !ends(event.event)) return [];
  const browsers = channels.flatMap(({ name, kind, enabled }) => (kind === 'web_push' && enabled ? [name] : []));
  if (browsers.length === 0) return [];
  return announcementsDelivered(query, browsers, { challengeId: event.challengeId, since: event.at - LOOK_BACK_MS });
}

/** What takes an announcement back, as it is written down. */
export const takingBack = (
  announced: NotifyDeliveriesTable,
  about: Pick<NotifyDeliveriesTable, 'id' | 'seq' | 'event' | 'created_at'>,
): NotifyDeliveriesTable => ({
  ...announced,
  ...about,
  step: TAKES_BACK,
  announces: null,
  // It stands for nothing else, and nothing else for it.
  fold_key: about.id,
  status: 'queued',
  attempts: 0,
  attempts_left: ATTEMPTS,
  due_at: about.created_at,
  ended_at: null,
  reason: null,
  folded_into: null,
});

/** It says which request it is about, to who was told of that before, and nothing of what became of it. */
export const takenBackNotice = (
  delivery: Pick<NotifyDeliveriesTable, 'id' | 'event'>,
  at: number,
  { userCode, approvalUrl, expiresAt }: Pick<Announced, 'userCode' | 'approvalUrl' | 'expiresAt'>,
): Notice => ({
  id: delivery.id,
  event: delivery.event,
  username: '',
  hostname: '',
  request: { userCode, approvalUrl, onetapUrl: null, expiresAt, command: null },
  at,
  reason: null,
  actor: null,
  folded: 0,
  takesBack: true,
});
