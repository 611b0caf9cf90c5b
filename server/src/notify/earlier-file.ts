import { z } from 'zod';
import { secretVariable } from '#shared/channel-variable.ts';
import type { ChannelKind } from './channel.ts';
import { type ChannelInput, channelInput, channelName, preferences, type RouteRule, routeRule } from './settings.ts';

const MAX_BYTES = 4 * 1024 * 1024;

const list = z
  .array(z.string())
  .nullish()
  .transform((value) => value ?? []);

/** What `notification-channels.json` of the Go identree holds. */
const channelsFile = z.object({
  channels: z
    .array(
      z.object({
        name: channelName,
        backend: z.enum(['webhook', 'slack', 'discord', 'apprise', 'ntfy', 'custom']),
        url: z.string().max(2048).nullish(),
        token: z.string().nullish(),
        command: z.string().max(4096).nullish(),
        /** Seconds. */
        timeout: z.number().nullish(),
      }),
    )
    .nullish()
    .transform((value) => value ?? []),
  routes: z
    .array(z.object({ channels: list, events: list, hosts: list, users: list }))
    .nullish()
    .transform((value) => value ?? []),
});

/** And `admin-notifications.json`. */
const preferencesFile = z.array(
  z.object({ username: z.string().min(1).max(255), channels: list, events: list, hosts: list, enabled: z.boolean() }),
);

/** What a file of the Go identree asks for. */
export type EarlierFile =
  | {
      readonly kind: 'channels';
      readonly channels: readonly { readonly name: string; readonly input: ChannelInput }[];
      readonly routes: readonly RouteRule[];
      /** What is not taken over, a sentence each. */
      readonly left: readonly string[];
    }
  | {
      readonly kind: 'preferences';
      readonly people: readonly { readonly username: string; readonly wanted: z.infer<typeof preferences> }[];
    };

/** The last part of the path of an address was the topic there; here a server is told of it beside its address. */
function ofNtfy(url: string): { url: string; topic?: string } {
  if (!URL.canParse(url)) return { url };
  const { pathname } = new URL(url);
  const topic = pathname.split('/').filter((part) => part !== '');
  return topic.length === 1 ? { url: new URL('/', url).href, topic: topic[0]! } : { url };
}

/**
 * Pure rule: reads a file of the Go identree, which of the two it is.
 *
 * @returns what it asks for, or what is wrong with it
 */
export function readEarlierFile(content: string): { ok: true; file: EarlierFile } | { ok: false; problem: string } {
  if (Buffer.byteLength(content) > MAX_BYTES) return { ok: false, problem: 'larger than 4 MiB' };
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    return { ok: false, problem: 'not valid JSON' };
  }
  try {
    return { ok: true, file: Array.isArray(value) ? readPreferences(value) : readChannels(value) };
  } catch (error) {
    return { ok: false, problem: error instanceof z.ZodError ? z.prettifyError(error) : String(error) };
  }
}

function readPreferences(value: unknown): EarlierFile {
  const people = preferencesFile.parse(value).map(({ username, ...chosen }) => ({
    username,
    // Only administrators had any, and they were told of everybody.
    wanted: preferences.parse({ ...chosen, others: true }),
  }));
  return { kind: 'preferences', people };
}

function readChannels(value: unknown): EarlierFile {
  const file = channelsFile.parse(value);
  const left: string[] = [];
  const channels = file.channels.map(({ name, backend, url, token, command, timeout }) => {
    const elsewhere = (what: 'token' | 'command') =>
      `the ${what} of ${name} is not taken over: secrets are no part of the database. Set ${secretVariable(name, what)}`;
    if (token) left.push(elsewhere('token'));
    if (command) left.push(elsewhere('command'));
    if (timeout && timeout > 0)
      left.push(`the time limit of ${name} is not taken over: all channels have that of IDENTREE_NOTIFY_TIMEOUT`);
    const settings = url && backend !== 'custom' ? (backend === 'ntfy' ? ofNtfy(url) : { url }) : {};
    return { name, input: channelInput.parse({ kind: backend satisfies ChannelKind, settings }) };
  });
  const routes = file.routes.flatMap((route) => {
    if (route.channels.length > 0) return [routeRule.parse(route)];
    left.push('a route that names no channel told nobody, and is left out');
    return [];
  });
  return { kind: 'channels', channels, routes, left };
}
