import { z } from 'zod';
import { isStorable } from '../db/storable-text.ts';
import { compileGlob } from '../policies/glob.ts';
import { CHANNEL_KINDS } from './channel.ts';
import { quietHours } from './quiet-hours.ts';
import { SEVERITIES } from './severity.ts';

/** Name of a channel: as in the Go identree, because the settings that hold its secrets are called by it. */
export const channelName = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/);

/** Shell-style. One that cannot be read would silently match nothing. */
const pattern = z
  .string()
  .min(1)
  .max(253)
  .refine((text) => compileGlob(text) !== null, 'not a readable pattern');
const patterns = z.array(pattern).max(200).default([]);
const names = z.array(z.string().min(1).max(255).refine(isStorable)).max(200).default([]);

/** Which events go to some channels. An empty list means all. */
export const routeRule = z.strictObject({
  channels: z.array(channelName).min(1).max(50),
  events: patterns,
  hosts: patterns,
  hostGroups: names,
  users: patterns,
  severities: z.array(z.enum(SEVERITIES)).default([]),
  /** Rules of the approval policy by which a request was made. */
  policies: names,
});
export type RouteRule = z.infer<typeof routeRule>;

/** What a person is told who has chosen nothing: what they may decide, and what became of their own requests. */
export const EVENTS_BY_DEFAULT = [
  'challenge_created',
  'challenge_approved',
  'challenge_rejected',
  'challenge_expired',
] as const;

/** What a person wants to be told, and where. An empty list means all. */
export const preferences = z.strictObject({
  enabled: z.boolean().default(true),
  /** Empty: all channels of their own. An administrator may name shared ones. */
  channels: z.array(channelName).max(50).default([]),
  events: patterns.default([...EVENTS_BY_DEFAULT]),
  hosts: patterns,
  /** Also what is about others, as far as they may see it. Requests are told to those who may decide them, whatever stands here. */
  others: z.boolean().default(false),
  quiet: quietHours.nullable().default(null),
  /** Also where they are signed in: in open browsers and in the desktop app. */
  screens: z.boolean().default(true),
});
export type Preferences = z.infer<typeof preferences>;

/** What somebody gets who has chosen nothing. */
export const DEFAULT_PREFERENCES: Preferences = preferences.parse({});

/** What is said of a channel, beside what its kind needs. */
export const channelInput = z.strictObject({
  kind: z.enum(CHANNEL_KINDS),
  settings: z.record(z.string().max(64), z.unknown()).refine((value) => JSON.stringify(value).length <= 16_384),
  enabled: z.boolean().default(true),
  paused: z.boolean().default(false),
  /** Most attempts a minute. */
  perMinute: z.int().min(1).max(6000).default(120),
  /** Most attempts at a time. */
  atOnce: z.int().min(1).max(50).default(4),
  /** When so many of a kind wait, one stands for the others; 0: never. */
  foldFrom: z.int().min(0).max(1000).default(5),
});
export type ChannelInput = z.infer<typeof channelInput>;
