import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { CHANNEL_KINDS, type ChannelKind, type Notice } from '../channel.ts';
import { channelOf, posting, signal, subscriber, WHSEC } from '../testing/channel-kit.ts';
import { noticeOf } from '../testing/notices.ts';
import { decryptPush } from '../testing/push-decryption.ts';
import { partIn, smtpFake } from '../testing/smtp-fake.ts';

/** What people who want to deceive or disturb call themselves, their hosts and their reasons. */
const ATTACKS: readonly string[] = [
  '<!channel> <!here> <@U0123456> <https://evil.example|Approve>',
  '@everyone @here <@&81384788765712384> <@81384788765712384>',
  '*bold* _italic_ ~gone~ `code` ```block``` > quote # head - list',
  '[Approve](https://evil.example) ![x](https://evil.example/x.png) <https://evil.example>',
  '``` `` ` \\` [a](https://evil.example)',
  '<script>alert(1)</script><img src=x onerror=alert(1)><a href="https://evil.example">Approve</a>',
  '"><b>x</b>\' onmouseover=alert(1) &lt;b&gt; &#60; &amp;',
  '</code><b>Approved</b><a href="tg://user?id=1">x</a>',
  'a\r\nBcc: victim@evil.example\r\n\r\nbody',
  'a\nTo: victim@evil.example',
  '"; touch /tmp/owned; $(touch /tmp/owned) `touch /tmp/owned` && touch /tmp/owned | sh \'',
  'paypal\u202egro.elpmaxe\u202c \u200bzero \u0000nul \u001b[31mred \u2066x\u2069 \u{e0041}',
  '","title":"Approved","x":"',
  "{username} {hasActor, select, yes {x} other {y}} # ' {",
  'https://evil.example/approve www.evil.example evil.example/x',
  'https://evil.example/approve; someone@evil.example;',
  'evil.example, Evil.Example/approve and 203.0.113.7/approve',
  '\ud800 lone \udc00',
];

const noticeWith = (text: string, event = 'challenge_rejected'): Notice =>
  noticeOf({
    event,
    username: text,
    hostname: text,
    reason: text,
    actor: text,
    request: { ...noticeOf().request!, command: text },
  });

/** What came out at the other end, as text that people are shown and as the bytes that went there. */
type Sent = { shown: string; raw: string };

const SETTINGS: Partial<Record<ChannelKind, Record<string, unknown>>> = {
  telegram: { chatId: 1 },
  ntfy: { topic: 'ops' },
};

