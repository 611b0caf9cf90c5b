import { createServer } from 'node:http';
import { z } from 'zod';
import { constantTimeEqual } from '#shared/digest.ts';
import { languageOf, wordsFor } from '../words/words.ts';

export type LoopbackResult =
  | { ok: true; code: string }
  | { ok: false; problem: 'refused' | 'timed_out' | 'cancelled' | 'listener_failed' };

export interface Loopback {
  /** The literal loopback address with this flow's own port, RFC 8252 section 7.3. */
  redirectUri: string;
  result: Promise<LoopbackResult>;
  cancel(): void;
}

/** What the browser brings back: a code, or the server's word that the person said no. */
const callback = z.union([
  z.strictObject({ state: z.string(), code: z.string().regex(/^[A-Za-z0-9._~-]{16,512}$/) }),
  z.strictObject({ state: z.string(), error: z.string().max(100) }),
]);

/**
 * Waits for one browser to come back with the sign-in code. Only the holder of `state` ends the wait: a page or a
 * local program that guesses the port can neither hand in a code of its own nor stop the sign-in.
 *
 * @param options.timeoutMs how long the person has.
 * @param options.language of the desktop, which the pages in the browser have too
 */
export async function listenOnLoopback(options: {
  state: string;
  timeoutMs: number;
  language: string;
}): Promise<Loopback> {
  const words = wordsFor(options.language).browser;
  let settle: (result: LoopbackResult) => void = () => {};
  const result = new Promise<LoopbackResult>((resolve) => {
    settle = resolve;
  });
  let done = false;
  const server = createServer({ maxHeaderSize: 8 * 1024, requestTimeout: 5000 }, (request, response) => {
    const answer = (status: number, [title = '', text = '']: readonly string[]) => {
      response.writeHead(status, PAGE_HEADERS);
      response.end(page(languageOf(options.language), title, text));
    };
    // A name that resolves to 127.0.0.1 would make another origin's page part of this flow (DNS rebinding).
    if (request.headers.host !== authority) return answer(421, words.nothingHere);
    if (request.method !== 'GET') return answer(405, words.nothingHere);
    // Not every target that a request may have is part of an address, and whoever finds the port chooses it.
    const url = URL.parse(request.url ?? '/', `http://${authority}`);
    if (url?.pathname !== '/callback') return answer(404, words.nothingHere);
    // Repeated parameters would let two readers see two different codes.
    const entries = [...url.searchParams];
    const parsed = callback.safeParse(Object.fromEntries(entries));
    if (!parsed.success || new Set(entries.map(([name]) => name)).size !== entries.length) {
      return answer(400, words.didNotWork);
    }
    if (done || !constantTimeEqual(parsed.data.state, options.state)) {
      return answer(400, words.anotherSignIn);
    }
    if ('error' in parsed.data) {
      answer(200, words.notSignedIn);
      return finish({ ok: false, problem: 'refused' });
    }
    answer(200, words.signedIn);
    finish({ ok: true, code: parsed.data.code });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port: 0, exclusive: true }, resolve);
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new TypeError('not a TCP listener');
  const authority = `127.0.0.1:${address.port}`;

  const timer = setTimeout(() => finish({ ok: false, problem: 'timed_out' }), options.timeoutMs);
  server.on('error', () => finish({ ok: false, problem: 'listener_failed' }));
  function finish(outcome: LoopbackResult): void {
    if (done) return;
    done = true;
    clearTimeout(timer);
    server.close();
    server.closeIdleConnections();
    settle(outcome);
  }
  return {
    redirectUri: `http://${authority}/callback`,
    result,
    cancel: () => finish({ ok: false, problem: 'cancelled' }),
  };
}

const PAGE_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
  'cache-control': 'no-store',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  // The listener goes away with this answer; a kept connection would hold it open.
  connection: 'close',
};

/** Both texts are ours: nothing from the request is ever shown. */
function page(language: string, title: string, text: string): string {
  return `<!doctype html><html lang="${language}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>${title}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:28rem;margin:20vh auto;padding:0 1rem}h1{font-size:1.4rem}</style>
<h1>${title}</h1><p>${text}</p></html>
`;
}
