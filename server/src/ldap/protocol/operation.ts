/** Tags of protocolOp (RFC 4511 4.2–4.12). */
export const OP = {
  bindRequest: 0x60,
  bindResponse: 0x61,
  unbindRequest: 0x42,
  searchRequest: 0x63,
  searchEntry: 0x64,
  searchDone: 0x65,
  modifyRequest: 0x66,
  modifyResponse: 0x67,
  addRequest: 0x68,
  addResponse: 0x69,
  deleteRequest: 0x4a,
  deleteResponse: 0x6b,
  modifyDnRequest: 0x6c,
  modifyDnResponse: 0x6d,
  compareRequest: 0x6e,
  compareResponse: 0x6f,
  abandonRequest: 0x50,
  extendedRequest: 0x77,
  extendedResponse: 0x78,
} as const;

/** Search scopes (RFC 4511 4.5.1.2; `subordinate` of draft-sermersheim-ldap-subordinate-scope). */
export const SCOPE = { base: 0, one: 1, subtree: 2, subordinate: 3 } as const;

/** Context tags of a filter (RFC 4511 4.5.1). */
export const FILTER = {
  and: 0xa0,
  or: 0xa1,
  not: 0xa2,
  equality: 0xa3,
  substrings: 0xa4,
  greaterOrEqual: 0xa5,
  lessOrEqual: 0xa6,
  present: 0x87,
  approximate: 0xa8,
  extensible: 0xa9,
} as const;

/** Result codes (RFC 4511 appendix A, RFC 3909 for the last four). */
export const RESULT = {
  success: 0,
  operationsError: 1,
  protocolError: 2,
  timeLimitExceeded: 3,
  sizeLimitExceeded: 4,
  compareFalse: 5,
  compareTrue: 6,
  authMethodNotSupported: 7,
  adminLimitExceeded: 11,
  unavailableCriticalExtension: 12,
  confidentialityRequired: 13,
  noSuchAttribute: 16,
  undefinedAttributeType: 17,
  inappropriateMatching: 18,
  invalidAttributeSyntax: 21,
  noSuchObject: 32,
  invalidDnSyntax: 34,
  inappropriateAuthentication: 48,
  invalidCredentials: 49,
  insufficientAccessRights: 50,
  busy: 51,
  unavailable: 52,
  unwillingToPerform: 53,
  canceled: 118,
  noSuchOperation: 119,
  tooLate: 120,
  cannotCancel: 121,
} as const;

export type ResultCode = (typeof RESULT)[keyof typeof RESULT];

export const OID = {
  /** RFC 2696. */
  paging: '1.2.840.113556.1.4.319',
  /** draft-behera-ldap-password-policy: sssd attaches it to binds, without a value. */
  passwordPolicy: '1.3.6.1.4.1.42.2.27.8.5.1',
  /** RFC 3296; there are no referrals here to be managed. */
  manageDsaIt: '2.16.840.1.113730.3.4.2',
  /** draft-masarati-ldap-deref. */
  dereference: '1.3.6.1.4.1.4203.666.5.16',
  whoAmI: '1.3.6.1.4.1.4203.1.11.3',
  cancel: '1.3.6.1.1.8',
  startTls: '1.3.6.1.4.1.1466.20037',
  passwordModify: '1.3.6.1.4.1.4203.1.11.1',
  noticeOfDisconnection: '1.3.6.1.4.1.1466.20036',
  /** RFC 3673: `+` in an attribute list. */
  allOperational: '1.3.6.1.4.1.4203.1.5.1',
  /** RFC 4526: `(&)` and `(|)`. */
  trueFalseFilters: '1.3.6.1.4.1.4203.1.5.3',
} as const;
