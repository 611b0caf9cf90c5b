import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApp } from '../../server/src/app/app.ts';
import { kysely } from '../../server/src/db/query.ts';
import { findCursor } from '../../server/src/events/cursor-store.ts';
import { channelInput, routeRule } from '../../server/src/notify/settings.ts';
import { systemClock } from '../../server/src/platform/clock.ts';
import { testConfig } from '../../server/src/testing/test-config.ts';
import { enrolTestHost } from '../../server/src/testing/test-host.ts';
import { createTestProvider } from '../../server/src/testing/test-person.ts';

/** What the bench asks the server for. */
export type Ask =
  /** A request of a host is made; its webhook has its code. */
  | { kind: 'request' }
  /** So many events are written for channels that are paused, and these are resumed. */
  | { kind: 'drain'; events: number }
  /** The database holds so many hosts and waiting requests. */
  | { kind: 'fill'; hosts: number; pending: number }
  | { kind: 'stop' };

/** What it answers. `at`: milliseconds since the epoch. */
export type Answer =
  | { kind: 'ready'; port: number }
  /** `at`: when the event was written, as the log says. */
  | { kind: 'request'; code: string; at: number }
  | { kind: 'drain'; at: number; deliveries: number }
  | { kind: 'fill' };

/**
 * A whole server on SQLite that tells of requests on one webhook, and of another event on many, in a process of its own.
 * Arguments: the address of the receiver, and how many channels lead there beside the first.
 */
const [receiver = '', channelCount = '1'] = process.argv.slice(2);
const folder = await mkdtemp(join(tmpdir(), 'identree-bench-notify-'));
const app = await createApp(testConfig(folder, { IDENTREE_NOTIFY_ALLOW_CIDRS: '127.0.0.1' }), {
  provider: createTestProvider(),
  clock: systemClock,
});
const by = { personId: null, isAdmin: true, username: 'bench', remoteAddr: null };
// As fast as a channel may be used at all.
const fast = { kind: 'webhook', perMinute: 6000, atOnce: 50, foldFrom: 0 };
async function channel(name: string, more: object = {}): Promise<void> {
  const input = channelInput.parse({ ...fast, settings: { url: `${receiver}/${name}` }, ...more });
  const added = await app.notify.configured.add(name, input, { personal: false }, by);
  if (!added.ok) throw new Error(added.problem);
}
async function route(channels: string[], event: string): Promise<void> {
  const added = await app.notify.routes.add(routeRule.parse({ channels, events: [event] }), true, by);
  if (!added.ok) throw new Error(added.problem);
}
const many = Array.from({ length: Number(channelCount) }, (_, index) => `many-${index}`);
await channel('first');
await route(['first'], 'challenge_created');
for (const name of many) await channel(name, { paused: true });
await route(many, 'enrolment_token_created');
await app.start();
await app.http.listen({ host: '127.0.0.1', port: 0 });
const host = await enrolTestHost(app, systemClock, 'web1.example.com');
const written = new Map<string, number>();
app.events.follow((event) => void (event.challengeId !== null && written.set(event.challengeId, event.at)));
let users = 0;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Everything that was written so far is in the queue. */
async function routed(): Promise<void> {
  const { seq } = await app.events.head();
  while (((await findCursor(app.db.query, 'notify'))?.seq ?? 0) < seq) await pause(20);
}

async function request(): Promise<Answer> {
  users += 1;
  const { challengeId, userCode } = await host.create(host.record({ user: `user${users}` }));
  while (!written.has(challengeId)) await pause(1);
  return { kind: 'request', code: userCode, at: written.get(challengeId)! };
}

async function drain(events: number): Promise<Answer> {
  for (let done = 0; done < events; done += 1)
    await app.db.transaction((work) =>
      app.events.append(work, { event: 'enrolment_token_created', username: '', hostname: `host${done}.example.com` }),
    );
  await routed();
  const at = Date.now();
  await app.db.transaction(async (work) => {
    await kysely(work.query).updateTable('notify_channels').set({ paused: 0 }).where('name', 'in', many).execute();
  });
  app.notify.wake();
  return { kind: 'drain', at, deliveries: events * many.length };
}

/** Copies of the one host and of its last request, as many as there are to be. */
async function fill(hosts: number, pending: number): Promise<Answer> {
  const { db } = app;
  const { challengeId } = await host.create(host.record({ user: 'copied' }));
  const asked = await kysely(db.query)
    .selectFrom('challenges')
    .selectAll()
    .where('id', '=', challengeId)
    .executeTakeFirstOrThrow();
  const enrolled = await kysely(db.query)
    .selectFrom('hosts')
    .selectAll()
    .where('id', '=', host.id)
    .executeTakeFirstOrThrow();
  const until = Date.now() + 3_600_000;
  const AT_ONCE = 100;
  for (let from = 0; from < Math.max(hosts, pending); from += AT_ONCE) {
    const numbers = (most: number) =>
      Array.from({ length: Math.max(0, Math.min(AT_ONCE, most - from)) }, (_, index) => from + index);
    const hostRows = numbers(hosts).map((index) => ({
      ...enrolled,
      ...{ id: `copy ${index}`, hostname: `copy${index}.example.com`, api_key: `copy ${index}` },
      api_key_thumbprint: `copy ${index}`,
    }));
    const requestRows = numbers(pending).map((index) => ({
      ...asked,
      ...{ id: index.toString(16).padStart(32, '0'), user_code: `code ${index}`, nonce: `nonce ${index}` },
      ...{ expires_at: until, lease_until: until },
    }));
    await db.transaction(async (work) => {
      if (hostRows.length > 0) await kysely(work.query).insertInto('hosts').values(hostRows).execute();
      if (requestRows.length > 0) await kysely(work.query).insertInto('challenges').values(requestRows).execute();
    });
  }
  return { kind: 'fill' };
}

const answer = (message: Answer): void => void process.send!(message);
process.on('message', async (ask: Ask) => {
  if (ask.kind === 'request') answer(await request());
  else if (ask.kind === 'drain') answer(await drain(ask.events));
  else if (ask.kind === 'fill') answer(await fill(ask.hosts, ask.pending));
  else {
    await app.close();
    await rm(folder, { recursive: true, force: true });
    process.disconnect();
  }
});
while ((await findCursor(app.db.query, 'notify')) === null) await pause(20);
const address = app.http.server.address();
if (address === null || typeof address === 'string') throw new Error('the server has no port');
answer({ kind: 'ready', port: address.port });
