import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { type TestContext, test } from 'node:test';
import { openTestSqlite } from '../../db/test-databases.ts';
import { ReaderFailure } from '../../events/readers.ts';
import { retryAfter } from '../../outbound/post.ts';
import { type AuditSink, TurnLost } from '../sink.ts';
import { AWKWARD, auditCluster, createRecords, numbers, ownTurn, until } from '../testing/audit-kit.ts';
import { type Answered, httpReceiver, type Received } from '../testing/http-receiver.ts';
import { createLoki } from './loki.ts';
import { createSplunk } from './splunk.ts';

const LONG = process.env.IDENTREE_LONG === '1';
const NOW = Date.UTC(2026, 11, 24);
const TOKEN = '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0';
const splunkTo = (url: string, more: { index?: string; gzip?: boolean; channel?: string; askEveryMs?: number } = {}) =>
  createSplunk({ url, token: TOKEN, index: null, gzip: false, host: 'id1', now: () => NOW, channel: null, ...more });
const lokiTo = (url: string, more: { token?: string; tenant?: string; gzip?: boolean } = {}) =>
  createLoki({ url, token: null, tenant: null, gzip: false, now: () => NOW, ...more });

const SUCCESS: Answered = { status: 200, body: '{"text":"Success","code":0}' };
const splunkSays = (
  status: number,
  code: number,
  more: object = {},
  headers: Record<string, string> = {},
): Answered => ({
  status,
  body: JSON.stringify({ text: `code ${code}`, code, ...more }),
  headers,
});

/** What becomes of a delivery: taken, refused, or a failure. */
async function outcome(sink: AuditSink) {
  try {
    return await sink.deliver(createRecords()(3), ownTurn());
  } catch (error) {
    assert.ok(error instanceof ReaderFailure, String(error));
    return { paused: error.paused, retryMs: error.retryMs };
  }
}

for (const gzip of [false, true]) {
  test(`[A-26] Splunk gets each event with its time, and the event as it is${gzip ? ', compressed' : ''}`, async (t) => {
    const { url, received } = await httpReceiver(t, () => SUCCESS);
    const make = createRecords();
    const records = [...make(1), ...make(1, { reason: AWKWARD })];
    assert.equal(await splunkTo(url, { gzip }).deliver(records, ownTurn()), null);
    await splunkTo(`${url}/services/collector`, { index: 'security', gzip }).deliver(records.slice(0, 1), ownTurn());
    const [two, one] = received;
    assert.deepEqual([two!.url, one!.url], ['/services/collector/event', '/services/collector']);
    assert.equal(two!.headers.authorization, `Splunk ${TOKEN}`);
    assert.equal(two!.headers['content-encoding'], gzip ? 'gzip' : undefined);
    const about = '"host":"id1","source":"identree","sourcetype":"identree:audit"';
    const entries = records.map(
      ({ text }, index) => `{"time":1795953600${['', '.007'][index]},${about},"event":${text}}`,
    );
    assert.equal(two!.body, entries.join('\n'));
    assert.equal(one!.body, `{"time":1795953600,${about},"index":"security","event":${records[0]!.text}}`);
  });
}

test('[A-26] what Splunk answers is waiting, pausing or an event that it refuses', async (t) => {
  let answer = SUCCESS;
  const { url } = await httpReceiver(t, () => answer);
  const sink = splunkTo(url);
  for (const [given, expected] of [
    [splunkSays(429, 9, {}, { 'retry-after': '7' }), { paused: false, retryMs: 7000 }],
    [splunkSays(503, 9, {}, { 'retry-after': 'Thu, 24 Dec 2026 00:00:30 GMT' }), { paused: false, retryMs: 30_000 }],
    [splunkSays(400, 9), { paused: false, retryMs: null }],
    [
      { status: 502, body: '<html>' },
      { paused: false, retryMs: null },
    ],
    [splunkSays(401, 2), { paused: true, retryMs: 60_000 }],
    [splunkSays(403, 4), { paused: true, retryMs: 60_000 }],
    [splunkSays(400, 7), { paused: true, retryMs: 60_000 }],
    [
      { status: 302, headers: { location: 'https://elsewhere.example.com' } },
      { paused: true, retryMs: 60_000 },
    ],
    [splunkSays(400, 6, { 'invalid-event-number': 1 }), { at: 1, reason: 'code 6' }],
    [splunkSays(400, 12), { at: null, reason: 'code 12' }],
    [{ status: 413 }, { at: null, reason: 'too large' }],
    // Of something in front of it, and of a path of it that takes nothing: neither has the events.
    [
      { status: 200, body: '<html>Sign in to the network</html>' },
      { paused: true, retryMs: 60_000 },
    ],
    [{ status: 204 }, { paused: true, retryMs: 60_000 }],
    [splunkSays(200, 17), { paused: true, retryMs: 60_000 }],
  ] as const) {
    answer = given;
    assert.deepEqual(await outcome(sink), expected, JSON.stringify(given));
  }
});

