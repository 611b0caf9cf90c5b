import { z } from 'zod';
import type { Report } from '../problems.ts';
import type { Readable } from '../readable.ts';
import { defaultsTo, optional, type SettingMeta, withDefault } from '../setting.ts';
import { choice, flag, integer, list, path } from '../values.ts';
import { ldap } from './ldap.ts';
import type { sourceSettings } from './sources.ts';

const sudo = (name: string, description: string, more: Partial<SettingMeta> = {}): SettingMeta => ({
  ...ldap(`SUDO_${name}`, description, more),
  section: 'Sudo rules',
});

/** Sudo rules as hosts see them. */
export const ldapSudoSettings = {
  sudoNoAuthenticate: withDefault(
    choice('false', 'true', 'claims'),
    defaultsTo(
      sudo(
        'NO_AUTHENTICATE',
        'false: no rule ever says !authenticate. true: every rule does, so sudo asks nobody. claims: those whose options ask for it. Connections that have not authenticated never see it.',
      ),
      'false',
    ),
  ),
  sudoDefaults: withDefault(
    list,
    defaultsTo(
      sudo(
        'DEFAULTS',
        'Options of the entry cn=defaults, or none. Without timestamp_timeout=0 sudo asks once in 15 minutes only.',
      ),
      'timestamp_timeout=0',
    ),
  ),
  sudoStrict: withDefault(
    flag,
    defaultsTo(sudo('STRICT', 'One bad value drops the whole rule instead of the value.'), 'false'),
  ),
  sudoHostWildcards: withDefault(
    choice('off', 'expand', 'raw'),
    defaultsTo(
      sudo(
        'HOST_WILDCARDS',
        'Patterns in sudoHosts: off refuses them, expand writes the enrolled hosts that match, raw leaves them, which sssd asks for only with ldap_sudo_include_regexp.',
      ),
      'expand',
    ),
  ),
  sudoHostScope: withDefault(
    choice('all', 'bound'),
    defaultsTo(
      sudo('HOST_SCOPE', 'bound: a host that authenticated as itself sees only rules that may apply to it.'),
      'all',
    ),
  ),
  sudoUserStyle: withDefault(
    choice('users', 'group'),
    defaultsTo(sudo('USER_STYLE', 'Whether rules from claims name the members or the group.'), 'users'),
  ),
  sudoMaxTimestampTimeout: withDefault(
    integer(0, 1440),
    defaultsTo(sudo('MAX_TIMESTAMP_TIMEOUT', 'Most minutes that the option timestamp_timeout may ask for.'), '0'),
  ),
  sudoAllowNegated: withDefault(
    flag,
    defaultsTo(sudo('ALLOW_NEGATED', 'Accept commands with ! in front, which are easy to get around.'), 'false'),
  ),
  sudoAllowSudoedit: withDefault(flag, defaultsTo(sudo('ALLOW_SUDOEDIT', 'Accept sudoedit as a command.'), 'false')),
  sudoAllowRegex: withDefault(
    flag,
    defaultsTo(sudo('ALLOW_REGEX', 'Accept commands as regular expressions, which sudo knows since 1.9.10.'), 'false'),
  ),
  sudoAllowMac: withDefault(
    flag,
    defaultsTo(sudo('ALLOW_MAC', 'Accept the options role, type and apparmor_profile.'), 'false'),
  ),
  sudoEnvironment: withDefault(
    list,
    defaultsTo(sudo('ENVIRONMENT', 'Variables that env_keep+= and env_check+= may name.'), 'LANG, LC_*, TZ, COLORS'),
  ),
};

/** Sudo rules that do not come from claims. */
export const sudoRuleSettings = z.object({
  source: optional(choice('claims', 'store', 'both'), {
    ...sudo('', ''),
    env: 'IDENTREE_SUDO_SOURCE',
    toml: 'ldap.sudo_source',
    description: 'Where sudo rules come from: claims of groups, the rules in the database, or both.',
    defaultNote: '`store` in bridge mode, else `claims`',
  }),
  rulesFile: optional(path, {
    ...sudo('', ''),
    env: 'IDENTREE_SUDO_RULES_FILE',
    toml: 'ldap.sudo_rules_file',
    description: 'sudorules.json of an earlier installation, imported at the first start.',
    example: '/config/sudorules.json',
  }),
  groupSyntax: withDefault(choice('strict', 'relaxed'), {
    ...sudo('', ''),
    env: 'IDENTREE_SUDO_GROUP_SYNTAX',
    toml: 'ldap.sudo_group_syntax',
    description: 'relaxed: rules in the database may name groups of another directory, with upper case and @.',
    default: 'strict',
  }),
});

/** Rules over several of these settings. */
export function checkSudoRules(
  values: Readable<
    { ldap: z.ZodObject<typeof ldapSudoSettings>; sudoRules: typeof sudoRuleSettings } & Pick<
      typeof sourceSettings,
      'directory'
    >
  >,
  { errors, warnings }: Report,
): void {
  // Bridge mode would hide that no person's rules are served.
  if (values.directory?.source === 'none' && values.sudoRules?.source && values.sudoRules.source !== 'store') {
    errors.push({
      setting: 'IDENTREE_SUDO_SOURCE',
      problem: 'is not store, but no people are served, so there are no claims',
      fix: 'Remove it, or set it to store.',
    });
  }
  if (values.ldap?.sudoNoAuthenticate === 'true') {
    warnings.push({
      setting: 'IDENTREE_LDAP_SUDO_NO_AUTHENTICATE',
      problem: 'is true: sudo asks nobody, so no approval is ever needed on hosts that rely on PAM',
      fix: 'Set it to claims and give the option to the groups that need it.',
    });
  }
}
