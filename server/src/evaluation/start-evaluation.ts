import { createServer, type RequestListener, type Server } from 'node:http';
import { createApp } from '../app.ts';
import type { Config } from '../config/config.ts';
import { systemClock } from '../platform/clock.ts';
import { systemRandom } from '../platform/random.ts';
import { enrolDemoHost } from './demo-host.ts';
import { createEvaluationProvider } from './identity-provider.ts';
import { evaluationIdp } from './idp-plugin.ts';
import { guarded } from './loopback-guard.ts';
import type { EvaluationOptions } from './options.ts';
import { readPeople, type SamplePeople } from './people.ts';
import { createSignInCode } from './sign-in-code.ts';
import { loadSecrets, noteRunning, prepareStateFolder, stateFiles } from './state-folder.ts';

export interface Evaluation {
  url: string;
  /** Typed once per browser. */
  code: string;
  sample: SamplePeople;
  close(): Promise<void>;
}

/** The port belongs to another program. */
export class PortBusy extends Error {}

const IPV4 = '127.0.0.1';
const IPV6 = '::1';

/**
 * Starts a whole identree for trying out: server, identity provider and demo host, on loopback and in one folder.
 *
 * @throws PortBusy; Error when the folder is not an evaluation's.
 */
export async function startEvaluation(options: EvaluationOptions): Promise<Evaluation> {
  const { folder, port } = options;
  const files = stateFiles(folder);
  const authority = port === 80 ? 'localhost' : `localhost:${port}`;
  const url = `http://${authority}`;
  const ready = Promise.withResolvers<RequestListener>();
  // Whoever comes early, waits.
  const listeners = await claimPort(
    port,
    (request, response) => void ready.promise.then((answer) => answer(request, response)),
  );
  try {
    prepareStateFolder(folder);
    const forget = noteRunning(folder, url);
    const secrets = loadSecrets(folder, systemRandom);
    const sample = readPeople();
    const { provider, client } = await createEvaluationProvider(url, sample);
    const config: Config = {
      externalUrl: url,
      listen: { host: IPV4, port },
      tls: null,
      trustedProxies: [],
      keysDir: files.keys,
      logLevel: 'error',
      metricsToken: null,
      database: { driver: 'sqlite', dsn: files.database, maxConnections: 1 },
      oidc: client,
      adminGroups: [sample.adminGroup],
      firstPasskeyNeedsCode: false,
      challengeTtlMs: options.challengeTtlMs,
      policiesFile: null,
      sharedSecret: null,
      enrolmentAutoConfirm: false,
      evaluation: true,
    };
    const code = createSignInCode({ ...secrets, clock: systemClock, random: systemRandom });
    const app = await createApp(config, { plugins: [evaluationIdp({ externalUrl: url, provider, sample, code })] });
    await app.http.ready();
    ready.resolve(guarded(authority, (request, response) => app.http.routing(request, response)));
    await app.db.transaction(
      async (work) => void (await app.events.append(work, { event: 'server_started', username: '' })),
    );
    await enrolDemoHost({ hosts: app.hosts, serverUrl: url, folder });
    return {
      url,
      code: secrets.code,
      sample,
      async close() {
        for (const listener of listeners) listener.close();
        await app.close();
        for (const listener of listeners) listener.closeAllConnections();
        forget();
      },
    };
  } catch (error) {
    for (const listener of listeners) listener.close();
    throw error;
  }
}

/** `localhost` is ::1 to one browser and 127.0.0.1 to another, so both are taken; machines without IPv6 have one. */
async function claimPort(port: number, listener: RequestListener): Promise<Server[]> {
  const first = await listen(port, IPV4, listener);
  try {
    return [first, await listen(port, IPV6, listener)];
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') return [first];
    first.close();
    throw error;
  }
}

function listen(port: number, host: string, listener: RequestListener): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer({ requestTimeout: 30_000 }, listener);
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(error.code === 'EADDRINUSE' ? new PortBusy(`port ${port} is in use`) : error);
    });
    server.listen({ port, host, exclusive: true }, () => resolve(server));
  });
}
