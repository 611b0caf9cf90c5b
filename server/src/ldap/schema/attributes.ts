import type { SyntaxName } from './rules.ts';

/** One attribute type (RFC 4512 4.1.2). Missing fields come from `sup`. */
export interface AttributeDefinition {
  names: readonly string[];
  oid: string;
  syntax?: SyntaxName;
  equality?: string;
  ordering?: string;
  substring?: string;
  sup?: string;
  single?: true;
  /** `directoryOperation`: shown on request only. */
  operational?: true;
  /** Worked out when an entry is shown; never part of the stored entry. */
  computed?: true;
}

type Options = Omit<AttributeDefinition, 'names' | 'oid'>;

const attribute =
  (base: Options) =>
  (names: string, oid: string, options: Options = {}): AttributeDefinition => ({
    names: names.split(' '),
    oid,
    ...base,
    ...options,
  });

const text = attribute({ syntax: 'text', equality: 'caseIgnoreMatch', substring: 'caseIgnoreSubstringsMatch' });
const exactText = attribute({ syntax: 'text', equality: 'caseExactMatch', substring: 'caseExactSubstringsMatch' });
const ascii = attribute({
  syntax: 'ascii',
  equality: 'caseIgnoreIA5Match',
  substring: 'caseIgnoreIA5SubstringsMatch',
});
const exactAscii = attribute({
  syntax: 'ascii',
  equality: 'caseExactIA5Match',
  substring: 'caseExactIA5SubstringsMatch',
});
const integer = attribute({ syntax: 'integer', equality: 'integerMatch', ordering: 'integerOrderingMatch' });
const time = attribute({
  syntax: 'time',
  equality: 'generalizedTimeMatch',
  ordering: 'generalizedTimeOrderingMatch',
});
const dn = attribute({ syntax: 'dn', equality: 'distinguishedNameMatch' });
const named = attribute({ sup: 'name' });
const pointing = attribute({ sup: 'distinguishedName' });
const phone = attribute({ syntax: 'phone', equality: 'telephoneNumberMatch' });
const postal = attribute({ syntax: 'postal', equality: 'caseIgnoreListMatch' });
const descriptor = attribute({ syntax: 'oid', equality: 'objectIdentifierMatch' });
const octets = attribute({ syntax: 'octets', equality: 'octetStringMatch' });
const opaque = attribute({});

const single = { single: true } as const;
const operational = { operational: true } as const;
const computed = { operational: true, computed: true } as const;
const COSINE = '0.9.2342.19200300.100.1';
const INET_ORG = '2.16.840.1.113730.3.1';
const NIS = '1.3.6.1.1.1.1';
const SUDO = '1.3.6.1.4.1.15953.9.1';

/**
 * Every attribute type the directory knows: matching, selection, the layout of entries and `cn=subschema` all come from
 * here.
 *
 * The order is the order in which an entry's attributes lie in memory and are sent. What sssd asks for together stands
 * together, so that most answers are one copy: first what it never asks for, then what it does, then what is shown on
 * request only.
 */
