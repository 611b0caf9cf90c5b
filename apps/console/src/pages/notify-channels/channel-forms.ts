import type { ChannelSettings, NotifyChannel } from '../../server/api.ts';
import { LANGUAGES } from '../../words/notify-channels.ts';

export type ChannelKind = NotifyChannel['kind'];

interface Words {
  label: string;
  description?: string;
  placeholder?: string;
}

/** What a value is typed into, by what the server takes. */
type Input<Value> = [Value] extends [readonly string[]]
  ? { input: 'lines' }
  : string extends Value
    ? { input: 'text' | 'long' }
    : [Value] extends [number]
      ? { input: 'number' }
      : [Value] extends [string]
        ? { input: 'choice'; choices: Readonly<Record<Value, string>> }
        : never;

type FieldOf<Settings, Name extends keyof Settings> = Words &
  Input<NonNullable<Settings[Name]>> & { optional: undefined extends Settings[Name] ? true : false };

interface ChannelForm<Settings> {
  about: string;
  /** What the environment of the server holds for it; null: nothing. */
  secret: { what: 'token' | 'command'; about: string } | null;
  fields: { readonly [Name in keyof Required<Settings>]: FieldOf<Settings, Name> };
}

/** A field whichever it is. */
export type Field = Words & { optional: boolean } & (
    | { input: 'lines' | 'text' | 'long' | 'number' }
    | { input: 'choice'; choices: Readonly<Record<string, string>> }
  );

const locale = {
  label: 'Language',
  input: 'choice',
  optional: true,
  choices: LANGUAGES,
} as const;

const address = { label: 'Address', input: 'text', optional: false } as const;

const TOKEN_IF_NEEDED = { what: 'token', about: 'A bearer token, if the receiver wants one.' } as const;

/** What is asked for each kind of channel. A kind or a setting that the server has and this has not is a type error. */
export const CHANNEL_FORMS: { readonly [Kind in ChannelKind]: ChannelForm<ChannelSettings[Kind]> } = {
  webhook: {
    about: 'A receiver of your own, in the form of Standard Webhooks.',
    secret: { what: 'token', about: 'A bearer token, and whsec_… keys that sign, with blanks between them. Optional.' },
    fields: { url: { ...address, placeholder: 'https://hooks.example.com/identree' }, locale },
  },
  slack: {
    about: 'An incoming webhook of Slack, Mattermost or Rocket.Chat.',
    secret: TOKEN_IF_NEEDED,
    fields: { url: { ...address, placeholder: 'https://hooks.slack.com/services/…' }, locale },
  },
  discord: {
    about: 'A webhook of a Discord room.',
    secret: null,
    fields: { url: { ...address, placeholder: 'https://discord.com/api/webhooks/…' }, locale },
  },
  email: {
    about: 'Mail through a server that passes it on.',
    secret: { what: 'token', about: 'The password, where there is a user.' },
    fields: {
      host: { label: 'Mail server', input: 'text', optional: false, placeholder: 'mail.example.com' },
      port: {
        ...{ label: 'Port', input: 'number', optional: true },
        description: 'Empty: 587, 465 or 25, by the encryption.',
      },
      tls: {
        ...{ label: 'Encryption', input: 'choice', optional: true },
        choices: { starttls: 'STARTTLS', implicit: 'TLS from the start', none: 'None' },
      },
      user: { label: 'User', input: 'text', optional: true, description: 'Empty: the server wants no password.' },
      from: { label: 'From', input: 'text', optional: false, placeholder: 'identree@example.com' },
      to: { label: 'To', input: 'lines', optional: false, description: 'One address on each line.' },
      ca: {
        ...{ label: 'Certificate authority', input: 'long', optional: true },
        description: 'In PEM. Empty: those that everybody knows.',
      },
      locale,
    },
  },
  ntfy: {
    about: 'A topic on an ntfy server.',
    secret: { what: 'token', about: 'An access token, if the server wants one.' },
    fields: {
      url: {
        ...{ ...address, placeholder: 'https://ntfy.example.com' },
        description: 'Of the server, without a path.',
      },
      topic: { label: 'Topic', input: 'text', optional: false, placeholder: 'identree' },
      locale,
    },
  },
  telegram: {
    about: 'A bot that writes to one chat.',
    secret: { what: 'token', about: 'The token of the bot. It has to be there before the channel is set up.' },
    fields: {
      chatId: { label: 'Chat', input: 'text', optional: false, description: 'Its number, or @name of a public one.' },
      url: {
        ...{ label: 'Bot API server', input: 'text', optional: true },
        description: 'Empty: that of Telegram.',
      },
      locale,
    },
  },
  apprise: {
    about: 'An Apprise API server, which passes on to many services.',
    secret: TOKEN_IF_NEEDED,
    fields: { url: { ...address, placeholder: 'https://apprise.example.com/notify/…' }, locale },
  },
  custom: {
    about: 'A command that runs on the server.',
    secret: { what: 'command', about: 'The command. It has to be there before the channel is set up.' },
    fields: { locale },
  },
  web_push: {
    about: 'One browser. People switch this on for themselves; by hand it takes what a browser gives.',
    secret: null,
    fields: {
      endpoint: { label: 'Endpoint', input: 'text', optional: false },
      p256dh: { label: 'p256dh', input: 'text', optional: false },
      auth: { label: 'auth', input: 'text', optional: false },
      locale,
    },
  },
};

export const KINDS = Object.keys(CHANNEL_FORMS) as ChannelKind[];

export const fieldsOf = (kind: ChannelKind): [string, Field][] => Object.entries(CHANNEL_FORMS[kind].fields);

/** What was typed, by field. */
export type Typed = Readonly<Record<string, string>>;

/** What is stored, as it would be typed. Masked settings are not among the names. */
export function typedOf(kind: ChannelKind, settings: NotifyChannel['settings'], names: readonly string[]): Typed {
  const text = (value: unknown) => (Array.isArray(value) ? value.join('\n') : String(value ?? ''));
  return Object.fromEntries(
    fieldsOf(kind)
      .filter(([name]) => names.includes(name))
      .map(([name]) => [name, text(settings?.[name])]),
  );
}

const linesOf = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');

/** Settings as the server takes them. What is empty is left out. */
export function settingsOf(kind: ChannelKind, typed: Typed): Record<string, unknown> {
  const entries = fieldsOf(kind).flatMap(([name, { input }]): [string, unknown][] => {
    const text = (typed[name] ?? '').trim();
    if (text === '') return [];
    if (input === 'lines') return [[name, linesOf(text)]];
    return [[name, input === 'number' ? Number(text) : text]];
  });
  return Object.fromEntries(entries);
}

/** Fields that have to be filled and are not. */
export const missingOf = (kind: ChannelKind, typed: Typed, names: readonly string[]): string[] =>
  fieldsOf(kind).flatMap(([name, { optional }]) =>
    !optional && names.includes(name) && (typed[name] ?? '').trim() === '' ? [name] : [],
  );
