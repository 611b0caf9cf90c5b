import { ZodError, type z } from 'zod';
import { channelVariable, secretVariable } from '#shared/channel-variable.ts';
import type { Channel, ChannelKind } from './channel.ts';
import { apprise } from './channels/apprise.ts';
import { custom } from './channels/custom.ts';
import { discord } from './channels/discord.ts';
import { email } from './channels/email.ts';
import { type RawExchange, secretsIn, shownExchange } from './channels/exchange.ts';
import { type ChannelDeps, type Kind, later, type Secret } from './channels/kind.ts';
import { ntfy } from './channels/ntfy.ts';
import { slack } from './channels/slack.ts';
import { telegram } from './channels/telegram.ts';
import { webPush } from './channels/web-push.ts';
import { webhook } from './channels/webhook.ts';

const kinds = {
  webhook,
  slack,
  discord,
  apprise,
  ntfy,
  custom,
  email,
  web_push: webPush,
  telegram,
} as const satisfies Readonly<Record<ChannelKind, Kind>>;

/** What each kind keeps of a channel, beside secrets, and how it tells somebody. */
export const KINDS: Readonly<Record<ChannelKind, Kind>> = kinds;

/** Settings of each kind, as they are typed: what a form asks for follows from them. */
export type ChannelSettings = { [K in ChannelKind]: z.input<(typeof kinds)[K]['settings']> };

/** Settings of a kind that are shown masked, and never given back. */
export const hiddenSettings = (kind: ChannelKind): string[] =>
  Object.keys(KINDS[kind].settings.shape).filter((name) => !KINDS[kind].shown.includes(name));

/** What is stored of a channel. */
export interface StoredSettings {
  readonly name: string;
  readonly kind: ChannelKind;
  readonly settings: unknown;
  /** Whose it is; null: everybody's. */
  readonly owner: string | null;
}

/** Secrets of a channel by its name, from the environment of the server. */
export type SecretOf = (name: string) => Secret;

const NONE: Secret = { token: null, command: null };

export const secretsFrom =
  (secrets: Readonly<Record<string, Readonly<Secret>>>): SecretOf =>
  (name) =>
    secrets[channelVariable(name)] ?? NONE;

/** The one among some names that would have the same variables as this one, and so its secret; null: none would. */
export const sharesSecret = (name: string, others: Iterable<string>): string | null =>
  [...others].find((other) => other !== name && channelVariable(other) === channelVariable(name)) ?? null;

/**
 * Makes a channel of what is stored of it. What the environment holds is for channels of everybody: a person who gives
 * their own the name of one would have its token sent to an address of theirs.
 *
 * @throws Error with what is wrong with it, in words that hold no secret and quote no setting
 */
export function createChannelMaker(deps: ChannelDeps & { secretOf: SecretOf }) {
  return ({ name, kind, settings, owner }: StoredSettings): Channel => {
    const { needs, reaches, open } = KINDS[kind];
    const secret = owner === null ? deps.secretOf(name) : NONE;
    if (needs !== undefined && secret[needs] === null) {
      throw new Error(
        owner === null
          ? `${secretVariable(name, needs)} is not set`
          : 'this kind needs a secret, which only shared channels have',
      );
    }
    const hidden = Object.entries(Object(settings)).filter(([setting]) => hiddenSettings(kind).includes(setting));
    const secrets = [...secretsIn(Object.fromEntries(hidden)), ...secretsIn(secret.token)];
    const deliver = wordsOfProblems(() => {
      // What somebody writes as a reason would go in this server's name to everybody whom they choose.
      if (owner !== null && reaches !== undefined && reaches(settings) > 1)
        throw new Error('a channel of one person has one address');
      return open(settings, secret, { ...deps, name });
    });
    return {
      name,
      kind,
      async deliver(notice, signal, seen = () => {}) {
        if (signal.aborted) return later('stopped');
        // Of what is told of events an answer may repeat a link that decides. And who may choose an address for themselves
        // must not read what answers there in the networks of this server.
        const isAnswerShown = ({ inside }: RawExchange) => notice.event === 'test' && (owner === null || !inside);
        try {
          return await deliver(notice, signal, (raw) => seen(shownExchange(raw, secrets, isAnswerShown(raw))));
        } catch (error) {
          // What it says may quote what it was given.
          return later(`could not be sent (${(error as NodeJS.ErrnoException).code ?? 'unexpected'})`);
        }
      },
    };
  };
}

function wordsOfProblems<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw error instanceof ZodError ? new Error(problemOf(error)) : error;
  }
}

/** What is wrong with settings, each with its place. */
function problemOf({ issues }: ZodError): string {
  return issues
    .map((issue) => {
      const place = issue.path.join('.');
      if (issue.code === 'unrecognized_keys')
        return `it knows no ${issue.keys.map((key) => key.slice(0, 64)).join(', ')}`;
      if (issue.code === 'custom') return `${place} ${issue.message}`;
      return `${place === '' ? 'its settings are' : `${place} is`} missing or of another form`;
    })
    .join('; ');
}
