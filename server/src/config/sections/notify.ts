import type { Report } from '../problems.ts';
import { defaultsTo, type SettingMeta, withDefault } from '../setting.ts';
import { type ConfigSources, secretFromFile } from '../sources.ts';
import { duration, openedNetworks } from '../values.ts';

const meta = (name: string, description: string, more: Partial<SettingMeta> = {}): SettingMeta => ({
  env: `IDENTREE_NOTIFY_${name}`,
  toml: `notifications.${name.toLowerCase()}`,
  section: 'Notifications',
  description,
  ...more,
});

/** How people are told. Channels themselves are in the database. */
export const notifySettings = {
  allowCidrs: withDefault(
    openedNetworks,
    defaultsTo(
      meta(
        'ALLOW_CIDRS',
        'Networks into which channels may lead: a receiver of your own at a private address. What is not named there is reached at public addresses and over https only. Secrets of channels are in IDENTREE_NOTIFY_CHANNEL_<NAME>_TOKEN and _COMMAND; see docs/notifications.md.',
        { example: '192.168.10.5,10.20.0.0/16', defaultNote: 'none' },
      ),
      '',
    ),
  ),
  timeoutMs: withDefault(
    duration('100ms', '5m'),
    defaultsTo(
      {
        ...meta(
          'TIMEOUT',
          'How long a receiver has for one notification. What takes longer has failed, and is tried again.',
        ),
        toml: 'notifications.timeout',
      },
      '15s',
    ),
  ),
};

const CHANNEL_SECRET = /^IDENTREE_NOTIFY_CHANNEL_([A-Z0-9_]+)_(TOKEN|COMMAND)$/;

/** Whether a variable holds a secret of a channel, or names the file with one. */
export const isChannelSecret = (variable: string): boolean => CHANNEL_SECRET.test(variable.replace(/_FILE$/, ''));

/** What the environment says about one channel. */
export interface ChannelSecret {
  token: string | null;
  command: string | null;
}

/** Secrets of channels by what their variables are called in the middle, each with the variable that it is from. */
export function readChannelSecrets(
  { env, readFile }: ConfigSources,
  errors: Report['errors'],
): Map<string, { setting: string; value: string }> {
  const found = new Map<string, { setting: string; value: string }>();
  const variables = Object.keys(env).filter(isChannelSecret);
  for (const setting of new Set(variables.map((name) => name.replace(/_FILE$/, '')))) {
    const fromFile = secretFromFile(setting, 'Write the secret into it.', { env, readFile }, errors);
    const value = fromFile === null ? (env[setting] ?? '').trim() : fromFile;
    if (typeof value === 'string' && value !== '') found.set(setting, { setting, value });
  }
  return found;
}

/** The secrets of channels as the channels ask for them. */
export function channelSecrets(
  found: ReturnType<typeof readChannelSecrets>,
): Readonly<Record<string, Readonly<ChannelSecret>>> {
  const secrets: Record<string, ChannelSecret> = Object.create(null);
  for (const { setting, value } of found.values()) {
    const [, name = '', what] = CHANNEL_SECRET.exec(setting) ?? [];
    secrets[name] ??= { token: null, command: null };
    secrets[name][what === 'TOKEN' ? 'token' : 'command'] = value;
  }
  return secrets;
}
