import { z } from 'zod';
import type { Report } from '../problems.ts';
import type { Readable } from '../readable.ts';
import { defaultsTo, hidden, optional, type SettingMeta, withDefault } from '../setting.ts';
import { choice, issuedSecret, issuer, path, secret } from '../values.ts';

const source = (env: string, toml: string, description: string, more: Partial<SettingMeta> = {}): SettingMeta => ({
  env: `IDENTREE_${env}`,
  toml: toml as SettingMeta['toml'],
  section: 'Where people come from',
  description,
  ...more,
});

/** Where people, groups and their claims come from. */
export const sourceSettings = {
  directory: z.object({
    source: optional(
      choice('pocketid', 'scim', 'file', 'none'),
      source(
        'DIRECTORY_SOURCE',
        'directory.source',
        'Where people and groups come from: pocketid, scim, file, or none for bridge mode, in which only sudo rules are served.',
        { defaultNote: '`pocketid` when `IDENTREE_POCKETID_API_KEY` is set, else `none`' },
      ),
    ),
    file: optional(
      path,
      source(
        'DIRECTORY_FILE',
        'directory.file',
        'People and groups for IDENTREE_DIRECTORY_SOURCE=file, as JSON, or as YAML when its name ends in .yaml or .yml. Read again when it changes.',
        { example: '/etc/identree/directory.yaml' },
      ),
    ),
    guardPower: withDefault(
      choice('hold', 'publish'),
      defaultsTo(
        source(
          'DIRECTORY_GUARD_POWER',
          'directory.guard_power',
          'hold: what would give somebody power waits for an administrator: a member, a rule, a name, a new host. publish: it is served at once.',
        ),
        'hold',
      ),
    ),
    guardBindings: withDefault(
      choice('all', 'changed', 'publish'),
      defaultsTo(
        source(
          'DIRECTORY_GUARD_BINDINGS',
          'directory.guard_bindings',
          'Which links of a person to a Linux account wait for an administrator: all, changed (a renamed person, or a name that was somebody else’s), or publish: none waits.',
        ),
        'changed',
      ),
    ),
  }),
  pocketId: z.object({
    apiKey: optional(
      issuedSecret,
      source('POCKETID_API_KEY', '', 'API key of an administrator of PocketID. Selects full mode.', hidden),
    ),
    apiUrl: optional(
      issuer,
      source('POCKETID_API_URL', 'pocketid.api_url', 'Where the API of PocketID is.', {
        defaultNote: 'the issuer, `IDENTREE_OIDC_ISSUER_URL`',
      }),
    ),
    caCertFile: optional(
      path,
      source(
        'POCKETID_CA_CERT',
        'pocketid.ca_cert',
        'Certificate authority of PocketID in PEM, beside those of the system.',
      ),
    ),
  }),
  webhookSecret: optional(
    secret(32),
    source(
      'WEBHOOK_SECRET',
      '',
      'Signs calls of POST /api/webhook/pocketid, which ask for a refresh. Unset: the webhook answers 403. PocketID itself calls no webhook; this is for scripts and other identity providers.',
      hidden,
    ),
  ),
  scimGroupRename: withDefault(
    choice('keep', 'follow'),
    defaultsTo(
      source(
        'SCIM_GROUP_RENAME',
        'directory.scim_group_rename',
        'keep: the POSIX name of a group stays when a SCIM client renames it. follow: it changes too.',
      ),
      'keep',
    ),
  ),
};

/** Rules over several of these settings. */
export function checkSources(
  { directory = {}, pocketId = {} }: Readable<typeof sourceSettings>,
  { errors }: Report,
): void {
  if (directory.source === 'pocketid' && pocketId.apiKey === null) {
    errors.push({
      setting: 'IDENTREE_POCKETID_API_KEY',
      problem: 'is not set, but IDENTREE_DIRECTORY_SOURCE is pocketid',
      fix: 'Make a key in PocketID under Settings, API Keys, and set it or IDENTREE_POCKETID_API_KEY_FILE.',
    });
  }
  if (directory.source === 'file' && directory.file === null) {
    errors.push({
      setting: 'IDENTREE_DIRECTORY_FILE',
      problem: 'is not set, but IDENTREE_DIRECTORY_SOURCE is file',
      fix: 'Name the file with people and groups.',
    });
  }
}
