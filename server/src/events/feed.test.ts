import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import Fastify from 'fastify';
import type { EventRecord, FeedEvent } from '#shared/events.ts';
import type { Viewer } from '../http/viewer.ts';
import { createEventFeed, type EventFeed, type OpenStream, type StreamClient } from './feed.ts';
import { streamRoutes } from './stream-routes.ts';

const credentials = { cookie: 'of alice', authorization: undefined, remoteAddr: '' };

function viewer(role: Viewer['role']): Viewer {
  return {
    person: {
      id: 'p',
      issuer: 'i',
      subject: 's',
      username: 'alice',
      displayName: 'Alice',
      groups: [],
      epoch: 0,
      sourceId: null,
    },
    role,
    accounts: [],
    session: { idHash: '', handle: '', kind: 'browser', authTime: 0, csrfToken: '' },
    remoteAddr: '',
  };
}

function record(seq: number): EventRecord {
  return {
    seq,
    at: 0,
    event: 'enrolment_token_created',
    username: '',
    hostId: null,
    hostname: null,
    challengeId: null,
    code: null,
    actor: null,
    reason: 'x'.repeat(4000),
    remoteAddr: null,
    data: {},
    salt: null,
    payloadHash: null,
    prevHash: '',
    hash: '',
  };
}

/** How many events the client of `eventsOf` has room for. */
const ROOM = 3;

/** Follows as a client does that reads one event after the other, at its own pace. Ends with the stream, or when it goes. */
async function* eventsOf(
  feed: Pick<EventFeed, 'open'>,
  credentialsOfIt: typeof credentials,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<FeedEvent> {
  const unread: FeedEvent[] = [];
  let ended = false;
  let look = (): void => {};
  const stream = feed.open(credentialsOfIt, after, {
    tell(event) {
      assert.ok(!signal.aborted && !ended, 'told after the end');
      unread.push(event);
      look();
      return unread.length < ROOM;
    },
    end() {
      assert.ok(!ended, 'ended twice');
      ended = true;
      look();
    },
  });
  const leave = (): void => {
    stream.leave();
    look();
  };
  signal.addEventListener('abort', leave);
  try {
    while (!signal.aborted) {
      const next = unread.shift();
      if (next) {
        yield next;
        if (unread.length === 0) stream.resume();
      } else if (ended) return;
      else
        await new Promise<void>((resolve) => {
          look = resolve;
        });
    }
  } finally {
    stream.leave();
    signal.removeEventListener('abort', leave);
  }
}

/** A feed that has nothing to tell but what a test lets it. */
const feedOf = (open: (client: StreamClient) => OpenStream): EventFeed => ({
  head: async () => 0,
  personOf: async ({ cookie = 'nobody' }) => cookie,
  open: (_credentials, _after, client) => open(client),
  close() {},
});

test('the log is read no further for a client that has gone while it catches up', async () => {
  const gone = new AbortController();
  let reads = 0;
  const feed = createEventFeed({
    events: {
      // Nothing of it is for this person, and it has no end.
      read: async (after, limit) => {
        reads += 1;
        if (reads === 3) gone.abort();
        if (reads === 50) throw new Error('it goes on');
        return Array.from({ length: limit }, (_, index) => record(after + 1 + index));
      },
      head: async () => ({ seq: 0, hash: '' }),
      follow: () => () => {},
    },
    viewersOf: async (all) => all.map(() => viewer('user')),
    log: { error() {} },
  });
  const told: FeedEvent[] = [];
  for await (const event of eventsOf(feed, credentials, 0, gone.signal)) told.push(event);
  assert.deepEqual([told, reads], [[], 3]);
  feed.close();
});

test('a client that does not read is let go of, and its stream ends', { timeout: 90_000 }, async (t) => {
  let ended = () => {};
  const over = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const feed = feedOf((client) => {
    let seq = 0;
    const resume = (): void => {
      do seq += 1;
      while (client.tell({ ...record(seq), topic: 'hosts' } as FeedEvent));
    };
    setImmediate(resume);
    return { resume, leave: ended };
  });
  const warnings: string[] = [];
  const warned = ({ name }: Error): void => void warnings.push(name);
  process.on('warning', warned);
  t.after(() => process.off('warning', warned));
  const app = Fastify();
  app.decorateRequest('clientAddress', '');
  await app.register(streamRoutes({ feed, keepAliveMs: 100 }));
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => app.close());
  const { port } = app.server.address() as { port: number };
  const socket = connect(port, '127.0.0.1');
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  socket.pause();
  socket.write('GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await over;
  // Each time it had to wait would have left a listener.
  await turns(2);
  assert.deepEqual(warnings, []);
});

test('a client whose session ended cannot hold the connection by not reading', { timeout: 60_000 }, async (t) => {
  let left = (): void => {};
  const over = new Promise<void>((resolve) => {
    left = resolve;
  });
  const feed = feedOf((client) => {
    const event = { ...record(1), topic: 'hosts' } as FeedEvent;
    setImmediate(() => {
      // More than what systems take for a connection that nobody reads.
      for (let written = 0; written < 20_000; written += 1) client.tell(event);
      client.end();
    });
    return { resume() {}, leave: left };
  });
  const app = Fastify();
  app.decorateRequest('clientAddress', '');
  await app.register(streamRoutes({ feed, keepAliveMs: 100 }));
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => app.close());
  const socket = connect((app.server.address() as { port: number }).port, '127.0.0.1');
  t.after(() => socket.destroy());
  // The server lets go of it in the middle of what it was sending.
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.pause();
  socket.write('GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await over;
});

test('a client that goes while it is looked up leaves no stream behind', { timeout: 90_000 }, async (t) => {
  let asked = (): void => {};
  const lookedUp = new Promise<void>((resolve) => {
    asked = resolve;
  });
  let answer = (_person: string): void => {};
  let opened = 0;
  const feed: EventFeed = {
    ...feedOf(() => {
      opened += 1;
      const leave = (): void => {
        opened -= 1;
      };
      return { resume() {}, leave };
    }),
    personOf: () =>
      new Promise((resolve) => {
        answer = resolve;
        asked();
      }),
  };
  const app = Fastify();
  app.decorateRequest('clientAddress', '');
  const closed = new Promise<void>((resolve) => {
    app.addHook('onRequest', async (_request, { raw }) => void raw.once('close', resolve));
  });
  await app.register(streamRoutes({ feed }));
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => app.close());
  const socket = connect((app.server.address() as { port: number }).port, '127.0.0.1');
  socket.write('GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n');
  await lookedUp;
  socket.destroy();
  await closed;
  answer('p');
  await turns(20);
  assert.equal(opened, 0);
});

