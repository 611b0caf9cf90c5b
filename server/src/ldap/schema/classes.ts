/** One object class (RFC 4512 4.1.1). */
export interface ClassDefinition {
  name: string;
  oid: string;
  sup: string | null;
  kind: 'ABSTRACT' | 'STRUCTURAL' | 'AUXILIARY';
  must: readonly string[];
  may: readonly string[];
}

const words = (list: string): string[] => list.split(' ').filter((word) => word !== '');

const make =
  (kind: ClassDefinition['kind']) =>
  (name: string, oid: string, sup: string | null, must: string, may = ''): ClassDefinition => ({
    name,
    oid,
    sup,
    kind,
    must: words(must),
    may: words(may),
  });

const structural = make('STRUCTURAL');
const auxiliary = make('AUXILIARY');

const POSTAL = 'street postOfficeBox postalCode postalAddress physicalDeliveryOfficeName';
const PLACE = `telephoneNumber facsimileTelephoneNumber ${POSTAL} st l`;
const NIS = '1.3.6.1.1.1.2';

/**
 * RFC 4512, 4519, 4524, 2798, 2307 with its "bis" draft, sudo, openssh-lpk and ldapns, as far as the directory uses
 * them. Attribute types that it does not know are left out of `may`.
 */
export const CLASSES: readonly ClassDefinition[] = [
  { name: 'top', oid: '2.5.6.0', sup: null, kind: 'ABSTRACT', must: ['objectClass'], may: [] },
  structural('country', '2.5.6.2', 'top', 'c', 'description'),
  structural('locality', '2.5.6.3', 'top', '', 'street seeAlso st l description'),
  structural('organization', '2.5.6.4', 'top', 'o', `userPassword seeAlso businessCategory ${PLACE} description`),
  structural(
    'organizationalUnit',
    '2.5.6.5',
    'top',
    'ou',
    `userPassword seeAlso businessCategory ${PLACE} description`,
  ),
  structural('person', '2.5.6.6', 'top', 'sn cn', 'userPassword telephoneNumber seeAlso description'),
  structural('organizationalPerson', '2.5.6.7', 'person', '', `title ${PLACE} ou`),
  structural(
    'inetOrgPerson',
    '2.16.840.1.113730.3.2.2',
    'organizationalPerson',
    '',
    'businessCategory carLicense departmentNumber displayName employeeNumber employeeType givenName homePhone homePostalAddress initials jpegPhoto labeledURI mail manager mobile o pager roomNumber secretary uid userCertificate preferredLanguage',
  ),
  structural('groupOfNames', '2.5.6.9', 'top', 'member cn', 'businessCategory seeAlso owner ou o description'),
  structural(
    'groupOfMembers',
    '1.3.6.1.1.1.2.18',
    'top',
    'cn',
    'businessCategory seeAlso owner ou o description member',
  ),
  structural('device', '2.5.6.14', 'top', 'cn', 'serialNumber seeAlso owner ou o l description'),
  structural('account', '0.9.2342.19200300.100.4.5', 'top', 'uid', 'description seeAlso l o ou host'),
  auxiliary('dcObject', '1.3.6.1.4.1.1466.344', 'top', 'dc'),
  auxiliary('extensibleObject', '1.3.6.1.4.1.1466.101.120.111', 'top', ''),
  auxiliary(
    'posixAccount',
    `${NIS}.0`,
    'top',
    'cn uid uidNumber gidNumber homeDirectory',
    'userPassword loginShell gecos description',
  ),
  auxiliary(
    'shadowAccount',
    `${NIS}.1`,
    'top',
    'uid',
    'userPassword shadowLastChange shadowMin shadowMax shadowWarning shadowInactive shadowExpire shadowFlag description',
  ),
  structural('posixGroup', `${NIS}.2`, 'top', 'cn gidNumber', 'userPassword memberUid description'),
  structural('ipService', `${NIS}.3`, 'top', 'cn ipServicePort ipServiceProtocol', 'description'),
  structural('ipProtocol', `${NIS}.4`, 'top', 'cn ipProtocolNumber', 'description'),
  structural('oncRpc', `${NIS}.5`, 'top', 'cn oncRpcNumber', 'description'),
  auxiliary('ipHost', `${NIS}.6`, 'top', 'cn ipHostNumber', 'l description manager'),
  structural('ipNetwork', `${NIS}.7`, 'top', 'cn ipNetworkNumber', 'ipNetmaskNumber l description manager'),
  structural('nisNetgroup', `${NIS}.8`, 'top', 'cn', 'nisNetgroupTriple memberNisNetgroup description'),
  structural('nisMap', `${NIS}.9`, 'top', 'nisMapName', 'description'),
  structural('nisObject', `${NIS}.10`, 'top', 'cn nisMapEntry nisMapName', 'description'),
  auxiliary('ieee802Device', `${NIS}.11`, 'top', '', 'macAddress'),
  structural('automountMap', `${NIS}.16`, 'top', 'automountMapName', 'description'),
  structural('automount', `${NIS}.17`, 'top', 'automountKey automountInformation', 'description'),
  auxiliary('authorizedServiceObject', '1.3.6.1.4.1.5322.17.1.1', 'top', '', 'authorizedService'),
  auxiliary('hostObject', '1.3.6.1.4.1.5322.17.1.2', 'top', '', 'host'),
  auxiliary('ldapPublicKey', '1.3.6.1.4.1.24552.500.1.1.2.0', 'top', '', 'sshPublicKey uid'),
  // No class of others has both without asking for more; the number is of X.667, which anybody may make.
  auxiliary(
    'identreeAccount',
    '2.25.145047124440483412863124644578855893521',
    'top',
    '',
    'accountStatus nsAccountLock',
  ),
  structural(
    'sudoRole',
    '1.3.6.1.4.1.15953.9.2.1',
    'top',
    'cn',
    'sudoUser sudoHost sudoCommand sudoRunAs sudoRunAsUser sudoRunAsGroup sudoOption sudoOrder sudoNotBefore sudoNotAfter description',
  ),
  structural('subentry', '2.5.17.0', 'top', 'cn'),
  auxiliary('subschema', '2.5.20.1', 'top', '', 'attributeTypes objectClasses matchingRules ldapSyntaxes'),
];
