import type { z } from 'zod';
import type { Report } from '../problems.ts';
import type { Readable } from '../readable.ts';
import { defaultsTo, optional, type SettingMeta, withDefault } from '../setting.ts';
import { choice, duration, flag, homePattern, idRange, idRanges, integer, list, path, plainPath } from '../values.ts';
import { ldap } from './ldap.ts';

const names = (name: string, description: string, more: Partial<SettingMeta> = {}): SettingMeta => ({
  ...ldap(name, description, more),
  section: 'Accounts, groups and numbers',
});

/** Names and numbers of accounts and groups. */
export const accountSettings = {
  uidMapFile: withDefault(
    path,
    defaultsTo(
      names(
        'UID_MAP_FILE',
        'Copy of the UID/GID map, written after each change; earlier installations are imported from it.',
      ),
      '/var/lib/identree-server/uidmap.json',
    ),
  ),
  uidMapInit: withDefault(
    choice('refuse', 'force'),
    defaultsTo(
      names(
        'UIDMAP_INIT',
        'What to do when a directory was published and its UID/GID map is gone. force: begin with the copy, or with nothing, which gives people other numbers than their files have. Take it out again afterwards.',
      ),
      'refuse',
    ),
  ),
  uidBase: withDefault(
    integer(1000, 2_147_483_647),
    defaultsTo(names('UID_BASE', 'First uid that is given.'), '200000'),
  ),
  gidBase: withDefault(
    integer(1000, 2_147_483_647),
    defaultsTo(names('GID_BASE', 'First gid that is given.'), '200000'),
  ),
  uidMax: withDefault(
    integer(1000, 2_147_483_647),
    defaultsTo(names('UID_MAX', 'Last uid and gid that is given.'), '2147483647'),
  ),
  idExclude: withDefault(
    idRanges,
    defaultsTo(
      names('ID_EXCLUDE', 'Numbers that are never given, as ranges.'),
      '61184-65519, 100000-165535, 524288-1879048191',
    ),
  ),
  claimIdRange: optional(
    idRange,
    names(
      'CLAIM_ID_RANGE',
      'Range in which a claim uidNumber or gidNumber is honoured at first sight, to move from another directory.',
      { example: '1000-60000' },
    ),
  ),
  usernamePolicy: withDefault(
    choice('strict', 'fold', 'localpart', 'preserve'),
    defaultsTo(
      names(
        'USERNAME_POLICY',
        'What becomes of user names that Linux does not accept, at the source and in sign-ins: strict leaves them out, fold makes them lower case, localpart also cuts at @, preserve serves upper case.',
      ),
      'fold',
    ),
  ),
  reservedNames: withDefault(
    list,
    defaultsTo(names('RESERVED_NAMES', 'Names that are never served, beside those of the system.'), ''),
  ),
  nameQuarantineMs: withDefault(
    duration('0s', '3650d'),
    defaultsTo(names('NAME_QUARANTINE', 'How long a name that its owner left is kept from others.'), '30d'),
  ),
  defaultShell: withDefault(
    plainPath,
    defaultsTo(names('DEFAULT_SHELL', 'Shell of people without the claim loginShell.'), '/bin/bash'),
  ),
  defaultHome: withDefault(
    homePattern,
    defaultsTo(
      names('DEFAULT_HOME', 'Home folder of people without the claim homeDirectory; %s is the user name.'),
      '/home/%s',
    ),
  ),
  allowedShells: withDefault(
    list,
    defaultsTo(names('ALLOWED_SHELLS', 'Shells that a claim may name. Empty: any absolute path.'), ''),
  ),
  accessDefault: withDefault(
    choice('deny', 'allow'),
    defaultsTo(
      names(
        'ACCESS_DEFAULT',
        'For hosts that check the attribute host: deny people whose groups have no claim accessHosts, or allow them everywhere.',
      ),
      'deny',
    ),
  ),
  accessAllowAll: withDefault(
    flag,
    defaultsTo(names('ACCESS_ALLOW_ALL', 'Whether the claim accessHosts may say ALL.'), 'false'),
  ),
};

/** Rules over several of these settings. */
export function checkAccounts(
  { ldap = {} }: Readable<{ ldap: z.ZodObject<typeof accountSettings> }>,
  { errors }: Report,
): void {
  if (ldap.uidMax !== undefined && (ldap.uidBase ?? 0) > ldap.uidMax) {
    errors.push({
      setting: 'IDENTREE_LDAP_UID_BASE',
      problem: 'is above IDENTREE_LDAP_UID_MAX',
      fix: 'Lower the one or raise the other.',
    });
  }
}
