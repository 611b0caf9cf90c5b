import { Refusal } from '#shared/errors.ts';
import type { Database } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import { createAdmission, stateRefusal } from './admission.ts';
import { createEnrolment, type EnrolmentDeps } from './enrolment.ts';
import { createHostJournals } from './journals.ts';
import { createOperators } from './operators.ts';
import { createReports } from './reports.ts';
import * as store from './store.ts';

export type HostService = ReturnType<typeof createHostService>;

/** Everything about hosts; a module that needs a part of it names that part. */
export function createHostService(deps: EnrolmentDeps & { db: Database; events: EventLog }) {
  const { db } = deps;
  return {
    ...createAdmission(deps),
    ...createEnrolment(deps),
    ...createOperators(deps),
    ...createReports(deps),
    ...createHostJournals(deps),

    list: () => store.listHosts(db.query),

    /** A host of this name that may speak now. */
    async activeByName(hostname: string): Promise<store.Host | null> {
      const host = await store.findLiveHost(db.query, hostname);
      return host?.state === 'active' ? host : null;
    },

    /** A host that may speak now. */
    async activeById(id: string): Promise<store.Host | null> {
      const host = await store.findHost(db.query, id);
      return host?.state === 'active' ? host : null;
    },

    /** For a host that was admitted and has waited since. @throws Refusal when it may not speak any more */
    async stillSpeaking(id: string): Promise<void> {
      const refusal = stateRefusal((await store.findHost(db.query, id))?.state ?? 'revoked');
      if (refusal) throw new Refusal(refusal);
    },

    facts: store.hostFacts,
    find: store.findHost,
    /** Locked for the transaction that changes something about it. */
    lock: store.lockHost,
  };
}
