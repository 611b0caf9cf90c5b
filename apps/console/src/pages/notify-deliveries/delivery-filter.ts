import type { NotifyDelivery } from '../../server/api.ts';
import { DELIVERY_STATUSES } from '../../words/delivery-status.ts';

export const FILTER_NAMES = ['channel', 'status', 'seq'] as const;
export type FilterValues = Record<(typeof FILTER_NAMES)[number], string | null>;

export interface DeliveryFilter {
  channel: string | null;
  status: NotifyDelivery['status'] | null;
  seq: number | null;
}

const isStatus = (text: string): text is NotifyDelivery['status'] => Object.hasOwn(DELIVERY_STATUSES, text);

/** What an address asks for. What it says wrongly is left out. */
export const filterOf = ({ channel, status, seq }: FilterValues): DeliveryFilter => ({
  channel: /^[a-z0-9][a-z0-9._-]{0,63}$/.test(channel ?? '') ? channel : null,
  status: status !== null && isStatus(status) ? status : null,
  seq: /^[1-9][0-9]{0,14}$/.test(seq ?? '') ? Number(seq) : null,
});

/** A place in the list, as the server names it; null: the beginning. */
export const placeOf = (text: string | null): string | null =>
  /^[0-9]{1,15}-[A-Za-z0-9_-]{43}$/.test(text ?? '') ? text : null;