/** Numbers that look like chance and come again with the same seed. */
function chanceOf(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return Math.floor((state / 0x8000_0000) * below);
  };
}

const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** A log and sessions in memory that answer late, in any order, and sometimes not at all. */
function world(chance: (below: number) => number, options: { failures: boolean }) {
  const records: EventRecord[] = [];
  const followers = new Set<(event: EventRecord) => void>();
  /** Until which event each session lasts, and until which its person is an administrator. */
  const sessions = new Map<string, { endsAt: number; adminUntil: number }>();
  const asked = { reads: 0, lookUps: 0 };
  let told = 0;
  let telling = false;
  async function tell(): Promise<void> {
    if (telling) return;
    telling = true;
    while (told < records.length) {
      await turns(chance(3));
      for (let count = 1 + chance(50); count > 0 && told < records.length; count -= 1) {
        const event = records[told]!;
        told += 1;
        for (const follower of followers) follower(event);
      }
    }
    telling = false;
  }
  const mayFail = (): void => {
    if (options.failures && chance(12) === 0) throw new Error('the database is away');
  };
  const feed = createEventFeed({
    events: {
      async read(after, limit) {
        asked.reads += 1;
        mayFail();
        const page = records.slice(after, after + limit);
        await turns(chance(4));
        return page;
      },
      head: async () => ({ seq: records.length, hash: '' }),
      follow(follower) {
        followers.add(follower);
        return () => followers.delete(follower);
      },
    },
    async viewersOf(all) {
      asked.lookUps += 1;
      await turns(chance(3));
      mayFail();
      const now = records.length;
      const found = all.map(({ cookie }) => {
        const session = sessions.get(cookie!)!;
        return session.endsAt <= now ? null : viewer(session.adminUntil > now ? 'admin' : 'user');
      });
      await turns(chance(3));
      return found;
    },
    log: { error() {} },
  });
  return {
    feed,
    records,
    sessions,
    asked,
    append(own: boolean): void {
      const seq = records.length + 1;
      records.push({
        ...record(seq),
        reason: null,
        ...(own ? { event: 'user_logged_in', username: 'alice', data: { issuer: 'i', subject: 's' } } : {}),
      });
      void tell();
    },
  };
}