test('[A-26] with a channel, what counts as delivered is what the indexers have', async (t) => {
  let indexed = 0;
  let acks: (asked: number) => Answered = (asked) => ({ status: 200, body: `{"acks":{"4":${asked >= 3}}}` });
  let taken: Answered = { status: 200, body: '{"text":"Success","code":0,"ackId":4}' };
  const { url, received } = await httpReceiver(t, (one) => {
    if (!one.url.includes('/ack')) return taken;
    indexed += 1;
    return acks(indexed);
  });
  const channel = 'c0ffee00-1111-4222-8333-444455556666';
  const sink = splunkTo(url, { channel, askEveryMs: 1 });
  assert.equal(await outcome(sink), null);
  const [sent, ...asked] = received;
  assert.equal(sent!.headers['x-splunk-request-channel'], channel);
  assert.deepEqual(
    asked.map(({ url, body, headers }) => [url, body, headers.authorization]),
    Array(3).fill([`/services/collector/ack?channel=${channel}`, '{"acks":[4]}', `Splunk ${TOKEN}`]),
  );
  // Whichever of its addresses is configured.
  for (const path of ['', '/services/collector', '/services/collector/event', '/services/collector/event/1.0']) {
    acks = () => ({ status: 200, body: '{"acks":{"4":true}}' });
    received.splice(0);
    assert.equal(await outcome(splunkTo(`${url}${path}`, { channel, askEveryMs: 1 })), null, path);
    assert.equal(received.at(-1)!.url, `/services/collector/ack?channel=${channel}`, path);
  }
  // The indexers never have it, the collector has forgotten the channel, the token acknowledges nothing.
  acks = () => ({ status: 200, body: '{"acks":{"4":false}}' });
  assert.deepEqual(await outcome(sink), { paused: false, retryMs: null });
  acks = () => splunkSays(400, 11);
  assert.deepEqual(await outcome(sink), { paused: true, retryMs: 60_000 });
  taken = SUCCESS;
  assert.deepEqual(await outcome(sink), { paused: true, retryMs: 60_000 });
});

for (const gzip of [false, true]) {
  test(`[A-27] Loki gets one stream with the time of each event${gzip ? ', compressed' : ''}`, async (t) => {
    const { url, received } = await httpReceiver(t, () => ({ status: 204 }));
    const make = createRecords();
    const at = Date.UTC(2026, 10, 29, 12);
    const records = [...make(2, { at }), ...make(1, { at, reason: AWKWARD })];
    const sink = lokiTo(url, { token: 'glc_secret', tenant: 'ops', gzip });
    assert.equal(await sink.deliver(records, ownTurn()), null);
    await sink.deliver(records, ownTurn());
    const [first, again] = received;
    assert.equal(first!.url, '/loki/api/v1/push');
    assert.deepEqual([first!.headers.authorization, first!.headers['x-scope-orgid']], ['Bearer glc_secret', 'ops']);
    const values = records.map(({ text, event }) => [`1795953600000${String(event.seq).padStart(6, '0')}`, text]);
    const stream = { app: 'identree', job: 'identree-audit' };
    assert.equal(first!.body, JSON.stringify({ streams: [{ stream, values }] }));
    assert.equal(again!.body, first!.body, 'what comes twice is one entry');
  });
}

test('[A-27] what Loki answers is waiting, pausing or an event that it refuses', async (t) => {
  let answer: Answered = { status: 204 };
  const { url } = await httpReceiver(t, () => answer);
  const sink = lokiTo(url);
  for (const [given, expected] of [
    [
      { status: 429, headers: { 'retry-after': '3' } },
      { paused: false, retryMs: 3000 },
    ],
    [{ status: 500 }, { paused: false, retryMs: null }],
    [{ status: 401 }, { paused: true, retryMs: 60_000 }],
    [{ status: 404 }, { paused: true, retryMs: 60_000 }],
    [
      { status: 400, body: 'max entry size exceeded\n' },
      { at: null, reason: 'max entry size exceeded' },
    ],
    // Of something in front of it: it does not have the events.
    [
      { status: 200, body: '<html>Sign in to the network</html>' },
      { paused: true, retryMs: 60_000 },
    ],
    // It blames no event either.
    [
      { status: 400, body: '\n<html><title>400 The plain HTTP request was sent to HTTPS port</title></html>' },
      { paused: true, retryMs: 60_000 },
    ],
    [
      { status: 413, body: '<html><title>413 Request Entity Too Large</title></html>' },
      { at: null, reason: '<html><title>413 Request Entity Too Large</title></html>' },
    ],
    // Of whatever time they are said to be: no event is to blame for the clocks.
    [
      { status: 400, body: 'entry for stream has timestamp too new: 2026-12-25T00:00:00Z' },
      { paused: false, retryMs: null },
    ],
    [
      { status: 400, body: 'entry too far behind, oldest acceptable timestamp is: 2026-12-25T00:00:00Z' },
      { paused: false, retryMs: null },
    ],
    [{ status: 204 }, null],
  ] as const) {
    answer = given;
    assert.deepEqual(await outcome(sink), expected, JSON.stringify(given));
  }
});

