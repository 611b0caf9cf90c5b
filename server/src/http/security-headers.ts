import { randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyReply } from 'fastify';

declare module 'fastify' {
  interface FastifyReply {
    /** Nonce of this answer's Content-Security-Policy, for `script` and `style` elements. */
    cspNonce: string;
  }
}

/** The policy for the console: nothing but our own files, and inline only with the nonce. Other pages bring their own. */
function consolePolicy(nonce: string): string {
  return [
    "default-src 'none'",
    `script-src 'self' 'nonce-${nonce}'`,
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

/** The policy for everything that is not a page. */
const API_POLICY = "default-src 'none'; frame-ancestors 'none'";

/** Sets the security headers on every answer. A route may set its own Content-Security-Policy first. */
export function securityHeaders(app: FastifyInstance, options: { https: boolean }): void {
  // Most answers are none of a page, and need none.
  const nonces = new WeakMap<FastifyReply, string>();
  app.decorateReply('cspNonce', {
    getter(this: FastifyReply) {
      const nonce = nonces.get(this) ?? randomBytes(16).toString('base64');
      nonces.set(this, nonce);
      return nonce;
    },
  });
  app.addHook('onSend', async (_request, reply: FastifyReply) => {
    const isPage = String(reply.getHeader('content-type') ?? '').startsWith('text/html');
    if (!reply.hasHeader('content-security-policy')) {
      reply.header('content-security-policy', isPage ? consolePolicy(reply.cspNonce) : API_POLICY);
    }
    reply.header('x-content-type-options', 'nosniff');
    reply.header('x-frame-options', 'DENY');
    // Without a referrer browsers send `Origin: null` with our own forms, and nothing could tell them from forged ones.
    reply.header('referrer-policy', isPage ? 'same-origin' : 'no-referrer');
    reply.header('cross-origin-opener-policy', 'same-origin');
    reply.header('cross-origin-resource-policy', 'same-origin');
    reply.header(
      'permissions-policy',
      'camera=(), microphone=(), geolocation=(), payment=(), publickey-credentials-get=(self), publickey-credentials-create=(self)',
    );
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
    if (options.https) reply.header('strict-transport-security', 'max-age=63072000; includeSubDomains');
  });
}
