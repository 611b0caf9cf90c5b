import assert from 'node:assert/strict';
import { test } from 'node:test';
import { httpReceiver } from '../audit/testing/http-receiver.ts';
import { CHANNEL_KINDS, type ChannelKind } from './channel.ts';
import { sharesSecret } from './create-channel.ts';
import { channelOf, signal, subscriber, TOKEN } from './testing/channel-kit.ts';
import { noticeOf } from './testing/notices.ts';

const HERE = 'https://receiver.example/hook-hunter2';
const GOOD: Record<ChannelKind, Record<string, unknown>> = {
  webhook: { url: HERE },
  slack: { url: HERE },
  discord: { url: HERE },
  apprise: { url: HERE },
  ntfy: { url: 'https://ntfy.example', topic: 'ops' },
  custom: {},
  email: { host: 'mail.example', from: 'id@example.com', to: ['a@example.com'] },
  web_push: { endpoint: HERE, ...subscriber().keys },
  telegram: { chatId: 1 },
};
const env = { OPS: { token: TOKEN, command: 'true' } };

/** What is said of settings that are refused. */
function problemOf(kind: ChannelKind, settings: Record<string, unknown>, more = {}): string {
  try {
    channelOf(kind, settings, { env, ...more });
  } catch (error) {
    return (error as Error).message;
  }
  return '';
}

test('[N-23] no kind says its secret or its address, whatever is wrong', async () => {
  for (const kind of CHANNEL_KINDS) {
    assert.equal(problemOf(kind, GOOD[kind]), '', kind);
    for (const wrong of [
      { hunter2: 1 },
      { url: 'https://hunter2@example.com' },
      { url: `gopher://${TOKEN}` },
      { locale: 'hunter3' },
      { to: ['hunter2'] },
      { chatId: 'hunter2 x' },
    ]) {
      const said = problemOf(kind, { ...GOOD[kind], ...wrong });
      assert.notEqual(said, '', `${kind} ${JSON.stringify(wrong)}`);
      // The name of a setting that there is not is said; what stands there is not.
      assert.ok(!/hunter[23](?!$)/.test(said) && !said.includes(TOKEN), said);
    }
    // The name leads to loopback, which is not opened.
    const channel = channelOf(kind, GOOD[kind], { env, opened: [] });
    const came = await channel.deliver(noticeOf(), signal());
    if (kind === 'custom') assert.equal(came.outcome, 'delivered');
    else {
      assert.equal(came.outcome, 'refused', kind);
      assert.doesNotMatch(came.reason, /hunter2|receiver\.example|127\.0\.0\.1|AAF/);
      assert.match(came.reason, /IDENTREE_NOTIFY_ALLOW_CIDRS/);
    }
  }
});

test('[N-23] a kind that needs a secret says which variable is not set', () => {
  assert.equal(problemOf('telegram', GOOD.telegram, { env: {} }), 'IDENTREE_NOTIFY_CHANNEL_OPS_TOKEN is not set');
  assert.equal(problemOf('custom', {}, { env: {} }), 'IDENTREE_NOTIFY_CHANNEL_OPS_COMMAND is not set');
});

test('[N-23] a channel of a person gets no secret, whatever name they give it', async (t) => {
  const { url, received } = await httpReceiver(t, () => ({ status: 200 }));
  const mine = channelOf('slack', { url }, { env, owner: 'person-1' });
  assert.deepEqual(await mine.deliver(noticeOf(), signal()), { outcome: 'delivered' });
  const shared = channelOf('slack', { url }, { env });
  await shared.deliver(noticeOf(), signal());
  assert.deepEqual(
    received.map(({ headers }) => headers.authorization),
    [undefined, `Bearer ${TOKEN}`],
  );
  assert.match(problemOf('custom', {}, { owner: 'person-1' }), /only shared channels/);
});

test('the mail of one person goes to one address, and that of all to several', () => {
  const several = { ...GOOD.email, to: ['a@example.com', 'b@example.com'] };
  assert.equal(problemOf('email', several), '');
  assert.equal(problemOf('email', GOOD.email, { owner: 'person-1' }), '');
  assert.match(problemOf('email', several, { owner: 'person-1' }), /one address/);
});

test('[N-23] names that would have the same secret are told apart from those that would not', () => {
  const names = ['ops-west', 'a', 'b.c'];
  assert.equal(sharesSecret('ops.west', names), 'ops-west');
  assert.equal(sharesSecret('ops_west', names), 'ops-west');
  assert.equal(sharesSecret('b-c', names), 'b.c');
  assert.equal(sharesSecret('ops-west', names), null, 'itself');
  assert.equal(sharesSecret('opswest', names), null);
});

test('ntfy at the address of a topic is refused: it would show JSON', () => {
  assert.match(problemOf('ntfy', { url: 'https://ntfy.example/ops', topic: 'ops' }), /has a path/);
});

test('a channel never rejects, and one whose time is over sends nothing', async (t) => {
  const { url, received } = await httpReceiver(t, () => ({ status: 200 }));
  assert.equal((await channelOf('slack', { url }).deliver(noticeOf(), AbortSignal.abort())).outcome, 'later');
  assert.equal(received.length, 0);
  const run = async () => {
    throw new TypeError(`spawn ${TOKEN}`);
  };
  assert.deepEqual(await channelOf('custom', {}, { env, run }).deliver(noticeOf(), signal()), {
    outcome: 'later',
    reason: 'could not be sent (unexpected)',
    retryMs: null,
  });
});