/** Follows as a client does that comes back with its last id when its stream breaks; ends with its session. */
async function followAll(
  w: ReturnType<typeof world>,
  cookie: string,
  seen: number[],
  options: { signal: AbortSignal; slow: () => number },
): Promise<void> {
  while (!options.signal.aborted) {
    try {
      for await (const event of eventsOf(w.feed, { ...credentials, cookie }, seen.at(-1) ?? 0, options.signal)) {
        seen.push(event.seq);
        await turns(options.slow());
      }
      if (w.sessions.get(cookie)!.endsAt <= w.records.length) break;
    } catch {
      await turns(1);
    }
  }
}

for (const failures of [false, true]) {
  test(`whatever comes in between, each event comes once and in order, to whom it is for${failures ? ', also when the database fails' : ''}`, {
    timeout: 120_000,
  }, async () => {
    for (let seed = 1; seed <= 30; seed += 1) {
      const chance = chanceOf(seed * 7919);
      const w = world(chance, { failures });
      const done = new AbortController();
      const total = 200 + chance(1500);
      const names = Array.from({ length: 12 }, (_, index) => `session ${index}`);
      for (const [index, name] of names.entries()) {
        const never = Number.POSITIVE_INFINITY;
        // Some are administrators for good, some for a while, some never; of each kind some are signed out.
        const adminUntil = [never, chance(total), 0][index % 3]!;
        w.sessions.set(name, { endsAt: index % 4 === 3 ? chance(total) : never, adminUntil });
      }
      const seenBy = new Map(names.map((name): [string, number[]] => [name, []]));
      const following = names.map(async (name, index) => {
        await turns(chance(200));
        const slow = index % 2 === 0 ? () => 0 : () => chance(3);
        await followAll(w, name, seenBy.get(name)!, { signal: done.signal, slow });
      });
      while (w.records.length < total) {
        for (let burst = chance(10) === 0 ? 700 : 1 + chance(5); burst > 0 && w.records.length < total; burst -= 1)
          w.append(chance(3) === 0);
        await turns(chance(4));
      }
      // Everybody who is signed in sees this last one.
      w.append(true);
      const last = w.records.length;
      const lasting = names.filter((name) => w.sessions.get(name)!.endsAt > last);
      while (!lasting.every((name) => seenBy.get(name)!.at(-1) === last)) await turns(1);
      done.abort();
      await Promise.all(following);
      for (const [name, seen] of seenBy) {
        const { endsAt, adminUntil } = w.sessions.get(name)!;
        const where = `seed ${seed}, ${name}`;
        assert.deepEqual(
          seen,
          [...new Set(seen)].sort((a, b) => a - b),
          `${where}: order`,
        );
        const own = (seq: number) => w.records[seq - 1]!.event === 'user_logged_in';
        for (const seq of seen) {
          assert.ok(seq <= endsAt, `${where}: ${seq} after the session had ended at ${endsAt}`);
          assert.ok(own(seq) || seq <= adminUntil, `${where}: ${seq} after the role had gone at ${adminUntil}`);
        }
        if (endsAt > last) {
          const due = w.records.filter(({ seq }) => own(seq) || adminUntil > last).map(({ seq }) => seq);
          assert.deepEqual(
            due.filter((seq) => !seen.includes(seq)),
            [],
            `${where}: missed`,
          );
        }
      }
      w.feed.close();
    }
  });
}

test('an event to 2,000 streams is twenty look-ups and no read, and nothing comes to those whose session has ended', async () => {
  const w = world(chanceOf(1), { failures: false });
  const done = new AbortController();
  const names = Array.from({ length: 2000 }, (_, index) => `session ${index}`);
  for (const name of names)
    w.sessions.set(name, { endsAt: Number.POSITIVE_INFINITY, adminUntil: Number.POSITIVE_INFINITY });
  const seenBy = new Map(names.map((name): [string, number[]] => [name, []]));
  const all = [...seenBy];
  const following = all.map(([name, seen]) => followAll(w, name, seen, { signal: done.signal, slow: () => 0 }));
  /** One event, until everybody who lasts has been told. */
  const tell = async (): Promise<void> => {
    w.append(false);
    const seq = w.records.length;
    const lasting = all.filter(([name]) => w.sessions.get(name)!.endsAt > seq);
    while (!lasting.every(([, seen]) => seen.at(-1) === seq)) await turns(1);
  };
  await tell();
  await tell();
  const before = { ...w.asked };
  for (let event = 3; event <= 10; event += 1) await tell();
  assert.deepEqual(w.asked, { reads: before.reads, lookUps: before.lookUps + 8 * 20 });

  for (const [index, name] of names.entries()) if (index % 2 === 0) w.sessions.get(name)!.endsAt = 10;
  for (let event = 11; event <= 20; event += 1) await tell();
  const ended = following.filter((_, index) => index % 2 === 0);
  await Promise.all(ended);
  for (const [index, [name, seen]] of all.entries()) assert.equal(seen.at(-1), index % 2 === 0 ? 10 : 20, name);
  done.abort();
  await Promise.all(following);
  w.feed.close();
});

