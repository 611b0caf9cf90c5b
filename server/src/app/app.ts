import { fileURLToPath } from 'node:url';
import type { FastifyPluginAsync } from 'fastify';
import type { Logger } from 'pino';
import { approvalPageModule } from '../approval-page/module.ts';
import { createLogReads } from '../audit/log-reads.ts';
import { auditModule } from '../audit/module.ts';
import type { Output } from '../audit/sinks/standard-output.ts';
import { createAccounts } from '../auth/accounts.ts';
import { createCallers } from '../auth/callers.ts';
import type { IdentityProvider } from '../auth/identity-provider.ts';
import { createLeavers } from '../auth/leavers.ts';
import { authModule } from '../auth/module.ts';
import { challengesModule, settlingModule } from '../challenges/module.ts';
import type { Config } from '../config/config.ts';
import { settingsModule } from '../config/module.ts';
import { storageModule } from '../db/module.ts';
import { accountNameInSmallLetters, accountNameOf } from '../directory/configured.ts';
import type { Http } from '../escrow/http.ts';
import { breakGlassModule } from '../escrow/module.ts';
import { eventsModule } from '../events/module.ts';
import { hostsModule } from '../hosts/module.ts';
import { proxyModule } from '../http/proxy-module.ts';
import { router } from '../http/trpc.ts';
import { installerModule } from '../installer/module.ts';
import { metricsModule } from '../metrics/module.ts';
import { type NotifySeams, notifyModule } from '../notify/module.ts';
import { passkeysModule } from '../passkeys/module.ts';
import type { Clock } from '../platform/clock.ts';
import type { Random } from '../platform/random.ts';
import { policiesModule } from '../policies/module.ts';
import { assemble } from './assemble.ts';
import { type Core, createCore } from './core.ts';
import { directoryModule } from './directory.ts';

/** What tests and the evaluation entry replace. */
export interface AppOptions {
  clock?: Clock;
  random?: Random;
  log?: Logger;
  /** How many settings there is a warning about. */
  oddSettings?: number;
  /** Replaces the configured OpenID Connect provider. */
  provider?: IdentityProvider;
  /** Reaches the keeper of break-glass passwords. */
  escrowHttp?: Http;
  /** Where lines of JSON go that are for the standard output. */
  output?: Output;
  /** Makes the ways to tell people, and says what goes out on them. */
  notify?: NotifySeams;
  /** Further routes, for example the built-in identity provider of evaluation mode. */
  plugins?: readonly FastifyPluginAsync[];
  /** Folder of the built browser assets. */
  distDir?: string;
}

export type App = Awaited<ReturnType<typeof createApp>>;

/** Every procedure. The console imports this type and the next one, and nothing else of the server. */
export type AppRouter = App['router'];

export type { ChannelSettings } from '../notify/create-channel.ts';

/** The server. */
export async function createApp(config: Config, options: AppOptions = {}) {
  const core = await createCore(config, { ...options, serves: true });
  try {
    return await createAppOn(core, config, options);
  } catch (error) {
    // What is open would keep a process alive that has said why it cannot start.
    await core.close();
    throw error;
  }
}

/** Read from top to bottom, it is the table of contents of the product. */
async function createAppOn(core: Core, config: Config, options: AppOptions) {
  const accounts = createAccounts({
    config,
    accountNameOf: accountNameOf(config),
    accountNameLike: accountNameInSmallLetters(config),
  });
  const callers = createCallers(core, { accounts });
  const { use, serve, registry, readers } = assemble(core);

  const { clientAddress } = use(proxyModule(core));
  use(settingsModule(options.oddSettings ?? 0));
  use(storageModule(core));
  const { policies, policyForGrants } = use(policiesModule(core));
  const { passkeys, approvals, confirmations, ...passkey } = use(passkeysModule(core, callers));
  const { hostApi, hostDefaults, ...hosts } = use(hostsModule({ ...core, policyForGrants }));
  const { settling } = use(settlingModule(core));
  const directory = use(
    await directoryModule(core, { ...createLeavers(core, { ...settling, accounts }), accounts, hostApi }),
  );
  const { standing } = directory;
  const { escrowHttp } = options;
  const breakGlass = use(
    breakGlassModule(core, { hostApi, hostDefaults, confirmations, people: callers.resolver, standing, escrowHttp }),
  );
  const reads = createLogReads(core);
  const auth = use(authModule(core, { ...core, callers, standing, passkeys, provider: options.provider }));
  const { challenges, announcing, offlineGrants, ...challenge } = use(
    challengesModule(core, { callers, approvals, policies, policyForGrants, standing, settling, hostApi, reads }),
  );
  use(approvalPageModule({ callers, challenges }));
  use(eventsModule({ ...core, hostApi }, callers, readers));
  const audit = use(auditModule(core, { readers, reads, output: options.output }));
  const { notify, ...notified } = use(
    notifyModule(core, { ...options.notify, people: callers.resolver, standing, announcing, reads }),
  );
  use(installerModule(core));
  use(metricsModule(core, { registry, policies }));
  if (options.plugins) use({ name: 'evaluation', routes: options.plugins });

  const procedures = router({
    ...passkey.procedures,
    ...hosts.procedures,
    ...breakGlass.procedures,
    ...directory.procedures,
    ...auth.procedures,
    ...challenge.procedures,
    ...audit.procedures,
    ...notified.procedures,
  });
  const { stop, ...server } = await serve({
    clientAddress,
    access: callers,
    router: procedures,
    distDir: options.distDir ?? fileURLToPath(new URL('../../../dist', import.meta.url)),
  });

  return {
    ...core,
    ...server,
    registry,
    router: procedures,
    callers,
    passkeys,
    approvals,
    challenges,
    notify,
    offlineGrants,
    settling,
    readers,
    reads,
    retention: audit.retention,
    breakGlass,
    directory: directory.service,
    /** Stops everything; the database last. */
    async close(): Promise<void> {
      try {
        await stop();
      } finally {
        await core.close();
      }
    },
  };
}
