import type { EventName } from '#shared/events.ts';

/** What people choose most, in their words. */
const WORDS: Partial<Record<EventName, string>> = {
  challenge_created: 'A request waits',
  challenge_approved: 'Request approved',
  challenge_rejected: 'Request denied',
  challenge_expired: 'Request expired',
  challenge_cancelled: 'Request withdrawn',
};

/** How an event is called where somebody chooses; those that few choose by the name that they have in the log. */
export const eventWords = (name: string): string => WORDS[name as EventName] ?? name.replaceAll('_', ' ');
