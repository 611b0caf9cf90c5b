import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openDatabase } from '../db/database.ts';
import { startOwnPostgres, TEST_FOLDER } from '../db/test-postgres.ts';
import { type Finding, findContradictions, readKept, type Told } from './journal.ts';
import type { LoadChild, LoadPorts, WrongClock } from './load-child.ts';
import { testConfig } from './test-config.ts';

/** A server under load, in a process of its own. */
export interface LoadedServer {
  readonly ports: LoadPorts;
  readonly process: ChildProcess;
  /** What its clients were told until now. */
  told(): Told[];
  /** What it logged lately. */
  logged(): string;
  /** How many requests were accepted until now. */
  created(): number;
  /** Null: it does not answer. */
  health(): Promise<{ status: number; body: { status: string; checks: Record<string, string> } } | null>;
}

/** Resolves with how long it took until something held, milliseconds; far later than it takes, what never comes is told. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<number> {
  const began = performance.now();
  while (!(await holds())) {
    if (performance.now() - began > 180_000) throw new Error(`never held: ${holds}`);
    await sleep(10);
  }
  return performance.now() - began;
}

/** What was written to a journal until now, each line of it read once: it is asked for often. */
function readNotes(path: string): () => Told[] {
  const notes: Told[] = [];
  let read = 0;
  return () => {
    if (!existsSync(path)) return notes;
    const file = openSync(path, 'r');
    try {
      const bytes = Buffer.alloc(fstatSync(file).size - read);
      const text = bytes.toString('utf8', 0, readSync(file, bytes, 0, bytes.length, read));
      const whole = text.slice(0, text.lastIndexOf('\n') + 1);
      read += Buffer.byteLength(whole);
      for (const line of whole.split('\n')) if (line !== '') notes.push(JSON.parse(line) as Told);
    } finally {
      closeSync(file);
    }
    return notes;
  };
}

function addParameter(dsn: string, name: string, value: string): string {
  const url = new URL(dsn);
  url.searchParams.set(name, value);
  return String(url);
}

/** Where servers under load keep what they know. */
export interface LoadStore {
  driver: 'sqlite' | 'postgres';
  dsn: string;
}

/** What a server under load is besides. */
export interface LoadOptions {
  /** Settings as an operator writes them. */
  env?: Record<string, string>;
  /** How many hosts ask at a time; four unless it is said. */
  hosts?: number;
  /** How long each of them does nothing after an answer, milliseconds; 20 unless it is said, so that others come to work. */
  pauseMs?: number;
  /** What goes wrong with a clock after SIGUSR2, until the next one. */
  wrongClock?: WrongClock;
  /** How many sessions of administrators there are; none unless it is said. */
  sessions?: number;
  /** For its JavaScript engine. */
  nodeOptions?: string;
}

export type Load = Awaited<ReturnType<typeof startLoad>>;

/** Servers on one Postgres that the test takes away and gives back. */
export async function startLoadOnPostgres(t: Pick<TestContext, 'after'>, postgresIn?: string) {
  const postgres = await startOwnPostgres(postgresIn === undefined ? {} : { below: postgresIn });
  t.after(() => postgres.end());
  return { ...(await startLoad(t, { driver: 'postgres', dsn: postgres.dsn('postgres') })), postgres };
}

/** Servers on one database. */
export async function startLoad(t: Pick<TestContext, 'after'>, { driver, dsn }: LoadStore) {
  const folder = await mkdtemp(join(TEST_FOLDER, 'identree-load-'));
  const servers: LoadedServer[] = [];
  t.after(async () => {
    for (const server of servers) server.process.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });
  const policies = join(folder, 'policy.json');
  const rules = [{ name: 'auto', match_users: ['auto'], approval: 'none' }];
  await writeFile(policies, JSON.stringify({ policies: rules }), { mode: 0o600 });

  /** @param name by which the database knows its sessions */
  async function start(name: string, options: LoadOptions = {}): Promise<LoadedServer> {
    const { env = {}, hosts = 4, pauseMs = 20, wrongClock = null, sessions = 0, nodeOptions = '' } = options;
    const file = (kind: string) => join(folder, `${name}.${kind}`);
    const what: LoadChild = {
      config: testConfig(folder, {
        IDENTREE_DATABASE_DRIVER: driver,
        IDENTREE_DATABASE_DSN: driver === 'sqlite' ? dsn : addParameter(dsn, 'application_name', name),
        IDENTREE_APPROVAL_POLICIES_FILE: policies,
        // Who waits is to wait on after whatever is done meanwhile, however long that takes on this machine.
        IDENTREE_CHALLENGE_TTL: '24h',
        ...env,
      }),
      hosts,
      pauseMs,
      wrongClock,
      sessions,
      ready: file('ready'),
      journal: file('journal'),
    };
    await writeFile(file('json'), JSON.stringify(what));
    let trouble = '';
    function spawnChild(): ChildProcess {
      const spawned = spawn(process.execPath, [join(import.meta.dirname, 'load-child.ts'), file('json')], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: { ...process.env, NODE_OPTIONS: `--disable-warning=ExperimentalWarning ${nodeOptions}` },
      });
      trouble = '';
      spawned.stderr.on('data', (chunk) => {
        trouble = `${trouble}${chunk}`.slice(-100_000);
      });
      return spawned;
    }
    let child = spawnChild();
    let starts = 1;
    await until(() => {
      // By then everything that it said was read.
      if (child.exitCode !== null && child.stderr!.closed) {
        // On a machine that does much else the database can be too slow for a server that starts, and that one ends.
        if (starts === 5 || !trouble.includes('DatabaseTrouble')) throw new Error(`the server ended: ${trouble}`);
        starts += 1;
        child = spawnChild();
      }
      return existsSync(what.ready);
    });
    const told = readNotes(what.journal);
    const ports = JSON.parse(readFileSync(what.ready, 'utf8')) as LoadPorts;
    const server: LoadedServer = {
      ports,
      process: child,
      told,
      logged: () => trouble,
      created: () => told().filter(({ kind }) => kind === 'created').length,
      async health() {
        try {
          const answer = await fetch(`http://127.0.0.1:${ports.http}/healthz`, { signal: AbortSignal.timeout(30_000) });
          return { status: answer.status, body: (await answer.json()) as never };
        } catch {
          return null;
        }
      },
    };
    servers.push(server);
    return server;
  }

  return {
    dsn,
    folder,
    servers: servers as readonly LoadedServer[],
    start,
    /**
     * Ends the load, and says what is wrong with what was told and what is kept.
     *
     * @param besides what others were told than the hosts of these servers
     */
    async contradictions(besides: readonly Told[] = []): Promise<Finding[]> {
      for (const server of servers) server.process.kill('SIGKILL');
      const db = await openDatabase({ driver, dsn, maxConnections: 1 });
      try {
        return findContradictions([...servers.flatMap((server) => server.told()), ...besides], await readKept(db));
      } finally {
        await db.close();
      }
    },
  };
}
