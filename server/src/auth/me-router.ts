import type { Database } from '../db/database.ts';
import { publicProcedure, router } from '../http/trpc.ts';
import type { Clock } from '../platform/clock.ts';

/** `me.get`: who I am; null when signed out. */
export function createMeRouter(deps: {
  db: Pick<Database, 'query'>;
  clock: Clock;
  countPasskeys: (query: Database['query'], personId: string) => Promise<number>;
}) {
  return router({
    get: publicProcedure.query(async ({ ctx: { viewer } }) => {
      if (!viewer) return null;
      const { username, displayName, issuer, subject } = viewer.person;
      return {
        person: { username, displayName, issuer, subject },
        role: viewer.role,
        sessionKind: viewer.session.kind,
        csrfToken: viewer.session.csrfToken,
        accounts: [...viewer.accounts],
        passkeys: await deps.countPasskeys(deps.db.query, viewer.person.id),
        /** Milliseconds; 0 when the identity provider does not say. */
        authTime: viewer.session.authTime,
        now: deps.clock.now(),
      };
    }),
  });
}