test('[A-27] what was written by a clock that was ahead goes in at the present', async (t) => {
  const { url, received } = await httpReceiver(t, ({ body }) => {
    const { streams } = JSON.parse(body) as { streams: { values: [string, string][] }[] };
    const isNew = streams.flatMap(({ values }) => values).some(([time]) => Number(time.slice(0, -6)) > NOW + 600_000);
    return isNew ? { status: 400, body: 'entry for stream has timestamp too new' } : { status: 204 };
  });
  const records = createRecords()(3, { at: NOW + 86_400_000 });
  assert.equal(await lokiTo(url).deliver(records, ownTurn()), null);
  assert.equal(received.length, 2);
});

test('[A-26] [A-27] both are sent a hundred events at most, every five seconds', () => {
  for (const { batch, everyMs } of [splunkTo('https://a'), lokiTo('https://a')])
    assert.deepEqual([batch, everyMs], [100, 5000]);
});

test('[A-03] what Loki refuses as too old is not sent again by whoever may have a successor by then', async (t) => {
  let sure = true;
  const { url, received } = await httpReceiver(t, () => {
    sure = false;
    return { status: 400, body: 'entry for stream has timestamp too old' };
  });
  await assert.rejects(lokiTo(url).deliver(createRecords()(3), { ...ownTurn(), isSure: () => sure }), TurnLost);
  assert.equal(received.length, 1);
});

test('[A-14] a receiver that says the token back does not have it told', async (t) => {
  let status = 400;
  let code = 6;
  const { url } = await httpReceiver(t, ({ headers, url }) => {
    const text = `${'x'.repeat(180)} you said ${headers.authorization}`;
    if (status === 200 && !/ack|loki/.test(url)) return { status, body: '{"text":"Success","code":0,"ackId":4}' };
    return { status: Math.max(status, 400), body: url.includes('loki') ? text : JSON.stringify({ text, code }) };
  });
  const told = async (sink: AuditSink): Promise<string> => {
    try {
      return (await sink.deliver(createRecords()(1), ownTurn()))!.reason;
    } catch (error) {
      return String(error);
    }
  };
  const splunk = splunkTo(url, { channel: 'c0ffee00-1111-4222-8333-444455556666' });
  const loki = lokiTo(url, { token: TOKEN });
  for (const [nextStatus, nextCode] of [
    [400, 6],
    [400, 7],
    [503, 9],
    [500, 8],
    [401, 2],
    [200, 11],
  ] as const) {
    [status, code] = [nextStatus, nextCode];
    for (const sink of [splunk, loki]) {
      const said = await told(sink);
      assert.match(said, /you said/);
      assert.ok(!said.includes(TOKEN.slice(0, 4)), said);
    }
  }
});

