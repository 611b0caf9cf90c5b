import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';

/** A mail server that keeps what it is given, and offers no STARTTLS. With a key and certificate, TLS from the beginning. */
export async function smtpFake(t: Pick<TestContext, 'after'>, tls: { key: Buffer; cert: Buffer } | null = null) {
  const mails: string[] = [];
  const commands: string[] = [];
  const recipients: string[] = [];
  const talk = (socket: Socket) => {
    let rest = '';
    let inData = false;
    socket.on('error', () => undefined);
    socket.setEncoding('utf8');
    socket.write('220 fake ESMTP\r\n');
    socket.on('data', (chunk) => {
      rest += chunk;
      for (;;) {
        const end = rest.indexOf(inData ? '\r\n.\r\n' : '\r\n');
        if (end < 0) return;
        const text = rest.slice(0, end);
        rest = rest.slice(end + (inData ? 5 : 2));
        if (!inData) commands.push(text);
        if (inData) {
          mails.push(text);
          inData = false;
          socket.write('250 kept\r\n');
        } else if (/^EHLO/i.test(text)) socket.write('250-fake\r\n250 8BITMIME\r\n');
        else if (/^DATA/i.test(text)) {
          inData = true;
          socket.write('354 go on\r\n');
        } else if (/^STARTTLS/i.test(text)) socket.write('502 not here\r\n');
        else if (/^QUIT/i.test(text)) socket.end('221 bye\r\n');
        else {
          const [, to] = /^RCPT TO:<([^>]*)>/i.exec(text) ?? [];
          if (to !== undefined) recipients.push(to);
          socket.write('250 ok\r\n');
        }
      }
    });
  };
  const server = tls === null ? createServer(talk) : createTlsServer(tls, talk);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return {
    port: (server.address() as AddressInfo).port,
    mails,
    commands,
    recipients,
    html: (index: number) => htmlIn(mails[index]!),
  };
}

/** The HTML part of a mail, decoded. */
export const htmlIn = (mail: string): string => partIn(mail, 'text/html');

/** A part of a mail of several, decoded. */
export function partIn(mail: string, type: 'text/plain' | 'text/html'): string {
  const [, boundary = ''] = /boundary="([^"]+)"/.exec(mail) ?? [];
  const part = mail.split(`--${boundary}`).find((one) => one.toLowerCase().includes(`content-type: ${type}`)) ?? '';
  const [head = '', ...body] = part.split('\r\n\r\n');
  // The last end of line belongs to what separates the parts.
  const text = body.join('\r\n\r\n').replace(/\r\n$/, '');
  if (/base64/i.test(head)) return Buffer.from(text, 'base64').toString('utf8');
  if (!/quoted-printable/i.test(head)) return text;
  const bytes = text
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString('utf8');
}
