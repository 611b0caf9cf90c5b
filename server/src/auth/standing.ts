/** Who a person is for good. Names are display, and change. */
export interface Subject {
  issuer: string;
  subject: string;
}

/** A person who signed in, as far as it matters whom the directory takes them for. */
export interface SignedIn extends Subject {
  /** What the claim said by which the source of people knows them; null where that is the subject, or it was not said. */
  sourceId: { claim: string; value: string } | null;
}

/** Port: whether a person may still act, as far as the directory knows. People it does not know may. */
export interface Standing {
  personMayAct(person: SignedIn): boolean;
  accountMayAct(account: string): boolean;
  /**
   * Asks where people come from, now, where it can be asked: a disabled person must not approve in the minutes until the
   * next refresh. No answer in time counts as what is known.
   */
  confirm(who: { person: SignedIn; account: string }): Promise<{ person: boolean; account: boolean }>;
}

/** Without a directory no person is known to be disabled. */
export const unknownStanding: Standing = {
  personMayAct: () => true,
  accountMayAct: () => true,
  confirm: async () => ({ person: true, account: true }),
};

/** A person who was disabled or removed at the source, or has left an account for another one. */
export interface Leaver extends Subject {
  /** The Linux account they are or were served as. */
  account: string | null;
  /** `renamed`: they stay, and the account is not theirs any more. */
  reason: 'disabled' | 'removed' | 'renamed';
}
