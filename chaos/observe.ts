import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { Client } from 'ldapts';
import type { Told } from '../server/src/testing/journal.ts';
import { type LoadedServer, until } from '../server/src/testing/load.ts';
import type { keepTimes } from './fault.ts';

const BASE = 'dc=example,dc=com';
const SERVICE = { dn: `cn=readonly,${BASE}`, password: 'b7e0f19c5a2d48' };
const PEOPLE = {
  users: [{ id: 'sub-alice', issuer: 'https://idp.example.com', username: 'alice' }],
  groups: [],
};

/**
 * How long hosts do nothing after an answer where it does not matter how many ask, milliseconds: on a busy machine as well,
 * what is looked at gets its turn.
 */
export const PAUSE_MS = 20;

/** Settings of a server that answers LDAP, with a directory of one person. */
export async function directorySettings(folder: string): Promise<Record<string, string>> {
  const people = join(folder, 'people.json');
  await writeFile(people, JSON.stringify(PEOPLE), { mode: 0o600 });
  return {
    IDENTREE_DIRECTORY_SOURCE: 'file',
    IDENTREE_DIRECTORY_FILE: people,
    ...LDAP_SETTINGS,
  };
}

/** Those of them that say nothing of where people come from. */
export const LDAP_SETTINGS = {
  IDENTREE_LDAP_BASE_DN: BASE,
  IDENTREE_LDAP_LISTEN_ADDR: '127.0.0.1:0',
  IDENTREE_LDAP_TLS_LISTEN_ADDR: 'off',
  IDENTREE_LDAP_REQUIRE_TLS: 'false',
  IDENTREE_LDAP_BIND_DN: SERVICE.dn,
  IDENTREE_LDAP_BIND_PASSWORD: SERVICE.password,
};

/** What the directory answers to a host that looks somebody up. */
export async function seeDirectory({ ports }: LoadedServer): Promise<string> {
  const client = new Client({ url: `ldap://127.0.0.1:${ports.ldap}`, timeout: 30_000, connectTimeout: 30_000 });
  try {
    await client.bind(SERVICE.dn, SERVICE.password);
    const { searchEntries } = await client.search(BASE, { scope: 'sub', filter: '(uid=alice)' });
    return searchEntries.length === 1 ? 'answers' : `answers with ${searchEntries.length} people instead of one`;
  } catch (error) {
    return `fails: ${error instanceof Error ? error.message : error}`;
  } finally {
    await client.unbind().catch(() => {});
  }
}

/** Resolves when a server is well, and answers from its directory where it has one. */
export async function untilWell(server: LoadedServer): Promise<void> {
  await until(async () => (await server.health())?.status === 200);
  if (server.ports.ldap !== null) await until(async () => (await seeDirectory(server)) === 'answers');
}

