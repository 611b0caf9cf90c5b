import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { before, describe, type TestContext, test } from 'node:test';
import { createTestCa, type TestCa, type TestCertificate } from '../../ldap/testing/certificates.ts';
import { channelOf, signal } from '../testing/channel-kit.ts';
import { startMailServer, whyNoMailServer } from '../testing/mail-server.ts';
import { noticeOf } from '../testing/notices.ts';
import { partIn } from '../testing/smtp-fake.ts';
import { noticeWords, plainLines } from '../words/words.ts';

const PASSWORD = 'pä$s{w}ö:rd 🔑';
const USER = 'identree';
const ACCOUNT = { user: USER, password: PASSWORD, mechanism: 'PLAIN' } as const;
const OFFER = /^250-STARTTLS\r\n/m;
const GO_AHEAD = /^220 TLS[^\r]*\r\n$/;

/** Somebody on the way to a mail server, who changes what it says in clear and may answer in its place. */
async function openBetween(
  t: TestContext,
  target: number,
  { says, answers }: { says: (text: string) => string; answers?: (text: string) => string | null },
) {
  let heard = '';
  let changed = 0;
  const server = createServer((near) => {
    const far = connect(target, '127.0.0.1');
    for (const socket of [near, far]) socket.setEncoding('latin1').on('error', () => undefined);
    near.on('data', (text: string) => {
      heard += text;
      const answer = answers?.(text) ?? null;
      if (answer === null) far.write(text, 'latin1');
      else near.write(answer);
    });
    far.on('data', (text: string) => {
      const said = says(text);
      if (said !== text) changed += 1;
      near.write(said, 'latin1');
    });
    near.on('close', () => far.destroy());
    far.on('close', () => near.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, heard: () => heard, changed: () => changed };
}

describe('[N-05] a real mail server', { skip: whyNoMailServer }, () => {
  let ca: TestCa;
  let certificate: TestCertificate;
  before(async () => {
    ca = await createTestCa();
    certificate = await ca.issue('mail.example', 'server');
  });

  const send = (port: number, more: Record<string, unknown> = {}, password = PASSWORD, notice = noticeOf()) => {
    const about = { host: 'mail.example', from: 'identree@example.com', to: ['a@example.com'], ca: ca.certificate };
    return channelOf('email', { ...about, port, ...more }, { env: { OPS: { token: password } } }).deliver(
      notice,
      signal(),
    );
  };

  for (const mechanism of ['PLAIN', 'LOGIN'] as const)
    for (const tls of ['starttls', 'implicit'] as const)
      test(`takes mail over TLS (${tls}) from who has the password (${mechanism})`, async (t) => {
        const account = { ...ACCOUNT, mechanism };
        const server = await startMailServer(t, { certificate, implicit: tls === 'implicit', account });
        const came = await send(server.port, { tls, user: USER, to: ['a@example.com', 'b@example.com'] });
        assert.deepEqual(came, { outcome: 'delivered' }, server.complaints());
        const mails = await server.mails();
        assert.equal(mails.length, 1, 'one mail for all');
        // The server's own word: over TLS, and by somebody whom it knows.
        assert.match(mails[0]!, /^\tby mail\.example with esmtpsa +\(TLS1\.[23]\)/m);
        assert.match(mails[0]!, /^Return-path: <identree@example\.com>\r$/m);
        assert.match(mails[0]!, /^Envelope-to: a@example\.com,\r\n b@example\.com\r$/m);
        assert.match(mails[0]!, /^X-Sent-By: identree\r$/m);
        assert.deepEqual(await server.heard(), ['AUTH', 'MAIL']);
      });

  test('keeps a mail of two parts that say the same, whatever people have typed', async (t) => {
    const server = await startMailServer(t, { certificate });
    const reason = `.\r\n.\r\nFrom nobody\r\nBcc: x@example.com\r\n\r\nüber 🔑 <b>&amp;</b> ${'long '.repeat(400)}`;
    const username = 'eve\r\nSubject: Approved\r\n';
    for (const locale of ['en', 'de'] as const) {
      const notice = noticeOf({ id: `0195f2a4-7b1c-7000-8000-0000000000${locale}`, username, reason });
      assert.deepEqual(await send(server.port, { locale }, PASSWORD, notice), { outcome: 'delivered' });
      const mail = (await server.mails()).find((one) =>
        one.includes(`\r\nMessage-ID: <${notice.id}@example.com>\r\n`),
      )!;
      const head = mail.slice(0, mail.indexOf('\r\n\r\n'));
      assert.match(head, /^Content-Type: multipart\/alternative;/m);
      assert.equal(head.match(/^(Subject|Bcc|From|To|Message-ID|Date):/gim)?.length, 5, head);
      assert.match(head, /^Date: Mon, 30 Nov 2026 12:00:00 \+0000\r$/m);
      assert.match(head, /^Auto-Submitted: auto-generated\r$/m);
      const words = noticeWords(notice, locale, notice.at);
      assert.equal(partIn(mail, 'text/plain'), `${plainLines(words).join('\r\n')}\r\n`);
      const html = partIn(mail, 'text/html');
      assert.ok(html.includes(words.title) && html.includes('über 🔑') && !html.includes('<b>'), html);
      assert.ok(Math.max(...mail.split('\r\n').map((line) => line.length)) <= 998, 'no line that servers cut');
    }
    assert.equal((await server.mails()).length, 2);
  });

  test('that does not know the password ends it, and one that cannot look has it tried again', async (t) => {
    const server = await startMailServer(t, { certificate, account: ACCOUNT });
    const wrong = await send(server.port, { user: USER }, 'a-wrong-password');
    assert.deepEqual(wrong, { outcome: 'refused', reason: 'the mail server: EAUTH 535' });
    const busy = await send(server.port, { user: 'busy' });
    assert.deepEqual(busy, { outcome: 'later', reason: 'the mail server: EAUTH 435', retryMs: null });
    const nobody = await send(server.port);
    assert.deepEqual(nobody, { outcome: 'refused', reason: 'the mail server: EENVELOPE 550' });
    assert.deepEqual(await server.mails(), []);
  });

  test('whose TLS somebody takes away on the way gets nothing, and nor does that person', async (t) => {
    const account = { ...ACCOUNT, inClear: true };
    const server = await startMailServer(t, { certificate, account });
    const between = await openBetween(t, server.port, {
      says: (text) => text.replace(OFFER, ''),
      answers: (text) => (/^STARTTLS\r\n/i.test(text) ? '454 TLS is not there at the moment\r\n' : null),
    });
    for (const user of [USER, undefined]) {
      const came = await send(between.port, user === undefined ? {} : { user });
      assert.equal(came.outcome, 'later');
    }
    assert.equal(between.changed(), 2, 'the offer was there');
    assert.doesNotMatch(between.heard(), /AUTH|MAIL|RCPT|DATA|alice/i);
    assert.deepEqual(await server.heard(), []);
    // It is the taking away that was refused: the same server, without anybody on the way.
    assert.deepEqual(await send(server.port, { user: USER }), { outcome: 'delivered' });
  });

  test("is believed in what it says inside of TLS alone: answers that somebody put in front are nobody's", async (t) => {
    const server = await startMailServer(t, { certificate });
    // As many as it takes for a mail that the server never saw to look delivered.
    const forged = `250-mail.example\r\n250 HELP\r\n${'250 OK\r\n'.repeat(2)}354 go on\r\n250 OK id=1\r\n221 bye\r\n`;
    const between = await openBetween(t, server.port, { says: (text) => text.replace(GO_AHEAD, `$&${forged}`) });
    assert.equal((await send(between.port, { to: ['gone@example.com'] })).outcome, 'refused');
    assert.deepEqual(await send(between.port), { outcome: 'delivered' });
    assert.deepEqual([between.changed(), (await server.mails()).length], [2, 1]);
  });

  test('without TLS, with TLS of the past, or with a certificate of somebody else is given nothing', async (t) => {
    const ofOtherName = await ca.issue('other.example', 'server');
    const ofOtherCa = await (await createTestCa()).issue('mail.example', 'server');
    const account = { ...ACCOUNT, inClear: true };
    const servers = Object.entries({
      'no TLS': { certificate: null },
      'TLS 1.1': { certificate, agreesTo: 'NORMAL:-VERS-ALL:+VERS-TLS1.1' },
      'another name': { certificate: ofOtherName },
      'another authority': { certificate: ofOtherCa },
      'another name from the beginning': { certificate: ofOtherName, implicit: true },
      'another authority from the beginning': { certificate: ofOtherCa, implicit: true },
    });
    const tried = async ([what, wanted]: (typeof servers)[number]) => {
      const server = await startMailServer(t, { ...wanted, account });
      const tls = 'implicit' in wanted ? 'implicit' : 'starttls';
      assert.equal((await send(server.port, { user: USER, tls })).outcome, 'later', what);
      assert.deepEqual([server.connections(), await server.heard()], [1, []], what);
    };
    await Promise.all(servers.map(tried));
  });

  test('that takes a mail for some addresses only has not delivered it', async (t) => {
    const server = await startMailServer(t, { certificate });
    const to = (...names: string[]) => send(server.port, { to: names.map((name) => `${name}@example.com`) });
    const lost = 'the mail server: EENVELOPE 550 for 1 of 2 addresses';
    assert.deepEqual(await to('a', 'gone'), { outcome: 'refused', reason: lost });
    const slow = 'the mail server: EENVELOPE 451 for 2 of 3 addresses';
    assert.deepEqual(await to('gone', 'slow', 'a'), { outcome: 'later', reason: slow, retryMs: null });
    assert.deepEqual(await to('gone'), { outcome: 'refused', reason: 'the mail server: EENVELOPE 550' });
    assert.deepEqual(await to('slow'), { outcome: 'later', reason: 'the mail server: EENVELOPE 451', retryMs: null });
    for (const mail of await server.mails()) assert.match(mail, /^Envelope-to: a@example\.com\r$/m);
  });
});
