import type { Report } from '../problems.ts';
import { programEnvironment } from '../program-environment.ts';
import type { Readable } from '../readable.ts';
import { defaultsTo, hidden, optional, type SettingMeta, withDefault } from '../setting.ts';
import { choice, commandWords, flag, hexBytes, issuedSecret, list, secret, serviceUrl, text, time } from '../values.ts';

const meta = (name: string, description: string, more: Partial<SettingMeta> = {}): SettingMeta => ({
  env: `IDENTREE_ESCROW_${name}`,
  toml: `escrow.${name.toLowerCase()}`,
  section: 'Break-glass',
  description,
  ...more,
});

export const ESCROW_BACKENDS = ['local', 'vault', '1password-connect', 'bitwarden', 'infisical'] as const;

/** Who keeps the passwords that open hosts whose server cannot be reached. */
export const escrowSettings = {
  backend: optional(
    choice(...ESCROW_BACKENDS),
    meta(
      'BACKEND',
      'Who keeps the break-glass passwords of hosts: local (encrypted in the database of this server), vault (KV version 2; OpenBao too), 1password-connect, bitwarden or infisical. Unset: nobody, and a host has only the password that somebody made there.',
    ),
  ),
  url: optional(
    serviceUrl,
    meta('URL', 'Where that is. Not for local.', { example: 'https://vault.example.com:8200' }),
  ),
  authId: optional(
    text(512),
    meta(
      'AUTH_ID',
      'Who this server is there: the role id of an AppRole (vault; unset: the secret is a token), the client id of a machine identity (infisical), or of a machine account (bitwarden).',
    ),
  ),
  authSecret: optional(
    issuedSecret,
    meta(
      'AUTH_SECRET',
      'Its secret: a token, or what belongs to the id. For bitwarden the whole access token.',
      hidden,
    ),
  ),
  path: optional(
    text(512),
    meta(
      'PATH',
      'Where passwords are put there: mount/prefix (vault), the vault (1password-connect), organization or organization/project (bitwarden), workspace or workspace/environment (infisical).',
      { example: 'secret/identree/breakglass' },
    ),
  ),
  encryptionKey: optional(
    secret(32),
    meta('ENCRYPTION_KEY', 'What passwords are encrypted with that this server keeps itself (local).', hidden),
  ),
  encryptionKeyPrevious: optional(
    secret(32),
    meta(
      'ENCRYPTION_KEY_PREVIOUS',
      'The key of before, while it is being changed: what was encrypted with it is encrypted anew when the server starts. Remove it then.',
      hidden,
    ),
  ),
  hkdfSalt: optional(
    hexBytes(16),
    meta(
      'HKDF_SALT',
      'Makes the derived key one of this installation alone: at least 16 bytes in hex. Without it, two installations with the same key have the same derived key.',
    ),
  ),
  command: optional(
    commandWords,
    meta(
      'COMMAND',
      'A program of your own that keeps the passwords, in place of IDENTREE_ESCROW_BACKEND: its whole path, and arguments with blanks between. No shell reads it. See docs/break-glass.md.',
      { example: '/usr/local/bin/keep-password --team ops' },
    ),
  ),
  commandEnv: withDefault(
    list,
    defaultsTo(
      meta(
        'COMMAND_ENV',
        'Beginnings of the names of variables that the program is given besides PATH, HOME and those that say what to do.',
        { example: 'AWS_,SECRETS_' },
      ),
      '',
    ),
  ),
  webUrl: optional(
    serviceUrl,
    meta(
      'WEB_URL',
      'Where people find the passwords themselves. The console links to it; the server never asks there.',
      {
        example: 'https://vault.example.com/ui',
      },
    ),
  ),
  secondPerson: withDefault(flag, {
    env: 'IDENTREE_BREAKGLASS_SECOND_PERSON',
    toml: 'escrow.breakglass_second_person',
    section: 'Break-glass',
    description:
      'Whether a second administrator has to confirm, with a passkey, that a break-glass password is shown to the one who asks for it.',
    default: 'false',
  }),
  rotateBefore: optional(time, {
    env: 'IDENTREE_BREAKGLASS_ROTATE_BEFORE',
    toml: 'escrow.breakglass_rotate_before',
    section: 'Break-glass',
    description: 'Break-glass passwords that were made before this are replaced, on every host.',
    example: '2026-01-31T00:00:00Z',
  }),
};

