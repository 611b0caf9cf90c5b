import type { LoggedEvent } from '#shared/events.ts';
import type { Announced } from '../challenges/announcing.ts';
import type { NotifyDeliveriesTable } from '../db/schema.ts';
import type { Notice } from './channel.ts';

/** A link with which one person decides one request, after their passkey; null: there is none for this. */
export type OneTapLink = (about: { challengeId: string; personId: string }) => Promise<string | null>;

/** What a test says of who made it, in `because`. */
export interface TestedBy {
  readonly rule: 'test';
  readonly username: string;
}

/** What is told of an event. Made anew for each attempt of what stands in the event: once that is erased, there is nothing. */
export async function noticeOf(
  delivery: Pick<NotifyDeliveriesTable, 'id' | 'person' | 'announces'>,
  event: LoggedEvent,
  about: { request: Announced | null; folded: number; oneTapLink: OneTapLink },
): Promise<Notice> {
  const { request } = about;
  // Whoever reads along in a shared channel must not have it: it is one person's.
  const onetapUrl =
    request !== null && delivery.announces !== null && delivery.person !== ''
      ? await about.oneTapLink({ challengeId: delivery.announces, personId: delivery.person })
      : null;
  return {
    id: delivery.id,
    event: event.event,
    username: event.username,
    hostname: event.hostname ?? '',
    request: request && {
      userCode: request.userCode,
      approvalUrl: request.approvalUrl,
      onetapUrl,
      expiresAt: request.expiresAt,
      command: request.command,
    },
    at: event.at,
    reason: event.reason,
    actor: event.actor,
    folded: about.folded,
  };
}

/** What a test says. */
export const testNotice = (
  delivery: Pick<NotifyDeliveriesTable, 'id' | 'created_at'>,
  { username }: TestedBy,
  hostname: string,
): Notice => ({
  id: delivery.id,
  event: 'test',
  username,
  hostname,
  request: null,
  at: delivery.created_at,
  reason: null,
  actor: username,
  folded: 0,
});
