import { LANGUAGES } from '../../words/notify-channels.ts';
import type { ChannelKind } from './notify-types.ts';

/** One thing that is asked for about a channel. */
export interface Field {
  readonly name: string;
  readonly label: string;
  readonly description?: string;
  readonly placeholder?: string;
  /** What stands in it at first. */
  readonly begins?: string;
  readonly optional?: true;
  readonly options?: readonly { readonly value: string; readonly label: string }[];
}

export type Values = Readonly<Record<string, string>>;

export interface ChannelForm {
  readonly title: string;
  /** What somebody needs who has never done it. */
  readonly about: string;
  readonly fields: readonly Field[];
  /** What the server is given of the fields. */
  settings(values: Values): Record<string, unknown>;
}

const url = (label: string, placeholder: string): Field => ({ name: 'url', label, placeholder });
const address = ({ url = '' }: Values) => ({ url: url.trim() });

/** Letters and digits that nobody guesses: whoever knows the topic reads along. */
function unguessable(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `identree-${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/**
 * How each kind is set up by one person. Null: it is none for one person, because it has a secret, runs on the server or
 * reaches whole lists; and browsers are subscribed, not typed in.
 */
export const channelForms = (): Record<ChannelKind, ChannelForm | null> => ({
  ntfy: {
    title: 'ntfy, on a phone',
    about: 'Install the ntfy app, and subscribe to this topic in it. Whoever knows the topic can read along.',
    fields: [
      { name: 'url', label: 'Server', begins: 'https://ntfy.sh' },
      { name: 'topic', label: 'Topic', begins: unguessable() },
    ],
    settings: (values) => ({ ...address(values), topic: values.topic?.trim() }),
  },
  email: {
    title: 'E-mail',
    about: 'By a mail server that takes mail from this server without a password. Your administrator knows it.',
    fields: [
      { name: 'to', label: 'To', placeholder: 'you@example.com' },
      { name: 'from', label: 'From', placeholder: 'identree@example.com' },
      { name: 'host', label: 'Mail server', placeholder: 'mail.example.com' },
      { name: 'port', label: 'Port', optional: true, description: 'Left empty, the usual one.' },
      {
        name: 'tls',
        label: 'Encryption',
        begins: 'starttls',
        options: [
          { value: 'starttls', label: 'STARTTLS' },
          { value: 'implicit', label: 'TLS from the start' },
          { value: 'none', label: 'None' },
        ],
      },
    ],
    settings: ({ to = '', from = '', host = '', port = '', tls = '' }) => ({
      to: [to.trim()],
      from: from.trim(),
      host: host.trim(),
      ...(port.trim() === '' ? {} : { port: Number(port) }),
      tls,
    }),
  },
  slack: {
    title: 'Slack, Mattermost or Rocket.Chat',
    about: 'Make an incoming webhook there that leads to you alone, and paste its address.',
    fields: [url('Address of the webhook', 'https://hooks.slack.com/services/…')],
    settings: address,
  },
  discord: {
    title: 'Discord',
    about: 'Make a webhook in a channel that only you read, and paste its address.',
    fields: [url('Address of the webhook', 'https://discord.com/api/webhooks/…')],
    settings: address,
  },
  webhook: {
    title: 'Webhook',
    about: 'A program of your own is sent each message as JSON.',
    fields: [url('Address', 'https://example.com/hook')],
    settings: address,
  },
  apprise: null,
  custom: null,
  telegram: null,
  web_push: null,
});

/** The person's own language, where notifications have it. */
export function ownLanguage(wanted: readonly string[] = navigator.languages): string {
  const known = wanted.map((tag) => tag.split('-')[0]!.toLowerCase());
  return known.find((tag) => Object.hasOwn(LANGUAGES, tag)) ?? 'en';
}

/** A name that is one for a channel, and nobody else's as far as can be told from here. */
export function channelNameOf(username: string, kind: string, taken: readonly string[]): string {
  const slug = username
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, '-')
    .replace(/^[^a-z0-9]+/, '')
    .slice(0, 40);
  const name = `${slug || 'my'}-${kind.replaceAll('_', '-')}`;
  for (let number = 1; ; number += 1) {
    const numbered = number === 1 ? name : `${name}-${number}`;
    if (!taken.includes(numbered)) return numbered;
  }
}
