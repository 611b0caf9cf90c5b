import { publicProcedure, router } from '../http/trpc.ts';
import type { Clock } from '../platform/clock.ts';
import { VERSION } from '../version.ts';

/** `me.get`: who I am; null when signed out. */
export function createMeRouter(deps: { clock: Clock; passkeys: { count(personId: string): Promise<number> } }) {
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
        passkeys: await deps.passkeys.count(viewer.person.id),
        /** Milliseconds; 0 when the identity provider does not say. */
        authTime: viewer.session.authTime,
        now: deps.clock.now(),
        /** Version of the desktop console that came out with this server; null in a browser, which has the server's own. */
        desktopVersion: viewer.session.kind === 'desktop' ? VERSION : null,
      };
    }),
  });
}
