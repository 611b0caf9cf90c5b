import assert from 'node:assert/strict';
import { test } from 'node:test';
import { posting, signal, TOKEN } from '../testing/channel-kit.ts';
import { noticeOf } from '../testing/notices.ts';

const URL_OF_REQUEST = 'https://identree.example.com/approve/ABCDEF-123456';
const denied = noticeOf({ event: 'challenge_rejected', actor: 'olga', reason: 'not now' });

test('[N-02] slack gets these bytes', async (t) => {
  const { channel, received } = await posting(t, 'slack', { token: 'T0K3N' });
  assert.deepEqual(await channel.deliver(noticeOf(), signal()), { outcome: 'delivered' });
  await channel.deliver(denied, signal());
  assert.equal(
    received[0]!.body,
    '{"text":"*Approval needed*\\n`alice` asked for an approval on `web1.example.com` (“`ticket 4711`”); the code is `ABCDEF-123456`.\\nUser: `alice` | Host: `web1.example.com` | Command: `/usr/bin/systemctl restart nginx` | Code: `ABCDEF-123456` | Expires: in 90 seconds | Reason: `ticket 4711`\\n<https://identree.example.com/approve/ABCDEF-123456|Open the request>","unfurl_links":false,"unfurl_media":false}',
  );
  assert.equal(
    received[1]!.body,
    '{"text":"*Request denied*\\n`olga` denied the request `ABCDEF-123456` of `alice` on `web1.example.com` (“`not now`”).\\nUser: `alice` | Host: `web1.example.com` | Command: `/usr/bin/systemctl restart nginx` | Code: `ABCDEF-123456` | Reason: `not now` | By: `olga`","unfurl_links":false,"unfurl_media":false}',
  );
  const { headers } = received[0]!;
  assert.deepEqual([headers['content-type'], headers.authorization], ['application/json', 'Bearer T0K3N']);
});

test('[N-02] discord gets these bytes', async (t) => {
  const { channel, received } = await posting(t, 'discord');
  await channel.deliver(noticeOf({ hostname: '', reason: null }), signal());
  assert.equal(
    received[0]!.body,
    '{"embeds":[{"title":"Approval needed","description":"`alice` asked for an approval on –; the code is `ABCDEF-123456`.","color":3447003,"fields":[{"name":"User","value":"`alice`","inline":true},{"name":"Command","value":"`/usr/bin/systemctl restart nginx`","inline":true},{"name":"Code","value":"`ABCDEF-123456`","inline":true},{"name":"Expires","value":"in 90 seconds","inline":true}],"url":"https://identree.example.com/approve/ABCDEF-123456"}],"allowed_mentions":{"parse":[]}}',
  );
  assert.equal(received[0]!.headers.authorization, undefined);
});

test('[N-02] apprise gets these bytes', async (t) => {
  const { channel, received } = await posting(t, 'apprise', { settings: { locale: 'de' } });
  await channel.deliver(denied, signal());
  const { body } = received[0]!;
  assert.deepEqual(JSON.parse(body), {
    title: 'Anfrage abgelehnt',
    body: '`olga` hat die Anfrage `ABCDEF-123456` von `alice` auf `web1.example.com` abgelehnt („`not now`“).\n\n**Benutzer:** `alice`\n\n**Host:** `web1.example.com`\n\n**Befehl:** `/usr/bin/systemctl restart nginx`\n\n**Code:** `ABCDEF-123456`\n\n**Grund:** `not now`\n\n**Durch:** `olga`',
    format: 'markdown',
  });
  assert.deepEqual(Object.keys(JSON.parse(body)), ['title', 'body', 'format']);
});

test('[N-02] telegram gets these bytes at the path of its bot', async (t) => {
  const { channel, received } = await posting(t, 'telegram', { settings: { chatId: -1001234 } });
  await channel.deliver(
    noticeOf({ reason: null, request: { ...noticeOf().request!, onetapUrl: 'https://id.example/t/x' } }),
    signal(),
  );
  assert.equal(received[0]!.url, `/bot${TOKEN}/sendMessage`);
  assert.equal(
    received[0]!.body,
    '{"chat_id":-1001234,"text":"<b>Approval needed</b>\\n<code>alice</code> asked for an approval on <code>web1.example.com</code>; the code is <code>ABCDEF-123456</code>.\\nUser: <code>alice</code>\\nHost: <code>web1.example.com</code>\\nCommand: <code>/usr/bin/systemctl restart nginx</code>\\nCode: <code>ABCDEF-123456</code>\\nExpires: in 90 seconds","parse_mode":"HTML","link_preview_options":{"is_disabled":true},"reply_markup":{"inline_keyboard":[[{"text":"Open the request","url":"https://id.example/t/x"}]]}}',
  );
});

