import { type ChildProcess, spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { EventName, EventRecord } from '#shared/events.ts';
import { type Idp, type IdpUser, startIdp } from './idp.ts';
import { type Lab, SERVER_NAME } from './lab.ts';
import { must, type RunResult, run, until } from './run.ts';
import { createWeb, type Web } from './web.ts';

const ROOT = join(import.meta.dirname, '../..');
const MAIN = join(ROOT, 'server/src/main.ts');
export const SERVER_PORT = 8443;

export interface PolicyRuleInput {
  name: string;
  match_users?: string[];
  match_groups?: string[];
  match_hosts?: string[];
  match_host_groups?: string[];
  approval: 'none' | 'session' | 'passkey';
  require_admin?: boolean;
}

/** Columns of the challenges table that tests look at. */
export interface ChallengeRow {
  id: string;
  user_code: string;
  host_id: string;
  hostname: string;
  username: string;
  nonce: string;
  record: string;
  request_hash: string;
  status: 'pending' | 'approved' | 'denied' | 'expired' | 'cancelled';
  created_at: number;
  expires_at: number;
  policy_version: string;
  verdict: string | null;
  class: string | null;
  reason: string | null;
  outcome: 'granted' | 'refused' | null;
  outcome_detail: string | null;
  /** What sudo did with a released command, as far as it was told. */
  run_state: 'started' | 'ended' | 'refused' | null;
}

/** Columns of the hosts table that tests look at. */
export interface HostRow {
  id: string;
  state: string;
  api_key_thumbprint: string;
  last_seen_at: number | null;
}

/** What the server wrote, read from its own database file. */
export interface ServerData {
  /** @param after only those that came after that many of all, in the order in which they were written */
  challenges(after?: number): ChallengeRow[];
  /** How many there have been so far; the next ones come after that many. */
  countChallenges(): number;
  challenge(code: string): ChallengeRow | null;
  events(filter?: { event?: EventName; code?: string; after?: number }): EventRecord[];
  lastSeq(): number;
  host(name: string): HostRow | null;
  meta(key: string): string | null;
  keySets(): { version: number; token: string }[];
}

/** The real server in production mode, with a real identity provider beside it. */
export interface Server {
  readonly url: string;
  readonly idp: Idp;
  readonly data: ServerData;
  readonly keysDir: string;
  readonly databaseFile: string;
  readonly logFile: string;
  readonly pid: () => number;
  /** A fresh browser. */
  web(): Web;
  /** `identree-server …` with the server's own configuration. */
  cli(args: readonly string[]): Promise<RunResult>;
  setPolicy(rules: readonly PolicyRuleInput[]): Promise<void>;
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** @param change settings that are other than before; null: without it */
  start(change?: Record<string, string | null>): Promise<void>;
  /** One more process of it at another port, where several may share the database. */
  replica(port: number): Promise<Replica>;
  close(): Promise<void>;
}

export interface Replica {
  readonly url: string;
  readonly pid: number;
}

export interface ServerOptions {
  /** Go duration, 30s or more. */
  challengeTtl?: string;
  policy?: readonly PolicyRuleInput[];
  /** Who can sign in; without it the people of idp.ts. */
  users?: readonly IdpUser[];
  /** Further settings; a function when they depend on the lab's addresses. */
  env?: Record<string, string> | ((lab: Lab) => Promise<Record<string, string>>);
}

/** Starts the server of a lab at https://identree.example.com:8443, which is the machine's address in the lab. */
export async function startServer(lab: Lab, options: ServerOptions = {}): Promise<Server> {
  const url = `https://${SERVER_NAME}:${SERVER_PORT}`;
  const folder = join(lab.dir, 'server');
  const keysDir = join(folder, 'keys');
  const databaseFile = join(folder, 'identree.db');
  const policyFile = join(folder, 'policies.json');
  const logFile = join(folder, 'server.log');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const further = typeof options.env === 'function' ? await options.env(lab) : options.env;
  const idp = await startIdp({
    redirectUris: [`${url}/callback`],
    tls: { cert: lab.certs.cert, key: lab.certs.key },
    ...(options.users ? { users: options.users } : {}),
  });

  const setPolicy = (rules: readonly PolicyRuleInput[]): Promise<void> =>
    writeFile(policyFile, JSON.stringify({ policies: rules }), { mode: 0o600 });
  await setPolicy(options.policy ?? [{ name: 'default', approval: 'passkey' }]);

  const env: Record<string, string> = {
    PATH: process.env.PATH ?? '/usr/bin:/bin',
    // A server starts several times in a file, and compiles itself once.
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? '',
    NODE_EXTRA_CA_CERTS: lab.certs.caFile,
    IDENTREE_EXTERNAL_URL: url,
    IDENTREE_LISTEN_ADDR: `${lab.serverAddress}:${SERVER_PORT}`,
    IDENTREE_TLS_CERT_FILE: lab.certs.certFile,
    IDENTREE_TLS_KEY_FILE: lab.certs.keyFile,
    IDENTREE_DATABASE_DSN: databaseFile,
    IDENTREE_KEYS_DIR: keysDir,
    IDENTREE_OIDC_ISSUER_URL: idp.issuer,
    IDENTREE_OIDC_CLIENT_ID: idp.clientId,
    IDENTREE_OIDC_CLIENT_SECRET: idp.clientSecret,
    IDENTREE_ADMIN_GROUPS: 'identree-admins',
    IDENTREE_APPROVAL_POLICIES_FILE: policyFile,
    IDENTREE_CHALLENGE_TTL: options.challengeTtl ?? '120s',
    IDENTREE_LDAP_ENABLED: 'false',
    ...further,
  };
  const web = (): Web => createWeb({ ca: lab.certs.ca, resolve: { [SERVER_NAME]: lab.serverAddress } });
  const probe = web();
  let child: ChildProcess | null = null;
  let ended: Promise<void> = Promise.resolve();

  function serve(settings: Record<string, string>) {
    const log = createWriteStream(logFile, { flags: 'a' });
    // Should these tests be killed, the server has to go with them.
    const started = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, MAIN, 'serve'], {
      cwd: folder,
      env: settings,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [started.stdout, started.stderr]) stream.on('data', (chunk: Buffer) => log.write(chunk));
    started.on('close', () => log.end());
    if (started.pid) lab.adopt(started.pid);
    return started;
  }

  const replicas: ChildProcess[] = [];
  async function replica(port: number): Promise<Replica> {
    const started = serve({ ...env, IDENTREE_LISTEN_ADDR: `${lab.serverAddress}:${port}` });
    replicas.push(started);
    const at = `https://${SERVER_NAME}:${port}`;
    const answers = () => probe.send(`${at}/healthz`, { timeoutMs: 2000 }).then(({ status }) => status === 200);
    await until(
      'the replica',
      () => {
        if (started.exitCode !== null) throw new Error(`the replica ended; ${logFile} says why`);
        return answers().catch(() => false);
      },
      120_000,
    );
    return { url: at, pid: started.pid! };
  }

  async function start(change: Record<string, string | null> = {}): Promise<void> {
    for (const [name, value] of Object.entries(change)) {
      if (value === null) delete env[name];
      else env[name] = value;
    }
    const started = serve(env);
    child = started;
    let said = '';
    const note = (chunk: Buffer): void => {
      said = (said + chunk.toString('utf8')).slice(-8000);
    };
    started.stdout.on('data', note);
    started.stderr.on('data', note);
    ended = new Promise((resolve) => {
      started.on('close', () => {
        if (child === started) child = null;
        resolve();
      });
    });
    await until(
      'the server',
      async () => {
        if (child !== started) throw new Error(`the server ended:\n${said}`);
        const answer = await probe.send(`${url}/healthz`, { timeoutMs: 2000 }).catch(() => null);
        return answer?.status === 200;
      },
      120_000,
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${said}`);
    });
  }

  async function stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    child?.kill(signal);
    await ended;
  }

  try {
    await start();
  } catch (error) {
    await idp.close();
    throw error;
  }

  return {
    url,
    idp,
    data: openData(databaseFile),
    keysDir,
    databaseFile,
    logFile,
    pid: () => child?.pid ?? 0,
    web,
    cli: (args) => run(process.execPath, [MAIN, ...args], { env, cwd: folder }),
    setPolicy,
    stop,
    start,
    replica,
    async close() {
      for (const one of replicas) one.kill('SIGKILL');
      await stop('SIGKILL');
      probe.close();
      await idp.close();
    },
  };
}

function openData(file: string): ServerData {
  let db: Database.Database | undefined;
  const all = <T>(sql: string, ...values: unknown[]): T[] => {
    // On Postgres there is none.
    db ??= new Database(file, { readonly: true });
    return db.prepare(sql).all(...values) as T[];
  };
  return {
    challenges: (after = 0) =>
      all<ChallengeRow>('select * from challenges where rowid > ? order by created_at, rowid', after),
    countChallenges: () =>
      Number(all<{ last: number | null }>('select max(rowid) as last from challenges')[0]?.last ?? 0),
    challenge: (code) => all<ChallengeRow>('select * from challenges where user_code = ?', code)[0] ?? null,
    events: (filter = {}) =>
      all<Record<string, unknown>>(
        'select * from events where seq > ? and (? is null or event = ?) and (? is null or code = ?) order by seq',
        filter.after ?? 0,
        ...[filter.event ?? null, filter.event ?? null, filter.code ?? null, filter.code ?? null],
      ).map((row) => ({
        seq: Number(row.seq),
        at: Number(row.at),
        event: String(row.event),
        username: String(row.username),
        hostId: row.host_id as string | null,
        hostname: row.hostname as string | null,
        challengeId: row.challenge_id as string | null,
        code: row.code as string | null,
        actor: row.actor as string | null,
        reason: row.reason as string | null,
        remoteAddr: row.remote_addr as string | null,
        data: JSON.parse(String(row.data)) as Record<string, unknown>,
        salt: row.salt as string | null,
        payloadHash: row.payload_hash as string | null,
        prevHash: String(row.prev_hash),
        hash: String(row.hash),
      })),
    lastSeq: () => Number(all<{ seq: number }>('select seq from event_head')[0]?.seq ?? 0),
    host: (name) =>
      all<HostRow>(
        'select id, state, api_key_thumbprint, last_seen_at from hosts where hostname = ? order by enrolled_at desc',
        name,
      )[0] ?? null,
    meta: (key) => all<{ value: string }>('select value from meta where key = ?', key)[0]?.value ?? null,
    keySets: () =>
      all<{ version: number; token: string }>('select version, token from approver_key_sets order by version'),
  };
}

/** Asks the running server's command line for an enrolment token. */
export async function enrolmentToken(server: Server, hostname: string): Promise<string> {
  const result = await server.cli(['hosts', 'token', hostname]);
  const token = /idt1\.[\w-]+\.[\w-]+\.[\w-]+/.exec(result.stdout)?.[0];
  if (result.code !== 0 || !token)
    throw new Error(`hosts token: exit ${result.code}\n${result.stdout}${result.stderr}`);
  return token;
}

/** Runs something on the machine that has to succeed; for checks of files that the server wrote. */
export const machine = (command: string, args: readonly string[]): Promise<string> => must(command, args);
