import type { Config, LdapConfig } from '../config/config.ts';
import { DEFAULT_GUARDS, type GuardSettings } from './guards/guard.ts';
import { accountNameElsewhere, mapUserName } from './numbers/names.ts';
import { DEFAULT_SETTINGS, type DirectorySettings } from './settings.ts';

/** What the configuration says about the content of the directory. */
export function directorySettingsOf(config: Config, ldap: LdapConfig): DirectorySettings {
  const defaults = ldap.sudoDefaults;
  return {
    baseDn: ldap.baseDn,
    issuer: config.oidc.issuerUrl,
    people: config.directory.source !== 'none',
    sudoSource: config.sudoRules.source,
    rfc2307bis: DEFAULT_SETTINGS.rfc2307bis,
    hostIdentities: ldap.provisionEnabled,
    netgroups: ldap.netgroups,
    names: {
      policy: ldap.usernamePolicy,
      reserved: ldap.reservedNames.map((name) => name.toLowerCase()),
      quarantineMs: ldap.nameQuarantineMs,
    },
    ids: {
      uidBase: ldap.uidBase,
      gidBase: ldap.gidBase,
      max: ldap.uidMax,
      exclude: ldap.idExclude,
      claimRange: ldap.claimIdRange,
    },
    accounts: {
      defaultShell: ldap.defaultShell,
      defaultHome: ldap.defaultHome,
      allowedShells: ldap.allowedShells.length > 0 ? ldap.allowedShells : null,
    },
    access: { byDefault: ldap.accessDefault, allowAll: ldap.accessAllowAll },
    sudo: {
      noAuthenticate: ldap.sudoNoAuthenticate,
      maxTimestampTimeout: ldap.sudoMaxTimestampTimeout,
      strict: ldap.sudoStrict,
      hostWildcards: ldap.sudoHostWildcards,
      userStyle: ldap.sudoUserStyle,
      allowNegated: ldap.sudoAllowNegated,
      allowSudoedit: ldap.sudoAllowSudoedit,
      allowRegex: ldap.sudoAllowRegex,
      allowMac: ldap.sudoAllowMac,
      environment: ldap.sudoEnvironment,
      defaults: defaults.length === 1 && defaults[0] === 'none' ? null : defaults,
    },
  };
}

/**
 * The Linux account that a user name stands for, at a source of people and in a sign-in alike. Where hosts have people from
 * elsewhere, the name is taken as it is, but for `localpart`.
 *
 * @returns null for a name that none can have
 */
export function accountNameOf(config: Config): (username: string) => string | null {
  const { ldap } = config;
  if (ldap === null || config.directory.source === 'none') {
    return (username) =>
      accountNameElsewhere(username, ldap?.usernamePolicy === 'localpart' ? 'localpart' : 'preserve');
  }
  const { names } = directorySettingsOf(config, ldap);
  return (username) => {
    const mapped = mapUserName(username, names);
    return mapped.ok ? mapped.name : null;
  };
}

/**
 * The Linux account that a user name would stand for in small letters, where the policy is to take names as they are or not
 * at all: who signs in as `Mira` has no account then, and people read the name of another one's.
 *
 * @returns null for a name that none can have, and under every other policy
 */
export function accountNameInSmallLetters(config: Config): (username: string) => string | null {
  const { ldap } = config;
  if (ldap?.usernamePolicy !== 'strict' || config.directory.source === 'none') return () => null;
  const names = { ...directorySettingsOf(config, ldap).names, policy: 'fold' as const };
  return (username) => {
    const mapped = mapUserName(username, names);
    return mapped.ok ? mapped.name : null;
  };
}

/** What the configuration says about changes that wait for an administrator. */
export function guardSettingsOf(config: Config, ldap: LdapConfig): GuardSettings {
  return {
    ...DEFAULT_GUARDS,
    power: config.directory.guardPower,
    bindings: config.directory.guardBindings,
    massChangePercent: ldap.syncMaxDeletePercent,
  };
}

/** Names under which hosts may reach the directory, for its certificate. */
export function certificateNamesOf(config: Config, ldap: LdapConfig): string[] {
  const hostnames = [ldap.externalUrl, config.externalUrl].map((url) =>
    new URL(url.replace(/^ldaps?:/, 'https:')).hostname.replace(/^\[|\]$/g, ''),
  );
  return [...new Set([...hostnames, 'localhost'])];
}