/** The command and all that it is given of the server's environment; null: there is none. */
export function escrowCommand(
  { command, commandEnv }: { command: string[] | null; commandEnv: readonly string[] },
  environment: Readonly<Record<string, string | undefined>>,
): { words: string[]; env: Record<string, string> } | null {
  if (command === null) return null;
  const env = programEnvironment(environment);
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined) continue;
    if (commandEnv.some((prefix) => name.startsWith(prefix))) env[name] = value;
  }
  return { words: command, env };
}

/** What each backend cannot do without. */
const NEEDS = {
  local: ['encryptionKey'],
  vault: ['url', 'authSecret', 'path'],
  '1password-connect': ['url', 'authSecret', 'path'],
  bitwarden: ['url', 'authSecret', 'path'],
  infisical: ['url', 'authId', 'authSecret', 'path'],
} as const;

const NAMES = {
  url: 'IDENTREE_ESCROW_URL',
  authId: 'IDENTREE_ESCROW_AUTH_ID',
  authSecret: 'IDENTREE_ESCROW_AUTH_SECRET',
  path: 'IDENTREE_ESCROW_PATH',
  encryptionKey: 'IDENTREE_ESCROW_ENCRYPTION_KEY',
} as const;

/** Rules about a program of the operator's own. */
function checkCommand(escrow: Readable<typeof escrowSettings>, errors: Report['errors']): void {
  const setting = 'IDENTREE_ESCROW_COMMAND';
  if (escrow.command != null && escrow.backend !== null)
    errors.push({ setting, problem: 'is set beside IDENTREE_ESCROW_BACKEND', fix: 'Leave one of them out.' });
  const prefixes = escrow.commandEnv ?? [];
  // The keys of this server are in variables of these names.
  if (prefixes.some((prefix) => prefix.startsWith('IDENTREE') || 'IDENTREE_'.startsWith(prefix))) {
    errors.push({
      setting: 'IDENTREE_ESCROW_COMMAND_ENV',
      problem: 'would hand the secrets of this server to the command',
      fix: 'Name no variables that begin with IDENTREE_.',
    });
  }
}

/** Rules over several of these settings. */
export function checkEscrow(
  { escrow }: { escrow?: Readable<typeof escrowSettings> | undefined },
  { errors, warnings }: Report,
): void {
  const backend = escrow?.backend;
  if (escrow === undefined || backend === undefined) return;
  checkCommand(escrow, errors);
  if (backend === null) {
    // An administrator who set these believes that passwords are kept.
    for (const [key, setting] of Object.entries(NAMES)) {
      if (escrow[key as keyof typeof NAMES] == null) continue;
      const fix = `Set IDENTREE_ESCROW_BACKEND to one of: ${ESCROW_BACKENDS.join(', ')}.`;
      errors.push({ setting, problem: 'keeps no password without IDENTREE_ESCROW_BACKEND', fix });
    }
    return;
  }
  for (const key of NEEDS[backend]) {
    if (escrow[key] !== null) continue;
    errors.push({ setting: NAMES[key], problem: `is not set, and ${backend} needs it`, fix: 'Set it.' });
  }
  if (backend === 'local' && escrow.hkdfSalt === null) {
    warnings.push({
      setting: 'IDENTREE_ESCROW_HKDF_SALT',
      problem: 'is not set: another installation with the same key would have the same derived key',
      fix: 'Make one with: openssl rand -hex 32. What is kept already is encrypted anew.',
    });
  }
}
