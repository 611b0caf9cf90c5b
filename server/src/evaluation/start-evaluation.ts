import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type App, createApp } from '../app/app.ts';
import type { Config } from '../config/config.ts';
import { loadConfig } from '../config/load-config.ts';
import { formatProblems } from '../config/problems.ts';
import { systemClock } from '../platform/clock.ts';
import { systemRandom } from '../platform/random.ts';
import { enrolDemoHost } from './demo-host.ts';
import { createEvaluationProvider, type IdpClient } from './identity-provider.ts';
import { evaluationIdp } from './idp-plugin.ts';
import { guarded } from './loopback-guard.ts';
import type { EvaluationOptions } from './options.ts';
import { directoryFileOf, readPeople, type SamplePeople } from './people.ts';
import { createSignInCode } from './sign-in-code.ts';
import { loadSecrets, noteRunning, prepareStateFolder, stateFiles } from './state-folder.ts';

export interface Evaluation {
  url: string;
  /** Typed once per browser. */
  code: string;
  sample: SamplePeople;
  close(): Promise<void>;
}

/** A port belongs to another program. */
export class PortBusy extends Error {
  readonly option: '--port' | '--ldap-port';
  readonly port: number;
  constructor(option: PortBusy['option'], port: number) {
    super(`port ${port} is in use`);
    this.option = option;
    this.port = port;
  }
}

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
  // Requests that come early wait.
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
    writeFileSync(files.directory, `${JSON.stringify(directoryFileOf(sample), null, 2)}\n`, { mode: 0o600 });
    const config = evaluationConfig(options, url, client, sample);
    const code = createSignInCode({ ...secrets, clock: systemClock, random: systemRandom });
    const app = await createApp(config, { plugins: [evaluationIdp({ externalUrl: url, provider, sample, code })] });
    await app.http.ready();
    ready.resolve(guarded(authority, (request, response) => app.http.routing(request, response)));
    await startOrExplain(app, options);
    await enrolDemoHost({ hosts: app.hosts, serverUrl: url, folder });
    // What is said to be ready is asked at once by whoever follows the README.
    await app.directory?.directory.settled();
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

/**
 * What `npm start` does not take from the environment: one that was made for production would send the events of the
 * evaluation to receivers of production.
 *
 * @throws Error that lists everything that is wrong with the settings to try.
 */
function evaluationConfig(
  { folder, port, ldapPort, challengeTtlMs, settings }: EvaluationOptions,
  url: string,
  client: IdpClient,
  sample: SamplePeople,
): Config {
  const files = stateFiles(folder);
  const loaded = loadConfig({
    env: {
      IDENTREE_EXTERNAL_URL: url,
      IDENTREE_LISTEN_ADDR: `${IPV4}:${port}`,
      IDENTREE_KEYS_DIR: files.keys,
      IDENTREE_LOG_LEVEL: 'error',
      IDENTREE_DATABASE_DSN: files.database,
      IDENTREE_OIDC_ISSUER_URL: client.issuerUrl,
      IDENTREE_OIDC_CLIENT_ID: client.clientId,
      IDENTREE_OIDC_CLIENT_SECRET: client.clientSecret,
      IDENTREE_ADMIN_GROUPS: sample.adminGroup,
      IDENTREE_DIRECTORY_SOURCE: 'file',
      IDENTREE_DIRECTORY_FILE: files.directory,
      IDENTREE_LDAP_ENABLED: String(ldapPort !== null),
      IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com',
      IDENTREE_LDAP_LISTEN_ADDR: ldapPort === null ? 'off' : `${IPV4}:${ldapPort}`,
      IDENTREE_LDAP_TLS_LISTEN_ADDR: 'off',
      IDENTREE_LDAP_ALLOW_ANONYMOUS: 'true',
      IDENTREE_LDAP_UID_MAP_FILE: files.uidMap,
      IDENTREE_AUDIT_LOG: files.audit,
      // A receiver that somebody starts beside it to try notifications, as docs/notifications.md says.
      IDENTREE_NOTIFY_ALLOW_CIDRS: IPV4,
      ...settings,
    },
    readFile: (path) => {
      // Secrets that a setting to try names are files; the configuration file does not count here.
      if (Object.values(settings).includes(path)) return readFileSync(path, 'utf8');
      throw Object.assign(new Error('no configuration file counts here'), { code: 'ENOENT' });
    },
  });
  if (loaded.warnings.length > 0) process.stderr.write(`${formatProblems(loaded.warnings)}\n`);
  if (!loaded.ok) throw new Error(`the settings are not in order:\n${formatProblems(loaded.errors)}`);
  return { ...loaded.config, challengeTtlMs, evaluation: true };
}

async function startOrExplain(app: App, { ldapPort }: EvaluationOptions): Promise<void> {
  try {
    await app.start();
  } catch (error) {
    await app.close();
    const cause = error instanceof Error ? (error.cause as NodeJS.ErrnoException | undefined) : undefined;
    if (cause?.code === 'EADDRINUSE' && ldapPort !== null) throw new PortBusy('--ldap-port', ldapPort);
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
      reject(error.code === 'EADDRINUSE' ? new PortBusy('--port', port) : error);
    });
    server.listen({ port, host, exclusive: true }, () => resolve(server));
  });
}
