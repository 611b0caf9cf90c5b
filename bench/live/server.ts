import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256 } from '#shared/digest.ts';
import { createApp } from '../../server/src/app/app.ts';
import { findSessions, insertSession, listSessions } from '../../server/src/auth/session-store.ts';
import { FOLLOWER_LIMITS } from '../../server/src/events/followers.ts';
import { testConfig } from '../../server/src/testing/test-config.ts';
import { enrolTestHost, type TestHost } from '../../server/src/testing/test-host.ts';
import { createTestProvider, signInTestPerson } from '../../server/src/testing/test-person.ts';

/** What the bench asks the server for. */
export type Ask = { kind: 'event' } | { kind: 'load'; seconds: number } | { kind: 'rss' } | { kind: 'stop' };
/** What it answers. `at`: milliseconds since the epoch, before the event was written. */
export type Answer =
  | { kind: 'ready'; url: string; cookies: string[] }
  | { kind: 'event'; at: number; seq: number }
  /** Requests of hosts while everybody follows. `told`: which event told of each, and when it was to be made. */
  | { kind: 'load'; createsMs: number[]; healthMs: number[]; told: { at: number; seq: number }[] }
  | { kind: 'rss'; mb: number };

/**
 * A whole server on SQLite with some administrators signed in, in a process of its own. The argument says how many sessions
 * there are: each console has one of its own, and all of them are looked up for each event.
 */

const sessions = Number(process.argv[2]);
/** As few as may have so many streams. */
const ADMINISTRATORS = Math.ceil(sessions / FOLLOWER_LIMITS.perPerson);
const folder = await mkdtemp(join(tmpdir(), 'identree-bench-live-'));
const provider = createTestProvider();
let ahead = 0;
const clock = { now: () => Date.now() + ahead };
const app = await createApp(testConfig(folder), { provider, clock });
await app.start();
const url = await app.http.listen({ host: '127.0.0.1', port: 0 });
const cookies: string[] = [];
const hashes: string[] = [];
let cookieName = '';
for (let index = 0; index < ADMINISTRATORS; index += 1) {
  // Ten may sign in a minute.
  ahead += 7000;
  const person = await signInTestPerson(app, provider, clock, `admin${index}`, { passkey: false, groups: ['admins'] });
  cookieName = person.browser.sessionCookie;
  const value = person.browser.jar.get(cookieName)!;
  cookies.push(`${cookieName}=${value}`);
  hashes.push(sha256(value));
}
// To sign in as often would take the server longer than all the rest.
const signedIn: Awaited<ReturnType<typeof listSessions>> = [];
for (const { person } of await findSessions(app.db.query, hashes))
  signedIn.push(...(await listSessions(app.db.query, person.id, clock.now())));
await app.db.transaction(async (work) => {
  while (cookies.length < sessions) {
    const session = signedIn[cookies.length % signedIn.length]!;
    const value = randomBytes(32).toString('base64url');
    await insertSession(work, { ...session, id_hash: sha256(value), handle: `session ${cookies.length}` });
    cookies.push(`${cookieName}=${value}`);
  }
});

/** Each asks every few seconds: two requests of one host that overtake each other look like a copy of it. */
const HOSTS = 60;
const hosts: TestHost[] = [];
for (let index = 0; index < HOSTS; index += 1) hosts.push(await enrolTestHost(app, clock, `web${index}.example.com`));
const CREATES_PER_S = 20;
const HEALTH_PER_S = 4;

/** Does something so many times a second. How long each took counts from when it was due, as for who waits for it. */
async function paced(perSecond: number, seconds: number, run: (due: number) => Promise<unknown>): Promise<number[]> {
  const start = performance.now();
  const one = async (index: number): Promise<number> => {
    const due = start + (index * 1000) / perSecond;
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, due - performance.now())));
    await run(performance.timeOrigin + due);
    return performance.now() - due;
  };
  return Promise.all(Array.from({ length: perSecond * seconds }, (_, index) => one(index)));
}

async function load(seconds: number): Promise<Omit<Extract<Answer, { kind: 'load' }>, 'kind'>> {
  const seqs = new Map<string, number>();
  const stop = app.events.follow((event) => {
    if (event.event === 'challenge_created') seqs.set(event.challengeId!, event.seq);
  });
  const dues = new Map<string, number>();
  let users = 0;
  const [createsMs, healthMs] = await Promise.all([
    paced(CREATES_PER_S, seconds, async (due) => {
      users += 1;
      const host = hosts[users % HOSTS]!;
      dues.set((await host.create(host.record({ user: `user${users}` }))).challengeId, due);
    }),
    paced(HEALTH_PER_S, seconds, () => app.http.inject('/healthz')),
  ]);
  while (seqs.size < dues.size) await new Promise((resolve) => setTimeout(resolve, 10));
  stop();
  return { createsMs, healthMs, told: [...dues].map(([id, at]) => ({ at, seq: seqs.get(id)! })) };
}

const answer = (message: Answer): void => void process.send!(message);
process.on('message', async (ask: Ask) => {
  switch (ask.kind) {
    case 'event': {
      const at = performance.timeOrigin + performance.now();
      const { seq } = await app.db.transaction((work) =>
        app.events.append(work, { event: 'enrolment_token_created', username: '', hostname: 'web1.example.com' }),
      );
      answer({ kind: 'event', at, seq });
      break;
    }
    case 'load':
      answer({ kind: 'load', ...(await load(ask.seconds)) });
      break;
    case 'rss':
      answer({ kind: 'rss', mb: process.memoryUsage.rss() / 1024 / 1024 });
      break;
    default:
      await app.close();
      await rm(folder, { recursive: true, force: true });
      process.disconnect();
  }
});
answer({ kind: 'ready', url, cookies });