/** Sends something by a kind, and reads it there. */
async function through(t: TestContext, kind: ChannelKind, notice: Notice): Promise<Sent> {
  const delivered = { outcome: 'delivered' };
  if (kind === 'custom') {
    const folder = await mkdtemp(join(tmpdir(), 'identree-custom-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const command = `env | grep ^NOTIFY_ > ${folder}/seen`;
    const channel = channelOf('custom', {}, { env: { OPS: { command } } });
    assert.deepEqual(await channel.deliver(notice, signal()), delivered);
    const raw = await readFile(join(folder, 'seen'), 'utf8');
    return { raw, shown: raw };
  }
  if (kind === 'email') {
    const smtp = await smtpFake(t);
    const settings = {
      host: 'mail.example',
      port: smtp.port,
      tls: 'none',
      from: 'id@example.com',
      to: ['a@example.com'],
    };
    assert.deepEqual(await channelOf('email', settings).deliver(notice, signal()), delivered);
    assert.deepEqual(smtp.recipients, ['a@example.com'], 'nobody else gets it');
    assert.doesNotMatch(partIn(smtp.mails[0]!, 'text/plain'), LINKED, 'nothing in the plain text either');
    return { raw: smtp.mails[0]!, shown: smtp.html(0) };
  }
  if (kind === 'web_push') {
    const browser = subscriber();
    const { received, url } = await posting(t, 'slack');
    const channel = channelOf('web_push', { endpoint: url, ...browser.keys });
    assert.deepEqual(await channel.deliver(notice, signal()), delivered);
    const raw = decryptPush(received[0]!.bytes, browser).toString('utf8');
    return { raw, shown: `${JSON.parse(raw).title} ${JSON.parse(raw).body}` };
  }
  const more = { settings: SETTINGS[kind] ?? {}, ...(kind === 'webhook' ? { token: WHSEC } : {}) };
  const { channel, received } = await posting(t, kind, more);
  assert.deepEqual(await channel.deliver(notice, signal()), delivered);
  const raw = received[0]!.body;
  const said = JSON.parse(raw);
  const texts: Partial<Record<ChannelKind, unknown>> = {
    slack: said.text,
    discord: [
      said.embeds?.[0].title,
      said.embeds?.[0].description,
      ...(said.embeds?.[0].fields ?? []).map((f: { value: string }) => f.value),
    ],
    apprise: said.body,
    telegram: said.text,
    ntfy: said.message,
    webhook: Object.values(said),
  };
  return { raw, shown: [texts[kind]].flat().join('\n') };
}

/** Text without what a format shows as it is, so that what is left is what the format acts on. */
const outsideOfCode = (text: string): string => text.replace(/`[^`\n]*`/g, '');

/** What phones and desktops make a link of in plain text: not only what has a scheme. */
const LINKED = /:\/\/|www\.|evil\.example|\.elpmaxe|203\.0\.113\.7/i;

/** What must not be left of an attack in what a format acts on. */
const ACTIVE: Partial<Record<ChannelKind, (shown: string) => void>> = {
  slack: (shown) => {
    assert.doesNotMatch(shown, /<|>/, 'no mention and no link');
    assert.doesNotMatch(outsideOfCode(shown), /[`~_]|@|evil|bold/);
    assert.equal(outsideOfCode(shown).split('*').length, 3, 'the title alone is bold');
  },
  discord: (shown) => assert.doesNotMatch(outsideOfCode(shown), /[`*~_<>@[\]]|evil|bold/),
  apprise: (shown) => assert.doesNotMatch(outsideOfCode(shown).replaceAll('**', ''), /[`*~_<>@[\]]|evil|bold/),
  telegram: (shown) => {
    const tags = shown.match(/<[^>]*>/g) ?? [];
    assert.deepEqual([...new Set(tags)].sort(), ['</b>', '</code>', '<b>', '<code>']);
    assert.doesNotMatch(shown.replace(/<code>[^<]*<\/code>/g, ''), /evil|@|bold|&/);
  },
  ntfy: (shown) => assert.doesNotMatch(shown, LINKED, 'nothing that an app makes a link of'),
  web_push: (shown) => assert.doesNotMatch(shown, LINKED),
  email: (html) => {
    const tags = new Set((html.match(/<[^>]*>/g) ?? []).map((tag) => tag.replace(/^<\/?/, '').split(/[ >]/)[0]));
    const known = ['!doctype', 'html', 'body', 'h3', 'p', 'table', 'tr', 'th', 'td', 'code', 'span'];
    assert.deepEqual(
      [...tags].filter((tag) => !known.includes(tag!)),
      [],
    );
    assert.doesNotMatch(html, /https?:|evil\.example|@evil/, 'mail programs make links of what looks like one');
  },
};

for (const kind of CHANNEL_KINDS)
  describe(kind, () => {
    test('[N-01] what people chose to be called cannot format, mention, link or break out', async (t) => {
      for (const attack of ATTACKS) {
        const { shown, raw } = await through(t, kind, noticeWith(attack));
        assert.doesNotMatch(
          raw,
          /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u200b\u202a-\u202e\u2066-\u2069]/,
          attack,
        );
        assert.doesNotMatch(raw, /\u{e0041}/u, attack);
        ACTIVE[kind]?.(shown);
      }
    });

    test('[N-01] a denial is called a denial, and says of an attack what it is', async (t) => {
      const { raw } = await through(t, kind, noticeWith('a\u202eb'));
      assert.doesNotMatch(raw, /approval needed/i);
      assert.match(raw, /denied/i);
      assert.match(raw, kind === 'email' ? /a\\u{202e}b/ : /a\\{1,2}u\{202e\}b/);
    });

    test('[N-01] a name that is an event of another version is text as well', async (t) => {
      const { shown } = await through(t, kind, {
        ...noticeOf({ event: ATTACKS[0]!, request: null, reason: null }),
        username: 'x',
      });
      if (kind !== 'webhook' && kind !== 'custom') ACTIVE[kind]?.(shown);
    });
  });
