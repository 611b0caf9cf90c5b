import type { Database } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Clock } from '../platform/clock.ts';
import { dropDesktopGrants } from './desktop-store.ts';
import type { LogoutToken } from './identity-provider.ts';
import { sessionsOfProvider, useLogoutToken } from './logout-store.ts';
import { lockPerson } from './people-store.ts';
import { revokeSessions } from './session-store.ts';

/** Ends sessions, those of desktop apps too, because the provider says that their person has signed out there. */
export function createProviderLogout(deps: { db: Database; events: Pick<EventLog, 'append'>; clock: Clock }) {
  const { db, events, clock } = deps;
  return {
    /** False when the token was used before: who overhears one could end the sessions that begin after it. */
    end: (logout: LogoutToken, remoteAddr: string): Promise<boolean> =>
      db.transaction(async (work) => {
        if (!(await useLogoutToken(work, logout.idHash, logout.usableUntil))) return false;
        const ending = new Map<string, string[]>();
        for (const { personId, idHash } of await sessionsOfProvider(work.query, logout)) {
          ending.set(personId, [...(ending.get(personId) ?? []), idHash]);
        }
        for (const personId of [...ending.keys()].sort()) {
          const person = await lockPerson(work, personId);
          if (!person) continue;
          const ended: string[] = [];
          for (const idHash of ending.get(personId)!) {
            ended.push(...(await revokeSessions(work, { personId, idHash }, clock.now())));
          }
          // A desktop sign-in that is half done would become another session in a minute.
          await dropDesktopGrants(work, personId);
          if (ended.length === 0) continue;
          await events.append(work, {
            event: 'session_revoked',
            username: person.username,
            actor: 'identity provider',
            reason: 'signed out at the identity provider',
            remoteAddr,
            data: { sessions: ended, issuer: person.issuer, subject: person.subject },
          });
        }
        return true;
      }),
  };
}
