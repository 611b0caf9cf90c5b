import { CERTIFICATE_LINKS } from '../certificates/links.ts';
import { type DirectoryUse, securityOf, showsCertificate } from './settings.ts';

export const SUDO_LDAP_FILE = '/etc/sudo-ldap.conf';

/** sudoers.ldap(5) for the rules of the directory, read by sudo itself. */
export function sudoLdapConf(use: DirectoryUse): string {
  const { settings } = use;
  const security = securityOf(use);
  const lines = [
    '# Managed by identree; removed by: identree setup --undo',
    `uri ${settings.ldapUrl}`,
    `sudoers_base ou=sudoers,${settings.baseDn}`,
    // sudo must not hang when the directory is away; /etc/sudoers is read first.
    'bind_timelimit 5',
    'timelimit 15',
    ...(security === 'starttls' ? ['ssl start_tls'] : []),
    ...(security === 'plain' ? [] : ['tls_checkpeer yes', `tls_cacertfile ${CERTIFICATE_LINKS.ca}`]),
    ...(showsCertificate(use) ? [`tls_cert ${CERTIFICATE_LINKS.certificate}`, `tls_key ${CERTIFICATE_LINKS.key}`] : []),
    ...(settings.bind ? [`binddn ${settings.bind.dn}`, `bindpw ${settings.bind.password}`] : []),
  ];
  return `${lines.join('\n')}\n`;
}
