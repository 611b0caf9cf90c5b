import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { createWebhook, type WebhookRequest } from './webhook.ts';

const secret = 's'.repeat(32);
const NOW = 1_800_000_000_000;
const sign = (text: string) => createHmac('sha256', secret).update(text).digest('hex');

function setUp(over: { secret?: string | null } = {}) {
  let signals = 0;
  let now = NOW;
  const webhook = createWebhook({
    secret,
    now: () => now,
    onSignal: () => {
      signals += 1;
    },
    ...over,
  });
  const call = (request: Partial<WebhookRequest> = {}) =>
    webhook({
      method: 'POST',
      contentType: 'application/json',
      body: Buffer.from('{}'),
      signature: `sha256=${sign('{}')}`,
      timestamp: undefined,
      id: undefined,
      ...request,
    });
  return {
    call,
    signals: () => signals,
    advance: (ms: number) => {
      now += ms;
    },
  };
}

test('a signed call asks for a refresh, with or without the prefix', () => {
  const { call, signals } = setUp();
  assert.deepEqual([call().status, call({ signature: sign('{}') }).status], [204, 204]);
  assert.equal(signals(), 2);
});

test('everything else is refused and asks for nothing', () => {
  const { call, signals } = setUp();
  const cases: [Partial<WebhookRequest>, number, string][] = [
    [{ method: 'GET' }, 405, 'use POST'],
    [{ contentType: 'text/plain' }, 415, 'Content-Type must be application/json'],
    [{ contentType: undefined }, 415, 'Content-Type must be application/json'],
    [{ signature: undefined }, 403, 'invalid signature'],
    [{ signature: '' }, 403, 'invalid signature'],
    [{ signature: `sha256=${sign('{"a":1}')}` }, 403, 'invalid signature'],
    [{ signature: `sha256=${sign('{}').slice(2)}` }, 403, 'invalid signature'],
    [{ signature: `sha1=${sign('{}')}` }, 403, 'invalid signature'],
    [{ body: Buffer.alloc(65_536) }, 413, 'the body is larger than 64 KiB'],
  ];
  for (const [request, status, message] of cases) assert.deepEqual(call(request), { status, message });
  assert.deepEqual(setUp({ secret: null }).call(), { status: 403, message: 'webhook not configured' });
  assert.equal(signals(), 0);
});

test('a timestamp is signed with the body, fresh, and an id works once', () => {
  const { call, signals, advance } = setUp();
  const timestamp = String(NOW / 1000);
  const stamped = { timestamp, id: 'one', signature: sign(`${timestamp}.{}`) };
  assert.equal(call(stamped).status, 204);
  assert.equal(call(stamped).status, 204);
  assert.equal(signals(), 1, 'a replay asks for nothing');
  assert.equal(call({ ...stamped, signature: sign('{}') }).status, 403, 'the timestamp is part of what is signed');
  advance(301_000);
  assert.equal(call({ ...stamped, id: 'two' }).status, 403);
});