test('[N-23] the token of telegram, which is in the path, stands in no reason', async (t) => {
  for (const [status, body, expected] of [
    [429, '{"ok":false,"parameters":{"retry_after":7}}', { outcome: 'later', retryMs: 7000 }],
    [429, `<html>${TOKEN}`, { outcome: 'later', retryMs: null }],
    [401, `{"description":"${TOKEN}"}`, { outcome: 'refused' }],
    [500, TOKEN, { outcome: 'later', retryMs: null }],
    [302, '', { outcome: 'refused' }],
  ] as const) {
    const { channel } = await posting(t, 'telegram', { settings: { chatId: 1 }, answer: () => ({ status, body }) });
    const came = await channel.deliver(noticeOf(), signal());
    assert.deepEqual(came, { ...expected, reason: `the receiver answers ${status}` });
  }
});

test('[N-12] ntfy gets JSON at its root, with topic, priority, tags and a view action', async (t) => {
  const { channel, received, url } = await posting(t, 'ntfy', { settings: { topic: 'ops_alerts' }, token: 'tk_right' });
  assert.deepEqual(await channel.deliver(noticeOf({ reason: null }), signal()), { outcome: 'delivered' });
  await channel.deliver(noticeOf({ event: 'break_glass_used', request: null, reason: null }), signal());
  assert.equal(received[0]!.url, '/', `never ${url}/ops_alerts`);
  assert.equal(received[0]!.headers.authorization, 'Bearer tk_right');
  assert.equal(
    received[0]!.body,
    `{"topic":"ops_alerts","title":"Approval needed","message":"alice asked for an approval on web1.example.com; the code is ABCDEF-123456.\\nUser: alice\\nHost: web1.example.com\\nCommand: /usr/bin/systemctl restart nginx\\nCode: ABCDEF-123456\\nExpires: in 90 seconds","priority":4,"tags":["bell"],"click":"${URL_OF_REQUEST}","actions":[{"action":"view","label":"Open the request","url":"${URL_OF_REQUEST}"}]}`,
  );
  assert.equal(
    received[1]!.body,
    '{"topic":"ops_alerts","title":"Break-glass password used","message":"alice got in on the host web1.example.com with its break-glass password while no server answered.\\nUser: alice\\nHost: web1.example.com","priority":5,"tags":["rotating_light"]}',
  );
});

test('[N-12] ntfy: a wrong token is final, and a limit says when it is over', async (t) => {
  const answer = ({ headers }: { headers: { authorization?: string } }) =>
    headers.authorization === 'Bearer tk_right'
      ? { status: 429, headers: { 'retry-after': '30' }, body: '{"code":42909}' }
      : { status: headers.authorization === undefined ? 403 : 401, body: '{"code":40101}' };
  const outcomeWith = async (token?: string) => {
    const more = { settings: { topic: 'ops' }, answer, ...(token === undefined ? {} : { token }) };
    return (await posting(t, 'ntfy', more)).channel.deliver(noticeOf(), signal());
  };
  const reason = (status: number) => `the receiver answers ${status}`;
  assert.deepEqual(await outcomeWith('tk_right'), { outcome: 'later', reason: reason(429), retryMs: 30_000 });
  assert.deepEqual(await outcomeWith('tk_wrong'), { outcome: 'refused', reason: reason(401) });
  assert.deepEqual(await outcomeWith(), { outcome: 'refused', reason: reason(403) });
});

test('[N-12] ntfy takes a message that is too long for text as a file: it is cut before', async (t) => {
  const { channel, received } = await posting(t, 'ntfy', { settings: { topic: 'ops', locale: 'ja' } });
  const long = '漢'.repeat(5000);
  await channel.deliver(noticeOf({ username: long, reason: long, actor: long, hostname: long }), signal());
  const { message } = JSON.parse(received[0]!.body) as { message: string };
  assert.ok(Buffer.byteLength(message) <= 3500 && message.endsWith('…') && !message.includes('\ufffd'));
});

test('[N-02] what a receiver answers is delivered, worth another try, or final', async (t) => {
  for (const [status, outcome] of [
    ...[200, 201, 204].map((status) => [status, 'delivered'] as const),
    ...[301, 302, 304, 307, 308, 400, 401, 403, 404, 410, 413].map((status) => [status, 'refused'] as const),
    ...[408, 425, 429, 500, 502, 503, 504].map((status) => [status, 'later'] as const),
  ]) {
    const { channel } = await posting(t, 'slack', {
      answer: () => ({ status, headers: { location: 'http://127.0.0.1:9/', 'retry-after': '5' } }),
    });
    const came = await channel.deliver(noticeOf(), signal());
    assert.equal(came.outcome, outcome, String(status));
    if (came.outcome === 'later') assert.equal(came.retryMs, 5000);
  }
});
