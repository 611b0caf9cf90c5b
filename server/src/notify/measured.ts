import { Counter, Histogram, type Metric } from 'prom-client';
import { inTime, shortly } from '../platform/gauges.ts';
import { CHANNEL_KINDS } from './channel.ts';
import type { ChannelName } from './channel-store.ts';
import type { Counted } from './sender.ts';

/** Of each channel there is a count of each from the start. */
export const STATUSES = ['sent', 'failed', 'skipped', 'folded', 'dead_lettered'] as const satisfies readonly Counted[];

/** What a channel is called where it is counted. Those of one person are counted by kind: no person is a label. */
export const labelOf = ({ name, kind, owner }: ChannelName): string => (owner === null ? name : `personal:${kind}`);

/** What is measured of notifications, under the names of the operations guide. */
export function notifyMetrics(channels: () => Promise<readonly ChannelName[]>): {
  metrics: Metric[];
  counted(channel: ChannelName, status: Counted, count: number): void;
  took(channel: ChannelName, seconds: number): void;
} {
  const registers: [] = [];
  const listed = shortly(channels);
  const known = new Set<string>();
  const total = new Counter({
    name: 'identree_notifications_total',
    help: 'Notifications by channel: sent (taken by the receiver), failed (attempts), skipped (of no use any more), folded (told by one that stands for them), dead_lettered (given up). Channels of one person are counted by kind.',
    labelNames: ['status', 'channel'],
    registers,
    collect: knowAll,
  });
  const duration = new Histogram({
    name: 'identree_notification_delivery_duration_seconds',
    help: 'How long the receiver of a channel took for a notification that it accepted.',
    labelNames: ['channel'],
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15],
    registers,
    collect: knowAll,
  });
  function know(channel: string): void {
    if (known.has(channel)) return;
    known.add(channel);
    for (const status of STATUSES) total.inc({ status, channel }, 0);
    duration.zero({ channel });
  }
  /** An alert on any increase has something to compare with before the first one. */
  async function knowAll(): Promise<void> {
    for (const channel of (await inTime(listed)) ?? []) know(labelOf(channel));
  }
  for (const kind of CHANNEL_KINDS) know(`personal:${kind}`);
  return {
    metrics: [total, duration],
    counted: (channel, status, count) => total.inc({ status, channel: labelOf(channel) }, count),
    took(channel, seconds) {
      // Known later it would begin anew.
      know(labelOf(channel));
      duration.observe({ channel: labelOf(channel) }, seconds);
    },
  };
}
