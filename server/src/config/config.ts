import { z } from 'zod';
import { accountSettings } from './sections/accounts.ts';
import { approvalSettings } from './sections/approvals.ts';
import { type AuditConfig, auditSettings } from './sections/audit.ts';
import { clientDefaultSettings } from './sections/client-defaults.ts';
import { databaseSettings } from './sections/database.ts';
import { type escrowCommand, escrowSettings } from './sections/escrow.ts';
import { hostSettings } from './sections/hosts.ts';
import { installerSettings } from './sections/installer.ts';
import { ldapSettings } from './sections/ldap.ts';
import { type ChannelSecret, notifySettings } from './sections/notify.ts';
import { serverSettings } from './sections/server.ts';
import { signInSettings } from './sections/sign-in.ts';
import { sourceSettings } from './sections/sources.ts';
import { ldapSudoSettings, sudoRuleSettings } from './sections/sudo-rules.ts';
import { type SettingMeta, settingMeta } from './setting.ts';
import type { RawValue } from './values.ts';

/**
 * The settings of the server, by section. Reading, errors, the warning about unknown names and docs/configuration.md
 * follow from this.
 */
export const settings = z.object({
  ...serverSettings,
  ...databaseSettings,
  ...signInSettings,
  ...approvalSettings,
  ...hostSettings,
  clientDefaults: z.object(clientDefaultSettings),
  ...sourceSettings,
  ldap: z.object({ ...ldapSettings, ...accountSettings, ...ldapSudoSettings }),
  sudoRules: sudoRuleSettings,
  escrow: z.object(escrowSettings),
  audit: z.object(auditSettings),
  notify: z.object(notifySettings),
  installer: z.object(installerSettings),
});

type Settings = z.output<typeof settings>;

type KeyPairFiles = { certFile: string; keyFile: string };
type LdapSettings = Settings['ldap'];

/** The LDAP directory as it is served. */
export interface LdapConfig
  extends Omit<
    LdapSettings,
    | 'enabled'
    | 'baseDn'
    | 'tlsCertFile'
    | 'tlsKeyFile'
    | 'clientCertificates'
    | 'bindDn'
    | 'bindPassword'
    | 'externalUrl'
  > {
  baseDn: string;
  externalUrl: string;
  /** Null: the embedded CA issues a certificate. */
  tls: KeyPairFiles | null;
  clientCertificates: 'off' | 'optional' | 'required';
  /** The service account; null: none. */
  service: { dn: string; password: string } | null;
}

/** What the rest of the server is told. */
export interface Config
  extends Omit<Settings, 'tls' | 'ldap' | 'directory' | 'sudoRules' | 'escrow' | 'audit' | 'notify' | 'stopDelayMs'> {
  /** How long it still answers when it is told to stop. */
  stopDelayMs: number;
  tls: KeyPairFiles | null;
  directory: Omit<Settings['directory'], 'source'> & { source: 'pocketid' | 'scim' | 'file' | 'none' };
  sudoRules: Omit<Settings['sudoRules'], 'source'> & { source: 'claims' | 'store' | 'both' };
  /** `command`: the program that keeps passwords, and all of its environment. */
  escrow: Omit<Settings['escrow'], 'command' | 'commandEnv'> & { command: ReturnType<typeof escrowCommand> };
  audit: AuditConfig;
  /** `secrets`: those of channels, by the middle of their variables. `environment`: what commands of channels are given. */
  notify: Settings['notify'] & {
    secrets: Readonly<Record<string, Readonly<ChannelSecret>>>;
    environment: Readonly<Record<string, string>>;
  };
  /** Null: no directory is served. */
  ldap: LdapConfig | null;
  /** Evaluation mode; no source can set it, only the evaluation entry. */
  evaluation: boolean;
}

type Leaf = z.ZodType<unknown, RawValue>;

/** Every setting with its place in {@link Config}. */
export function listSettings(): { path: string[]; type: Leaf; meta: SettingMeta }[] {
  const walk = (object: z.ZodObject, path: string[]): { path: string[]; type: Leaf; meta: SettingMeta }[] =>
    Object.entries(object.shape).flatMap(([key, type]) => {
      if (type instanceof z.ZodObject) return walk(type, [...path, key]);
      const meta = settingMeta.get(type);
      if (!meta) throw new TypeError(`setting without description: ${[...path, key].join('.')}`);
      return [{ path: [...path, key], type: type as Leaf, meta }];
    });
  return walk(settings, []);
}
