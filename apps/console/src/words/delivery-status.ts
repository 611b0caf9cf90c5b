import type { NotifyDelivery } from '../server/api.ts';

/** What became of telling one thing. */
export const DELIVERY_STATUSES: Readonly<Record<NotifyDelivery['status'], { color: string; text: string }>> = {
  queued: { color: 'indigo', text: 'Waiting' },
  delivered: { color: 'green', text: 'Delivered' },
  dead: { color: 'red', text: 'Given up' },
  skipped: { color: 'gray', text: 'Skipped' },
  folded: { color: 'gray', text: 'Told by another' },
  discarded: { color: 'gray', text: 'Discarded' },
};
