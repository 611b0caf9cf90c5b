import assert from 'node:assert/strict';
import { test } from 'node:test';
import { httpReceiver } from '../../audit/testing/http-receiver.ts';
import type { Outbound } from '../../outbound/outbound.ts';
import type { ChannelKind, Exchange, Notice } from '../channel.ts';
import { createChannelMaker, secretsFrom } from '../create-channel.ts';
import { channelOf, posting, signal, subscriber, TOKEN, WHSEC } from '../testing/channel-kit.ts';
import { NOTICE_AT, noticeOf } from '../testing/notices.ts';
import { createVapid } from './vapid.ts';

const PATH = '/services/T0AAAAAAA/B0BBBBBBB?key=a%20hidden%20key';
const TEST: Partial<Notice> = { event: 'test', request: null, reason: null, actor: null };

async function exchangeOf(channel: ReturnType<typeof channelOf>, notice: Partial<Notice>): Promise<Exchange> {
  const all: Exchange[] = [];
  await channel.deliver(noticeOf(notice), signal(), (exchange) => all.push(exchange));
  return all.at(-1)!;
}

/** What each kind is set up with, and what of that nobody may read. */
const { keys } = subscriber();
const KINDS: [ChannelKind, (url: string) => Record<string, unknown>, string | null, string[]][] = [
  ['webhook', (url) => ({ url: url + PATH }), `${TOKEN} ${WHSEC}`, [PATH, 'T0AAAAAAA', 'hidden', TOKEN, WHSEC]],
  ['slack', (url) => ({ url: url + PATH }), TOKEN, [PATH, 'B0BBBBBBB', 'hidden', TOKEN]],
  ['discord', (url) => ({ url: url + PATH }), null, [PATH, 'T0AAAAAAA']],
  ['apprise', (url) => ({ url: url + PATH }), TOKEN, [PATH, 'T0AAAAAAA', TOKEN]],
  ['ntfy', (url) => ({ url, topic: 'the-topic-of-nobody' }), TOKEN, ['the-topic-of-nobody', TOKEN]],
  ['telegram', (url) => ({ url, chatId: 1 }), TOKEN, [TOKEN, TOKEN.split(':')[1]!]],
  ['web_push', (url) => ({ endpoint: url + PATH, ...keys }), null, [PATH, 'B0BBBBBBB', keys.auth, 'eyJ']],
];

for (const [kind, settingsOf, token, secrets] of KINDS)
  test(`[N-20] a test by ${kind} shows the exchange, and nothing that its receiver repeats of a secret`, async (t) => {
    // It says everything again that it was given, also as it would stand in JSON and in an address.
    const { url } = await httpReceiver(t, ({ url, headers, body }) => {
      const all = JSON.stringify({ url, proof: headers.authorization });
      const said = [all, url, all.replaceAll('/', '\\/'), encodeURIComponent(url), decodeURIComponent(url), body];
      return { status: 202, body: `well met\n${said.join('\n')}` };
    });
    const made = token === null ? {} : { env: { OPS: { token } } };
    const { request, status, answer } = await exchangeOf(channelOf(kind, settingsOf(url), made), TEST);
    assert.deepEqual([request, status], [`POST ${url}/${kind === 'ntfy' ? '' : '…'}`, '202']);
    assert.match(answer!, /^well met/);
    for (const secret of secrets) assert.ok(!answer!.includes(secret), `${secret} in ${answer}`);
  });

test('[N-20] of what is answered to an event nothing is kept: it may repeat a link that decides', async (t) => {
  const { channel, url } = await posting(t, 'webhook', { answer: ({ body }) => ({ status: 200, body }) });
  const onetapUrl = 'https://identree.example.com/t/decides';
  const notice = { request: { ...noticeOf().request!, onetapUrl } };
  assert.deepEqual(await exchangeOf(channel, notice), { request: `POST ${url}/`, status: '200', answer: null });
});

/** A channel of one person whose receiver is somewhere. */
function ofOne(opened: boolean) {
  const outbound: Pick<Outbound, 'post' | 'target'> = {
    target: async () => ({ ok: true, addresses: [], opened }),
    post: async () => ({ ok: true, answer: { status: 200, body: 'said inside', retryMs: null }, opened }),
  };
  const make = createChannelMaker({
    ...{ outbound, clock: { now: () => NOTICE_AT }, timeoutMs: 15_000, environment: {} },
    run: async () => '',
    vapid: async () => createVapid(Buffer.alloc(32, 1), 'https://identree.example.com'),
    secretOf: secretsFrom({}),
  });
  const settings = { url: 'https://hooks.example.com/x' };
  return make({ name: 'own', kind: 'webhook', settings, owner: 'alice' });
}

test('[N-21] who chooses an address for themselves does not read what answers in the networks of the server', async () => {
  assert.equal((await exchangeOf(ofOne(false), TEST)).answer, 'said inside');
  const { status, answer } = await exchangeOf(ofOne(true), TEST);
  assert.deepEqual([status, answer], ['200', null]);
});

test('[N-20] of a long answer the beginning is shown, and what is cut was masked before', async (t) => {
  const url = '/of-the-room-that-nobody-knows';
  const answer = () => ({ status: 500, body: `${'x'.repeat(490)}${url}${'y'.repeat(5000)}\u202e` });
  const { url: at } = await posting(t, 'slack', { answer });
  const seen = await exchangeOf(channelOf('slack', { url: at + url }, {}), TEST);
  assert.ok(seen.answer!.startsWith(`${'x'.repeat(490)}…y`) && seen.answer!.length <= 501, seen.answer!);
  const { channel } = await posting(t, 'slack', { answer: () => ({ status: 200, body: 'ok\u202e\n' }) });
  assert.equal((await exchangeOf(channel, TEST)).answer, 'ok\\u{202e}');
});

test('[N-20] whom nobody answers is named nevertheless, and a command is shown by how it ended alone', async () => {
  const nowhere = channelOf('slack', { url: 'http://127.0.0.1:9/room' }, {});
  const nothing = { status: null, answer: null };
  assert.deepEqual(await exchangeOf(nowhere, TEST), { request: 'POST http://127.0.0.1:9/…', ...nothing });
  const command = (text: string) => channelOf('custom', {}, { env: { OPS: { command: text } } });
  const request = 'a command of the server';
  const done = { request, status: 'ended with 0', answer: null };
  assert.deepEqual(await exchangeOf(command('echo S3CRET'), TEST), done);
  assert.deepEqual(await exchangeOf(command('echo S3CRET; exit 1'), TEST), { request, ...nothing });
});
