import { listSettings, type settings } from './config.ts';
import type { ConfigProblem } from './problems.ts';
import type { Readable } from './readable.ts';

type Values = Readable<(typeof settings)['shape']>;
type Name = `IDENTREE_${string}`;

/** Settings that are worth nothing unless others are as they need them. Those of the audit log are refused in their section. */
export interface Dependence {
  readonly settings: readonly Name[];
  /** What they need, for `has no effect without …`. */
  readonly needs: string;
  /** Undefined: what they need could not be read, which has its own error. */
  holds(values: Values): boolean | undefined;
}

const isSet = (value: unknown): boolean | undefined => (value === undefined ? undefined : value !== null);

/** Where people come from; undefined: not known. */
function sourceOf({ directory, pocketId }: Values): string | undefined {
  if (directory === undefined || directory.source === undefined || pocketId?.apiKey === undefined) return undefined;
  return directory.source ?? (pocketId.apiKey === null ? 'none' : 'pocketid');
}

/** Whether it is one of these. */
const oneOf = (value: string | null | undefined, ...wanted: readonly string[]): boolean | undefined =>
  value === undefined ? undefined : value !== null && wanted.includes(value);

export const DEPENDENCES: readonly Dependence[] = [
  {
    settings: ['IDENTREE_DATABASE_POOLER', 'IDENTREE_DATABASE_MAX_OPEN_CONNS'],
    needs: 'IDENTREE_DATABASE_DRIVER=postgres',
    holds: ({ database }) => oneOf(database?.driver, 'postgres'),
  },
  {
    settings: ['IDENTREE_DIRECTORY_FILE'],
    needs: 'IDENTREE_DIRECTORY_SOURCE=file',
    holds: (values) => oneOf(sourceOf(values), 'file'),
  },
  {
    settings: ['IDENTREE_POCKETID_API_KEY', 'IDENTREE_POCKETID_API_URL', 'IDENTREE_POCKETID_CA_CERT'],
    needs: 'PocketID as the source of people (IDENTREE_DIRECTORY_SOURCE, IDENTREE_POCKETID_API_KEY)',
    holds: (values) => oneOf(sourceOf(values), 'pocketid'),
  },
  {
    settings: ['IDENTREE_SCIM_GROUP_RENAME'],
    needs: 'IDENTREE_DIRECTORY_SOURCE=scim',
    holds: (values) => oneOf(sourceOf(values), 'scim'),
  },
  {
    settings: ['IDENTREE_LDAP_CLAIM_ID_RANGE', 'IDENTREE_LDAP_ALLOWED_SHELLS', 'IDENTREE_LDAP_ACCESS_ALLOW_ALL'],
    needs: 'a source of people (IDENTREE_DIRECTORY_SOURCE)',
    holds: (values) => oneOf(sourceOf(values), 'pocketid', 'scim', 'file'),
  },
  {
    settings: ['IDENTREE_LDAP_SECRET', 'IDENTREE_LDAP_SECRET_PREVIOUS'],
    needs: 'IDENTREE_LDAP_PROVISION_ENABLED',
    holds: ({ ldap }) => ldap?.provisionEnabled,
  },
  {
    settings: ['IDENTREE_LDAP_TLS_SERVER_CA_CERT'],
    needs: 'IDENTREE_LDAP_TLS_CERT_FILE',
    holds: ({ ldap }) => isSet(ldap?.tlsCertFile),
  },
  {
    settings: [
      'IDENTREE_ESCROW_ENCRYPTION_KEY',
      'IDENTREE_ESCROW_ENCRYPTION_KEY_PREVIOUS',
      'IDENTREE_ESCROW_HKDF_SALT',
    ],
    needs: 'IDENTREE_ESCROW_BACKEND=local',
    holds: ({ escrow }) => oneOf(escrow?.backend, 'local'),
  },
  {
    settings: [
      'IDENTREE_ESCROW_URL',
      'IDENTREE_ESCROW_AUTH_ID',
      'IDENTREE_ESCROW_AUTH_SECRET',
      'IDENTREE_ESCROW_PATH',
      'IDENTREE_ESCROW_WEB_URL',
    ],
    needs: 'an IDENTREE_ESCROW_BACKEND other than local',
    holds: ({ escrow }) => (escrow?.backend === undefined ? undefined : oneOf(escrow.backend, 'local') !== true),
  },
  {
    settings: ['IDENTREE_ESCROW_COMMAND_ENV'],
    needs: 'IDENTREE_ESCROW_COMMAND',
    holds: ({ escrow }) => isSet(escrow?.command),
  },
  {
    settings: ['IDENTREE_BREAKGLASS_SECOND_PERSON', 'IDENTREE_BREAKGLASS_ROTATE_BEFORE'],
    needs: 'somebody who keeps the passwords (IDENTREE_ESCROW_BACKEND or IDENTREE_ESCROW_COMMAND)',
    holds({ escrow }) {
      const [backend, command] = [isSet(escrow?.backend), isSet(escrow?.command)];
      return backend === undefined || command === undefined ? undefined : backend || command;
    },
  },
];

const OF_DIRECTORY = /^IDENTREE_(?:LDAP|DIRECTORY|POCKETID|SUDO|SCIM|WEBHOOK)_(?!ENABLED$|BASE_DN$)/;

/** All that is about the directory, which its suffix switches on. */
const directory = (): Dependence => ({
  settings: listSettings()
    .map(({ meta }) => meta.env)
    .filter((name) => OF_DIRECTORY.test(name)),
  needs: 'IDENTREE_LDAP_BASE_DN',
  // Who says that it is off knows.
  holds: ({ ldap }) => ldap?.enabled === false || isSet(ldap?.baseDn),
});

/**
 * What of the settings that somebody has given does nothing as the others are: who gave it believes otherwise.
 *
 * @param given names of settings that do not stand at their default
 * @param refused names that have an error already
 */
export function withoutEffect(
  values: Values,
  given: ReadonlySet<string>,
  refused: ReadonlySet<string>,
): ConfigProblem[] {
  const found = new Map<string, ConfigProblem>();
  for (const { settings, needs, holds } of [directory(), ...DEPENDENCES]) {
    if (holds(values) !== false) continue;
    for (const setting of settings) {
      // One word about each: the first is about what everything else rests on.
      if (!given.has(setting) || refused.has(setting) || found.has(setting)) continue;
      found.set(setting, { setting, problem: `has no effect without ${needs}`, fix: 'Set that, or remove this.' });
    }
  }
  return [...found.values()];
}