export const ATTRIBUTES: readonly AttributeDefinition[] = [
  text('name', '2.5.4.41'),
  dn('distinguishedName', '2.5.4.49'),
  named('sn surname', '2.5.4.4'),
  named('givenName gn', '2.5.4.42'),
  named('initials', '2.5.4.43'),
  named('generationQualifier', '2.5.4.44'),
  named('title', '2.5.4.12'),
  text('displayName', `${INET_ORG}.241`, single),
  text('description', '2.5.4.13'),
  named('o organizationName', '2.5.4.10'),
  named('ou organizationalUnitName', '2.5.4.11'),
  ascii('dc domainComponent', `${COSINE}.25`, single),
  named('c countryName', '2.5.4.6', { syntax: 'country', single: true }),
  named('l localityName', '2.5.4.7'),
  named('st stateOrProvinceName', '2.5.4.8'),
  text('street streetAddress', '2.5.4.9'),
  postal('postalAddress', '2.5.4.16'),
  text('postalCode', '2.5.4.17'),
  text('postOfficeBox', '2.5.4.18'),
  text('physicalDeliveryOfficeName', '2.5.4.19'),
  phone('telephoneNumber', '2.5.4.20'),
  opaque('facsimileTelephoneNumber fax', '2.5.4.23', { syntax: 'fax' }),
  text('businessCategory', '2.5.4.15'),
  text('serialNumber', '2.5.4.5', { syntax: 'printable' }),
  pointing('seeAlso', '2.5.4.34'),
  pointing('owner', '2.5.4.32'),
  opaque('uniqueMember', '2.5.4.50', { syntax: 'optionalUid', equality: 'uniqueMemberMatch' }),
  text('carLicense', `${INET_ORG}.1`),
  text('departmentNumber', `${INET_ORG}.2`),
  text('employeeNumber', `${INET_ORG}.3`, single),
  text('employeeType', `${INET_ORG}.4`),
  text('preferredLanguage', `${INET_ORG}.39`, single),
  phone('homePhone homeTelephoneNumber', `${COSINE}.20`),
  postal('homePostalAddress', `${COSINE}.39`),
  phone('mobile mobileTelephoneNumber', `${COSINE}.41`),
  phone('pager pagerTelephoneNumber', `${COSINE}.42`),
  text('roomNumber', `${COSINE}.6`),
  dn('manager', `${COSINE}.10`),
  dn('secretary', `${COSINE}.21`),
  exactText('labeledURI', '1.3.6.1.4.1.250.1.57'),
  opaque('jpegPhoto', `${COSINE}.60`, { syntax: 'jpeg' }),
  text('accountStatus', '1.3.6.1.4.1.7914.1.2.1.8', single),
  integer('ipServicePort', `${NIS}.15`, single),
  named('ipServiceProtocol', `${NIS}.16`),
  integer('ipProtocolNumber', `${NIS}.17`, single),
  integer('oncRpcNumber', `${NIS}.18`, single),
  ascii('ipHostNumber', `${NIS}.19`),
  ascii('ipNetworkNumber', `${NIS}.20`, single),
  ascii('ipNetmaskNumber', `${NIS}.21`, single),
  ascii('macAddress', `${NIS}.22`),
  named('nisMapName', `${NIS}.26`),
  exactAscii('nisMapEntry', `${NIS}.27`, single),
  exactAscii('automountMapName', `${NIS}.31`, single),
  exactAscii('automountKey', `${NIS}.32`, single),
  exactAscii('automountInformation', `${NIS}.33`, single),
  ascii('authorizedService', '1.3.6.1.4.1.5322.17.2.1'),
  // Known so that filters on it have a value; buildSnapshot refuses entries that carry it.
  octets('userPassword', '2.5.4.35'),
  pointing('member', '2.5.4.31'),
  exactAscii('memberUid', `${NIS}.12`),
  descriptor('objectClass', '2.5.4.0'),
  named('cn commonName', '2.5.4.3'),
  text('uid userid', `${COSINE}.1`),
  integer('uidNumber', `${NIS}.0`, single),
  integer('gidNumber', `${NIS}.1`, single),
  ascii('gecos', `${NIS}.2`, single),
  exactAscii('homeDirectory', `${NIS}.3`, single),
  exactAscii('loginShell', `${NIS}.4`, single),
  integer('shadowLastChange', `${NIS}.5`, single),
  integer('shadowMin', `${NIS}.6`, single),
  integer('shadowMax', `${NIS}.7`, single),
  integer('shadowWarning', `${NIS}.8`, single),
  integer('shadowInactive', `${NIS}.9`, single),
  integer('shadowExpire', `${NIS}.10`, single),
  integer('shadowFlag', `${NIS}.11`, single),
  text('nsAccountLock', '2.16.840.1.113730.3.1.610', single),
  text('host', `${COSINE}.9`),
  exactText('sshPublicKey', '1.3.6.1.4.1.24552.500.1.1.1.13'),
  opaque('userCertificate', '2.5.4.36', { syntax: 'certificate' }),
  ascii('mail rfc822Mailbox', `${COSINE}.3`),
  exactAscii('memberNisNetgroup', `${NIS}.13`),
  exactAscii('nisNetgroupTriple', `${NIS}.14`),
  exactAscii('sudoUser', `${SUDO}.1`),
  // sudo's own schema compares exactly, but a host whose name has capitals asks with them.
  ascii('sudoHost', `${SUDO}.2`),
  exactAscii('sudoCommand', `${SUDO}.3`),
  exactAscii('sudoRunAs', `${SUDO}.4`),
  exactAscii('sudoOption', `${SUDO}.5`),
  exactAscii('sudoRunAsUser', `${SUDO}.6`),
  exactAscii('sudoRunAsGroup', `${SUDO}.7`),
  time('sudoNotBefore', `${SUDO}.8`),
  time('sudoNotAfter', `${SUDO}.9`),
  integer('sudoOrder', `${SUDO}.10`),
  integer('entryUSN', '2.16.840.1.113730.3.1.606', { single: true, operational: true }),
  time('modifyTimestamp', '2.5.18.2', { single: true, operational: true }),
  opaque('entryUUID', '1.3.6.1.1.16.4', {
    syntax: 'uuid',
    equality: 'UUIDMatch',
    ordering: 'UUIDOrderingMatch',
    single: true,
    operational: true,
  }),
  time('createTimestamp', '2.5.18.1', { single: true, operational: true }),
  dn('memberOf', '1.2.840.113556.1.2.102', operational),
  dn('entryDN', '1.3.6.1.1.20', { single: true, ...computed }),
  descriptor('structuralObjectClass', '2.5.21.9', { single: true, ...computed }),
  opaque('hasSubordinates', '2.5.18.9', {
    syntax: 'boolean',
    equality: 'booleanMatch',
    single: true,
    ...computed,
  }),
  integer('numSubordinates', '1.3.6.1.4.1.453.16.2.103', { single: true, ...computed }),
  dn('creatorsName', '2.5.18.3', { single: true, ...computed }),
  dn('modifiersName', '2.5.18.4', { single: true, ...computed }),
  dn('subschemaSubentry', '2.5.18.10', { single: true, ...computed }),
  // rootDSE and cn=subschema only.
  dn('namingContexts', '1.3.6.1.4.1.1466.101.120.5', operational),
  dn('defaultNamingContext', '1.3.6.1.4.1.1466.101.120.5.1', { single: true, ...operational }),
  descriptor('supportedControl', '1.3.6.1.4.1.1466.101.120.13', operational),
  descriptor('supportedExtension', '1.3.6.1.4.1.1466.101.120.7', operational),
  descriptor('supportedFeatures', '1.3.6.1.4.1.4203.1.3.5', operational),
  integer('supportedLDAPVersion', '1.3.6.1.4.1.1466.101.120.15', operational),
  text('supportedSASLMechanisms', '1.3.6.1.4.1.1466.101.120.14', operational),
  exactText('vendorName', '1.3.6.1.1.4', { single: true, ...operational }),
  exactText('vendorVersion', '1.3.6.1.1.5', { single: true, ...operational }),
  integer('lastUSN', '2.16.840.1.113730.3.1.607', { single: true, ...operational }),
  opaque('attributeTypes', '2.5.21.5', {
    syntax: 'attributeType',
    equality: 'objectIdentifierFirstComponentMatch',
    ...operational,
  }),
  opaque('objectClasses', '2.5.21.6', {
    syntax: 'objectClass',
    equality: 'objectIdentifierFirstComponentMatch',
    ...operational,
  }),
  opaque('matchingRules', '2.5.21.4', {
    syntax: 'matchingRule',
    equality: 'objectIdentifierFirstComponentMatch',
    ...operational,
  }),
  opaque('ldapSyntaxes', '1.3.6.1.4.1.1466.101.120.16', {
    syntax: 'syntax',
    equality: 'objectIdentifierFirstComponentMatch',
    ...operational,
  }),
];