/** What somebody sees who opens the page of a request with a session that is over. */
export async function seePage({ ports }: LoadedServer): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${ports.http}/approve/ABCDEF-123456`, {
    headers: { accept: 'text/html', cookie: `__Host-identree_session=${'x'.repeat(43)}` },
    redirect: 'manual',
    signal: AbortSignal.timeout(30_000),
  }).catch(() => null);
  if (answer === null) return 'does not answer';
  if (answer.status >= 300 && answer.status < 400) return 'answers: sends to the sign-in';
  return wordsOf(answer);
}

/** The status of a page, and the sentence below its heading. */
export async function wordsOf(answer: Response): Promise<string> {
  const [, words = ''] = /<h1>.*?<p[^>]*>([^<]*)<\/p>/s.exec(await answer.text()) ?? [];
  return `${answer.status}: “${words.trim()}”`;
}

/**
 * What `/healthz` says. Most servers under load have an identity provider that is never there, and it is passed over. A
 * check that ran out of time on a busy machine is looked at again.
 */
export async function seeHealth(server: LoadedServer, { provider = false } = {}): Promise<string> {
  let health = await server.health();
  await until(async () => {
    if (!Object.values(health?.body.checks ?? {}).includes('timeout')) return true;
    health = await server.health();
    return false;
  });
  if (health === null) return 'does not answer';
  const { status, body } = health;
  // What else cannot be looked at without a database follows from it.
  if (body.checks.database !== 'ok') return `${status}: database is ${body.checks.database}`;
  const wrong = Object.entries(body.checks)
    .filter(([name, value]) => value !== 'ok' && (provider || name !== 'oidc'))
    .map(([name, value]) => `${name} is ${value}`);
  return wrong.length === 0 ? `${status}` : `${status}: ${wrong.join(', ')}`;
}

/** What those see at a server who are not to notice anything. */
export interface Unharmed {
  ldap: string;
  console: string;
  health: string;
}

const UNHARMED: Unharmed = { ldap: 'answers', console: 'answers: sends to the sign-in', health: '200' };
/** What has not passed by then does not pass, milliseconds. */
const PASSES_MS = 60_000;

/**
 * Sees how those fare who are not to notice anything. A database that answers too late, as it does on a busy machine, is
 * away for a moment: how long that lasted is a time, and what stays is the fact.
 */
export async function seeUnharmed(server: LoadedServer, times: ReturnType<typeof keepTimes>): Promise<Unharmed> {
  const look = async (): Promise<Unharmed> => ({
    ldap: await seeDirectory(server),
    console: await seePage(server),
    health: await seeHealth(server),
  });
  const began = performance.now();
  let seen = await look();
  while (!isDeepStrictEqual(seen, UNHARMED) && performance.now() - began < PASSES_MS) seen = await look();
  times.note('others were well', 5, performance.now() - began);
  return seen;
}

/** What was asked for between two moments. */
export const toldBetween = (servers: readonly LoadedServer[], from: number, to: number): Told[] =>
  servers.flatMap((server) => server.told()).filter(({ at }) => at >= from && at < to);

type Refused = Extract<Told, { kind: 'refused' }>;

const words = (refused: readonly Refused[]): string[] =>
  [...new Set(refused.map(({ code, message }) => `“${message}” (${code})`))].sort();

/** Whether it was told to a host that waits for an answer. */
export const isOfWait = (one: Told): boolean =>
  one.kind === 'waited' || (one.kind === 'refused' && one.what === 'wait');

/** What came of requests among what was told. */
export function decisionsIn(told: readonly Told[]): string {
  const refused = told.flatMap((one) => (one.kind === 'refused' && one.what !== 'wait' ? [one] : []));
  const made = told.some(({ kind }) => kind === 'created');
  if (refused.length === 0) return made ? 'decided' : 'nothing was asked';
  return `${made ? 'some decided, some refused' : 'refused'}: ${words(refused).join(', ')}`;
}

/** How many requests in a row show what becomes of them, and of all after them. */
const IN_A_ROW = 10;

/**
 * Resolves once a server decides all that it is asked, since a moment at the earliest, with what {@link decisionsIn} says of
 * it. On a busy machine the database is away for a moment now and then, and a request is refused.
 */
export async function untilDecided(server: LoadedServer, from: number): Promise<string> {
  const last = () =>
    toldBetween([server], from, Date.now())
      .filter((one) => !isOfWait(one))
      .slice(-IN_A_ROW);
  await until(() => last().length === IN_A_ROW && last().every(({ kind }) => kind !== 'refused'));
  return decisionsIn(last());
}

/** Resolves once servers decide nothing that they are asked, with the moment since when that is so. */
export async function untilUndecided(servers: readonly LoadedServer[]): Promise<number> {
  let since = Date.now();
  await until(() =>
    servers.every((server) => {
      const told = toldBetween([server], since, Date.now()).filter((one) => !isOfWait(one));
      if (told.every(({ kind }) => kind === 'refused')) return told.length >= IN_A_ROW;
      since = Date.now();
      return false;
    }),
  );
  return since;
}

/** What hosts were told among it that wait for an answer. */
export function waitsIn(told: readonly Told[]): string {
  const refused = told.flatMap((one) => (one.kind === 'refused' && one.what === 'wait' ? [one] : []));
  if (refused.length > 0) return `refused: ${words(refused).join(', ')}`;
  return told.some(({ kind }) => kind === 'waited') ? 'answered' : 'wait';
}

/**
 * Whether those who waited at a moment wait on with the same request at the end: what was taken away for a while is not to
 * end what somebody waits for.
 */
export function waitsOn(servers: readonly LoadedServer[], moment: number): boolean {
  return servers.every((server) => {
    const waited = server.told().flatMap((one) => (one.kind === 'waited' ? [one] : []));
    const then = waited.findLast(({ at }) => at < moment);
    const last = waited.at(-1);
    return then !== undefined && last?.id === then.id && last.status === 'pending' && last.at > moment;
  });
}

/** How long it took at most to be told no, milliseconds. */
export const slowestRefusal = (told: readonly Told[]): number =>
  Math.max(0, ...told.flatMap((one) => (one.kind === 'refused' ? [one.ms] : [])));

/** How often clients were told something. */
export const toldIn = (servers: readonly LoadedServer[]): number =>
  servers.reduce((sum, server) => sum + server.told().length, 0);
