import { PASSWORD_TYPES } from '#shared/break-glass-api.ts';
import { CLIENT_BOUNDS } from '#shared/client-defaults.ts';
import { optional, type SettingMeta } from '../setting.ts';
import { choice, durationOrSeconds, flag, integer } from '../values.ts';

const meta = (name: string, ofHost: string, description: string, more: Partial<SettingMeta> = {}): SettingMeta => ({
  env: `IDENTREE_CLIENT_${name}`,
  toml: `client_defaults.${name.toLowerCase()}`,
  section: 'Settings of hosts',
  description: `${description} Counts on hosts whose client.conf says nothing of ${ofHost}. Unset: what is built in there.`,
  ...more,
});

const { least, most } = CLIENT_BOUNDS.breakGlassRotationDays;

/** What this server tells hosts, by the names of `ClientDefaults` in shared/src/client-defaults.ts. */
export const clientDefaultSettings = {
  timeoutMs: optional(
    durationOrSeconds('5s', '24h'),
    meta('TIMEOUT', 'IDENTREE_TIMEOUT', 'The longest that a request waits on a host, from 5s to 24h.', {
      example: '10m',
    }),
  ),
  breakGlassEnabled: optional(
    flag,
    meta(
      'BREAKGLASS_ENABLED',
      'IDENTREE_BREAKGLASS_ENABLED',
      'Whether a break-glass password opens a host whose server cannot be reached.',
    ),
  ),
  breakGlassPasswordType: optional(
    choice(...PASSWORD_TYPES),
    meta(
      'BREAKGLASS_PASSWORD_TYPE',
      'IDENTREE_BREAKGLASS_PASSWORD_TYPE',
      `How a host makes its break-glass password: ${PASSWORD_TYPES.join(', ')}.`,
      { example: 'passphrase' },
    ),
  ),
  breakGlassRotationDays: optional(
    integer(least, most),
    meta(
      'BREAKGLASS_ROTATION_DAYS',
      'IDENTREE_BREAKGLASS_ROTATION_DAYS',
      `How old a break-glass password gets before its host makes another one, from ${least} to ${most} days.`,
      { example: '30' },
    ),
  ),
};
