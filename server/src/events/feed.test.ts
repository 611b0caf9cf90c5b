import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import Fastify from 'fastify';
import type { EventRecord } from '#shared/events.ts';
import type { Viewer } from '../http/viewer.ts';
import { createEventFeed, type EventFeed, type FeedEvent } from './feed.ts';
import { streamRoutes } from './stream-routes.ts';

const credentials = { cookie: 'of alice', authorization: undefined, remoteAddr: '' };

function viewer(role: Viewer['role']): Viewer {
  return {
    person: { id: 'p', issuer: 'i', subject: 's', username: 'alice', displayName: 'Alice', groups: [], epoch: 0 },
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
    prevHash: '',
    hash: '',
  };
}

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
  for await (const event of feed.open(credentials, 0, gone.signal)) told.push(event);
  assert.deepEqual([told, reads], [[], 3]);
  feed.close();
});

test('a client that does not read is let go of, and its stream ends', { timeout: 30_000 }, async (t) => {
  let ended = () => {};
  const over = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const feed: EventFeed = {
    head: async () => 0,
    isSomebody: async () => true,
    async *open(_credentials, _after, signal) {
      try {
        for (let seq = 1; !signal.aborted; seq += 1) yield { ...record(seq), topic: 'hosts' } as FeedEvent;
      } finally {
        ended();
      }
    },
    close() {},
  };
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
});
