import type { Access } from '../http/server.ts';
import type { Ground } from '../platform/module.ts';
import type { Accounts } from './accounts.ts';
import { type Cookies, createCookies } from './cookies.ts';
import { createCsrfGuard } from './csrf.ts';
import { createRateLimits, type RateLimits } from './rate-limit.ts';
import { createViewerOf, createViewerResolver, type ViewerResolver } from './resolve-viewer.ts';

/** Who is asking, for everything that is asked over HTTP. */
export interface Callers extends Access {
  readonly cookies: Cookies;
  readonly resolver: ViewerResolver;
  readonly limits: RateLimits;
  readonly accounts: Accounts;
}

/** Reads callers from cookies and credentials. */
export function createCallers(
  ground: Pick<Ground, 'config' | 'clock' | 'db'>,
  { accounts }: { accounts: Accounts },
): Callers {
  const { config, clock, db } = ground;
  const cookies = createCookies(config);
  const resolver = createViewerResolver({ db, clock, config, cookies, accounts });
  const viewerOf = createViewerOf({ resolver });
  const limits = createRateLimits({ clock });
  return {
    cookies,
    resolver,
    limits,
    accounts,
    viewerOf,
    recheckViewers: (credentials) =>
      // A desktop app that follows events is in use; a forgotten browser tab is not.
      resolver.resolveAll(credentials, { touch: ({ authorization }) => authorization !== undefined }),
    csrfGuard: createCsrfGuard({ config, viewerOf }),
    limitQuery: (viewer) => limits.query(viewer.person.id),
    limitMutation: async (request) => limits.mutation((await viewerOf(request))?.person.id ?? request.clientAddress),
  };
}