/** A receiver on loopback that talks as it likes, in octets. */
async function rawReceiver(t: Pick<TestContext, 'after'>, talk: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {}).resume();
    socket.once('data', () => talk(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** What a receiver may do with the line, and none of it is a confirmation. */
const MISCHIEF: Record<string, (socket: Socket) => void> = {
  'an answer that is cut off': (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 27\r\n\r\n{"text":"Succ'),
  'an answer that is cut off in a chunk': (socket) =>
    socket.end('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1b\r\n{"text":'),
  'a line that is closed': (socket) => socket.end(),
  'a line that is reset': (socket) => socket.resetAndDestroy(),
  'what is no HTTP': (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'),
  'octets that are no UTF-8': (socket) =>
    socket.end(
      Buffer.concat([Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n'), Buffer.from([0xff, 0xfe, 0])]),
    ),
  'headers without an end': (socket) => {
    const more = () => void (socket.destroyed || socket.write(`x: ${'y'.repeat(8000)}\r\n`, more));
    socket.write('HTTP/1.1 200 OK\r\n', more);
  },
  'an answer without an end': (socket) => {
    const more = () => void (socket.destroyed || socket.write('z'.repeat(65_536), more));
    socket.write('HTTP/1.1 200 OK\r\n\r\n', more);
  },
  'another protocol': (socket) => socket.write('HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n'),
};

for (const [how, talk] of Object.entries(MISCHIEF)) {
  test(`[A-26] [A-27] ${how} confirms nothing and puts nothing aside`, async (t) => {
    const url = await rawReceiver(t, talk);
    for (const sink of [splunkTo(url), lokiTo(url)]) await assert.rejects(sink.deliver(createRecords()(3), ownTurn()));
  });
}

test('[A-26] [A-27] a receiver that answers octet by octet is left', async (t) => {
  const timers = new Set<NodeJS.Timeout>();
  t.after(() => timers.forEach(clearInterval));
  const url = await rawReceiver(t, (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    timers.add(setInterval(() => socket.write('{'), 50).unref());
  });
  const sinks = LONG ? [splunkTo(url), lokiTo(url)] : [];
  await Promise.all(sinks.map((sink) => assert.rejects(sink.deliver(createRecords()(3), ownTurn()))));
  // A server that stops does not wait for it.
  for (const sink of [splunkTo(url), lokiTo(url)]) {
    const stop = new AbortController();
    const delivery = sink.deliver(createRecords()(3), { signal: stop.signal, isSure: () => true });
    setTimeout(() => stop.abort(), 200);
    await assert.rejects(delivery);
  }
});

/** A Loki that takes nothing older than an hour, and what of a push is good; it can be away, and its answers too. */
function fakeLoki() {
  const stored = new Map<string, string>();
  const state = { away: true, unheard: 0, now: NOW };
  const answer = ({ body }: Received): Answered => {
    if (state.away) return { status: 503, headers: { 'retry-after': '0' } };
    const { streams } = JSON.parse(body) as { streams: { values: [string, string][] }[] };
    let refused = 0;
    let last = '';
    for (const [time, line] of streams.flatMap(({ values }) => values)) {
      assert.ok(time > last, 'strictly increasing');
      last = time;
      if (Number(time.slice(0, -6)) < state.now - 3_600_000) refused += 1;
      else stored.set(`${time} ${line}`, line);
    }
    state.now += 1;
    if (refused === 0 && state.unheard > 0) {
      state.unheard -= 1;
      return { status: 504 };
    }
    return refused > 0 ? { status: 400, body: `entry for stream has timestamp too old: ${refused}` } : { status: 204 };
  };
  return { stored, state, answer };
}

test('[A-27] after an outage that is longer than Loki takes old entries, each event is there once by its id', async (t) => {
  const loki = fakeLoki();
  const { url } = await httpReceiver(t, loki.answer);
  const c = await auditCluster(t, openTestSqlite);
  loki.state.now = c.clock.now() + 7_200_000;
  const sink = createLoki({ url, token: null, tenant: null, gzip: false, now: () => loki.state.now });
  const start = (holder: string) => c.start(holder, [{ ...sink, everyMs: 0 }]);
  const a = await start('a');
  await c.write(150);
  await until(() => c.count('loki', 'failed') > 0);
  c.clock.advance(7_200_000);
  await c.write(50);
  // Both are started again meanwhile, and of two pushes nobody hears that they were taken.
  await a.stop();
  Object.assign(loki.state, { away: false, unheard: 2 });
  const b = await start('b');
  await until(async () => (await b.status())[0]?.behind === 0);
  assert.equal(loki.state.unheard, 0);
  assert.ok(loki.stored.size > 200, 'and so they came twice');
  const lines = [...loki.stored.values()].map((line) => JSON.parse(line) as { seq: number; id: string });
  const folded = new Map(lines.map(({ id, seq }) => [id, seq]));
  assert.deepEqual(
    [...folded.values()].sort((x, y) => x - y),
    numbers(200),
  );
  assert.equal(c.count('loki', 'dead_lettered'), 0);
});

test('when to ask again is seconds or a date', () => {
  assert.equal(retryAfter('120', 0), 120_000);
  assert.equal(retryAfter('Thu, 24 Dec 2026 00:01:00 GMT', NOW), 60_000);
  assert.equal(retryAfter('Thu, 24 Dec 2020 00:00:00 GMT', NOW), 0);
  for (const odd of [undefined, '', 'soon', '-1x', '-5', '1.5', '10 years', '99999999999'])
    assert.equal(retryAfter(odd, NOW), null);
});
