import type { authModule } from '../auth/module.ts';
import type { challengesModule } from '../challenges/module.ts';
import type { eventsModule } from '../events/module.ts';
import type { hostsModule } from '../hosts/module.ts';
import { router } from '../http/trpc.ts';
import type { passkeysModule } from '../passkeys/module.ts';
import type { directoryModule } from './directory.ts';

type Procedures<M extends (...deps: never[]) => unknown> =
  Awaited<ReturnType<M>> extends { procedures: infer P } ? P : never;

/** Every procedure, by the name under which it is called. */
export interface AppProcedures extends Procedures<typeof authModule>, Procedures<typeof directoryModule> {
  challenges: Procedures<typeof challengesModule>;
  events: Procedures<typeof eventsModule>;
  hosts: Procedures<typeof hostsModule>;
  passkeys: Procedures<typeof passkeysModule>;
}

export const createAppRouter = (procedures: AppProcedures) => router({ ...procedures });

/** The type that the console imports. */
export type AppRouter = ReturnType<typeof createAppRouter>;
