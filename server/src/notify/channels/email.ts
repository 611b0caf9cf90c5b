import { createTransport } from 'nodemailer';
import { z } from 'zod';
import type { Delivery } from '../channel.ts';
import { type NoticeWords, noticeWords, plainLines } from '../words/words.ts';
import { defineKind, escapeHtml, later, locale, refused } from './kind.ts';

/** How the connection is encrypted, and the port that this goes by where none is named. */
const PORTS = { starttls: 587, implicit: 465, none: 25 } as const;

const hostName = z.string().regex(/^([A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45})$/);

/** Mail by a server that passes it on. The password is the token. */
const settings = z.strictObject({
  host: hostName,
  port: z.int().min(1).max(65_535).optional(),
  /** `none` is for a server in the networks that were opened. */
  tls: z.enum(['starttls', 'implicit', 'none']).default('starttls'),
  /** Certificates of the authority that vouches for it, in PEM; else those that Node.js knows. */
  ca: z.string().max(16_384).includes('-----BEGIN CERTIFICATE-----').optional(),
  user: z.string().min(1).max(255).optional(),
  from: z.email().max(254),
  to: z.array(z.email().max(254)).min(1).max(50),
  locale,
});

/** A value of others in HTML, which mail programs search for what looks like an address. */
const inHtml = (value: string): string => `<code>${escapeHtml(value).replace(/[.:@/]/g, '<span>$&</span>')}</code>`;

function htmlOf({ title, text, facts, link }: NoticeWords): string {
  const rows = facts.map(([label, value]) => `<tr><th align="left">${label}</th><td>${value}</td></tr>`).join('');
  const open = link === null ? '' : `<p><a href="${escapeHtml(link.url)}">${link.label}</a></p>`;
  return `<!doctype html><html><body><h3>${title}</h3><p>${text}</p><table>${rows}</table>${open}</body></html>`;
}

/** What a mail server says no with, as far as it is told. */
interface Failure {
  code?: string;
  responseCode?: number;
}

/**
 * A failure of a mail server by its codes alone: what it says may repeat the password, and who is on its lists.
 *
 * @param about whom it concerns, where it does not concern all
 */
function failureOf({ code = 'ERROR', responseCode }: Failure, about = ''): Delivery {
  const reason = `the mail server: ${code}${responseCode === undefined ? '' : ` ${responseCode}`}${about}`;
  const isFinal = code === 'EAUTH' || code === 'EENVELOPE' || code === 'EMESSAGE';
  return isFinal && responseCode !== undefined && responseCode >= 500 ? refused(reason) : later(reason);
}

/**
 * What became of a mail that the server has taken for some addresses at least. Where it wants one of the others later, all
 * are tried again: the mail has the same identity, and a second one is less bad than none.
 */
function outcomeOf(failures: readonly Failure[], addresses: number): Delivery {
  const worst = failures.find(({ responseCode = 0 }) => responseCode < 500) ?? failures[0];
  if (worst === undefined) return { outcome: 'delivered' };
  return failureOf(worst, ` for ${failures.length} of ${addresses} addresses`);
}

export const email = defineKind({
  settings,
  shown: ['host', 'port', 'tls', 'ca', 'user', 'from', 'to', 'locale'],
  reaches: ({ to }) => to.length,
  open({ host, port, tls, ca, user, from, to, locale }, { token }, { outbound, clock, timeoutMs }) {
    if (user !== undefined && token === null) throw new Error('it has a user and no token, which is the password');
    return async (notice, signal, seen) => {
      const about = { request: `mail by ${host}:${port ?? PORTS[tls]}`, secrets: [] };
      seen({ ...about, status: null, answer: '', inside: false });
      const target = await outbound.target(host);
      if (!target.ok) return target.final ? refused(target.reason) : later(target.reason);
      if (tls === 'none' && !target.opened)
        return refused('the mail server is outside of the networks of IDENTREE_NOTIFY_ALLOW_CIDRS and has no TLS');
      const plain = noticeWords(notice, locale, clock.now());
      const marked = noticeWords(notice, locale, clock.now(), inHtml);
      const transport = createTransport({
        // The address that was judged; the certificate has to be of the name.
        host: target.addresses[0]!,
        port: port ?? PORTS[tls],
        secure: tls === 'implicit',
        // A server that offers no STARTTLS, or somebody who takes the offer away, gets neither password nor mail.
        requireTLS: tls === 'starttls',
        ignoreTLS: tls === 'none',
        tls: { servername: host, minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) },
        ...(user === undefined ? {} : { auth: { user, pass: token! } }),
        connectionTimeout: timeoutMs,
        greetingTimeout: timeoutMs,
        socketTimeout: timeoutMs,
        disableFileAccess: true,
        disableUrlAccess: true,
      });
      const stopped = Promise.withResolvers<never>();
      const stop = () => stopped.reject(Object.assign(new Error('stopped'), { code: 'ESTOPPED' }));
      signal.addEventListener('abort', stop);
      try {
        const sent = transport.sendMail({
          from: { name: 'identree', address: from },
          to,
          subject: plain.title,
          text: `${plainLines(plain).join('\n')}\n`,
          html: htmlOf(marked),
          // A mail that comes twice is the same mail.
          messageId: `<${notice.id}@${from.split('@')[1]}>`,
          date: new Date(notice.at),
          headers: { 'Auto-Submitted': 'auto-generated' },
          // A server that says a little now and then is never silent: its connection would outlive every attempt.
          signal,
        });
        if (signal.aborted) stop();
        const { accepted, rejectedErrors = [], response } = await Promise.race([sent, stopped.promise]);
        const [, status = null, answer = ''] = /^([0-9]{3})[ -](.*)$/s.exec(response) ?? [];
        seen({ ...about, status, answer, inside: target.opened });
        return outcomeOf(rejectedErrors, accepted.length + rejectedErrors.length);
      } catch (error) {
        const { responseCode } = error as Failure;
        // What it says with it may repeat the password, and who is on its lists.
        if (responseCode !== undefined)
          seen({ ...about, status: String(responseCode), answer: '', inside: target.opened });
        return failureOf(error as Failure);
      } finally {
        signal.removeEventListener('abort', stop);
        transport.close();
      }
    };
  },
});
