import { BASE_DN, SERVICE } from '../harness/directory.ts';

/** Full mode's sssd.conf as the founding document prints it, comment included. */
export const FULL_MODE_AS_PRINTED = `[sssd]
services = nss, pam, sudo
config_file_version = 2
domains = IDENTREE
[domain/IDENTREE]
id_provider = ldap
auth_provider = none # identree handles PAM auth, not sssd
sudo_provider = ldap
ldap_uri = ldap://identree.example.com:389
ldap_search_base = dc=example,dc=com
ldap_user_search_base = ou=people,dc=example,dc=com
ldap_group_search_base = ou=groups,dc=example,dc=com
ldap_sudo_search_base = ou=sudoers,dc=example,dc=com
ldap_schema = rfc2307
ldap_id_use_start_tls = false
enumerate = true
cache_credentials = false
entry_cache_timeout = 60
ldap_sudo_full_refresh_interval = 60
`;

/** The same without the comment, which sssd takes for a part of the value. */
export const FULL_MODE = FULL_MODE_AS_PRINTED.replace(' # identree handles PAM auth, not sssd', '');

/** Bridge mode, as printed: another directory has the people. */
export const BRIDGE_MODE_AS_PRINTED = `[sssd]
services = nss, pam, sudo
config_file_version = 2
domains = MYLDAP
[domain/MYLDAP]
id_provider = ldap
auth_provider = none
sudo_provider = ldap
# Your existing LDAP
ldap_uri = ldap://ldap.example.com:389
ldap_search_base = dc=example,dc=com
ldap_user_search_base = ou=people,dc=example,dc=com
ldap_group_search_base = ou=groups,dc=example,dc=com
# Point sudo at identree's sudoers tree (if IDENTREE_LDAP_ENABLED)
ldap_sudo_search_base = ou=sudoers,dc=example,dc=com
ldap_schema = rfc2307
cache_credentials = false
enumerate = true
`;

/** Full mode with mutual TLS, as printed. */
export const FULL_MODE_TLS = `[sssd]
services = nss, pam, sudo
config_file_version = 2
domains = IDENTREE
[domain/IDENTREE]
id_provider = ldap
auth_provider = none
sudo_provider = ldap
ldap_uri = ldaps://identree.example.com:636
ldap_search_base = dc=example,dc=com
ldap_user_search_base = ou=people,dc=example,dc=com
ldap_group_search_base = ou=groups,dc=example,dc=com
ldap_sudo_search_base = ou=sudoers,dc=example,dc=com
ldap_schema = rfc2307
enumerate = true
cache_credentials = false
entry_cache_timeout = 60
ldap_sudo_full_refresh_interval = 60
# mTLS client certificate authentication
ldap_tls_cert = /etc/identree/client.crt
ldap_tls_key = /etc/identree/client.key
ldap_tls_cacert = /etc/identree/ca.crt
ldap_tls_reqcert = demand
`;

/** Its nsswitch.conf, also as printed. */
export const NSSWITCH = `# /etc/nsswitch.conf
passwd: files sss
group: files sss
sudoers: files sss
`;

const RECOMMENDED: Record<string, string> = {
  id_provider: 'ldap',
  auth_provider: 'none',
  access_provider: 'ldap',
  sudo_provider: 'ldap',
  ldap_uri: 'ldaps://identree.example.com',
  ldap_search_base: BASE_DN,
  ldap_user_search_base: `ou=people,${BASE_DN}`,
  ldap_group_search_base: `ou=groups,${BASE_DN}`,
  ldap_sudo_search_base: `ou=sudoers,${BASE_DN}`,
  ldap_netgroup_search_base: `ou=netgroups,${BASE_DN}`,
  ldap_service_search_base: `ou=netgroups,${BASE_DN}`,
  ldap_iphost_search_base: `ou=netgroups,${BASE_DN}`,
  ldap_schema: 'rfc2307',
  ldap_user_uuid: 'entryUUID',
  ldap_group_uuid: 'entryUUID',
  ldap_tls_cacert: '/etc/identree/ca.crt',
  ldap_tls_cert: '/etc/identree/client.crt',
  ldap_tls_key: '/etc/identree/client.key',
  ldap_tls_reqcert: 'demand',
  ldap_access_order: 'expire, host',
  ldap_account_expire_policy: 'shadow',
  enumerate: 'false',
  cache_credentials: 'false',
  entry_cache_timeout: '60',
  entry_cache_sudo_timeout: '60',
  ldap_sudo_full_refresh_interval: '300',
  ldap_sudo_smart_refresh_interval: '30',
  offline_timeout: '10',
  offline_timeout_random_offset: '5',
};

/**
 * The configuration that we recommend (mutual TLS, no enumeration, revocation within a minute).
 *
 * @param changes options of the domain that differ; null leaves one out.
 */
export function recommended(changes: Record<string, string | null> = {}, services = 'nss, pam, sudo, ssh'): string {
  const domain = Object.entries({ ...RECOMMENDED, ...changes }).filter(([, value]) => value !== null);
  return [
    '[sssd]',
    `services = ${services}`,
    'domains = IDENTREE',
    '',
    '[domain/IDENTREE]',
    ...domain.map(([name, value]) => `${name} = ${value}`),
    '',
  ].join('\n');
}

export const WITHOUT_TLS = {
  ldap_uri: 'ldap://identree.example.com',
  ldap_tls_cacert: null,
  ldap_tls_cert: null,
  ldap_tls_key: null,
};

/** The service account on a connection that a tap can read. */
export const PLAIN = {
  ...WITHOUT_TLS,
  ldap_default_bind_dn: SERVICE.dn,
  ldap_default_authtok: SERVICE.password,
};

/** For tests that cannot wait for what is new, what is gone and the end of an outage. */
export const forgetful = (): string =>
  `${recommended({
    ...PLAIN,
    ldap_sudo_smart_refresh_interval: '2',
    entry_cache_sudo_timeout: '1',
    offline_timeout: '1',
    offline_timeout_random_offset: '0',
  })}\n[nss]\nentry_negative_timeout = 1\n`;
