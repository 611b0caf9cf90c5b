import { bothOrNeither, type ConfigProblem } from './problems.ts';
import type { Readable } from './rules.ts';
import { isLoopback } from './values.ts';

/** Rules over the settings of the directory. */
export function checkDirectory(
  values: Readable,
  { errors, warnings }: { errors: ConfigProblem[]; warnings: ConfigProblem[] },
): void {
  const { ldap = {}, directory = {}, pocketId = {} } = values;
  if (ldap.enabled && ldap.baseDn === null) {
    errors.push({
      setting: 'IDENTREE_LDAP_BASE_DN',
      problem: 'is not set, but IDENTREE_LDAP_ENABLED is true',
      fix: 'Set it, like dc=example,dc=com.',
    });
  }
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
  // Bridge mode would hide that nobody's rules are served.
  if (directory.source === 'none' && values.sudoRules?.source && values.sudoRules.source !== 'store') {
    errors.push({
      setting: 'IDENTREE_SUDO_SOURCE',
      problem: 'is not store, but no people are served, so there are no claims',
      fix: 'Remove it, or set it to store.',
    });
  }
  bothOrNeither(errors, ['IDENTREE_LDAP_BIND_DN', ldap.bindDn], ['IDENTREE_LDAP_BIND_PASSWORD', ldap.bindPassword]);
  bothOrNeither(
    errors,
    ['IDENTREE_LDAP_TLS_CERT_FILE', ldap.tlsCertFile],
    ['IDENTREE_LDAP_TLS_KEY_FILE', ldap.tlsKeyFile],
  );
  if (ldap.provisionEnabled && ldap.secret === null) {
    errors.push({
      setting: 'IDENTREE_LDAP_SECRET',
      problem: 'is not set, but IDENTREE_LDAP_PROVISION_ENABLED is true',
      fix: 'Make one with: openssl rand -hex 32. IDENTREE_SHARED_SECRET is not used in its place, because hosts know it.',
    });
  }
  if (ldap.listen === null && ldap.tlsListen === null && ldap.enabled !== false && ldap.baseDn) {
    errors.push({
      setting: 'IDENTREE_LDAP_LISTEN_ADDR',
      problem: 'is off, and so is IDENTREE_LDAP_TLS_LISTEN_ADDR',
      fix: 'Open one of them, or set IDENTREE_LDAP_ENABLED to false.',
    });
  }
  if (ldap.uidMax !== undefined && (ldap.uidBase ?? 0) > ldap.uidMax) {
    errors.push({
      setting: 'IDENTREE_LDAP_UID_BASE',
      problem: 'is above IDENTREE_LDAP_UID_MAX',
      fix: 'Lower the one or raise the other.',
    });
  }
  if (ldap.sudoNoAuthenticate === 'true') {
    warnings.push({
      setting: 'IDENTREE_LDAP_SUDO_NO_AUTHENTICATE',
      problem: 'is true: sudo asks nobody, so no approval is ever needed on hosts that rely on PAM',
      fix: 'Set it to claims and give the option to the groups that need it.',
    });
  }
  const address = ldap.listen?.host ?? '';
  const isOpen = ldap.allowAnonymous && ldap.baseDn && ldap.listen && !isLoopback(address);
  if (isOpen && !ldap.requireTls) {
    warnings.push({
      setting: 'IDENTREE_LDAP_ALLOW_ANONYMOUS',
      problem: 'is true on an address that others reach: everybody there can read all accounts and sudo rules',
      fix: 'Use client certificates or a service account, or let a firewall admit managed hosts only.',
    });
  }
}
