import type { createAuthRouters } from '../auth/router.ts';
import type { createChallengesRouter } from '../challenges/router.ts';
import type { createDirectoryRouters } from '../directory/router.ts';
import type { createEventsRouter } from '../events/router.ts';
import type { createHostsRouter } from '../hosts/router.ts';
import { router } from '../http/trpc.ts';
import type { createPasskeysRouter } from '../passkeys/router.ts';

/** Every procedure of the console, by module. */
export function createAppRouter(modules: {
  auth: ReturnType<typeof createAuthRouters>;
  challenges: ReturnType<typeof createChallengesRouter>;
  directory: ReturnType<typeof createDirectoryRouters>;
  events: ReturnType<typeof createEventsRouter>;
  hosts: ReturnType<typeof createHostsRouter>;
  passkeys: ReturnType<typeof createPasskeysRouter>;
}) {
  return router({
    me: modules.auth.me,
    sessions: modules.auth.sessions,
    people: modules.auth.people,
    challenges: modules.challenges,
    events: modules.events,
    hosts: modules.hosts,
    passkeys: modules.passkeys,
    directory: modules.directory.directory,
    sudoRules: modules.directory.sudoRules,
    scim: modules.directory.scim,
  });
}

/** The type that the console imports. */
export type AppRouter = ReturnType<typeof createAppRouter>;
