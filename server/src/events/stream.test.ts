import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { kysely } from '../db/query.ts';
import { whyNoPostgres } from '../db/test-postgres.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost, type TestHost } from '../testing/test-host.ts';
import { createTestProvider, signInTestPerson, type TestPerson, type TestProvider } from '../testing/test-person.ts';

/** One server-sent event. */
interface Message {
  id: number;
  event: string;
  data: Record<string, unknown>;
}

/** Somebody who follows events. */
interface Follower {
  /** True when the server told that nobody is signed in. */
  refused: boolean;
  /** Resolves once the server has said that it is connected. */
  connected: Promise<void>;
  /** After which event it goes on, as the server said then. */
  begins(): number | undefined;
  /** What came so far. */
  messages: Message[];
  /** Resolves once `count` events have come. */
  received(count: number): Promise<Message[]>;
  /** Resolves when the server ends the stream. */
  ended: Promise<void>;
  leave(): void;
}

function parse(block: string): Message | null {
  const fields = new Map<string, string>();
  for (const line of block.split('\n')) {
    const at = line.indexOf(':');
    if (at > 0) fields.set(line.slice(0, at), line.slice(at + 1).trimStart());
  }
  const text = fields.get('data');
  if (text === undefined) return null;
  const data = JSON.parse(text) as Record<string, unknown>;
  return { id: Number(fields.get('id')), event: String(data.event), data };
}

async function follow(url: string, cookie: string, lastId?: number): Promise<Follower> {
  const gone = new AbortController();
  const answer = await fetch(`${url}/api/events`, {
    headers: {
      cookie,
      accept: 'text/event-stream',
      ...(lastId === undefined ? {} : { 'last-event-id': String(lastId) }),
    },
    signal: gone.signal,
  });
  const messages: Message[] = [];
  let begins: number | undefined;
  let isConnected = (): void => {};
  const connected = new Promise<void>((resolve) => {
    isConnected = resolve;
  });
  let look = (): void => {};
  const ended = (async () => {
    let text = '';
    const decoder = new TextDecoder();
    try {
      for await (const chunk of answer.body ?? []) {
        text += decoder.decode(chunk as Uint8Array, { stream: true });
        const blocks = text.split('\n\n');
        text = blocks.pop() ?? '';
        const [first] = blocks;
        if (first !== undefined && begins === undefined) {
          begins = Number(/^id: (\d+)$/m.exec(first)?.[1]);
          isConnected();
        }
        messages.push(...blocks.map(parse).filter((message) => message !== null));
        look();
      }
    } catch (error) {
      if (!gone.signal.aborted) throw error;
    }
  })();
  return {
    refused: answer.status === 401,
    connected,
    begins: () => begins,
    messages,
    ended,
    received: (count) =>
      new Promise((resolve) => {
        look = () => {
          if (messages.length >= count) resolve(messages.slice(0, count));
        };
        look();
      }),
    leave: () => gone.abort(),
  };
}

for (const driver of ['sqlite', 'postgres'] as const) {
  const missing = driver === 'postgres' ? whyNoPostgres() : null;
  if (missing) test(`live events on ${driver}`, { skip: missing }, () => {});
  else describe(`live events on ${driver}`, () => liveEvents(driver));
}