test('others are served while 2,000 streams are told, and what happens meanwhile is told together', async () => {
  const w = world(() => 0, { failures: false });
  const done = new AbortController();
  const names = Array.from({ length: 2000 }, (_, index) => `session ${index}`);
  for (const name of names)
    w.sessions.set(name, { endsAt: Number.POSITIVE_INFINITY, adminUntil: Number.POSITIVE_INFINITY });
  const all = names.map((name) => ({ name, seen: [] as number[] }));
  const following = all.map(({ name, seen }) => followAll(w, name, seen, { signal: done.signal, slow: () => 0 }));
  const toldOf = (seq: number) => all.filter(({ seen }) => seen.at(-1)! >= seq).length;
  w.append(false);
  while (toldOf(1) < all.length) await turns(1);
  w.append(false);
  const atOnce: number[] = [];
  for (let before = toldOf(2); before < all.length; before = toldOf(2)) {
    await turns(1);
    atOnce.push(toldOf(2) - before);
  }
  assert.ok(Math.max(...atOnce) <= 200, `${Math.max(...atOnce)} of them were told between two turns of the event loop`);

  const { lookUps } = w.asked;
  for (let event = 3; event <= 12; event += 1) {
    w.append(false);
    await turns(1);
  }
  while (toldOf(12) < all.length) await turns(1);
  assert.ok(w.asked.lookUps - lookUps <= 3 * 20, `${w.asked.lookUps - lookUps} look-ups for ten events in a row`);
  for (const { seen } of all) assert.deepEqual(seen.slice(-10), [3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  done.abort();
  await Promise.all(following);
  w.feed.close();
});

test('one person may have so many streams, and all people so many; who leaves makes room', async (t) => {
  const feed = feedOf(() => ({ resume() {}, leave() {} }));
  const app = Fastify();
  app.decorateRequest('clientAddress', '');
  await app.register(streamRoutes({ feed, limits: { perPerson: 2, inAll: 3 } }));
  const url = await app.listen({ host: '127.0.0.1', port: 0 });
  const gone: AbortController[] = [];
  t.after(() => {
    for (const one of gone) one.abort();
    return app.close();
  });
  const follow = async (cookie: string): Promise<string> => {
    const leave = new AbortController();
    const answer = await fetch(`${url}/api/events`, { headers: { cookie }, signal: leave.signal });
    if (answer.ok) gone.push(leave);
    return answer.ok ? 'follows' : `${answer.status} ${((await answer.json()) as { code: string }).code}`;
  };
  assert.equal(await follow('ada'), 'follows');
  assert.equal(await follow('ada'), 'follows');
  assert.equal(await follow('ada'), '429 too_many_streams');
  assert.equal(await follow('grace'), 'follows');
  assert.equal(await follow('grace'), '503 too_many_followers');
  gone.shift()!.abort();
  let again = '';
  for (let turn = 0; again !== 'follows' && turn < 1000; turn += 1) {
    await turns(1);
    again = await follow('ada');
  }
  assert.equal(again, 'follows');
  assert.equal(await follow('ada'), '429 too_many_streams');
});

test('a server that stops while many are told asks its database nothing more', async () => {
  const w = world(() => 0, { failures: false });
  const names = Array.from({ length: 2000 }, (_, index) => `session ${index}`);
  for (const name of names)
    w.sessions.set(name, { endsAt: Number.POSITIVE_INFINITY, adminUntil: Number.POSITIVE_INFINITY });
  const all = names.map((name) => ({ name, seen: [] as number[] }));
  const done = new AbortController();
  const following = all.map(({ name, seen }) => followAll(w, name, seen, { signal: done.signal, slow: () => 0 }));
  w.append(false);
  while (all.some(({ seen }) => seen.at(-1) !== 1)) await turns(1);
  w.append(false);
  while (!all.some(({ seen }) => seen.at(-1) === 2)) await turns(1);
  done.abort();
  w.feed.close();
  const { lookUps } = w.asked;
  await turns(50);
  assert.equal(w.asked.lookUps, lookUps);
  assert.ok(
    all.some(({ seen }) => seen.at(-1) === 1),
    'it stopped in the middle',
  );
  await Promise.all(following);
});
