/**
 * How values of an attribute are compared. One kind stands for the equality, ordering and substring rules of RFC 4517
 * that share a normal form.
 */
export const NO_MATCH = 0;
/** Text, letters folded, space insignificant (caseIgnoreMatch and relatives). */
export const FOLD = 1;
/** Text, letters as they are, space insignificant (caseExactMatch). */
export const EXACT = 2;
export const WHOLE = 3;
export const NAME = 4;
export const UUID = 5;
/** An object class or another descriptor. */
export const DESCRIPTOR = 6;
export const TIME = 7;
export const FLAG = 8;
/** Octet by octet. */
export const OCTETS = 9;

export type MatchKind = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9;

export interface MatchingRule {
  oid: string;
  name: string;
  /** Syntax of the assertion. */
  syntax: string;
  kind: MatchKind;
}

const syntaxOf = (number: number): string => `1.3.6.1.4.1.1466.115.121.1.${number}`;

/** Syntaxes by the name that the tables of this folder use. */
export const SYNTAXES = {
  text: { oid: syntaxOf(15), description: 'Directory String' },
  ascii: { oid: syntaxOf(26), description: 'IA5 String' },
  printable: { oid: syntaxOf(44), description: 'Printable String' },
  numeric: { oid: syntaxOf(36), description: 'Numeric String' },
  phone: { oid: syntaxOf(50), description: 'Telephone Number' },
  fax: { oid: syntaxOf(22), description: 'Facsimile Telephone Number' },
  postal: { oid: syntaxOf(41), description: 'Postal Address' },
  country: { oid: syntaxOf(11), description: 'Country String' },
  integer: { oid: syntaxOf(27), description: 'INTEGER' },
  boolean: { oid: syntaxOf(7), description: 'Boolean' },
  time: { oid: syntaxOf(24), description: 'Generalized Time' },
  dn: { oid: syntaxOf(12), description: 'DN' },
  optionalUid: { oid: syntaxOf(34), description: 'Name And Optional UID' },
  oid: { oid: syntaxOf(38), description: 'OID' },
  octets: { oid: syntaxOf(40), description: 'Octet String' },
  binary: { oid: syntaxOf(5), description: 'Binary' },
  bits: { oid: syntaxOf(6), description: 'Bit String' },
  jpeg: { oid: syntaxOf(28), description: 'JPEG' },
  certificate: { oid: syntaxOf(8), description: 'Certificate' },
  uuid: { oid: '1.3.6.1.1.16.1', description: 'UUID' },
  attributeType: { oid: syntaxOf(3), description: 'Attribute Type Description' },
  objectClass: { oid: syntaxOf(37), description: 'Object Class Description' },
  matchingRule: { oid: syntaxOf(30), description: 'Matching Rule Description' },
  syntax: { oid: syntaxOf(54), description: 'LDAP Syntax Description' },
  substrings: { oid: syntaxOf(58), description: 'Substring Assertion' },
} as const;

export type SyntaxName = keyof typeof SYNTAXES;

const rule = (name: string, oid: string, syntax: SyntaxName, kind: MatchKind): MatchingRule => ({
  oid,
  name,
  syntax: SYNTAXES[syntax].oid,
  kind,
});

/** RFC 4517 4.2, RFC 4530 2.2, and the two bit rules that Active Directory made common. */
export const MATCHING_RULES: readonly MatchingRule[] = [
  rule('objectIdentifierMatch', '2.5.13.0', 'oid', DESCRIPTOR),
  rule('distinguishedNameMatch', '2.5.13.1', 'dn', NAME),
  rule('caseIgnoreMatch', '2.5.13.2', 'text', FOLD),
  rule('caseIgnoreOrderingMatch', '2.5.13.3', 'text', FOLD),
  rule('caseIgnoreSubstringsMatch', '2.5.13.4', 'substrings', FOLD),
  rule('caseExactMatch', '2.5.13.5', 'text', EXACT),
  rule('caseExactOrderingMatch', '2.5.13.6', 'text', EXACT),
  rule('caseExactSubstringsMatch', '2.5.13.7', 'substrings', EXACT),
  rule('numericStringMatch', '2.5.13.8', 'numeric', FOLD),
  rule('caseIgnoreListMatch', '2.5.13.11', 'postal', FOLD),
  rule('booleanMatch', '2.5.13.13', 'boolean', FLAG),
  rule('integerMatch', '2.5.13.14', 'integer', WHOLE),
  rule('integerOrderingMatch', '2.5.13.15', 'integer', WHOLE),
  rule('octetStringMatch', '2.5.13.17', 'octets', OCTETS),
  rule('telephoneNumberMatch', '2.5.13.20', 'phone', FOLD),
  rule('uniqueMemberMatch', '2.5.13.23', 'optionalUid', NAME),
  rule('generalizedTimeMatch', '2.5.13.27', 'time', TIME),
  rule('generalizedTimeOrderingMatch', '2.5.13.28', 'time', TIME),
  rule('objectIdentifierFirstComponentMatch', '2.5.13.30', 'oid', NO_MATCH),
  rule('caseExactIA5Match', '1.3.6.1.4.1.1466.109.114.1', 'ascii', EXACT),
  rule('caseIgnoreIA5Match', '1.3.6.1.4.1.1466.109.114.2', 'ascii', FOLD),
  rule('caseIgnoreIA5SubstringsMatch', '1.3.6.1.4.1.1466.109.114.3', 'ascii', FOLD),
  rule('caseExactIA5SubstringsMatch', '1.3.6.1.4.1.4203.1.2.1', 'ascii', EXACT),
  rule('UUIDMatch', '1.3.6.1.1.16.2', 'uuid', UUID),
  rule('UUIDOrderingMatch', '1.3.6.1.1.16.3', 'uuid', UUID),
  rule('integerBitAndMatch', '1.2.840.113556.1.4.803', 'integer', WHOLE),
  rule('integerBitOrMatch', '1.2.840.113556.1.4.804', 'integer', WHOLE),
];
