import type { Config } from '../config/config.ts';
import type { Database } from '../db/database.ts';
import type { Clock } from '../platform/clock.ts';
import type { UnreadableRows } from '../platform/unreadable.ts';
import type { Accounts } from './accounts.ts';
import type { Bindings } from './bindings.ts';
import { createMeRouter } from './me-router.ts';
import { createPeopleRouter, type PasskeysOfPeople } from './people-router.ts';
import type { Sessions } from './sessions.ts';
import { createSessionsRouter } from './sessions-router.ts';

/** `me`, `sessions` and `people`. Who may call how often is limited where they are mounted. */
export function createAuthRouters(deps: {
  db: Pick<Database, 'query'>;
  clock: Clock;
  config: Pick<Config, 'adminGroups' | 'externalUrl' | 'oidc'>;
  sessions: Sessions;
  bindings: Bindings;
  accounts: Pick<Accounts, 'of' | 'knownAs'>;
  passkeys: PasskeysOfPeople;
  unreadable: Pick<UnreadableRows, 'report'>;
}) {
  return { me: createMeRouter(deps), sessions: createSessionsRouter(deps), people: createPeopleRouter(deps) };
}