function liveEvents(driver: 'sqlite' | 'postgres') {
  let t: TestApp;
  let provider: TestProvider;
  let url: string;
  let host: TestHost;
  let alice: TestPerson;
  let olga: TestPerson;
  before(async () => {
    provider = createTestProvider();
    t = await createTestApp({ driver, app: { provider } });
    url = await t.app.http.listen({ host: '127.0.0.1', port: 0 });
    host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
    alice = await signInTestPerson(t.app, provider, t.clock, 'alice', { passkey: false });
    await signInTestPerson(t.app, provider, t.clock, 'bob', { passkey: false });
    olga = await signInTestPerson(t.app, provider, t.clock, 'olga', { passkey: false, groups: ['admins'] });
  });
  after(() => t?.close());

  /** A request of somebody that is withdrawn again: two events. */
  async function askAndCancel(user: string): Promise<string> {
    const { challengeId } = await host.create(host.record({ user }));
    await host.send('DELETE', `/challenges/${challengeId}`);
    return challengeId;
  }
  const about = (messages: Message[]) => messages.map(({ event, data }) => [event, data.username]);

  test('nobody follows without a session', async () => {
    const stranger = await follow(url, '');
    await stranger.ended;
    assert.equal(stranger.refused, true);
    assert.deepEqual(stranger.messages, []);
  });

  test('people see their own requests as they happen, administrators see all, in the order of the log', async () => {
    const [own, all] = [await follow(url, alice.cookie), await follow(url, olga.cookie)];
    await askAndCancel('bob');
    await askAndCancel('alice');
    assert.deepEqual(about(await own.received(2)), [
      ['challenge_created', 'alice'],
      ['challenge_cancelled', 'alice'],
    ]);
    assert.deepEqual(about(await all.received(4)), [
      ['challenge_created', 'bob'],
      ['challenge_cancelled', 'bob'],
      ['challenge_created', 'alice'],
      ['challenge_cancelled', 'alice'],
    ]);
    const ids = all.messages.map(({ id }) => id);
    assert.deepEqual(
      ids,
      [...ids].sort((a, b) => a - b),
    );
    own.leave();
    all.leave();
  });

  test('an event after the connection is made is never missed', async () => {
    for (let round = 0; round < 10; round++) {
      const follower = await follow(url, alice.cookie);
      const challengeId = await askAndCancel('alice');
      const [first] = await follower.received(1);
      assert.equal(first?.data.challengeId, challengeId);
      follower.leave();
      t.clock.advance(1000);
    }
  });

  test('who was away gets what happened meanwhile, each event once, then goes on', async () => {
    const here = await follow(url, alice.cookie);
    await askAndCancel('alice');
    const seen = await here.received(2);
    here.leave();
    const missed = [await askAndCancel('alice'), await askAndCancel('alice')];
    const back = await follow(url, alice.cookie, seen[1]!.id);
    const replayed = await back.received(4);
    assert.deepEqual(
      replayed.map(({ data }) => data.challengeId),
      missed.flatMap((id) => [id, id]),
    );
    const last = await askAndCancel('alice');
    assert.equal((await back.received(6))[5]?.data.challengeId, last);
    const later = await follow(url, alice.cookie, replayed[0]!.id);
    assert.deepEqual(await later.received(5), back.messages.slice(1));
    back.leave();
    later.leave();
  });

  test('who hears nothing and loses the connection goes on where it began', async () => {
    const { seq } = await t.app.events.head();
    const idle = await follow(url, alice.cookie);
    await idle.connected;
    idle.leave();
    assert.equal(idle.begins(), seq);
    const missed = await askAndCancel('alice');
    const back = await follow(url, alice.cookie, idle.begins());
    assert.deepEqual(
      (await back.received(2)).map(({ data }) => data.challengeId),
      [missed, missed],
    );
    back.leave();
  });

  test('an id that this log has not reached yet is of another log: it begins at the newest event, and says so', async () => {
    const { seq } = await t.app.events.head();
    const follower = await follow(url, alice.cookie, seq + 1000);
    await follower.connected;
    assert.equal(follower.begins(), seq);
    const next = await askAndCancel('alice');
    assert.equal((await follower.received(1))[0]?.data.challengeId, next);
    follower.leave();
  });

  test('what is replayed is authorised anew: the id of an administrator opens nothing for somebody else', async () => {
    const { seq } = await t.app.events.head();
    await askAndCancel('bob');
    const mine = await askAndCancel('alice');
    const follower = await follow(url, alice.cookie, seq);
    assert.deepEqual(
      (await follower.received(2)).map(({ data }) => data.challengeId),
      [mine, mine],
    );
    follower.leave();
  });

  test('a role that was taken away narrows a stream that is open', async () => {
    const karl = await signInTestPerson(t.app, provider, t.clock, 'karl', { passkey: false, groups: ['admins'] });
    const follower = await follow(url, karl.cookie);
    await askAndCancel('bob');
    await follower.received(2);
    await t.app.db.transaction(async (work) => {
      await kysely(work.query).updateTable('people').set({ groups: '[]' }).where('username', '=', 'karl').execute();
    });
    await askAndCancel('bob');
    await askAndCancel('karl');
    const after = (await follower.received(4)).slice(2);
    assert.deepEqual(about(after), [
      ['challenge_created', 'karl'],
      ['challenge_cancelled', 'karl'],
    ]);
    follower.leave();
  });

  test('a session that ended ends its stream, and nothing comes after that', { timeout: 60_000 }, async () => {
    const gina = await signInTestPerson(t.app, provider, t.clock, 'gina', { passkey: false });
    const follower = await follow(url, gina.cookie);
    await askAndCancel('gina');
    await follower.received(2);
    await t.app.db.transaction(async (work) => {
      await kysely(work.query).updateTable('people').set({ epoch: 1 }).where('username', '=', 'gina').execute();
    });
    await askAndCancel('gina');
    await follower.ended;
    assert.equal(follower.messages.length, 2);
    const again = await follow(url, gina.cookie);
    await again.ended;
    assert.equal(again.refused, true);
  });

  test('a server that stops lets go of everybody who follows', async () => {
    const own = await createTestApp({ driver, app: { provider } });
    const address = await own.app.http.listen({ host: '127.0.0.1', port: 0 });
    const person = await signInTestPerson(own.app, provider, own.clock, 'alice', { passkey: false });
    const followers = await Promise.all(Array.from({ length: 3 }, () => follow(address, person.cookie)));
    await own.close();
    await Promise.all(followers.map(({ ended }) => ended));
  });
}
