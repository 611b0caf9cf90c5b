import { z } from 'zod';
import { compareCode } from '#shared/compare-code.ts';
import { readBounded } from './bounded-body.ts';
import { listenOnLoopback } from './loopback.ts';
import { createPkce, type RandomBytes } from './pkce.ts';
import type { HttpPort, OpenerPort } from './ports.ts';
import { offlineKind } from './reach.ts';

/** How long a person has to sign in, milliseconds. */
export const SIGN_IN_TIMEOUT_MS = 120_000;

export type SignInProblem =
  | 'refused'
  | 'timed_out'
  | 'cancelled'
  | 'listener_failed'
  | 'browser_failed'
  | 'certificate_refused'
  | 'server_unreachable'
  | 'server_refused';

export type SignInResult = { ok: true; credential: string; expiresAt: number } | { ok: false; problem: SignInProblem };

export interface SignInAttempt {
  /** Shown here and on the consent page; the person compares. */
  compareCode: string;
  done: Promise<SignInResult>;
  cancel(): void;
}

const tokenAnswer = z.object({
  credential: z.string().regex(/^[A-Za-z0-9._~+/=-]{20,512}$/),
  expiresAt: z.int().min(0),
});

/**
 * Sign-in in the system browser, RFC 8252 with PKCE: the person meets the server's ordinary sign-in page with all that
 * their browser knows (passkeys, the identity provider's session), and this process never sees a password.
 */
export function createSignIn(deps: {
  http: HttpPort;
  opener: OpenerPort;
  random: RandomBytes;
  /** Of the desktop, as BCP 47 names it. */
  language: string;
  timeoutMs?: number;
}) {
  /** Opens the browser for `origin`. Each attempt has its own state, PKCE pair and port, and is good for one code. */
  return async function signIn(origin: string): Promise<SignInAttempt> {
    const state = deps.random(32).toString('base64url');
    const pkce = createPkce(deps.random);
    const { language, timeoutMs = SIGN_IN_TIMEOUT_MS } = deps;
    const loopback = await listenOnLoopback({ state, timeoutMs, language });
    const done = (async (): Promise<SignInResult> => {
      const opened = await deps.opener.open(origin, {
        kind: 'sign-in',
        codeChallenge: pkce.challenge,
        redirectUri: loopback.redirectUri,
        state,
      });
      if (!opened) {
        loopback.cancel();
        return { ok: false, problem: 'browser_failed' };
      }
      const returned = await loopback.result;
      if (!returned.ok) return returned;
      return exchange(origin, returned.code, pkce.verifier);
    })();
    return { compareCode: compareCode(pkce.challenge), done, cancel: loopback.cancel };
  };

  async function exchange(origin: string, code: string, verifier: string): Promise<SignInResult> {
    try {
      const response = await deps.http.fetch(`${origin}/api/desktop/token`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json' },
        body: JSON.stringify({ code, code_verifier: verifier }),
        signal: AbortSignal.timeout(15_000),
      });
      const body = await readBounded(response, 16 * 1024);
      if (response.status !== 200) return { ok: false, problem: 'server_refused' };
      const parsed = tokenAnswer.safeParse(JSON.parse(body.toString('utf8')));
      return parsed.success ? { ok: true, ...parsed.data } : { ok: false, problem: 'server_refused' };
    } catch (error) {
      const kind = offlineKind({ kind: 'network', error });
      const isRefused = kind === 'certificate' || kind === 'other_certificate';
      return { ok: false, problem: isRefused ? 'certificate_refused' : 'server_unreachable' };
    }
  }
}
