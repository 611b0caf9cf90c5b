import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { type AddressInfo, createServer, Socket } from 'node:net';
import { test } from 'node:test';
import type pg from 'pg';
import { createLimitedPool } from './postgres-pool.ts';
import { watchPostgres } from './postgres-watch.ts';

/** A connection of which a test says how it fares. */
function connection(connect: () => Promise<void>) {
  const client = new EventEmitter();
  let broken = false;
  Object.assign(client, {
    connect,
    async query() {
      client.emit('asked');
      if (broken) throw new Error('the connection is gone');
    },
    async end() {},
  });
  return {
    client: client as unknown as pg.Client,
    socket: new Socket(),
    breakOff() {
      broken = true;
      client.emit('end');
    },
  };
}

test('while nobody knows whether the database is still there, that is told before it is known', async (t) => {
  const told: string[] = [];
  const heard = new EventEmitter();
  const tell = (what: string) => () => {
    told.push(what);
    heard.emit(what);
  };
  let fail = (_error: Error) => {};
  const first = connection(async () => {});
  // As of a database that is about to end: it takes connections and says nothing on them.
  const silent = connection(
    () =>
      new Promise((_resolve, reject) => {
        fail = reject;
      }),
  );
  const refused = () => connection(() => Promise.reject(new Error('nobody listens')));
  const connections = [first, silent];
  const watch = await watchPostgres({
    connect: () => connections.shift() ?? refused(),
    channel: null,
    onNotification: () => {},
    onHere: tell('here'),
    onDoubt: tell('doubt'),
    onAway: tell('away'),
  });
  t.after(() => watch.close());
  const doubted = once(heard, 'doubt');
  first.breakOff();
  await doubted;
  assert.deepEqual(told, ['here', 'doubt']);
  const away = once(heard, 'away');
  fail(new Error('nobody listens'));
  await away;
  assert.deepEqual(told, ['here', 'doubt', 'away']);
});

test('a connection that is made anew at once is no reason for doubt', async (t) => {
  const told: string[] = [];
  const heard = new EventEmitter();
  const connections = [connection(async () => {}), connection(async () => {})];
  const [first, second] = connections;
  const watch = await watchPostgres({
    connect: () => connections.shift()!,
    channel: null,
    onNotification: () => {},
    onHere() {
      told.push('here');
      heard.emit('here');
    },
    onDoubt: () => told.push('doubt'),
    onAway: () => told.push('away'),
  });
  t.after(() => watch.close());
  const again = once(heard, 'here');
  first!.breakOff();
  await again;
  // By its second question it would have been told.
  for (let questions = 0; questions < 2; questions += 1) await once(second!.client, 'asked');
  assert.deepEqual(told, ['here', 'here']);
});

test('who waits for a connection is refused once there is doubt, and so is who asks for one', async (t) => {
  const silent = createServer();
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => silent.close());
  const { port } = silent.address() as AddressInfo;
  const told: string[] = [];
  const pool = createLimitedPool({
    dsn: `postgres://identree@127.0.0.1:${port}/identree`,
    maxConnections: 2,
    pooled: false,
    onAnswer: () => {},
    onTrouble: ({ kind }) => told.push(kind),
  });
  const connected = once(silent, 'connection');
  const waiting = assert.rejects(pool.connect(), { kind: 'away' });
  await connected;
  pool.hold(new Error('the connection is gone'));
  await waiting;
  await assert.rejects(pool.connect(), { kind: 'away' });
  assert.deepEqual(told, ['away']);

  pool.mend();
  const anew = once(silent, 'connection');
  const later = assert.rejects(pool.connect(), { kind: 'away' });
  await anew;
  pool.cut(new Error('it is away'));
  await later;
  await pool.end();
});
