import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { test } from 'node:test';
import { jwtVerify } from 'jose';
import { channelOf, posting, signal, subscriber } from '../testing/channel-kit.ts';
import { NOTICE_AT, noticeOf } from '../testing/notices.ts';
import { decryptPush } from '../testing/push-decryption.ts';
import { encryptPush } from './push-encryption.ts';
import { createVapid } from './vapid.ts';

const raw = (text: string): Buffer => Buffer.from(text, 'base64url');

test('[N-06] a message is encrypted as in the example of RFC 8291', () => {
  const body = encryptPush(
    Buffer.from('When I grow up, I want to be a watermelon'),
    {
      publicKey: raw('BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4'),
      auth: raw('BTBZMqHH6r4Tts7J_aSIgg'),
    },
    { privateKey: raw('yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw'), salt: raw('DGv6ra1nlYgDCS1FRnbzlw') },
  );
  assert.equal(
    body.toString('base64url'),
    'DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN',
  );
});

test('[N-06] the browser alone reads it, and the push service knows who sends', async (t) => {
  const browser = subscriber();
  const { received, url } = await posting(t, 'slack', { answer: () => ({ status: 201 }) });
  const channel = channelOf('web_push', { endpoint: `${url}/push/abc`, ...browser.keys });
  assert.deepEqual(await channel.deliver(noticeOf(), signal()), { outcome: 'delivered' });
  await channel.deliver(noticeOf({ event: 'challenge_rejected', actor: 'olga' }), signal());
  const [asked, denied] = received;
  const message = JSON.parse(decryptPush(asked!.bytes, browser).toString('utf8'));
  assert.deepEqual(
    [message.title, message.url],
    ['Approval needed', 'https://identree.example.com/approve/ABCDEF-123456'],
  );
  const outcome = JSON.parse(decryptPush(denied!.bytes, browser).toString('utf8'));
  assert.deepEqual([outcome.title, outcome.url], ['Request denied', null]);
  assert.equal(outcome.tag, message.tag, 'it takes the place of what announced it');
  assert.throws(() => decryptPush(asked!.bytes, subscriber()));
  assert.ok(!asked!.bytes.includes('alice'));
  assert.ok(asked!.bytes.length <= 4096);

  const { headers } = asked!;
  assert.deepEqual(
    [headers['content-encoding'], headers.ttl, headers.urgency, headers.topic],
    ['aes128gcm', '90', 'high', message.tag],
  );
  assert.match(String(headers.topic), /^[A-Za-z0-9_-]{1,32}$/);
  const [, token = '', key = ''] = /^vapid t=([^,]+), k=(.+)$/.exec(String(headers.authorization)) ?? [];
  const point = raw(key);
  const jwk = {
    kty: 'EC',
    crv: 'P-256',
    x: point.subarray(1, 33).toString('base64url'),
    y: point.subarray(33).toString('base64url'),
  };
  const currentDate = new Date(NOTICE_AT);
  const { payload } = await jwtVerify(token, createPublicKey({ format: 'jwk', key: jwk }), {
    currentDate,
    algorithms: ['ES256'],
  });
  assert.deepEqual([payload.aud, payload.sub], [url, 'https://identree.example.com']);
  assert.ok(payload.exp! <= NOTICE_AT / 1000 + 86_400);
});

test('[N-06] what takes an announcement back is about the same, in the words of its channel, and leads nowhere', async (t) => {
  const browser = subscriber();
  const { received, url } = await posting(t, 'slack', { answer: () => ({ status: 201 }) });
  const channel = channelOf('web_push', { endpoint: `${url}/push/abc`, ...browser.keys, locale: 'de' });
  await channel.deliver(noticeOf(), signal());
  await channel.deliver(noticeOf({ event: 'challenge_rejected', username: '', takesBack: true }), signal());
  const [shown, over] = received.map(({ bytes }) => JSON.parse(decryptPush(bytes, browser).toString('utf8')));
  assert.deepEqual(
    [over.title, over.body, over.url, over.takesBack, over.tag],
    ['Diese Anfrage wartet nicht mehr', '', null, true, shown.tag],
  );
  assert.equal(shown.takesBack, undefined);
  // A push service that has not delivered the announcement yet drops it for this.
  assert.equal(received[1]!.headers.topic, received[0]!.headers.topic);
});

test('[N-06] a subscription that the browser ended is gone, and other refusals are not', async (t) => {
  for (const [status, gone] of [
    [404, true],
    [410, true],
    [400, undefined],
    [413, undefined],
  ] as const) {
    const { url } = await posting(t, 'slack', { answer: () => ({ status }) });
    const came = await channelOf('web_push', { endpoint: url, ...subscriber().keys }).deliver(noticeOf(), signal());
    assert.equal(came.outcome, 'refused');
    assert.equal(came.gone, gone, String(status));
  }
});

test('[N-06] the key of this server stays the same, and follows from its secret', () => {
  const of = (byte: number) => createVapid(Buffer.alloc(32, byte), 'https://identree.example.com').publicKey;
  assert.equal(of(1), of(1));
  assert.notEqual(of(1), of(2));
  assert.equal(raw(of(1)).length, 65);
});

test('[N-06] keys that are none of a browser are refused when they are stored', () => {
  const { keys } = subscriber();
  const endpoint = 'https://push.example.com/x';
  for (const wrong of [
    { p256dh: 'AAAA' },
    { p256dh: Buffer.alloc(65, 4).toString('base64url') },
    { auth: 'AAAA' },
    { endpoint: 'x' },
  ])
    assert.throws(() => channelOf('web_push', { endpoint, ...keys, ...wrong }));
});
