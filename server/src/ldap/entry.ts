/** Attributes that describe the entry itself; a client gets them only when it asks by name or with `+` (RFC 4512 3.4). */
export interface OperationalAttributes {
  /** RFC 4530, in its 36-character text form. */
  readonly entryUUID: string;
  /** GeneralizedTime in UTC with seconds and nothing finer: `20261123043000Z`. */
  readonly createTimestamp: string;
  /** The same form as `createTimestamp`. sssd reads it as a number when a server offers no `entryUSN`. */
  readonly modifyTimestamp: string;
  /** Update sequence number, 1 … 2^31 − 1: 32-bit sssd reads it with strtoul. */
  readonly entryUSN: number;
}

/**
 * One entry of the directory tree, as the directory module hands it to the LDAP engine.
 *
 * An entry carries no policy: who is in it, which names are allowed and what a sudo rule may say was decided before.
 */
export interface Entry {
  /** RFC 4514, spelled as clients shall see it. The parent must be in the same list, except for the base entry. */
  readonly dn: string;
  /** Every class with its superclasses, as clients shall see them. */
  readonly objectClass: readonly string[];
  /**
   * Everything else but the operational attributes below; each name once, with one or more distinct values. Includes the
   * naming attribute. `memberOf` belongs here too: the schema knows that it is shown on request only. Names must be in
   * the schema (`schema/attributes.ts`); `userPassword` is refused.
   */
  readonly attributes: readonly (readonly [name: string, values: readonly string[]])[];
  readonly operational: OperationalAttributes;
  /** Who may see that the entry exists: everyone who may search, or the identity named by `dn` and the service account. */
  readonly audience?: 'everyone' | 'self';
}
