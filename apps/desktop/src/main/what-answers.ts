import { z } from 'zod';
import type { ServerProblem } from '../setup-state.ts';
import { readBounded } from './bounded-body.ts';
import type { HttpPort } from './ports.ts';
import { offlineKind } from './reach.ts';

const ASK_MS = 10_000;
/** Bytes. What is looked for has 24. */
const MOST_OF_AN_ANSWER = 64 * 1024;

/**
 * As Chromium says that nobody vouches for a certificate, or that it is not this server's now, which is shown and cannot
 * be agreed to. Everything else is no question of trust: who issued a certificate that was revoked would vouch for it.
 */
const QUESTION_OF_TRUST = /\bERR_CERT_(AUTHORITY_INVALID|COMMON_NAME_INVALID|DATE_INVALID)\b/;

/** What is spoken there is not TLS, or not HTTP. A server that ends a handshake by itself may be told like the former. */
const NO_TLS = /\bERR_SSL_PROTOCOL_ERROR\b/;
const NO_HTTP = /\bERR_INVALID_HTTP_RESPONSE\b/;
/** As Electron says that it was led elsewhere and did not follow. */
const REDIRECT = /\bRedirect was cancelled\b/;

/** As an identree says that nobody is signed in. */
const nobody = z.object({ result: z.object({ data: z.null() }) });

/**
 * What answers at an address: an identree, why it is none, whether its certificate is a question, or why it is not known.
 * Sends no credential, and nothing at all where the certificate is not trusted.
 *
 * @param http by which it is asked, with what it trusts
 */
export async function whatAnswers(
  http: HttpPort,
  origin: string,
): Promise<'identree' | { problem: ServerProblem } | 'not_trusted' | 'certificate_refused' | 'server_unreachable'> {
  const init = { method: 'GET', headers: { accept: 'application/json' }, signal: AbortSignal.timeout(ASK_MS) };
  let answer: Response;
  let body: Buffer;
  try {
    // What the console asks first. A health check may be kept from the outside by a proxy; this never is.
    answer = await http.fetch(`${origin}/trpc/me.get`, init);
    body = await readBounded(answer, MOST_OF_AN_ANSWER).catch(() => Buffer.alloc(0));
  } catch (error) {
    const text = String(error);
    if (QUESTION_OF_TRUST.test(text)) return 'not_trusted';
    if (NO_TLS.test(text)) return { problem: 'no_tls' };
    if (NO_HTTP.test(text) || REDIRECT.test(text)) return { problem: 'another_site' };
    const kind = offlineKind({ kind: 'network', error });
    return kind === 'certificate' || kind === 'other_certificate' ? 'certificate_refused' : 'server_unreachable';
  }
  if (answer.status >= 400) return { problem: { status: answer.status } };
  return answer.status === 200 && isNobody(body) ? 'identree' : { problem: 'another_site' };
}

function isNobody(body: Buffer): boolean {
  try {
    return nobody.safeParse(JSON.parse(body.toString('utf8'))).success;
  } catch {
    return false;
  }
}
