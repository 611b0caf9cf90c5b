import { CERTIFICATE_LINKS } from '../certificates/links.ts';
import { type DirectoryUse, securityOf, showsCertificate } from './settings.ts';

export const SSSD_FILE = '/etc/sssd/sssd.conf';
/** The domain as sssd calls it in its logs and caches. */
export const SSSD_DOMAIN = 'identree';

export interface SssdOptions {
  /** Only people whose `host` attribute names this host may log in. */
  hostAccess: boolean;
}

/**
 * sssd.conf(5) for the directory. No comment stands behind a value: sssd would take it for a part of it, and does not
 * start with `auth_provider = none # …`.
 */
export function sssdConf(use: DirectoryUse, options: SssdOptions): string {
  const { settings } = use;
  const under = (unit: string) => `ou=${unit},${settings.baseDn}`;
  const security = securityOf(use);
  const tls = [
    'ldap_tls_reqcert = demand',
    `ldap_tls_cacert = ${CERTIFICATE_LINKS.ca}`,
    ...(showsCertificate(use)
      ? [`ldap_tls_cert = ${CERTIFICATE_LINKS.certificate}`, `ldap_tls_key = ${CERTIFICATE_LINKS.key}`]
      : []),
  ];
  const bind = settings.bind && [
    '',
    `ldap_default_bind_dn = ${settings.bind.dn}`,
    'ldap_default_authtok_type = password',
    `ldap_default_authtok = ${settings.bind.password}`,
  ];
  const lines = [
    '# Managed by identree; removed by: identree setup --undo',
    '[sssd]',
    'services = nss, pam, sudo, ssh',
    'config_file_version = 2',
    `domains = ${SSSD_DOMAIN}`,
    '',
    `[domain/${SSSD_DOMAIN}]`,
    'id_provider = ldap',
    '# identree decides in the PAM stack; there are no passwords to check.',
    'auth_provider = none',
    'sudo_provider = ldap',
    '# Accounts that the directory disables can do nothing here.',
    'access_provider = ldap',
    `ldap_access_order = expire${options.hostAccess ? ', host' : ''}`,
    'ldap_account_expire_policy = shadow',
    '',
    `ldap_uri = ${settings.ldapUrl}`,
    `ldap_id_use_start_tls = ${security === 'starttls'}`,
    ...(security === 'plain' ? [] : tls),
    ...(bind ?? []),
    '',
    `ldap_search_base = ${settings.baseDn}`,
    `ldap_user_search_base = ${under('people')}`,
    `ldap_group_search_base = ${under('groups')}`,
    `ldap_sudo_search_base = ${under('sudoers')}`,
    '# Kept out of the rest of the tree, where these are not.',
    `ldap_netgroup_search_base = ${under('netgroups')}`,
    `ldap_service_search_base = ${under('netgroups')}`,
    `ldap_iphost_search_base = ${under('netgroups')}`,
    `ldap_ipnetwork_search_base = ${under('netgroups')}`,
    'ldap_schema = rfc2307',
    'ldap_user_uuid = entryUUID',
    'ldap_group_uuid = entryUUID',
    '',
    'enumerate = false',
    'cache_credentials = false',
    'entry_cache_timeout = 60',
    'entry_cache_sudo_timeout = 60',
    '# Smart refreshes bring what is new or changed, full ones what is gone. With equal intervals sssd does no smart ones.',
    'ldap_sudo_smart_refresh_interval = 30',
    'ldap_sudo_full_refresh_interval = 300',
    '# sssd would ask for its own networks only, and a rule for a wider one would not arrive. sudo compares hosts itself.',
    'ldap_sudo_use_host_filter = false',
    '# Without these, sssd notices up to 90 seconds late that the directory is back.',
    'offline_timeout = 10',
    'offline_timeout_random_offset = 5',
  ];
  return `${lines.join('\n')}\n`;
}
