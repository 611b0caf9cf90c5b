import { randomBytes } from 'node:crypto';
import { appendFileSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { sha256 } from '#shared/digest.ts';
import { createApp } from '../app/app.ts';
import { findSessions, insertSession, listSessions } from '../auth/session-store.ts';
import type { Config } from '../config/config.ts';
import { FOLLOWER_LIMITS } from '../events/followers.ts';
import { type Clock, systemClock } from '../platform/clock.ts';
import type { Told } from './journal.ts';
import { enrolTestHost, type TestAnswer, type TestHost } from './test-host.ts';
import { createTestProvider, signInTestPerson } from './test-person.ts';

/** A clock that is ahead of all others by so many milliseconds: of the server, or of the host that waits and one that asks. */
export interface WrongClock {
  of: 'server' | 'host';
  aheadMs: number;
}

/** Where a server under load says what it does. */
export interface LoadChild {
  config: Config;
  /** How many hosts ask at a time. One more waits for an answer that nobody gives. */
  hosts: number;
  /** How long each of them does nothing after an answer, milliseconds. */
  pauseMs: number;
  /** What goes wrong with a clock after SIGUSR2, until the next one. */
  wrongClock: WrongClock | null;
  /** How many sessions of administrators there are: as many may follow what happens. */
  sessions: number;
  /** There, and whole, once it works: its ports. */
  ready: string;
  /** What its clients were told, a line of JSON each. */
  journal: string;
}

/** What it writes when it is ready. */
export interface LoadPorts {
  http: number;
  ldap: number | null;
  /** By which a host that is not its own enrols, once, under this name. */
  outside: { hostname: string; token: string };
  /** The cookie of each session, those of one person together. */
  cookies: string[];
}

/** A server from which something is taken away: hosts ask it for as long as it lives. */
const {
  config,
  hosts: count,
  pauseMs,
  wrongClock,
  sessions,
  ready,
  journal,
} = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as LoadChild;
let isWrong = false;
process.on('SIGUSR2', () => {
  isWrong = !isWrong;
});
/** Ten may sign in a minute: until all have, time passes more quickly. */
let hurryMs = 0;
const clockOf = (whose: WrongClock['of']): Clock => ({
  now: () => Date.now() + hurryMs + (isWrong && wrongClock?.of === whose ? wrongClock.aheadMs : 0),
});
const provider = createTestProvider();
const app = await createApp(config, { clock: clockOf('server'), ...(sessions > 0 ? { provider } : {}) });
await app.listen();
const cookies = await openSessions();
hurryMs = 0;
const run = String(process.pid);
const enrolled = await Promise.all(
  Array.from({ length: count + 1 }, (_, i) =>
    tryAgain((attempt) =>
      enrolTestHost(app, i < 2 ? clockOf('host') : systemClock, `web${i}-${run}-${attempt}.example.com`),
    ),
  ),
);
const [waiting, ...hosts] = enrolled;
const outside = `outside-${run}.example.com`;
const ports: LoadPorts = {
  http: (app.http.server.address() as AddressInfo).port,
  ldap: app.directory?.ports()[0] ?? null,
  outside: { hostname: outside, token: (await tryAgain(() => app.hosts.createToken(outside, 'test', null))).token },
  cookies,
};
// Who waits for the file may look between its making and its being filled.
writeFileSync(`${ready}.new`, JSON.stringify(ports));
renameSync(`${ready}.new`, ready);

/**
 * Does something again that the database refuses: where much else runs, a transaction can stand still for longer than it
 * may, and be ended.
 */
async function tryAgain<T>(work: (attempt: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work(attempt);
    } catch (error) {
      if (attempt === 50) throw error;
      await sleep(100);
    }
  }
}

/** Sessions of as few administrators as may follow with so many; of one person one signs in, and the others are copies. */
async function openSessions(): Promise<string[]> {
  const { perPerson } = FOLLOWER_LIMITS;
  const made: string[] = [];
  for (let person = 0; made.length < sessions; person += 1) {
    hurryMs += 7000;
    const { browser } = await signInTestPerson(app, provider, clockOf('server'), `admin${person}`, {
      passkey: false,
      groups: ['admins'],
    });
    const own = browser.jar.get(browser.sessionCookie)!;
    const [found] = await findSessions(app.db.query, [sha256(own)]);
    const listed = await listSessions(app.db.query, found!.session.person_id, clockOf('server').now());
    const whole = listed.find(({ handle }) => handle === found!.session.handle)!;
    made.push(`${browser.sessionCookie}=${own}`);
    await app.db.transaction(async (work) => {
      for (let copy = 1; copy < perPerson && made.length < sessions; copy += 1) {
        const value = randomBytes(32).toString('base64url');
        await insertSession(work, { ...whole, id_hash: sha256(value), handle: `session ${made.length}` });
        made.push(`${browser.sessionCookie}=${value}`);
      }
    });
  }
  return made;
}

type Note = Told extends infer T ? (T extends Told ? Omit<T, 'at' | 'ms'> : never) : never;

/** Sends something, and notes what is said: what comes of it when it is done, or why it is refused. */
async function ask(
  what: Extract<Told, { kind: 'refused' }>['what'],
  send: () => Promise<TestAnswer>,
  done: (body: TestAnswer['body']) => Note | null,
): Promise<TestAnswer['body'] | null> {
  const at = Date.now();
  const before = performance.now();
  const { status, body } = await send();
  const ms = Math.round(performance.now() - before);
  const { code = '', message = '' } = body.error ?? {};
  const told = status < 300 ? done(body) : { kind: 'refused' as const, what, code, message };
  if (told !== null) appendFileSync(journal, `${JSON.stringify({ ...told, at, ms })}\n`);
  if (status < 300) return body;
  // Who asks again at once with a clock that is wrong is soon told to slow down, and nothing else.
  await sleep(code === 'clock_skew' || code === 'rate_limited' ? 2000 : 20);
  return null;
}

async function create(host: TestHost, user: string): Promise<string | null> {
  const body = await ask(
    'create',
    () => host.send('POST', '/challenges', host.createBody(host.record({ user }))),
    (created) => ({ kind: 'created', id: String(created.challengeId), status: created.status as 'pending' }),
  );
  return body === null ? null : String(body.challengeId);
}

async function askAgainAndAgain(host: TestHost): Promise<never> {
  for (;;) {
    await sleep(pauseMs);
    await create(host, 'auto');
    await sleep(pauseMs);
    const id = await create(host, 'alice');
    if (id === null) continue;
    await ask(
      'cancel',
      () => host.send('DELETE', `/challenges/${id}`),
      ({ status }) => (status === 'cancelled' ? { kind: 'cancelled', id } : null),
    );
  }
}

/** As somebody does at a terminal, to whom nothing was said yet. */
async function wait(host: TestHost): Promise<never> {
  for (let id: string | null = null; ; ) {
    id ??= await create(host, 'bob');
    if (id === null) continue;
    const waited: string = id;
    const body = await ask(
      'wait',
      () => host.send('GET', `/challenges/${waited}?wait=1`),
      ({ status }) => ({ kind: 'waited', id: waited, status: String(status) }),
    );
    if (body !== null && body.status !== 'pending') id = null;
  }
}

await Promise.all([wait(waiting!), ...hosts.map(askAgainAndAgain)]);
