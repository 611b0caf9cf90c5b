import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { channelOf, OTHER_WHSEC, posting, signal, WHSEC } from '../testing/channel-kit.ts';
import { NOTICE_AT, noticeOf } from '../testing/notices.ts';
import { signingKey, webhookProblem } from './standard-webhook.ts';

test('[N-03] the body keeps the keys of the Go identree, in their order, and adds its own', async (t) => {
  const { channel, received } = await posting(t, 'webhook', { token: 'bearer-token' });
  await channel.deliver(noticeOf({ event: 'challenge_rejected', actor: 'olga' }), signal());
  await channel.deliver(noticeOf({ event: 'test', request: null, hostname: 'id1', actor: 'olga' }), signal());
  const [real, tried] = received.map(({ body }) => JSON.parse(body));
  const kept = [
    'event',
    'username',
    'hostname',
    'user_code',
    'approval_url',
    'onetap_url',
    'expires_in',
    'timestamp',
    'reason',
    'actor',
  ];
  assert.deepEqual(
    Object.keys(real).filter((key) => kept.includes(key)),
    kept,
  );
  const { title, message, command, ...rest } = real;
  assert.deepEqual([title, command], ['Request denied', '/usr/bin/systemctl restart nginx']);
  assert.match(message, /^olga denied the request/);
  assert.deepEqual(rest, {
    event: 'challenge_rejected',
    username: 'alice',
    hostname: 'web1.example.com',
    user_code: 'ABCDEF-123456',
    approval_url: 'https://identree.example.com/approve/ABCDEF-123456',
    onetap_url: '',
    expires_in: 90,
    timestamp: '2026-11-30T12:00:00Z',
    reason: 'ticket 4711',
    actor: 'olga',
  });
  assert.deepEqual(Object.keys(tried), ['event', 'title', 'message', 'username', 'hostname', 'timestamp', 'actor']);
  assert.equal(received[0]!.headers.authorization, 'Bearer bearer-token');
  assert.equal(received[0]!.headers['webhook-signature'], undefined, 'there is no key to sign with');
});

test('[N-03] it is signed by each key, for this try, under the id of the notice', async (t) => {
  let now = NOTICE_AT;
  const { received, url } = await posting(t, 'webhook');
  const env = { OPS: { token: `tok ${WHSEC} ${OTHER_WHSEC}` } };
  const channel = channelOf('webhook', { url }, { env, now: () => now });
  await channel.deliver(noticeOf(), signal());
  now += 61_000;
  await channel.deliver(noticeOf(), signal());
  const [one, two] = received.map(({ headers, body }) => {
    const signed = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`;
    const expected = [7, 9].map((byte) => {
      const hash = createHmac('sha256', Buffer.alloc(32, byte)).update(signed).digest('base64');
      return `v1,${hash}`;
    });
    assert.equal(headers['webhook-signature'], expected.join(' '));
    return { id: headers['webhook-id'], at: Number(headers['webhook-timestamp']) };
  });
  assert.equal(one!.id, noticeOf().id);
  assert.equal(two!.id, one!.id, 'a repeat is known by it');
  assert.deepEqual([one!.at, two!.at], [NOTICE_AT / 1000, NOTICE_AT / 1000 + 61], 'and is not old when it comes');
  assert.equal(received[0]!.headers.authorization, 'Bearer tok');
});

test('[N-03] what was altered, is old, or is signed by somebody else is refused', async (t) => {
  const { channel, received } = await posting(t, 'webhook', { token: WHSEC });
  await channel.deliver(noticeOf(), signal());
  const { headers, bytes } = received[0]!;
  const good = {
    id: String(headers['webhook-id']),
    timestamp: String(headers['webhook-timestamp']),
    signature: String(headers['webhook-signature']),
    body: bytes,
  };
  const [key, other] = [signingKey(WHSEC)!, signingKey(OTHER_WHSEC)!];
  const problem = (more: Partial<typeof good> = {}, keys = [key], now = NOTICE_AT) =>
    webhookProblem(keys, { ...good, ...more }, { now, toleranceMs: 300_000 });
  assert.equal(problem(), null);
  assert.equal(problem({}, [other, key]), null, 'while one key replaces the other');
  assert.equal(problem({ signature: `v1a,AAAA v1,${'A'.repeat(43)}= ${good.signature}` }), null);
  assert.equal(problem({ body: Buffer.concat([bytes, Buffer.from(' ')]) }), 'wrong signature');
  assert.equal(problem({ id: 'another' }), 'wrong signature');
  assert.equal(problem({ timestamp: String(Number(good.timestamp) + 1) }), 'wrong signature');
  assert.equal(problem({}, [other]), 'wrong signature');
  assert.equal(problem({}, []), 'wrong signature');
  assert.equal(problem({ signature: '' }), 'wrong signature');
  for (const seconds of [-301, 301]) assert.equal(problem({}, [key], NOTICE_AT + seconds * 1000), 'too old or too new');
  for (const more of [{ id: '' }, { timestamp: '' }, { timestamp: '1e9' }, { id: 'a.1' }])
    assert.equal(problem(more), 'no headers');
});

test('[N-23] a key that is none, or a second token, is said without being quoted', () => {
  for (const token of ['whsec_c2hvcnQ=', 'whsec_', 'whsec_!!', 'first-token second-token', 'tok\u00e9n']) {
    assert.throws(
      () => channelOf('webhook', { url: 'https://example.com' }, { env: { OPS: { token } } }),
      (error: Error) => !token.split(' ').some((word) => error.message.includes(word) && word !== 'whsec_'),
    );
  }
});
