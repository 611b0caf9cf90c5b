import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import Fastify from 'fastify';
import { Refusal } from '#shared/errors.ts';
import { createDownloads, type DownloadLimits } from './download.ts';
import type { Viewer } from './viewer.ts';

const PIECE = 'x'.repeat(64 * 1024);
/** Far more than what lies between a server and a client that reads nothing. */
const PIECES = 4000;

const mira = { person: { id: 'mira' }, role: 'user', accounts: ['mira'] } as unknown as Viewer;

async function* pieces(): AsyncGenerator<string> {
  for (let i = 0; i < PIECES; i += 1) yield PIECE;
}

/** A server whose only answer is long. `now`: who the session belongs to when it is looked up again. */
async function longAnswer(t: TestContext, limits: Partial<DownloadLimits> = {}, content = pieces) {
  const state = { made: 0, ended: 0, now: mira as Viewer | null, refusal: null as Refusal | null };
  const downloads = createDownloads({
    recheckViewers: async (all) => all.map(() => state.now),
    limits: { perPerson: 1, inAll: 8, stallMs: 60_000, ...limits },
  });
  const app = Fastify();
  app.decorateRequest('clientAddress', '');
  app.setErrorHandler((error: Refusal, _request, reply) => reply.code(error.status ?? 500).send(error));
  app.get('/', (request, reply) =>
    downloads.send(request as never, reply as never, mira, async () => {
      if (state.refusal) throw state.refusal;
      return {
        contentType: 'text/plain',
        fileName: 'long.txt',
        async *read() {
          try {
            for await (const piece of content()) {
              state.made += 1;
              yield piece;
            }
          } finally {
            state.ended += 1;
          }
        },
      };
    }),
  );
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  return {
    state,
    /** Asks for it and reads nothing yet. */
    async ask(headers: Record<string, string> = {}): Promise<IncomingMessage> {
      const asked = get({ host: '127.0.0.1', port, path: '/', headers, agent: false });
      const [answer] = (await once(asked, 'response')) as [IncomingMessage];
      return answer;
    },
  };
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('a download is a file that is made as fast as it is read', { timeout: 120_000 }, async (t) => {
  const { state, ask } = await longAnswer(t);
  const answer = await ask();
  assert.equal(answer.headers['content-disposition'], 'attachment; filename="long.txt"');
  assert.equal(answer.headers['cache-control'], 'no-store');
  let length = 0;
  for await (const piece of answer) length += (piece as Buffer).length;
  assert.equal(length, PIECES * PIECE.length);
  assert.deepEqual([state.made, state.ended], [PIECES, 1]);
});

test('who reads nothing is given no more than fits between, and is let go of', { timeout: 60_000 }, async (t) => {
  const { state, ask } = await longAnswer(t, { stallMs: 500 });
  const answer = await ask();
  await until(() => state.ended === 1);
  assert.ok(state.made < PIECES / 4, `${state.made} of ${PIECES}`);
  await assert.rejects(async () => {
    for await (const _ of answer);
  }, /aborted/);
});

test('who goes away leaves nothing behind: it is not made any further, and the place is free', async (t) => {
  const { state, ask } = await longAnswer(t);
  const first = await ask();
  const second = await ask();
  assert.equal(second.statusCode, 429);
  second.resume();
  first.once('error', () => {});
  first.destroy();
  await until(() => state.ended === 1);
  assert.ok(state.made < PIECES);
  // The place is given back when the stream has closed, a moment after it ended.
  for (;;) {
    const third = await ask();
    third.once('error', () => {});
    third.destroy();
    if (third.statusCode === 200) break;
  }
});

/** Looks, and finds nothing for as long as `isLooking` says. */
async function* nothing(isLooking: () => boolean): AsyncGenerator<string> {
  while (isLooking()) {
    yield '';
    await sleep(5);
  }
}

test('who goes away while there is nothing to send is not looked for any longer', { timeout: 60_000 }, async (t) => {
  const { state, ask } = await longAnswer(t, {}, () => nothing(() => true));
  const answer = await ask();
  answer.once('error', () => {});
  answer.destroy();
  await until(() => state.ended === 1);
});

test('who waits while it is looked for long is not let go of', { timeout: 60_000 }, async (t) => {
  const stallMs = 50;
  const { ask } = await longAnswer(t, { stallMs }, async function* () {
    const begun = performance.now();
    yield* nothing(() => performance.now() - begun < 6 * stallMs);
    yield 'found';
  });
  let text = '';
  for await (const piece of await ask()) text += piece;
  assert.equal(text, 'found');
});

test('a refusal takes no place', async (t) => {
  const { state, ask } = await longAnswer(t);
  state.refusal = new Refusal('forbidden');
  for (let i = 0; i < 3; i += 1) {
    const answer = await ask();
    assert.equal(answer.statusCode, 403);
    answer.resume();
  }
});

for (const [what, now] of [
  ['the session ends', null],
  ['a role is taken away', { ...mira, role: 'admin' }],
  ['an account is taken away', { ...mira, accounts: [] }],
  ['somebody else has the cookie', { ...mira, person: { id: 'olga' } }],
] as [string, Viewer | null][]) {
  test(`a download breaks off when ${what}`, { timeout: 120_000 }, async (t) => {
    const { state, ask } = await longAnswer(t);
    const answer = await ask();
    state.now = now;
    await assert.rejects(async () => {
      for await (const _ of answer);
    }, /aborted/);
    await until(() => state.ended === 1);
    assert.ok(state.made < PIECES);
  });
}

test('a page of another site cannot have it fetched; one of ours, a program and the address bar can', async (t) => {
  const { ask, state } = await longAnswer(t, { perPerson: 5 });
  for (const [site, status] of [
    ['cross-site', 403],
    ['same-site', 403],
    ['same-origin', 200],
    ['none', 200],
    [null, 200],
  ] as const) {
    const answer = await ask(site === null ? {} : { 'sec-fetch-site': site });
    assert.equal(answer.statusCode, status, `${site}`);
    answer.once('error', () => {});
    answer.destroy();
  }
  await until(() => state.ended === 3);
});
