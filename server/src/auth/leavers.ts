import type { Database } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../platform/clock.ts';
import { bareIssuer } from '../platform/issuer.ts';
import type { Accounts } from './accounts.ts';
import { dropDesktopGrants } from './desktop-store.ts';
import { peopleWithSessions } from './people-store.ts';
import { revokeSessions } from './session-store.ts';
import type { Leaver, Subject } from './standing.ts';

/** What becomes of people who were disabled or removed where they come from. */
export function createLeavers(
  deps: { db: Database; events: Pick<EventLog, 'append'>; clock: Clock },
  others: {
    accounts: Pick<Accounts, 'knownAs'>;
    /** Denies everything that waits for these accounts. */
    denyOf(accounts: readonly string[], why: 'account_disabled' | 'account_left'): Promise<void>;
  },
) {
  const { db, events, clock } = deps;

  async function endSessions(leavers: readonly Leaver[]): Promise<void> {
    if (leavers.length === 0) return;
    const keyOf = ({ issuer, subject }: Subject) => `${bareIssuer(issuer)} ${subject}`;
    const reasons = new Map(leavers.map((leaver) => [keyOf(leaver), leaver.reason]));
    // Few people have sessions, and a source may have disabled thousands over the years.
    for (const person of await peopleWithSessions(db.query, clock.now())) {
      const known = others.accounts.knownAs(person);
      const reason = known === null ? undefined : reasons.get(keyOf(known));
      if (reason === undefined) continue;
      await db.transaction(async (work) => {
        const ended = await revokeSessions(work, { personId: person.id }, clock.now());
        await dropDesktopGrants(work, person.id);
        if (ended.length === 0) return;
        await events.append(work, {
          event: 'session_revoked',
          username: person.username,
          actor: 'directory',
          reason,
          data: { sessions: ended, issuer: person.issuer, subject: person.subject },
        });
      });
    }
  }

  return {
    /** Ends the sessions of those who are gone, and denies what waits for accounts that are nobody's, or another one's. */
    async onLeft(leavers: readonly Leaver[]): Promise<void> {
      const gone = leavers.filter(({ reason }) => reason !== 'renamed');
      const renamed = leavers.filter(({ reason }) => reason === 'renamed');
      await endSessions(gone);
      const accountsOf = (of: readonly Leaver[]) => of.flatMap(({ account }) => account ?? []);
      await others.denyOf(accountsOf(gone), 'account_disabled');
      await others.denyOf(accountsOf(renamed), 'account_left');
    },
  };
}
